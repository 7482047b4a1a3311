//! The headers that carry credentials, read strictly (RFC 9110 §11.4, RFC 6750 §2.1, RFC 9449 §7.1).
//!
//! Must never take the first of several headers, nor print what it holds. Tokens in a query or a form
//! (RFC 6750 §2.2, §2.3) are not read anywhere: MCP forbids them (2025-11-25, basic/authorization,
//! "Access tokens MUST NOT be included in the URI query string").

use std::fmt;

use crate::model::reason::Reason;

/// A token in `Authorization` whose form is right. What it is worth, an authenticator says.
#[derive(Clone, Copy)]
pub(super) struct Bearer<'a> {
    token: &'a str,
    pub(super) scheme: Scheme,
}

/// The scheme that a token came under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Whoever has it may use it.
    Bearer,
    /// Its sender proves to hold its key.
    Dpop,
}

/// Longest token, in bytes. Header limits of the socket come before it.
pub(super) const TOKEN_BYTES_MAX: usize = 16 * 1024;

impl<'a> Bearer<'a> {
    /// The token of the one header in `authorization`; `None` without any header.
    pub(super) fn of(authorization: &[&'a [u8]]) -> Result<Option<Self>, Reason> {
        match authorization {
            [] => Ok(None),
            [value] => parse(value).map(Some).ok_or(Reason::CredentialUnknown),
            _ => Err(Reason::CredentialAmbiguous),
        }
    }

    /// The token.
    pub(super) fn reveal(&self) -> &'a str {
        self.token
    }
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Bearer(…)")
    }
}

/// The token of the one `Txn-Token` header ("exactly one Txn-Token", draft-ietf-oauth-transaction-tokens-10
/// §8.1); `None` without any.
pub(super) fn txn_token<'a>(headers: &[&'a [u8]]) -> Result<Option<&'a str>, Reason> {
    match headers {
        [] => Ok(None),
        [value] => std::str::from_utf8(value).ok().and_then(token).map(Some).ok_or(Reason::TokenMalformed),
        _ => Err(Reason::CredentialAmbiguous),
    }
}

/// `credentials = auth-scheme 1*SP token68`; the scheme's case is free (RFC 9110 §11.1), nothing else is.
fn parse(value: &[u8]) -> Option<Bearer<'_>> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    let scheme = match scheme {
        scheme if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        scheme if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return None,
    };
    Some(Bearer { token: token(rest.trim_start_matches(' '))?, scheme })
}

/// The text as a token, if it holds nothing that none holds.
fn token(text: &str) -> Option<&str> {
    let body = text.trim_end_matches('=');
    let in_alphabet =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let is_token = !body.is_empty() && body.bytes().all(in_alphabet) && text.len() <= TOKEN_BYTES_MAX;
    is_token.then_some(text)
}
