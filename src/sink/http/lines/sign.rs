//! Signatures by which a receiver knows who sent a batch, and that nobody changed it.
//!
//! Follows Standard Webhooks 1.0.0 (<https://www.standardwebhooks.com>), for which libraries exist in most languages.
//! Must never sign anything but the bytes that are sent.

use aws_lc_rs::hmac;
use data_encoding::BASE64;

use crate::sink::settings::SigningKey;

/// What identifies the batch: the same where it comes again.
pub(super) const ID_HEADER: &str = "webhook-id";
/// When it was sent, in seconds since 1970: a receiver refuses what is old.
pub(super) const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The signature over the two and the body.
pub(super) const SIGNATURE_HEADER: &str = "webhook-signature";

/// The signature of `body`: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
pub(super) fn sign(key: &SigningKey, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.reveal()));
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    format!("v1,{}", BASE64.encode(context.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = SigningKey::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(SigningKey::of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert!(SigningKey::of("whsec_c2hvcnQ=").is_none());
        assert!(!format!("{key:?}").contains("MfKQ"));
    }
}
