//! How people come to say something without the admin socket: a sign-in at a provider, on its way, with the secrets that
//! tie its beginning to its end; and a service that brings an answer.
//!
//! A sign-in must never be printed, nor used twice: whoever keeps it gives it away once.

use std::fmt;

use super::approval::Word;
use super::person::Person;

/// What ties the end of a sign-in to its beginning.
#[derive(Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Where the provider sends the browser back to.
    pub redirect: String,
    /// What comes back with the browser (RFC 6749, 4.1.1 `state`).
    pub state: String,
    /// What comes back in the ID token (OpenID Connect Core 1.0, 3.1.2.1 `nonce`).
    pub nonce: String,
    /// What shows that the code is redeemed by whoever asked for it (RFC 7636, 4.1 `code_verifier`).
    pub verifier: String,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SignIn").field("redirect", &self.redirect).finish_non_exhaustive()
    }
}

/// What the provider sends back with the browser. A code is a secret until it is redeemed.
#[derive(Clone, PartialEq, Eq)]
pub struct Returned {
    /// The authorization code.
    pub code: String,
    /// Who says so (RFC 9207 `iss`), where the provider does.
    pub issuer: Option<String>,
}

impl fmt::Debug for Returned {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Returned").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The answer of somebody, as a service brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Who answers.
    pub person: Person,
    /// What the question is called.
    pub question: String,
    /// What they say.
    pub word: Word,
}
