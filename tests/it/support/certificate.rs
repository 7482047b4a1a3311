//! A certificate that is made here, with its key: what a server on loopback shows, and what is trusted.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64;

/// A certificate of 127.0.0.1 and `localhost` that signs itself (RFC 5280).
pub struct Certificate {
    /// DER.
    pub der: Vec<u8>,
    /// Its private key in PKCS #8, DER.
    pub key: Vec<u8>,
}

impl Certificate {
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        // ecdsa-with-SHA256
        let algorithm = der(0x30, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
        let common_name = der(0x30, &[&[0x06, 3, 0x55, 4, 3], &der(0x0c, &[b"test"])]);
        let name = der(0x30, &[&der(0x31, &[&common_name])]);
        let validity = der(0x30, &[&der(0x17, &[b"200101000000Z"]), &der(0x18, &[b"20990101000000Z"])]);
        let names = der(0x30, &[&der(0x82, &[b"localhost"]), &der(0x87, &[&[127, 0, 0, 1]])]);
        let alternative = der(0x30, &[&[0x06, 3, 0x55, 0x1d, 0x11], &der(0x04, &[&names])]);
        let extensions = der(0xa3, &[&der(0x30, &[&alternative])]);
        let version = der(0xa0, &[&[0x02, 1, 2]]);
        let parts: [&[u8]; 8] =
            [&version, &[0x02, 1, 1], &algorithm, &name, &validity, &name, public.as_ref(), &extensions];
        let body = der(0x30, &parts);
        let signature = pair.sign(&SystemRandom::new(), &body).unwrap();
        let der = der(0x30, &[&body, &algorithm, &der(0x03, &[&[0], signature.as_ref()])]);
        Self { der, key: pair.to_pkcs8v1().unwrap().as_ref().to_vec() }
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(&self.der))
    }
}

/// One value: its tag, its length, and what it holds.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let [.., high, low] = length.to_be_bytes();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(low),
        0x80..0x100 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend(parts.concat());
    out
}
