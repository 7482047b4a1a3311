//! `private_key_jwt`: a dispatcher that signs who it is (RFC 7523, 2.2 and 3; OpenID Connect Core, 9).
//!
//! Must never let one assertion count twice, nor take a token of another type for one: a run token says
//! who a run acts for, not who asks for its token.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::dispatcher::Dispatcher;
use crate::identity::algorithm::Algorithm;
use crate::identity::json::{self, Members};
use crate::identity::proof::replay::{Places, Replays, Shown};
use crate::identity::token::Jws;
use crate::model::digest::Sha256;
use crate::model::reason::Reason;

/// How far ahead an assertion may expire: it is made for one request.
pub const ASSERTION_AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// Assertions that are remembered at once; with all of them in force a further one is refused.
pub const ASSERTIONS_MAX: usize = 65_536;
/// Assertions of one dispatcher that are remembered at once: its own rate, for those that live six
/// minutes or less. A further one is refused.
pub const ASSERTIONS_PER_DISPATCHER_MAX: usize = ASSERTIONS_MAX / 16;
/// How far the clock of a dispatcher may be ahead.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(30);
/// Largest assertion, in bytes.
const ASSERTION_BYTES_MAX: usize = 8 * 1024;
/// Longest `jti`, in bytes.
const JTI_BYTES_MAX: usize = 256;
/// `typ` of an assertion, where it has one.
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// What assertions are checked against.
#[derive(Debug)]
pub(super) struct Assertions {
    /// The gateway's URL, and that of its token endpoint.
    audiences: [String; 2],
    seen: Arc<Replays>,
}

impl Assertions {
    pub(super) fn new(audience: &str) -> Self {
        // The endpoint stands beside the resource, on the same host.
        let endpoint = audience.rsplit_once('/').map_or(audience, |(base, _)| base);
        let audiences = [audience.to_owned(), format!("{endpoint}/token")];
        let places = Places { all: ASSERTIONS_MAX, per_holder: ASSERTIONS_PER_DISPATCHER_MAX };
        Self { audiences, seen: Arc::new(Replays::new(places)) }
    }

    /// The same, with the assertions that `before` has seen.
    pub(super) fn following(self, before: &Self) -> Self {
        Self { seen: Arc::clone(&before.seen), ..self }
    }

    /// Which of `dispatchers` signed `assertion`, if it counts at `now`.
    pub(super) async fn check(
        &self,
        assertion: &str,
        dispatchers: &[Arc<Dispatcher>],
        now: Timestamp,
    ) -> Result<Arc<Dispatcher>, Reason> {
        if assertion.len() > ASSERTION_BYTES_MAX {
            return Err(Reason::TokenMalformed);
        }
        let jws = Jws::take_apart(assertion).ok_or(Reason::TokenMalformed)?;
        if jws.header.contains_key("typ") || jws.header.contains_key("crit") {
            // Nothing that `crit` could name is understood: each of these refuses it.
            let is_known = TYPES.into_iter().any(|typ| jws.check_type(typ).is_ok());
            let is_plain = !jws.header.contains_key("crit");
            if !(is_known && is_plain) {
                return Err(Reason::TokenTypeForbidden);
            }
        }
        let issuer = json::text(&jws.payload, "iss")?.ok_or(Reason::TokenClaimsInvalid)?;
        let signs = |dispatcher: &&Arc<Dispatcher>| {
            dispatcher.signer.as_ref().is_some_and(|signer| signer.issuer == issuer)
        };
        let dispatcher = dispatchers.iter().find(signs).ok_or(Reason::TokenIssuerUnknown)?;
        let signer = dispatcher.signer.as_ref().ok_or(Reason::TokenIssuerUnknown)?;
        let algorithm = Algorithm::of(jws.algorithm()?).ok_or(Reason::TokenAlgorithmForbidden)?;
        let held = signer.keeper.in_force().await?;
        let (key, _) = signer.keeper.find(held, jws.kid()?, algorithm).await?;
        if !key.verifies(jws.message, &jws.signature) {
            return Err(Reason::TokenSignatureInvalid);
        }
        if json::text(&jws.payload, "sub")? != Some(issuer) {
            return Err(Reason::TokenClaimsInvalid);
        }
        self.audience(&jws.payload)?;
        let until = times(&jws.payload, now)?;
        let jti =
            json::text(&jws.payload, "jti")?.filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES_MAX);
        let jti = jti.ok_or(Reason::TokenClaimsInvalid)?;
        let proof = Sha256::of_parts(&[issuer.as_bytes(), &[0], jti.as_bytes()]);
        let shown = Shown { proof, holder: Sha256::of(issuer.as_bytes()), until };
        self.seen.take(shown, now).map(|()| Arc::clone(dispatcher)).map_err(|_| Reason::ProofInvalid)
    }

    fn audience(&self, payload: &Members) -> Result<(), Reason> {
        let is_ours = |text: &str| self.audiences.iter().any(|ours| ours == text);
        let names_us = match payload.get("aud").ok_or(Reason::TokenClaimsInvalid)? {
            Value::String(text) => is_ours(text),
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).any(is_ours),
            _ => return Err(Reason::TokenClaimsInvalid),
        };
        if names_us { Ok(()) } else { Err(Reason::TokenAudienceWrong) }
    }
}

