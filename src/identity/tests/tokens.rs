//! Tokens that the request brings: two at once, beside a key, bound to a key or a certificate; and what is
//! remembered of them. What each claim has to be is shown over a real socket, in `tests/it/tokens.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::signer::{Signer, set};
use super::*;
use crate::model::digest::Sha256;
use crate::model::glob::Glob;
use crate::model::name::{AttributeName, RoleName};
use crate::model::principal::Holder;
use crate::model::trigger::AttributeType;

const URL: &str = "https://mcp.acme.example/mcp";
const NOW: i64 = 1_000_000;

/// Two issuers with a key each, a clock that stands, and an authenticator that knows both.
struct Desk {
    room: Authenticator,
    clock: Clock,
    mail: Signer,
    login: Signer,
    key: MintedKey,
    dir: TempDir,
}

/// What a request presents.
#[derive(Default, Clone)]
struct Sent {
    authorization: Option<String>,
    txn_token: Option<String>,
    dpop: Vec<String>,
    certificate: Option<Sha256>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mail, login) = (Signer::new("mail-1"), Signer::new("login-1"));
        std::fs::write(dir.path().join("mail"), set(&[&mail])).unwrap();
        std::fs::write(dir.path().join("login"), set(&[&login])).unwrap();
        let key = mint().unwrap();
        let sender = (AttributeName::new("sender").unwrap(), AttributeType::Text);
        let settings = Settings {
            keys: vec![KeySettings { hash: key.hash, principal: principal("keys.laptop") }],
            issuers: vec![
                issuer("mail", &["email", "web"], RunScope::Claim, &dir),
                issuer("login", &["chat"], RunScope::Subject, &dir),
            ],
            attributes: BTreeMap::from([(source("email"), BTreeMap::from([sender]))]),
            url: ResourceUrl::new(URL),
            ..Settings::default()
        };
        let clock = Clock::manual(Timestamp::from_second(NOW).unwrap());
        let room = Authenticator::new(settings, clock.clone());
        Self { room, clock, mail, login, key, dir }
    }

    async fn ask(&self, sent: &Sent) -> Result<Arc<Principal>, Reason> {
        let authorization: Vec<&[u8]> = sent.authorization.iter().map(String::as_bytes).collect();
        let txn_token: Vec<&[u8]> = sent.txn_token.iter().map(String::as_bytes).collect();
        let dpop: Vec<&[u8]> = sent.dpop.iter().map(String::as_bytes).collect();
        let shown = sent.certificate.map(|sha256| ClientCertificate {
            sha256,
            names: Vec::new(),
            until: Timestamp::MAX,
        });
        let presented = Presented {
            authorization: &authorization,
            txn_token: &txn_token,
            dpop: &dpop,
            certificate: shown.as_ref(),
            ..nothing(&ListenerVouches::Nothing)
        };
        self.room.authenticate(&presented).await
    }

    /// A transaction token of the mail's issuer, its claims changed by `more`.
    fn run(&self, more: Value) -> String {
        let claims = json!({
            "iss": "mail", "aud": URL, "sub": "user:1", "iat": NOW, "exp": NOW + 600, "txn": "run-1",
            "scope": "mcp", "req_wl": "mailbot", "roles": ["assistant", "reader"],
            "tctx": { "src": [{ "kind": "email", "sender": "x@y.example" }], "goal": "triage" },
        });
        self.mail.token("txntoken+jwt", &merged(claims, more))
    }

    /// An access token of the login, its claims changed by `more`.
    fn access(&self, more: Value) -> String {
        let claims = json!({
            "iss": "login", "aud": URL, "sub": "user:1", "iat": NOW, "exp": NOW + 300,
            "roles": ["assistant", "writer"], "tctx": { "src": [{ "kind": "chat" }] },
        });
        self.login.token("at+jwt", &merged(claims, more))
    }
}

fn merged(mut claims: Value, more: Value) -> Value {
    let Value::Object(more) = more else { return claims };
    for (name, value) in more {
        claims[name] = value;
    }
    claims
}

fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

fn issuer(name: &str, sources: &[&str], scope: RunScope, dir: &TempDir) -> IssuerSettings {
    let any = || vec![Glob::new("*").unwrap()];
    let role = |name| RoleName::new(name).unwrap();
    IssuerSettings {
        entry_point: EntryPointName::new(&format!("issuers.{name}")).unwrap(),
        issuer: name.to_owned(),
        jwks: KeysFrom::File(dir.path().join(name)),
        audience: URL.to_owned(),
        algorithms: Algorithm::ALL.into(),
        may_assert: MayAssert {
            sources: sources.iter().map(|name| source(name)).collect(),
            subjects: any(),
            roles: ["assistant", "reader", "writer"].map(role).into(),
            agents: any(),
            goals: any(),
        },
        source: None,
        token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
        clock_skew: CLOCK_SKEW_DEFAULT,
        runs: RunRule {
            scope,
            idle: RUN_IDLE_DEFAULT,
            max: RUN_MAX_DEFAULT,
            token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
        },
        refine: BTreeMap::new(),
    }
}

