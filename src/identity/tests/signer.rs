//! An issuer for tests: a key that is made here, and tokens that it signs.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::identity::algorithm::{Algorithm, VerifyingKey};
use crate::model::digest::Sha256;

/// An ES256 key.
pub(in crate::identity) struct Signer {
    pair: EcdsaKeyPair,
    pub(in crate::identity) kid: String,
}

impl Signer {
    pub(in crate::identity) fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { pair, kid: kid.to_owned() }
    }

    /// The public key.
    pub(in crate::identity) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |at: usize| BASE64URL_NOPAD.encode(&point[at..at + 32]);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "x": coordinate(1), "y": coordinate(33) })
    }

    /// The thumbprint of the public key.
    pub(in crate::identity) fn thumbprint(&self) -> Sha256 {
        let jwk = self.jwk();
        VerifyingKey::of_jwk(jwk.as_object().unwrap(), &Algorithm::ALL.into()).unwrap().thumbprint
    }

    /// A JWS of these.
    pub(in crate::identity) fn sign(&self, header: &Value, payload: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(payload));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// A token of this type.
    pub(in crate::identity) fn token(&self, typ: &str, payload: &Value) -> String {
        self.sign(&json!({ "typ": typ, "alg": "ES256", "kid": self.kid }), payload)
    }
}

/// A set of the keys of these.
pub(in crate::identity) fn set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}
