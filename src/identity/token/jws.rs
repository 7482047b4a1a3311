//! A signed token as it came: three parts in base64url, and a header that says how it is signed.
//!
//! Must never follow what a header names (`jku`, `x5u`, `jwk`, `x5c`: RFC 8725 §3.10, CASES A40), nor take
//! a token that has an extension it has to understand (`crit`, A41). Nothing in here is believed yet.

use data_encoding::BASE64URL_NOPAD;

use crate::identity::json::{self, Members};
use crate::model::reason::Reason;

/// Keys and elements in a header.
const HEADER_MEMBERS_MAX: usize = 64;
/// Keys and elements in a payload.
const PAYLOAD_MEMBERS_MAX: usize = 1024;

/// A compact JWS (RFC 7515 §7.1) that was taken apart. Its signature is not checked.
pub(in crate::identity) struct Jws<'a> {
    pub(in crate::identity) header: Members,
    pub(in crate::identity) payload: Members,
    /// What is signed.
    pub(in crate::identity) message: &'a [u8],
    pub(in crate::identity) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes `token` apart. `None` where it is not exactly one JWS of two strict JSON objects.
    pub(in crate::identity) fn take_apart(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        // A fourth part would leave a dot here, which is not in the alphabet.
        let part = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        Some(Self {
            header: json::object(&part(header)?, HEADER_MEMBERS_MAX)?,
            payload: json::object(&part(payload)?, PAYLOAD_MEMBERS_MAX)?,
            message: message.as_bytes(),
            signature: part(signature)?,
        })
    }

    /// Checks that the token is of the type `wanted` and asks for no extension.
    pub(in crate::identity) fn check_type(&self, wanted: &str) -> Result<(), Reason> {
        let typ = json::text(&self.header, "typ").map_err(|_| Reason::TokenMalformed)?;
        // RFC 7515 §4.1.9: a media type, so its case is free and `application/` may be left out.
        let is_wanted = typ.is_some_and(|typ| {
            let prefix = "application/";
            let has_prefix = typ.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
            let short = if has_prefix { typ.get(prefix.len()..).unwrap_or_default() } else { typ };
            short.eq_ignore_ascii_case(wanted)
        });
        // Nothing that `crit` could name is understood here (RFC 7515 §4.1.11).
        let is_plain = !self.header.contains_key("crit");
        if is_wanted && is_plain { Ok(()) } else { Err(Reason::TokenTypeForbidden) }
    }

    /// `alg`.
    pub(in crate::identity) fn algorithm(&self) -> Result<&str, Reason> {
        json::text(&self.header, "alg").ok().flatten().ok_or(Reason::TokenMalformed)
    }

    /// `kid`, where there is one.
    pub(in crate::identity) fn kid(&self) -> Result<Option<&str>, Reason> {
        json::text(&self.header, "kid").map_err(|_| Reason::TokenMalformed)
    }
}