fn both(access: String, run: String) -> Sent {
    Sent { authorization: Some(format!("Bearer {access}")), txn_token: Some(run), ..Sent::default() }
}

fn bearer(token: &str) -> Sent {
    Sent { authorization: Some(format!("Bearer {token}")), ..Sent::default() }
}

#[tokio::test]
async fn with_two_tokens_sources_unite_roles_intersect_and_the_run_is_the_txn_tokens() {
    let desk = Desk::new();
    let who = desk.ask(&both(desk.access(json!({})), desk.run(json!({})))).await.unwrap();
    assert_eq!(who.entry_point.as_str(), "issuers.mail");
    assert_eq!(who.beside.as_ref().map(EntryPointName::as_str), Some("issuers.login"));
    assert_eq!(who.sources, Provenance::of([source("email"), source("chat")]));
    let roles: Vec<&str> = who.roles.iter().map(RoleName::as_str).collect();
    assert_eq!(roles, ["assistant"]);
    assert_eq!(who.txn.as_ref().map(|txn| txn.as_str()), Some("run-1"));
    assert_eq!(who.runs.scope, RunScope::Claim);
    let skew = i64::try_from(CLOCK_SKEW_DEFAULT.as_secs()).unwrap();
    assert_eq!(who.until.map(Timestamp::as_second), Some(NOW + 300 + skew), "the earlier end");
    let kinds: Vec<&str> = who.trigger.entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["email", "chat"]);
    let chain = json!({ "act": { "sub": "inbox" } });
    let same = both(desk.access(chain.clone()), desk.run(chain.clone()));
    assert_eq!(desk.ask(&same).await.unwrap().agents.len(), 1);
    let one = both(desk.access(json!({})), desk.run(chain));
    assert!(desk.ask(&one).await.unwrap().agents.is_empty(), "an agent that only one of them names");
}

#[tokio::test]
async fn two_tokens_that_do_not_belong_together_are_refused() {
    let desk = Desk::new();
    let apart = [
        (json!({ "sub": "user:2" }), json!({})),
        (json!({ "act": { "sub": "inbox" } }), json!({ "act": { "sub": "outbox" } })),
        (
            json!({ "act": { "sub": "inbox" } }),
            json!({ "act": { "sub": "inbox", "act": { "sub": "outbox" } } }),
        ),
        (json!({ "tctx": { "src": [{ "kind": "chat" }], "goal": "pay" } }), json!({})),
    ];
    for (access, run) in apart {
        let sent = both(desk.access(access.clone()), desk.run(run));
        assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::TokensDisagree, "{access}");
    }
    // Either of them wrong is wrong, whatever the other is worth.
    let stale = desk.access(json!({ "exp": NOW - 100, "iat": NOW - 200 }));
    assert_eq!(desk.ask(&both(stale, desk.run(json!({})))).await.unwrap_err(), Reason::TokenExpired);
    let sent = both(desk.access(json!({})), "x.y".to_owned());
    assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::TokenMalformed);
    // And neither may come in the other's header.
    let sent = both(desk.run(json!({})), desk.access(json!({})));
    assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::TokenTypeForbidden);
}

#[tokio::test]
async fn a_run_token_beside_a_key_is_never_passed_over() {
    let desk = Desk::new();
    for run in [desk.run(json!({})), "chat".to_owned()] {
        let sent = both(desk.key.reveal().to_owned(), run);
        assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::CredentialAmbiguous);
    }
    let wrong = both("sg_wrong".to_owned(), desk.run(json!({})));
    assert_eq!(desk.ask(&wrong).await.unwrap_err(), Reason::CredentialUnknown);
    let scheme = Sent { authorization: Some(format!("DPoP {}", desk.key.reveal())), ..Sent::default() };
    assert_eq!(desk.ask(&scheme).await.unwrap_err(), Reason::CredentialUnknown);
    let alone = Sent { txn_token: Some(desk.run(json!({}))), ..Sent::default() };
    assert_eq!(desk.ask(&alone).await.unwrap().entry_point.as_str(), "issuers.mail");
}

