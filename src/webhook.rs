//! Messages over HTTP that are signed: by them a receiver knows who sent one, and that nobody changed it.
//!
//! Follows Standard Webhooks 1.0.0 (<https://www.standardwebhooks.com>), for which libraries exist in most languages.
//! Must never sign or take anything but the bytes of a message, nor show a key (I10). Whether a message comes a second
//! time is for whoever takes it to say. Trusts the caller's clock.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

/// What identifies the message: the same where it comes again.
pub const ID_HEADER: HeaderName = HeaderName::from_static("webhook-id");
/// When it was sent, in seconds since 1970: a receiver refuses what is old.
pub const TIMESTAMP_HEADER: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The signature over the two and the body.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("webhook-signature");

/// Longest id of a message that is taken, in bytes.
pub const ID_BYTES_MAX: usize = 128;
/// Most signatures of one message that are looked at: senders write several while they change keys.
pub const SIGNATURES_MAX: usize = 8;
/// How far the time of a message may be from now, in either direction ("Verifying signatures").
pub const AGE_MAX: SignedDuration = SignedDuration::from_mins(5);

/// A key that messages are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

/// A message that was signed with a known key, and lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genuine {
    /// Its id.
    pub id: String,
    /// When its sender says that it was sent.
    pub at: Timestamp,
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// A header of the three is missing, stands there twice, or cannot be read.
    #[error("it is not signed as Standard Webhooks says")]
    Unsigned,
    /// It is older than [`AGE_MAX`], or from as far in the future.
    #[error("it is more than five minutes from now")]
    Untimely,
    /// No signature of it is that of the key.
    #[error("it was signed with another key, or changed")]
    Forged,
}

impl SigningKey {
    /// The key in `text`: `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks 1.0.0, "Signature scheme").
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.trim().strip_prefix("whsec_")?.as_bytes()).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The headers of the message `id` of this `body` that is sent at `now`; `None` where `id` cannot stand in one.
    #[must_use]
    pub fn seal(&self, id: &str, now: Timestamp, body: &[u8]) -> Option<[(HeaderName, HeaderValue); 3]> {
        let timestamp = now.as_second().to_string();
        let signature = format!("v1,{}", BASE64.encode(self.sign(id, &timestamp, body).as_ref()));
        Some([
            (ID_HEADER, HeaderValue::try_from(id).ok()?),
            (TIMESTAMP_HEADER, HeaderValue::try_from(timestamp).ok()?),
            (SIGNATURE_HEADER, HeaderValue::try_from(signature).ok()?),
        ])
    }

    /// The message of these `headers` and this `body`, where it was signed with the key within [`AGE_MAX`] of `now`.
    ///
    /// # Errors
    /// [`Doubt`] says why it is not taken.
    pub fn open(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Genuine, Doubt> {
        let one = |name| {
            let mut all = headers.get_all(name).iter();
            let (Some(value), None) = (all.next(), all.next()) else { return Err(Doubt::Unsigned) };
            value.to_str().map_err(|_| Doubt::Unsigned)
        };
        let (id, timestamp, signatures) = (one(ID_HEADER)?, one(TIMESTAMP_HEADER)?, one(SIGNATURE_HEADER)?);
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(Doubt::Unsigned);
        }
        let at = timestamp.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
        let at = at.ok_or(Doubt::Unsigned)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        // Those of other versions say nothing ("Signature scheme").
        let known = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
        let mut known = known.take(SIGNATURES_MAX).filter_map(|text| BASE64.decode(text.as_bytes()).ok());
        // In constant time, and before what it says counts.
        if !known.any(|signature| hmac::verify(&key, &signed, &signature).is_ok()) {
            return Err(Doubt::Forged);
        }
        match now.duration_since(at).abs() <= AGE_MAX {
            true => Ok(Genuine { id: id.to_owned(), at }),
            false => Err(Doubt::Untimely),
        }
    }

    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        context.sign()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn key() -> SigningKey {
        SigningKey::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn sealed() -> HeaderMap {
        key().seal("msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330), BODY).unwrap().into_iter().collect()
    }

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        assert_eq!(sealed()[SIGNATURE_HEADER], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(SigningKey::of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert!(SigningKey::of("whsec_c2hvcnQ=").is_none());
        assert!(key().seal("a\nb", at(0), BODY).is_none());
    }

    #[test]
    fn i10_a_key_is_never_printed() {
        assert!(!format!("{:?}", key()).contains("MfKQ"));
    }

    #[test]
    fn a_message_is_taken_once_it_is_genuine_and_timely() {
        let taken = key().open(&sealed(), BODY, at(1_614_265_600)).unwrap();
        assert_eq!((taken.id.as_str(), taken.at), ("msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330)));
        for now in [1_614_265_330 - 301, 1_614_265_330 + 301] {
            assert_eq!(key().open(&sealed(), BODY, at(now)), Err(Doubt::Untimely));
        }
        let other = SigningKey::of("whsec_c2x1aWNlZ2F0ZSBzaWducyB3aGF0IGl0IHNlbmRz").unwrap();
        assert_eq!(other.open(&sealed(), BODY, at(1_614_265_330)), Err(Doubt::Forged));
        assert_eq!(key().open(&sealed(), b"{}", at(1_614_265_330)), Err(Doubt::Forged));
        // While a sender changes keys it signs with both.
        let both = format!("v1a,x v1,AAAA {}", sealed()[SIGNATURE_HEADER].to_str().unwrap());
        let mut headers = sealed();
        headers.insert(SIGNATURE_HEADER, both.parse().unwrap());
        assert!(key().open(&headers, BODY, at(1_614_265_330)).is_ok());
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_taken() {
        for name in [ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER] {
            let mut headers = sealed();
            let value = headers.remove(&name).unwrap();
            assert_eq!(key().open(&headers, BODY, at(1_614_265_330)), Err(Doubt::Unsigned), "{name}");
            headers.append(name.clone(), value.clone());
            headers.append(name.clone(), value);
            assert_eq!(key().open(&headers, BODY, at(1_614_265_330)), Err(Doubt::Unsigned), "{name}");
        }
        for (name, value) in [(TIMESTAMP_HEADER, "soon"), (TIMESTAMP_HEADER, ""), (ID_HEADER, "")] {
            let mut headers = sealed();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(key().open(&headers, BODY, at(1_614_265_330)), Err(Doubt::Unsigned), "{value}");
        }
        let mut headers = sealed();
        headers.insert(ID_HEADER, "i".repeat(ID_BYTES_MAX + 1).parse().unwrap());
        assert_eq!(key().open(&headers, BODY, at(1_614_265_330)), Err(Doubt::Unsigned));
        let mut headers = sealed();
        headers.insert(ID_HEADER, "another".parse().unwrap());
        assert_eq!(key().open(&headers, BODY, at(1_614_265_330)), Err(Doubt::Forged));
    }
}
