//! A sign-in against a provider that is strict, and one that lies: what of an ID token counts.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::identity::algorithm::Algorithm;
use crate::identity::tests::signer::{Signer, set};
use crate::model::name::Subject;

const NOW: i64 = 1_800_000_000;

/// A provider on loopback. What it says can be changed.
struct Provider {
    issuer: String,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    metadata: Mutex<Value>,
    keys: Mutex<String>,
    token: Mutex<String>,
    /// The status of the token endpoint.
    status: AtomicUsize,
    /// The requests to the token endpoint, whole.
    redeemed: Mutex<Vec<String>>,
    asked: AtomicUsize,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let said = Arc::new(Said::default());
        *said.metadata.lock().unwrap() = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth?tenant=a"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
        });
        said.status.store(200, Ordering::SeqCst);
        let serving = Arc::clone(&said);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let said = Arc::clone(&serving);
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    let (status, body) = said.answer(&request);
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                });
            }
        });
        Self { issuer, said }
    }

    fn settings(&self) -> PeopleSettings {
        PeopleSettings {
            entry_point: name(),
            issuer: self.issuer.clone(),
            client_id: "gate way".to_owned(),
            client_secret: Some(Secret::new("s:e/cret".to_owned())),
            subject: SubjectForm::parse("user:{sub}").unwrap(),
            scopes: vec!["openid".to_owned(), "email".to_owned()],
            algorithms: Algorithm::ALL.into(),
            ca: None,
            clock_skew: Duration::from_secs(30),
        }
    }

    fn people(&self) -> (People, Clock) {
        let clock = Clock::manual(Timestamp::from_second(NOW).unwrap());
        (People::new(vec![self.settings()], &clock), clock)
    }

    fn says(&self, signer: &Signer, claims: &Value) {
        *self.said.keys.lock().unwrap() = set(&[signer]);
        *self.said.token.lock().unwrap() = signer.token("JWT", claims);
    }

    fn describes(&self, member: &str, value: Value) {
        self.said.metadata.lock().unwrap()[member] = value;
    }
}

