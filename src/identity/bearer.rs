//! The `Authorization` header, read strictly (RFC 9110 §11.4, RFC 6750 §2.1).
//!
//! Must never take the first of several headers, nor print what it holds. Tokens in a query or a form
//! (RFC 6750 §2.2, §2.3) are not read anywhere: MCP forbids them (2025-11-25, basic/authorization,
//! "Access tokens MUST NOT be included in the URI query string").

use std::fmt;

use crate::model::reason::Reason;

/// A bearer token whose form is right. What it is worth, an authenticator says.
pub(super) struct Bearer<'a>(&'a str);

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
        self.0
    }
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Bearer(…)")
    }
}

/// `credentials = "Bearer" 1*SP b64token`; the scheme's case is free (RFC 9110 §11.1), nothing else is.
fn parse(value: &[u8]) -> Option<Bearer<'_>> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let token = rest.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let in_alphabet =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let is_token = !body.is_empty() && body.bytes().all(in_alphabet) && token.len() <= TOKEN_BYTES_MAX;
    is_token.then_some(Bearer(token))
}
