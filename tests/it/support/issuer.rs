//! An issuer of tokens: keys that are made here, and whatever they are asked to sign.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// A key that signs.
pub struct Signer {
    /// What tokens say in `alg`.
    pub alg: &'static str,
    pub kid: String,
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    /// A fresh key for one of the four algorithms.
    pub fn new(alg: &'static str, kid: &str) -> Self {
        let pair = match alg {
            "ES256" => Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "EdDSA" => Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
            _ => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        };
        Self { alg, kid: kid.to_owned(), pair }
    }

    /// The public key.
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) })
            }
            // PKCS #1: a sequence of the modulus, 257 bytes with its leading zero, and 65537.
            Pair::Rsa(pair) => {
                json!({ "kty": "RSA", "n": text(&pair.public_key().as_ref()[9..265]), "e": "AQAB" })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg);
        jwk
    }

    /// The public key as it stands in PEM files, without the armour: what A38 signs by.
    pub fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The thumbprint of the public key (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let canonical = match &self.pair {
            Pair::P256(_) => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"])
            }
            Pair::Ed25519(_) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, jwk["x"]),
            Pair::Rsa(_) => format!(r#"{{"e":"AQAB","kty":"RSA","n":{}}}"#, jwk["n"]),
        };
        hash(&canonical)
    }

    /// The signature over `message`, by the algorithm `alg` where the key is of its kind.
    fn signature(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A JWS of exactly these texts, signed by the algorithm of this key.
    pub fn sign(&self, header: &str, payload: &str) -> String {
        self.sign_as(self.alg, header, payload)
    }

    /// A JWS of exactly these texts, signed by `alg`.
    pub fn sign_as(&self, alg: &str, header: &str, payload: &str) -> String {
        let message = unsigned(header, payload);
        format!("{message}.{}", BASE64URL_NOPAD.encode(&self.signature(alg, message.as_bytes())))
    }

    /// The header of its tokens.
    pub fn header(&self, typ: &str) -> Value {
        json!({ "typ": typ, "alg": self.alg, "kid": self.kid })
    }

    /// A token of this type.
    pub fn token(&self, typ: &str, claims: &Value) -> String {
        self.sign(&self.header(typ).to_string(), &claims.to_string())
    }

    /// A proof of this key for one request (RFC 9449).
    pub fn proof(&self, url: &str, token: &str, more: &Value) -> String {
        let mut jwk = self.jwk();
        jwk.as_object_mut().unwrap().retain(|name, _| name != "kid" && name != "alg");
        let header = json!({ "typ": "dpop+jwt", "alg": self.alg, "jwk": jwk });
        let jti = unique("proof");
        let claims = json!({ "htm": "POST", "htu": url, "iat": now(), "jti": jti, "ath": hash(token) });
        self.sign(&header.to_string(), &with(claims, more).to_string())
    }
}

/// What is signed of these texts.
pub fn unsigned(header: &str, payload: &str) -> String {
    format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(payload.as_bytes()))
}

/// SHA-256 in base64url.
pub fn hash(text: &str) -> String {
    BASE64URL_NOPAD.encode(sluicegate::model::digest::Sha256::of(text.as_bytes()).as_bytes())
}

/// A set of the keys of these.
pub fn key_set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// `claims` with the members of `more`; one that is null there is taken out.
pub fn with(mut claims: Value, more: &Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// Wall time in whole seconds, as a gateway of this machine reads it.
pub fn now() -> i64 {
    sluicegate::clock::Clock::system().wall().as_second()
}

/// A text that was not given out before.
pub fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}", GIVEN.fetch_add(1, Ordering::Relaxed))
}