impl Said {
    fn answer(&self, request: &str) -> (usize, String) {
        let path = request.split_whitespace().nth(1).unwrap();
        match path {
            "/.well-known/openid-configuration" => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                (200, self.metadata.lock().unwrap().to_string())
            }
            "/jwks" => (200, self.keys.lock().unwrap().clone()),
            "/token" => {
                self.redeemed.lock().unwrap().push(request.to_owned());
                let token = self.token.lock().unwrap().clone();
                (
                    self.status.load(Ordering::SeqCst),
                    json!({ "access_token": "a", "id_token": token }).to_string(),
                )
            }
            other => panic!("{other}"),
        }
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8(request.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

fn name() -> EntryPointName {
    EntryPointName::new("people.corp").unwrap()
}

fn sign_in() -> SignIn {
    SignIn {
        redirect: "http://127.0.0.1:7401/approvals/callback/people.corp".to_owned(),
        state: "the-state".to_owned(),
        nonce: "the-nonce".to_owned(),
        verifier: "the-verifier".to_owned(),
    }
}

fn returned(code: &str) -> Returned {
    Returned { code: code.to_owned(), issuer: None }
}

fn claims(provider: &Provider) -> Value {
    claims_at(provider, NOW)
}

fn claims_at(provider: &Provider, now: i64) -> Value {
    json!({
        "iss": provider.issuer, "aud": "gate way", "sub": "4711", "nonce": "the-nonce", "iat": now, "exp": now + 300,
    })
}

#[tokio::test]
async fn somebody_who_signs_in_is_the_subject_of_their_token_and_the_code_is_redeemed_as_it_has_to_be() {
    let (provider, signer) = (Provider::start().await, Signer::new("k"));
    let (people, _) = provider.people();
    provider.says(&signer, &claims(&provider));
    let url = people.begin(&name(), &sign_in()).await.unwrap();
    let (endpoint, query) = url.split_once("?tenant=a&").unwrap();
    assert_eq!(endpoint, format!("{}/auth", provider.issuer));
    let sent: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let challenge = BASE64URL_NOPAD.encode(Sha256::of(b"the-verifier").as_bytes());
    for (key, value) in [
        ("response_type", "code"),
        ("client_id", "gate way"),
        ("redirect_uri", &*sign_in().redirect),
        ("scope", "openid email"),
        ("state", "the-state"),
        ("nonce", "the-nonce"),
        ("code_challenge", &*challenge),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent[key], value, "{key}");
    }
    assert!(!url.contains("the-verifier"), "what proves it stays here");
    let person = people.finish(&name(), &sign_in(), &returned("the code")).await.unwrap();
    let subject = Subject::new("user:4711").unwrap();
    assert_eq!(person, Person::Subject { entry_point: name(), subject });
    let request = provider.said.redeemed.lock().unwrap()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let basic = BASE64.encode(b"gate+way:s%3Ae%2Fcret");
    assert!(
        head.starts_with("POST /token ") && head.contains(&format!("authorization: Basic {basic}")),
        "{head}"
    );
    let sent: HashMap<_, _> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "the code"),
        ("redirect_uri", &*sign_in().redirect),
        ("code_verifier", "the-verifier"),
    ];
    assert_eq!(sent, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn an_id_token_that_is_not_exactly_for_this_sign_in_signs_nobody_in() {
    let (provider, signer) = (Provider::start().await, Signer::new("k"));
    let (people, _) = provider.people();
    let finish = async |claims: &Value| {
        provider.says(&signer, claims);
        people.finish(&name(), &sign_in(), &returned("c")).await.map(|_| ())
    };
    let with = |member: &str, value: Value| {
        let mut claims = claims(&provider);
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(member)),
            value => claims[member] = value,
        }
        claims
    };
    assert_eq!(finish(&claims(&provider)).await, Ok(()));
    assert_eq!(finish(&with("aud", json!(["gate way"]))).await, Ok(()));
    let both = json!(["gate way", "other"]);
    let mut for_us = with("aud", both.clone());
    for_us["azp"] = json!("gate way");
    assert_eq!(finish(&for_us).await, Ok(()));
    for (claims, reason) in [
        (with("nonce", json!("another")), Reason::SignInInvalid),
        (with("nonce", Value::Null), Reason::SignInInvalid),
        (with("iss", json!("https://evil.example")), Reason::TokenIssuerUnknown),
        (with("iss", json!(format!("{}/", provider.issuer))), Reason::TokenIssuerUnknown),
        (with("aud", json!("other")), Reason::TokenAudienceWrong),
        (with("aud", both), Reason::TokenAudienceWrong),
        (with("azp", json!("other")), Reason::TokenAudienceWrong),
        (with("aud", json!([])), Reason::TokenAudienceWrong),
        (with("aud", json!([1])), Reason::TokenClaimsInvalid),
        (with("aud", Value::Null), Reason::TokenClaimsInvalid),
        (with("exp", json!(NOW - 31)), Reason::TokenExpired),
        (with("exp", Value::Null), Reason::TokenClaimsInvalid),
        (with("exp", json!("soon")), Reason::TokenClaimsInvalid),
        (with("iat", json!(NOW - 331)), Reason::TokenExpired),
        (with("iat", json!(NOW + 31)), Reason::TokenNotYetValid),
        (with("iat", Value::Null), Reason::TokenClaimsInvalid),
        (with("sub", Value::Null), Reason::TokenClaimsInvalid),
        (with("sub", json!("")), Reason::TokenClaimsInvalid),
        (with("sub", json!(4711)), Reason::TokenClaimsInvalid),
        (with("sub", json!("a\u{202e}b")), Reason::TokenClaimsInvalid),
    ] {
        assert_eq!(finish(&claims).await, Err(reason), "{claims}");
    }
}

#[tokio::test]
async fn a37_a41_what_is_no_id_token_of_the_provider_signs_nobody_in() {
    let (provider, signer) = (Provider::start().await, Signer::new("k"));
    let (people, _) = provider.people();
    let claims = claims(&provider);
    provider.says(&signer, &claims);
    let finish = async |token: String| {
        *provider.said.token.lock().unwrap() = token;
        people.finish(&name(), &sign_in(), &returned("c")).await.map(|_| ())
    };
    let header = |more: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "k" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        signer.sign(&header, &claims)
    };
    assert_eq!(finish(header(json!({}))).await, Ok(()), "it need not say its type");
    assert_eq!(finish(signer.token("jwt", &claims)).await, Ok(()));
    let good = signer.token("JWT", &claims);
    let (message, _) = good.rsplit_once('.').unwrap();
    for (token, reason) in [
        (signer.token("at+jwt", &claims), Reason::TokenTypeForbidden),
        (signer.token("txntoken+jwt", &claims), Reason::TokenTypeForbidden),
        (header(json!({ "crit": ["b64"] })), Reason::TokenTypeForbidden),
        (header(json!({ "alg": "none" })), Reason::TokenAlgorithmForbidden),
        (header(json!({ "alg": "HS256" })), Reason::TokenAlgorithmForbidden),
        (header(json!({ "alg": "RS256" })), Reason::TokenAlgorithmForbidden),
        (header(json!({ "kid": "other" })), Reason::TokenKeyUnknown),
        (Signer::new("k").token("JWT", &claims), Reason::TokenSignatureInvalid),
        (format!("{message}."), Reason::TokenSignatureInvalid),
        (message.to_owned(), Reason::TokenMalformed),
        (String::new(), Reason::TokenMalformed),
    ] {
        assert_eq!(finish(token.clone()).await, Err(reason), "{token}");
    }
}

