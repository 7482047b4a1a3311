//! One JWS in compact form with a fixed header (RFC 7515): ES256, `typ` and `kid`, nothing else.
//!
//! Written here and not by a library: what the gateway signs has one shape, and what it takes back to be
//! renewed has to be what it signed, byte for byte in the header. Must never take an algorithm, a key or
//! an address from a header. Tokens of others are for the issuers of `identity`.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;

use crate::model::mint::Carrier;
use crate::model::reason::Reason;

/// Longest token, in bytes: what the `Authorization` header takes.
pub(super) const TOKEN_BYTES_MAX: usize = crate::identity::bearer::TOKEN_BYTES_MAX;

/// The signing input: header and claims, each in base64url.
pub(super) fn signing_input(kid: &str, carrier: Carrier, claims: &[u8]) -> String {
    let header = BASE64URL_NOPAD.encode(header(kid, carrier).as_bytes());
    format!("{header}.{}", BASE64URL_NOPAD.encode(claims))
}

/// The token of a signing input and its signature.
pub(super) fn seal(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", BASE64URL_NOPAD.encode(signature))
}

/// `kid` is a digest in base64url and needs no escapes.
fn header(kid: &str, carrier: Carrier) -> String {
    format!("{{\"typ\":\"{}\",\"alg\":\"ES256\",\"kid\":\"{kid}\"}}", carrier.token_type())
}

/// A token in its parts, none of them believed yet.
pub(super) struct Parts<'t> {
    signed: &'t str,
    header: Vec<u8>,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> Parts<'t> {
    /// The parts of `token`.
    pub(super) fn of(token: &'t str) -> Result<Self, Reason> {
        let malformed = Reason::TokenMalformed;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| malformed);
        Ok(Self { signed, header: decode(header)?, claims: decode(claims)?, signature: decode(signature)? })
    }

    /// The claims and the carrier, if the key `kid` of this gateway signed them.
    pub(super) fn verify(&self, kid: &str, public: &[u8]) -> Result<(&[u8], Carrier), Reason> {
        let carriers = [Carrier::Authorization, Carrier::TxnToken];
        let carrier = carriers.into_iter().find(|carrier| self.header == header(kid, *carrier).as_bytes());
        let carrier = carrier.ok_or(Reason::TokenKeyUnknown)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| Reason::TokenSignatureInvalid)?;
        Ok((&self.claims, carrier))
    }

    /// The `kid` that the header names. Claimed.
    pub(super) fn claimed_kid(&self) -> Option<String> {
        let header: serde_json::Value = serde_json::from_slice(&self.header).ok()?;
        Some(header.get("kid")?.as_str()?.to_owned())
    }
}

/// The header that a token is for, by the `typ` that it claims. What is no token travels as a key does.
#[must_use]
pub fn carrier_of(token: &str) -> Carrier {
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64URL_NOPAD.decode(header.as_bytes()).ok();
    let header = header.and_then(|header| serde_json::from_slice::<serde_json::Value>(&header).ok());
    let typ = header.as_ref().and_then(|header| header.get("typ")?.as_str());
    typ.and_then(Carrier::of_type).unwrap_or_default()
}