/// When the assertion ends, if it counts now.
fn times(payload: &Members, now: Timestamp) -> Result<Timestamp, Reason> {
    let time = |claim| -> Result<Option<Timestamp>, Reason> {
        let seconds = json::seconds(payload, claim)?;
        seconds
            .map(|seconds| Timestamp::from_second(seconds).map_err(|_| Reason::TokenClaimsInvalid))
            .transpose()
    };
    let until = time("exp")?.ok_or(Reason::TokenClaimsInvalid)?;
    if until <= now {
        return Err(Reason::TokenExpired);
    }
    let after = |by: Duration| now.checked_add(by).unwrap_or(Timestamp::MAX);
    if until > after(ASSERTION_AGE_MAX) {
        return Err(Reason::TokenLifetimeTooLong);
    }
    for claim in ["iat", "nbf"] {
        if time(claim)?.is_some_and(|time| time > after(CLOCK_SKEW_MAX)) {
            return Err(Reason::TokenNotYetValid);
        }
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use data_encoding::BASE64URL_NOPAD;
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;
    use crate::identity::mint::dispatcher::Dispatchers;
    use crate::identity::mint::{ClientCredential, DispatcherKey, DispatcherSettings};
    use crate::identity::{KeysFrom, MayAssert};
    use crate::model::name::EntryPointName;

    const NOW: i64 = 1_800_000_000;

    struct Stage {
        _dir: tempfile::TempDir,
        pair: Ed25519KeyPair,
        dispatchers: Dispatchers,
        clock: Clock,
    }

    fn stage() -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = BASE64URL_NOPAD.encode(pair.public_key().as_ref());
        let jwks =
            json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one", "alg": "EdDSA" }] });
        let path = dir.path().join("jwks.json");
        std::fs::write(&path, jwks.to_string()).unwrap();
        let clock = Clock::manual(Timestamp::from_second(NOW).unwrap());
        let settings = DispatcherSettings {
            id: "mailhook".into(),
            entry_point: EntryPointName::new("dispatchers.mailhook").unwrap(),
            key: DispatcherKey::Jwks { from: KeysFrom::File(path), issuer: "https://hook.example".into() },
            may_assert: MayAssert::default(),
        };
        let dispatchers = Dispatchers::new(&[settings], "http://127.0.0.1:7400/mcp", &clock);
        Stage { _dir: dir, pair, dispatchers, clock }
    }

    impl Stage {
        fn signed(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
            let message = format!("{}.{}", part(header), part(claims));
            let signature = self.pair.sign(message.as_bytes());
            format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
        }

        async fn ask(&self, assertion: &str, id: Option<&str>) -> Result<String, Reason> {
            let credential = ClientCredential::Assertion { assertion, id };
            let known = self.dispatchers.authenticate(credential, self.clock.wall()).await;
            known.map(|dispatcher| dispatcher.entry_point.to_string())
        }
    }

    fn header() -> Value {
        json!({ "alg": "EdDSA", "kid": "one" })
    }

    fn claims(jti: &str) -> Value {
        json!({
            "iss": "https://hook.example", "sub": "https://hook.example", "aud": "http://127.0.0.1:7400/token",
            "iat": NOW, "exp": NOW + 60, "jti": jti,
        })
    }

    #[tokio::test]
    async fn a_dispatcher_is_known_by_what_it_signed_once() {
        let stage = stage();
        let assertion = stage.signed(&header(), &claims("1"));
        assert_eq!(stage.ask(&assertion, None).await.unwrap(), "dispatchers.mailhook");
        assert_eq!(stage.ask(&assertion, None).await, Err(Reason::ProofInvalid), "it counts once");
        for id in ["mailhook", "https://hook.example"] {
            let assertion = stage.signed(&header(), &claims(id));
            assert!(stage.ask(&assertion, Some(id)).await.is_ok());
        }
        let other = stage.signed(&header(), &claims("2"));
        assert_eq!(stage.ask(&other, Some("other")).await, Err(Reason::CredentialUnknown));
        let typed = json!({ "alg": "EdDSA", "kid": "one", "typ": "client-authentication+jwt" });
        let resource = json!(["x", "http://127.0.0.1:7400/mcp"]);
        let mut audiences = claims("3");
        audiences["aud"] = resource;
        assert!(stage.ask(&stage.signed(&typed, &audiences), None).await.is_ok());
    }

    #[test]
    fn one_dispatcher_leaves_places_for_the_others() {
        let assertions = Assertions::new("http://127.0.0.1:7400/mcp");
        let at = |second| Timestamp::from_second(second).unwrap();
        let take = |issuer: &str, number: usize| {
            let proof = Sha256::of_parts(&[issuer.as_bytes(), &number.to_be_bytes()]);
            let shown = Shown { proof, holder: Sha256::of(issuer.as_bytes()), until: at(NOW + 600) };
            assertions.seen.take(shown, at(NOW)).is_ok()
        };
        assert!((0..ASSERTIONS_PER_DISPATCHER_MAX).all(|number| take("greedy", number)));
        assert!(!take("greedy", ASSERTIONS_PER_DISPATCHER_MAX), "a further one is refused");
        assert!(take("other", 0));
    }

    #[tokio::test]
    async fn each_thing_that_is_wrong_with_an_assertion_is_refused() {
        let stage = stage();
        let with = |claim: &str, value: Value| {
            let mut claims = claims(claim);
            claims[claim] = value;
            stage.signed(&header(), &claims)
        };
        let without = |claim: &str| {
            let mut claims = claims(claim);
            claims.as_object_mut().unwrap().remove(claim);
            stage.signed(&header(), &claims)
        };
        let headed = |header: Value| stage.signed(&header, &claims("h"));
        let good = stage.signed(&header(), &claims("g"));
        let (message, _) = good.rsplit_once('.').unwrap();
        let cases = [
            ("nothing".to_owned(), Reason::TokenMalformed),
            ("x".repeat(9000), Reason::TokenMalformed),
            (headed(json!({ "alg": "EdDSA", "kid": "one", "typ": "at+jwt" })), Reason::TokenTypeForbidden),
            (headed(json!({ "alg": "EdDSA", "kid": "one", "crit": ["b64"] })), Reason::TokenTypeForbidden),
            (
                headed(json!({ "alg": "EdDSA", "kid": "one", "typ": "JWT", "crit": [] })),
                Reason::TokenTypeForbidden,
            ),
            (headed(json!({ "alg": "none" })), Reason::TokenAlgorithmForbidden),
            (headed(json!({ "alg": "HS256", "kid": "one" })), Reason::TokenAlgorithmForbidden),
            (headed(json!({ "alg": "ES256", "kid": "one" })), Reason::TokenAlgorithmForbidden),
            (headed(json!({ "alg": "EdDSA", "kid": "two" })), Reason::TokenKeyUnknown),
            (format!("{message}.{}", BASE64URL_NOPAD.encode(&[0; 64])), Reason::TokenSignatureInvalid),
            (with("iss", json!("https://other.example")), Reason::TokenIssuerUnknown),
            (with("sub", json!("user:1")), Reason::TokenClaimsInvalid),
            (with("aud", json!("http://127.0.0.1:7401/token")), Reason::TokenAudienceWrong),
            (with("aud", json!(1)), Reason::TokenClaimsInvalid),
            (with("exp", json!(NOW)), Reason::TokenExpired),
            (with("exp", json!(NOW + 601)), Reason::TokenLifetimeTooLong),
            (with("exp", json!("1")), Reason::TokenClaimsInvalid),
            (with("iat", json!(NOW + 31)), Reason::TokenNotYetValid),
            (with("nbf", json!(NOW + 31)), Reason::TokenNotYetValid),
            (with("jti", json!("")), Reason::TokenClaimsInvalid),
            (without("iss"), Reason::TokenClaimsInvalid),
            (without("sub"), Reason::TokenClaimsInvalid),
            (without("aud"), Reason::TokenClaimsInvalid),
            (without("exp"), Reason::TokenClaimsInvalid),
            (without("jti"), Reason::TokenClaimsInvalid),
        ];
        for (assertion, reason) in cases {
            assert_eq!(stage.ask(&assertion, None).await, Err(reason), "{assertion}");
        }
    }
}