#[tokio::test]
async fn a_verified_token_is_remembered_until_it_ends_or_its_key_goes() {
    let desk = Desk::new();
    let sent = bearer(&desk.access(json!({})));
    let first = desk.ask(&sent).await.unwrap();
    let again = desk.ask(&sent).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "it was verified once");
    // The same bytes in the other header are another credential.
    let moved = Sent { txn_token: Some(desk.access(json!({}))), ..Sent::default() };
    assert_eq!(desk.ask(&moved).await.unwrap_err(), Reason::TokenTypeForbidden);
    let successor = Signer::new("login-2");
    std::fs::write(desk.dir.path().join("login"), set(&[&successor])).unwrap();
    desk.clock.advance(LOAD_INTERVAL);
    assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::TokenKeyUnknown, "its key is gone");
    std::fs::write(desk.dir.path().join("login"), set(&[&desk.login])).unwrap();
    desk.clock.advance(LOAD_INTERVAL);
    assert!(desk.ask(&sent).await.is_ok());
    desk.clock.advance(Duration::from_secs(300) + CLOCK_SKEW_DEFAULT);
    assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::TokenExpired);
}

/// A proof for `token` by `holder`, its header and claims changed by `head` and `more`.
fn proof(holder: &Signer, token: &str, head: Value, more: Value) -> String {
    let mut jwk = holder.jwk();
    jwk.as_object_mut().unwrap().remove("kid");
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
    let claims = json!({
        "htm": "POST", "htu": URL, "iat": NOW, "jti": format!("{more}"),
        "ath": BASE64URL_NOPAD.encode(Sha256::of(token.as_bytes()).as_bytes()),
    });
    holder.sign(&merged(header, head), &merged(claims, more))
}

fn bound_to(holder: &Signer) -> Value {
    json!({ "cnf": { "jkt": BASE64URL_NOPAD.encode(holder.thumbprint().as_bytes()) } })
}

fn dpop(token: &str, proofs: &[String]) -> Sent {
    Sent { authorization: Some(format!("DPoP {token}")), dpop: proofs.to_vec(), ..Sent::default() }
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_needs_a_proof_for_this_request() {
    let (desk, holder) = (Desk::new(), Signer::new(""));
    let token = desk.access(bound_to(&holder));
    let good = |at: u64| proof(&holder, &token, json!({}), json!({ "jti": format!("{at}") }));
    let who = desk.ask(&dpop(&token, &[good(1)])).await.unwrap();
    assert_eq!(who.holder, Holder::Proved);
    assert_eq!(desk.ask(&dpop(&token, &[good(1)])).await.unwrap_err(), Reason::ProofInvalid, "used already");
    assert!(desk.ask(&dpop(&token, &[good(2)])).await.is_ok());
    assert_eq!(desk.ask(&dpop(&token, &[])).await.unwrap_err(), Reason::ProofMissing);
    assert_eq!(desk.ask(&bearer(&token)).await.unwrap_err(), Reason::ProofMissing);
    let as_bearer = Sent { dpop: vec![good(3)], ..bearer(&token) };
    assert_eq!(desk.ask(&as_bearer).await.unwrap_err(), Reason::ProofInvalid);
    let two = dpop(&token, &[good(4), good(5)]);
    assert_eq!(desk.ask(&two).await.unwrap_err(), Reason::ProofInvalid);
    let unbound = desk.access(json!({}));
    let sent = dpop(&unbound, &[proof(&holder, &unbound, json!({}), json!({}))]);
    assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::ProofInvalid, "what is not bound is a bearer's");
}

#[tokio::test]
async fn a_proof_that_is_not_whole_proves_nothing() {
    let (desk, holder, thief) = (Desk::new(), Signer::new(""), Signer::new(""));
    let token = desk.access(bound_to(&holder));
    let other = desk.access(json!({ "jti": "other" }));
    let mut private = holder.jwk();
    private["d"] = json!("AAAA");
    let bad = [
        ("another key", proof(&thief, &token, json!({}), json!({}))),
        ("another's key in the header", proof(&thief, &token, json!({ "jwk": holder.jwk() }), json!({}))),
        ("another token", proof(&holder, &other, json!({}), json!({}))),
        ("typ", proof(&holder, &token, json!({ "typ": "at+jwt" }), json!({}))),
        ("alg", proof(&holder, &token, json!({ "alg": "none" }), json!({}))),
        ("alg of another kind", proof(&holder, &token, json!({ "alg": "EdDSA" }), json!({}))),
        ("crit", proof(&holder, &token, json!({ "crit": ["x"] }), json!({}))),
        ("private key", proof(&holder, &token, json!({ "jwk": private }), json!({}))),
        ("no key", proof(&holder, &token, json!({ "jwk": null }), json!({}))),
        ("method", proof(&holder, &token, json!({}), json!({ "htm": "GET" }))),
        ("method in lower case", proof(&holder, &token, json!({}), json!({ "htm": "post" }))),
        ("url", proof(&holder, &token, json!({}), json!({ "htu": "https://evil.example/mcp" }))),
        ("stale", proof(&holder, &token, json!({}), json!({ "iat": NOW - 60 }))),
        ("ahead", proof(&holder, &token, json!({}), json!({ "iat": NOW + 61 }))),
        ("no time", proof(&holder, &token, json!({}), json!({ "iat": null }))),
        ("no id", proof(&holder, &token, json!({}), json!({ "jti": "" }))),
        ("long id", proof(&holder, &token, json!({}), json!({ "jti": "x".repeat(257) }))),
        ("no ath", proof(&holder, &token, json!({}), json!({ "ath": null }))),
        ("ath of nothing", proof(&holder, &token, json!({}), json!({ "ath": "" }))),
        ("no proof", "x".to_owned()),
        ("large", proof(&holder, &token, json!({}), json!({ "more": "x".repeat(8192) }))),
    ];
    for (what, proof) in bad {
        let refused = desk.ask(&dpop(&token, &[proof])).await.unwrap_err();
        assert_eq!(refused, Reason::ProofInvalid, "{what}");
    }
    let whole = proof(&holder, &token, json!({}), json!({ "htu": format!("{URL}?a#b") }));
    assert!(desk.ask(&dpop(&token, &[whole])).await.is_ok());
}

