//! The algorithms of signatures, and the public keys that are fixed to one of them each.
//!
//! Must never let a token choose: a key verifies by its own algorithm alone (RFC 8725 §3.1; CASES A37,
//! A38). There is no symmetric algorithm here and no `none`, so that neither can be reached by mistake.

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use data_encoding::BASE64URL_NOPAD;

use crate::model::digest::Sha256;

use super::json::{self, Members};

/// Smallest RSA modulus, in bytes (RFC 7518 §3.3: 2048 bits).
const RSA_MODULUS_BYTES_MIN: usize = 256;
/// Largest RSA modulus, in bytes: what one more bit costs is paid at each verification.
const RSA_MODULUS_BYTES_MAX: usize = 1024;
/// Largest RSA exponent, in bytes.
const RSA_EXPONENT_BYTES_MAX: usize = 4;
/// Length of a coordinate of P-256 and of an Ed25519 key, in bytes.
const CURVE_BYTES: usize = 32;

/// An algorithm that is accepted at all (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// `PS256`: RSASSA-PSS with SHA-256.
    Ps256,
    /// `ES256`: ECDSA on P-256 with SHA-256.
    Es256,
    /// `EdDSA`, on Ed25519 alone.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// The word in `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm that `word` names, exactly: nothing folds case (CASES A37).
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == word)
    }
}

/// A public key with the one algorithm that it verifies by.
pub(super) struct VerifyingKey {
    pub(super) algorithm: Algorithm,
    material: Material,
    /// The thumbprint of the key (RFC 7638).
    pub(super) thumbprint: Sha256,
}

enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Curve(ParsedPublicKey),
}

impl VerifyingKey {
    /// The key that a JWK holds, for one of the algorithms in `allowed`. `None` where it is none that can
    /// be used: another kind, another algorithm, another use, or a private key that somebody published.
    pub(super) fn of_jwk(jwk: &Members, allowed: &BTreeSet<Algorithm>) -> Option<Self> {
        let is_private = PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(*member));
        let is_for_signatures = json::text(jwk, "use").ok()?.is_none_or(|word| word == "sig");
        let operations = json::list(jwk, "key_ops").ok()?;
        let is_for_verifying =
            operations.is_none_or(|words| words.iter().any(|word| word.as_str() == Some("verify")));
        if is_private || !is_for_signatures || !is_for_verifying {
            return None;
        }
        let algorithm = algorithm_of(jwk, allowed)?;
        let (material, canonical) = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => rsa(jwk)?,
            Algorithm::Es256 => p256(jwk)?,
            Algorithm::EdDsa => ed25519(jwk)?,
        };
        Some(Self { algorithm, material, thumbprint: Sha256::of(canonical.as_bytes()) })
    }

    /// The same key for `algorithm`, if it is of its kind: for a key that stands beside what it signed.
    pub(super) fn for_algorithm(self, algorithm: Algorithm) -> Option<Self> {
        let is_rsa = |algorithm| matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256);
        let is_of_kind = self.algorithm == algorithm || (is_rsa(self.algorithm) && is_rsa(algorithm));
        is_of_kind.then_some(Self { algorithm, ..self })
    }

    /// Whether `signature` is that of this key over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let parameters = match self.algorithm {
                    Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    _ => &RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, signature)
            }
            Material::Curve(key) => key.verify_sig(message, signature),
        };
        verified.is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "VerifyingKey({} {})", self.algorithm.as_str(), self.thumbprint)
    }
}

/// Members of a JWK that only a private or a symmetric key has (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The one algorithm of a key: its `alg`, or what its kind says. An RSA key that does not say which of the
/// two it is for is for the first of them that is allowed.
fn algorithm_of(jwk: &Members, allowed: &BTreeSet<Algorithm>) -> Option<Algorithm> {
    let curve = json::text(jwk, "crv").ok()?;
    let of_kind: &[Algorithm] = match (json::text(jwk, "kty").ok()??, curve) {
        ("RSA", None) => &[Algorithm::Rs256, Algorithm::Ps256],
        ("EC", Some("P-256")) => &[Algorithm::Es256],
        ("OKP", Some("Ed25519")) => &[Algorithm::EdDsa],
        _ => return None,
    };
    let mut usable = of_kind.iter().copied().filter(|algorithm| allowed.contains(algorithm));
    match json::text(jwk, "alg").ok()? {
        Some(word) => usable.find(|algorithm| algorithm.as_str() == word),
        None => usable.next(),
    }
}

