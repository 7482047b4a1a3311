//! A client certificate, as the socket verified it against the authorities of its listener.
//!
//! Must never be made of a certificate that was not verified, nor hold a name in another form than the
//! one that is compared. That it is verified says nothing about who it is: `identity` says that.

use std::fmt;

use jiff::Timestamp;

use super::digest::Sha256;

/// A verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 over its DER form (RFC 8705, 3.1: what `x5t#S256` holds).
    pub sha256: Sha256,
    /// Its subject alternative names of the kinds that are compared; at most [`NAMES_MAX`].
    pub names: Vec<AltName>,
    /// When it ends (`notAfter`).
    pub until: Timestamp,
}

/// Most subject alternative names of a certificate that are looked at; further ones match nothing.
pub const NAMES_MAX: usize = 64;
/// Longest name that is compared, in bytes (SPIFFE-ID, 2.3: 2048).
pub const NAME_BYTES_MAX: usize = 2048;

/// A subject alternative name (RFC 5280, 4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AltName {
    /// A DNS name, in lower case.
    Dns(String),
    /// A URI, byte for byte.
    Uri(String),
}

impl AltName {
    /// The DNS name of a certificate.
    #[must_use]
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase())
    }

    /// The name that an operator wrote, if it is one: a URI where it holds a colon, else a DNS name
    /// without a wildcard.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return None;
        }
        match text.split_once(':') {
            Some((scheme, rest)) => {
                let in_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
                let is_uri = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.bytes().all(in_scheme)
                    && !rest.is_empty()
                    && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'*');
                is_uri.then(|| Self::Uri(text.to_owned()))
            }
            None => {
                let in_label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                let is_label = |label: &str| !label.is_empty() && label.bytes().all(in_label);
                text.split('.').all(is_label).then(|| Self::dns(text))
            }
        }
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Uri(name) => out.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_name_is_a_uri_or_a_dns_name_and_never_a_pattern() {
        let uri = AltName::parse("spiffe://acme/buildbot");
        assert_eq!(uri, Some(AltName::Uri("spiffe://acme/buildbot".to_owned())));
        assert_eq!(AltName::parse("Build.Acme.Example"), Some(AltName::dns("build.acme.example")));
        for text in [
            "",
            "*.acme.example",
            "a b",
            "spiffe:",
            ":x",
            "spiffe://acme/*",
            "1x://a",
            "a..b",
            ".a",
            "ä.example",
        ] {
            assert_eq!(AltName::parse(text), None, "{text}");
        }
        assert_eq!(AltName::parse(&"a".repeat(NAME_BYTES_MAX + 1)), None);
    }
}