#[tokio::test]
async fn a_provider_that_refuses_lies_about_itself_or_is_not_there_signs_nobody_in() {
    let (provider, signer) = (Provider::start().await, Signer::new("k"));
    let (people, clock) = provider.people();
    provider.says(&signer, &claims(&provider));
    let finish = async |issuer: Option<&str>| {
        let returned = Returned { code: "c".to_owned(), issuer: issuer.map(str::to_owned) };
        people.finish(&name(), &sign_in(), &returned).await.map(|_| ())
    };
    assert_eq!(finish(Some(&provider.issuer)).await, Ok(()));
    assert_eq!(finish(Some("https://other.example")).await, Err(Reason::SignInInvalid), "RFC 9207");
    provider.said.status.store(400, Ordering::SeqCst);
    assert_eq!(finish(None).await, Err(Reason::SignInRefused), "the code was used");
    provider.said.status.store(500, Ordering::SeqCst);
    assert_eq!(finish(None).await, Err(Reason::ProviderUnavailable));
    provider.said.status.store(200, Ordering::SeqCst);
    let long = "c".repeat(CODE_BYTES_MAX + 1);
    assert_eq!(people.finish(&name(), &sign_in(), &returned(&long)).await, Err(Reason::SignInInvalid));
    // Its metadata is asked for once as long as it is fresh.
    assert_eq!(provider.said.asked.load(Ordering::SeqCst), 1);
    provider.describes("authorization_response_iss_parameter_supported", json!(true));
    clock.advance(PROVIDER_FRESH);
    provider.says(&signer, &claims_at(&provider, clock.wall().as_second()));
    assert_eq!(finish(None).await, Err(Reason::SignInInvalid), "it names itself in every answer");
    assert_eq!(finish(Some(&provider.issuer)).await, Ok(()));
    let issuer = json!(provider.issuer);
    for (member, value, honest) in [
        ("issuer", json!("https://other.example"), issuer.clone()),
        ("issuer", Value::Null, issuer.clone()),
        ("token_endpoint", json!("http://idp.example/token"), json!(format!("{}/token", provider.issuer))),
        ("jwks_uri", json!("file:///etc/passwd"), json!(format!("{}/jwks", provider.issuer))),
        ("authorization_endpoint", json!("javascript:alert(1)"), json!(format!("{}/auth", provider.issuer))),
    ] {
        provider.describes(member, value.clone());
        clock.advance(PROVIDER_FRESH);
        assert_eq!(
            people.begin(&name(), &sign_in()).await,
            Err(Reason::ProviderUnavailable),
            "{member} {value}"
        );
        let asked = provider.said.asked.load(Ordering::SeqCst);
        assert_eq!(people.begin(&name(), &sign_in()).await, Err(Reason::ProviderUnavailable));
        assert_eq!(provider.said.asked.load(Ordering::SeqCst), asked, "not again at once");
        provider.describes(member, honest);
    }
    clock.advance(PROVIDER_FRESH);
    assert!(people.begin(&name(), &sign_in()).await.is_ok());
    let other = EntryPointName::new("people.other").unwrap();
    assert_eq!(people.begin(&other, &sign_in()).await, Err(Reason::SignInInvalid));
}

#[tokio::test]
async fn a_client_shows_its_secret_as_the_provider_wants_it() {
    let (provider, signer) = (Provider::start().await, Signer::new("k"));
    provider.says(&signer, &claims(&provider));
    let clock = Clock::manual(Timestamp::from_second(NOW).unwrap());
    let redeem = async |settings: PeopleSettings| {
        let people = People::new(vec![settings], &clock);
        people.finish(&name(), &sign_in(), &returned("c")).await.unwrap();
        provider.said.redeemed.lock().unwrap().pop().unwrap()
    };
    let public = redeem(PeopleSettings { client_secret: None, ..provider.settings() }).await;
    assert!(public.contains("client_id=gate+way") && !public.contains("authorization:"), "{public}");
    provider.describes("token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    let post = redeem(provider.settings()).await;
    assert!(post.contains("client_secret=s%3Ae%2Fcret") && !post.contains("authorization:"), "{post}");
}

#[test]
fn who_signs_other_people_in_than_before_is_said() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let settings = |issuer: &str| PeopleSettings {
        entry_point: name(),
        issuer: issuer.to_owned(),
        client_id: "c".to_owned(),
        client_secret: None,
        subject: SubjectForm::parse("user:{sub}").unwrap(),
        scopes: Vec::new(),
        algorithms: Algorithm::ALL.into(),
        ca: None,
        clock_skew: Duration::ZERO,
    };
    let people = |all: Vec<PeopleSettings>| People::new(all, &clock);
    let said = |before: &People, after: &People| {
        let changes = after.changes(before);
        (changes.changed().len(), changes.widened().len())
    };
    let (none, one, moved) = (people(vec![]), people(vec![settings("a")]), people(vec![settings("b")]));
    assert_eq!((said(&none, &one), said(&one, &one), said(&one, &moved)), ((0, 1), (0, 0), (0, 1)));
    assert_eq!(said(&one, &none), (1, 0));
}