/// The bytes that the member `key` writes, with its text: in base64url without padding, in its one form.
fn bytes<'a>(jwk: &'a Members, key: &str) -> Option<(&'a str, Vec<u8>)> {
    let text = json::text(jwk, key).ok()??;
    Some((text, BASE64URL_NOPAD.decode(text.as_bytes()).ok()?))
}

fn rsa(jwk: &Members) -> Option<(Material, String)> {
    let ((n, modulus), (e, exponent)) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    // RFC 7518 §6.3.1.1: no leading zero, so that a key has one thumbprint.
    let is_minimal = |bytes: &[u8]| bytes.first().is_some_and(|first| *first != 0);
    let fits = (RSA_MODULUS_BYTES_MIN..=RSA_MODULUS_BYTES_MAX).contains(&modulus.len())
        && exponent.len() <= RSA_EXPONENT_BYTES_MAX;
    if !fits || !is_minimal(&modulus) || !is_minimal(&exponent) {
        return None;
    }
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    Some((Material::Rsa { modulus, exponent }, canonical))
}

fn p256(jwk: &Members) -> Option<(Material, String)> {
    let ((x_text, x), (y_text, y)) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != CURVE_BYTES || y.len() != CURVE_BYTES {
        return None;
    }
    // SEC 1 §2.3.3: the uncompressed point.
    let point = [&[4][..], &x, &y].concat();
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).ok()?;
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x_text}","y":"{y_text}"}}"#);
    Some((Material::Curve(key), canonical))
}

fn ed25519(jwk: &Members) -> Option<(Material, String)> {
    let (x_text, x) = bytes(jwk, "x")?;
    if x.len() != CURVE_BYTES {
        return None;
    }
    let key = ParsedPublicKey::new(&ED25519, &x).ok()?;
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x_text}"}}"#);
    Some((Material::Curve(key), canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(jwk: &str, allowed: &[Algorithm]) -> Option<VerifyingKey> {
        let members = json::object(jwk.as_bytes(), 32).unwrap();
        VerifyingKey::of_jwk(&members, &allowed.iter().copied().collect())
    }

    /// An RSA key of 2048 bits.
    const RSA: &str = concat!(
        r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvzqy368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","#,
        r#""e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#
    );

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // RFC 8037, A.2 and A.3.
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = key(jwk, &Algorithm::ALL).unwrap();
        let expected = BASE64URL_NOPAD.decode(b"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").unwrap();
        assert_eq!(key.thumbprint.as_bytes()[..], expected[..]);
        assert_eq!(key.algorithm, Algorithm::EdDsa);
    }

    #[test]
    fn a38_a_key_has_one_algorithm_and_it_is_an_allowed_one() {
        let unsaid = RSA.replace(r#""alg":"RS256","#, "");
        let chosen = |jwk: &str, allowed: &[Algorithm]| key(jwk, allowed).map(|key| key.algorithm);
        assert_eq!(chosen(&unsaid, &Algorithm::ALL), Some(Algorithm::Rs256));
        assert_eq!(chosen(&unsaid, &[Algorithm::Ps256]), Some(Algorithm::Ps256));
        assert_eq!(chosen(&unsaid, &[Algorithm::Es256]), None);
        assert_eq!(chosen(RSA, &[Algorithm::Ps256]), None, "the key says RS256");
        for other in ["HS256", "none", "ES256", "rs256", "RS384"] {
            let jwk = RSA.replace("RS256", other);
            assert_eq!(chosen(&jwk, &Algorithm::ALL), None, "{other}");
        }
    }

    #[test]
    fn keys_that_are_for_something_else_or_are_no_secret_any_more_are_not_used() {
        let with = |more: &str| RSA.replacen('{', &format!("{{{more},"), 1);
        assert!(key(&with(r#""use":"sig","key_ops":["verify"]"#), &Algorithm::ALL).is_some());
        let bad = [
            r#""use":"enc""#,
            r#""use":1"#,
            r#""key_ops":["sign"]"#,
            r#""key_ops":"verify""#,
            r#""d":"AQAB""#,
            r#""k":"c2VjcmV0""#,
            r#""crv":"P-256""#,
        ];
        for more in bad {
            assert!(key(&with(more), &Algorithm::ALL).is_none(), "{more}");
        }
        let others = [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"oct","alg":"HS256"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"X25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#.to_owned(),
            r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            RSA.replace("\"0vx", "\"AA0vx"),
            RSA.replace("AQAB", "AQAB="),
            "{}".to_owned(),
        ];
        for jwk in others {
            assert!(key(&jwk, &Algorithm::ALL).is_none(), "{jwk}");
        }
    }
}