#[tokio::test]
async fn a_run_token_can_be_bound_as_well_and_both_to_the_same_key() {
    let (desk, holder) = (Desk::new(), Signer::new(""));
    let run = desk.run(bound_to(&holder));
    let alone = |proofs: Vec<String>| Sent { txn_token: Some(run.clone()), dpop: proofs, ..Sent::default() };
    assert_eq!(desk.ask(&alone(Vec::new())).await.unwrap_err(), Reason::ProofMissing);
    let sent = alone(vec![proof(&holder, &run, json!({}), json!({}))]);
    assert_eq!(desk.ask(&sent).await.unwrap().holder, Holder::Proved);
    let access = desk.access(bound_to(&holder));
    let of_access = proof(&holder, &access, json!({}), json!({ "jti": "2" }));
    let sent = Sent { txn_token: Some(run.clone()), ..dpop(&access, &[of_access]) };
    assert_eq!(desk.ask(&sent).await.unwrap().holder, Holder::Proved);
    let other = Signer::new("");
    let access = desk.access(bound_to(&other));
    let of_other = proof(&other, &access, json!({}), json!({}));
    let sent = Sent { txn_token: Some(run), ..dpop(&access, &[of_other]) };
    assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::ProofInvalid);
    // A key that the access token alone is bound to says nothing of the run.
    let access = desk.access(bound_to(&holder));
    let of_access = proof(&holder, &access, json!({}), json!({ "jti": "9" }));
    let sent = Sent { txn_token: Some(desk.run(json!({}))), ..dpop(&access, &[of_access]) };
    assert_eq!(desk.ask(&sent).await.unwrap().holder, Holder::Bearer);
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_needs_that_connection() {
    let desk = Desk::new();
    let (own, other) = (Sha256::of(b"own"), Sha256::of(b"other"));
    let token = desk.access(json!({ "cnf": { "x5t#S256": BASE64URL_NOPAD.encode(own.as_bytes()) } }));
    let over = |certificate| Sent { certificate, ..bearer(&token) };
    assert_eq!(desk.ask(&over(Some(own))).await.unwrap().holder, Holder::Proved);
    assert_eq!(desk.ask(&over(Some(other))).await.unwrap_err(), Reason::ProofInvalid);
    assert_eq!(desk.ask(&over(None)).await.unwrap_err(), Reason::ProofMissing);
}

#[tokio::test]
async fn a_confirmation_that_is_not_understood_refuses_the_token() {
    let desk = Desk::new();
    let digest = BASE64URL_NOPAD.encode(Sha256::of(b"x").as_bytes());
    let bad = [
        json!({}),
        json!({ "kid": "1" }),
        json!({ "jkt": digest, "jku": "https://evil.example" }),
        json!({ "jkt": "short" }),
        json!({ "jkt": format!("{digest}=") }),
        json!({ "x5t#S256": 1 }),
        json!("jkt"),
        json!(null),
    ];
    for cnf in bad {
        let sent = bearer(&desk.access(json!({ "cnf": cnf })));
        assert_eq!(desk.ask(&sent).await.unwrap_err(), Reason::TokenClaimsInvalid, "{cnf}");
    }
}

#[tokio::test]
async fn i10_nothing_that_saw_a_token_prints_it() {
    let desk = Desk::new();
    let token = desk.access(json!({}));
    let who = desk.ask(&bearer(&token)).await.unwrap();
    let printed = format!("{:?} {who:?}", desk.room);
    let signature = token.rsplit('.').next().unwrap();
    assert!(!printed.contains(signature), "{printed}");
}
