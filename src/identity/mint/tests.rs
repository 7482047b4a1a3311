//! What is minted, what is not, and the keys on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;
use crate::identity::MayAssert;
use crate::model::glob::Glob;
use crate::model::name::{AttributeName, EntryPointName, RoleName};
use crate::model::principal::{RUN_IDLE_DEFAULT, RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const OPERATOR: Requester = Requester::Operator(Actor { uid: 990 });

struct Stage {
    dir: tempfile::TempDir,
    clock: Clock,
}

fn may(sources: &[&str]) -> MayAssert {
    let glob = |text| vec![Glob::new(text).unwrap()];
    MayAssert {
        sources: sources.iter().map(|name| SourceName::new(name).unwrap()).collect(),
        subjects: glob("user:*"),
        roles: BTreeSet::from([RoleName::new("assistant").unwrap()]),
        agents: glob("*"),
        goals: glob("triage*"),
    }
}

fn key(text: &str) -> Sha256 {
    Sha256::of(text.as_bytes())
}

impl Stage {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    fn settings(&self) -> MintSettings {
        let dispatcher = |id: &str, secret: &str| DispatcherSettings {
            id: id.into(),
            entry_point: EntryPointName::new(&format!("dispatchers.{id}")).unwrap(),
            key: DispatcherKey::Hash(key(secret)),
            may_assert: may(&["email", "web"]),
        };
        let sender = BTreeMap::from([
            (AttributeName::new("sender").unwrap(), AttributeType::Text),
            (AttributeName::new("size").unwrap(), AttributeType::Integer),
        ]);
        MintSettings {
            audience: "http://127.0.0.1:7400/mcp".into(),
            keys_dir: self.dir.path().join("keys"),
            may_assert: may(&["email", "cron"]),
            token_ttl: MINT_TTL_DEFAULT,
            token_ttl_max: MINT_TTL_MAX_DEFAULT,
            key_max_age: MINT_KEY_MAX_AGE_DEFAULT,
            runs: RunRule {
                scope: RunScope::Claim,
                idle: RUN_IDLE_DEFAULT,
                max: 2 * DAY,
                token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
            },
            declarations: BTreeMap::from([(SourceName::new("email").unwrap(), sender)]),
            refine: BTreeMap::new(),
            dispatchers: vec![dispatcher("mailhook", "sg_mailhook"), dispatcher("other", "sg_other")],
        }
    }

    fn open(&self) -> Minter {
        self.try_open().unwrap().0
    }

    fn try_open(&self) -> Result<(Minter, Opened), KeysError> {
        Minter::open(self.settings(), self.clock.clone())
    }

    fn jwks(&self) -> Vec<Value> {
        let text = std::fs::read(self.dir.path().join("keys/token.jwks.json")).unwrap();
        let jwks: Value = serde_json::from_slice(&text).unwrap();
        jwks["keys"].as_array().unwrap().clone()
    }

    fn files(&self) -> BTreeMap<String, u32> {
        let entries = std::fs::read_dir(self.dir.path().join("keys")).unwrap().map(Result::unwrap);
        let mode = |entry: &std::fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o777;
        entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry))).collect()
    }

    /// Header and claims, verified with the JWKS on disk by nothing of the code under test.
    fn verified(&self, token: &TokenText) -> (Value, Value) {
        let (signed, signature) = token.reveal().rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        let jwk = self.jwks().into_iter().find(|key| key["kid"] == header["kid"]).expect("its key");
        let public =
            [vec![4], decode(jwk["x"].as_str().unwrap()), decode(jwk["y"].as_str().unwrap())].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        key.verify(signed.as_bytes(), &decode(signature)).expect("the signature");
        (header, serde_json::from_slice(&decode(claims)).unwrap())
    }

    fn rotate(&self, minter: &Minter) {
        minter.install_key(minter.prepare_key().unwrap()).unwrap();
    }
}

fn request(change: impl FnOnce(&mut Value)) -> TokenRequest {
    let mut json = json!({
        "sources": [{ "kind": "email", "sender": "x@y.example" }],
        "subject": "user:1",
        "roles": ["assistant"],
        "agents": ["inbox", "triage"],
        "goal": "triage_mail",
        "context": { "event": "imap:4711" },
    });
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

fn known(minter: &Minter, key: &str) -> Arc<Dispatcher> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(minter.dispatcher(ClientCredential::Key(key))).unwrap()
}

fn plain() -> TokenRequest {
    request(|_| ())
}

#[test]
fn a_token_says_what_was_asked_and_its_signature_is_that_of_the_jwks() {
    let stage = Stage::new();
    let minter = stage.open();
    let minted = minter.mint(&OPERATOR, plain()).unwrap();
    let (header, claims) = stage.verified(&minted.token);
    assert_eq!(header, json!({ "typ": "at+jwt", "alg": "ES256", "kid": minted.kid }));
    let jti = claims["jti"].as_str().unwrap();
    assert_eq!(minted.jti_sha256, Sha256::of(jti.as_bytes()));
    let txn = claims["txn"].as_str().unwrap();
    assert_eq!((txn.len(), txn), (32, minted.txn.as_str()));
    let expected = json!({
        "iss": "sluicegate", "aud": "http://127.0.0.1:7400/mcp", "iat": 1_800_000_000, "exp": 1_800_000_900,
        "jti": jti, "txn": txn, "txn_iat": 1_800_000_000, "sub": "user:1",
        "act": { "sub": "inbox", "act": { "sub": "triage" } }, "req_wl": "uid:990", "roles": ["assistant"],
        "scope": "mcp",
        "tctx": { "src": [{ "kind": "email", "sender": "x@y.example" }], "goal": "triage_mail" },
        "rctx": { "event": "imap:4711" },
    });
    assert_eq!(claims, expected);
    let again = minter.mint(&OPERATOR, plain()).unwrap();
    assert_ne!(again.txn, minted.txn);
    let other = request(|json| json["carrier"] = json!("txn-token"));
    assert_eq!(stage.verified(&minter.mint(&OPERATOR, other).unwrap().token).0["typ"], "txntoken+jwt");
}

#[test]
fn nothing_beyond_what_may_be_asserted_is_signed() {
    let stage = Stage::new();
    let minter = stage.open();
    let mailhook = known(&minter, "sg_mailhook");
    let mailhook = Requester::Dispatcher(mailhook);
    let cases: [(&str, Value, &str); 9] = [
        ("/sources/0/kind", json!("chat"), "source `chat` may not"),
        ("/subject", json!("svc:1"), "subject `svc:1` may not"),
        ("/roles/0", json!("admin"), "role `admin` may not"),
        ("/goal", json!("pay"), "goal `pay` may not"),
        ("/sources/0/sender", json!(1), "declared as string"),
        ("/sources/0", json!({ "kind": "email", "size": "1" }), "declared as integer"),
        ("/sources", json!([]), "at least one source"),
        ("/agents", json!(["a", "a"]), "twice"),
        ("/context", json!({ "a": "x".repeat(5000) }), "`rctx`"),
    ];
    for (pointer, value, part) in cases {
        let asked = request(|json| *json.pointer_mut(pointer).unwrap() = value.clone());
        let refusal = minter.mint(&OPERATOR, asked).unwrap_err().to_string();
        assert!(refusal.contains(part), "{pointer}: {refusal}");
    }
    // `web` is the dispatcher's alone, `cron` the gateway's alone: neither is enough.
    for kind in ["web", "cron"] {
        let asked = request(|json| json["sources"][0] = json!({ "kind": kind }));
        let refusal = minter.mint(&mailhook, asked).unwrap_err();
        assert_eq!(refusal.reason(), Reason::LabelForbidden);
    }
    let minted = minter.mint(&mailhook, plain()).unwrap();
    assert_eq!(stage.verified(&minted.token).1["req_wl"], "dispatchers.mailhook");
}

#[test]
fn a_lifetime_is_within_its_bound_and_a_token_fits_a_header() {
    let stage = Stage::new();
    let minter = stage.open();
    for (ttl, reason) in [
        (0, Some(Reason::TokenLifetimeTooLong)),
        (3601, Some(Reason::TokenLifetimeTooLong)),
        (3600, None),
        (1, None),
    ] {
        let minted = minter.mint(&OPERATOR, request(|json| json["ttl_s"] = json!(ttl)));
        assert_eq!(minted.as_ref().err().map(MintRefusal::reason), reason, "{ttl}");
    }
    let roles: Vec<String> = (0..60).map(|n| format!("{n:02}{}", "r".repeat(62))).collect();
    let may_assert = MayAssert {
        roles: roles.iter().map(|role| RoleName::new(role).unwrap()).collect(),
        ..may(&["email"])
    };
    let wide = minter.under(MintSettings { may_assert, ..stage.settings() });
    let sources: Vec<Value> = (0..5).map(|_| json!({ "kind": "email", "note": "y".repeat(1000) })).collect();
    let large = request(|json| {
        json["roles"] = json!(roles);
        json["context"] = json!({ "a": "x".repeat(4000) });
        json["sources"] = json!(sources);
    });
    let refused = wide.mint(&OPERATOR, large).err().map(|refusal| refusal.reason());
    assert_eq!(refused, Some(Reason::TokenClaimsInvalid));
}

#[test]
fn a_renewed_token_says_the_same_of_the_same_run_until_the_run_is_over() {
    let stage = Stage::new();
    let minter = stage.open();
    let minted = minter.mint(&OPERATOR, plain()).unwrap();
    stage.clock.advance(Duration::from_secs(600));
    let renewed = minter.renew(&OPERATOR, minted.token.reveal(), Renewal::default()).unwrap();
    let (old, new) = (stage.verified(&minted.token).1, stage.verified(&renewed.token).1);
    for claim in ["iss", "aud", "txn", "txn_iat", "sub", "act", "req_wl", "roles", "scope", "tctx", "rctx"] {
        assert_eq!(old[claim], new[claim], "{claim}");
    }
    assert_eq!((new["iat"].as_i64(), new["exp"].as_i64()), (Some(1_800_000_600), Some(1_800_001_500)));
    assert_ne!(old["jti"], new["jti"]);
    let mut token = renewed.token;
    let end = 1_800_000_000 + 2 * 24 * 60 * 60;
    let ttl = Renewal { ttl: Some(Duration::from_secs(3600)), carrier: None };
    let mut renewals = 0;
    let refusal = loop {
        stage.clock.advance(Duration::from_secs(800));
        match minter.renew(&OPERATOR, token.reveal(), ttl) {
            Ok(next) => token = next.token,
            Err(refusal) => break refusal,
        }
        assert!(stage.verified(&token).1["exp"].as_i64().unwrap() <= end);
        renewals += 1;
    };
    assert!(renewals > 200, "{renewals}");
    // The last one ends with the run, so it has expired by then.
    assert!(matches!(refusal, MintRefusal::NotRenewable(Reason::TokenExpired)), "{refusal}");
}

#[test]
fn only_what_this_gateway_signed_and_for_whom_is_renewed() {
    let stage = Stage::new();
    let minter = stage.open();
    let dispatcher = |secret| Requester::Dispatcher(known(&minter, secret));
    let (mailhook, other) = (dispatcher("sg_mailhook"), dispatcher("sg_other"));
    let token = minter.mint(&mailhook, plain()).unwrap().token;
    let renew = |by: &Requester, token: &str| minter.renew(by, token, Renewal::default()).map(drop);
    assert!(renew(&mailhook, token.reveal()).is_ok() && renew(&OPERATOR, token.reveal()).is_ok());
    assert!(matches!(renew(&other, token.reveal()), Err(MintRefusal::NotYours)));
    let elsewhere = Stage::new();
    let foreign = elsewhere.open().mint(&OPERATOR, plain()).unwrap().token;
    let parts: Vec<&str> = token.reveal().split('.').collect();
    let none = BASE64URL_NOPAD.encode(br#"{"typ":"at+jwt","alg":"none"}"#);
    let kid = BASE64URL_NOPAD.decode(parts[0].as_bytes()).unwrap();
    let jwk = String::from_utf8(kid).unwrap().replace('}', ",\"jwk\":{}}");
    let mut claims: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap()).unwrap();
    claims["roles"] = json!(["assistant", "admin"]);
    let widened = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    let cases = [
        (String::new(), Reason::TokenMalformed),
        ("a.b.c".into(), Reason::TokenMalformed),
        (format!("{}=", token.reveal()), Reason::TokenMalformed),
        ("x".repeat(20_000), Reason::TokenMalformed),
        (foreign.reveal().to_owned(), Reason::TokenKeyUnknown),
        (format!("{none}.{}.", parts[1]), Reason::TokenMalformed),
        (
            format!("{}.{}.{}", BASE64URL_NOPAD.encode(jwk.as_bytes()), parts[1], parts[2]),
            Reason::TokenKeyUnknown,
        ),
        (format!("{}.{widened}.{}", parts[0], parts[2]), Reason::TokenSignatureInvalid),
        (
            format!("{}.{}.{}", parts[0], parts[1], BASE64URL_NOPAD.encode(&[0; 64])),
            Reason::TokenSignatureInvalid,
        ),
    ];
    for (text, reason) in cases {
        assert_eq!(renew(&OPERATOR, &text).unwrap_err().reason(), reason, "{text}");
    }
    let moved =
        minter.under(MintSettings { audience: "http://127.0.0.1:7401/mcp".into(), ..stage.settings() });
    let refusal = moved.renew(&OPERATOR, token.reveal(), Renewal::default()).unwrap_err();
    assert_eq!(refusal.reason(), Reason::TokenAudienceWrong);
    let less = minter.under(MintSettings { may_assert: may(&["cron"]), ..stage.settings() });
    let refusal = less.renew(&OPERATOR, token.reveal(), Renewal::default()).unwrap_err();
    assert_eq!(refusal.reason(), Reason::LabelForbidden);
    stage.clock.advance(MINT_TTL_DEFAULT);
    assert_eq!(renew(&OPERATOR, token.reveal()).unwrap_err().reason(), Reason::TokenExpired);
}

#[test]
fn a_dispatcher_is_known_by_its_key_and_asks_so_often_a_minute() {
    let stage = Stage::new();
    let minter = stage.open();
    let name = |credential| minter.dispatchers.authenticate(credential, stage.clock.wall());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let known_as = |credential| runtime.block_on(name(credential)).map(|known| known.entry_point.to_string());
    let secret = |id, secret| ClientCredential::Secret { id, secret };
    assert_eq!(known_as(ClientCredential::Key("sg_mailhook")).unwrap(), "dispatchers.mailhook");
    assert_eq!(known_as(secret("mailhook", "sg_mailhook")).unwrap(), "dispatchers.mailhook");
    for credential in [
        secret("other", "sg_mailhook"),
        secret("", "sg_mailhook"),
        ClientCredential::Key("sg_x"),
        ClientCredential::Key(""),
    ] {
        assert_eq!(known_as(credential), Err(Reason::CredentialUnknown));
    }
    let mailhook = known(&minter, "sg_mailhook");
    let other = known(&minter, "sg_other");
    for _ in 0..MINTS_PER_MINUTE_MAX {
        minter.spend(&mailhook).unwrap();
    }
    assert_eq!(minter.spend(&mailhook), Err(Reason::MintRateExceeded));
    assert_eq!(minter.spend(&other), Ok(()));
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(minter.spend(&mailhook), Ok(()));
}

#[test]
fn keys_are_made_once_for_their_owner_alone_and_found_again() {
    let stage = Stage::new();
    let (minter, opened) = stage.try_open().unwrap();
    let token = minter.mint(&OPERATOR, plain()).unwrap();
    assert_eq!(opened, Opened::Made(token.kid.clone()));
    let files = stage.files();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.values().all(|mode| *mode == 0o600), "{files:?}");
    let folder = stage.dir.path().join("keys").metadata().unwrap().permissions().mode();
    assert_eq!(folder & 0o777, 0o700);
    drop(minter);
    let (minter, opened) = stage.try_open().unwrap();
    assert_eq!(opened, Opened::Found);
    assert!(minter.verify(token.token.reveal()).is_ok());
    assert_eq!(minter.mint(&OPERATOR, plain()).unwrap().kid, token.kid);
}

#[test]
fn a_rotated_key_is_accepted_until_its_last_token_has_expired_and_signs_no_more() {
    let stage = Stage::new();
    let minter = stage.open();
    let old = minter.mint(&OPERATOR, request(|json| json["ttl_s"] = json!(3600))).unwrap();
    stage.rotate(&minter);
    let new = minter.mint(&OPERATOR, plain()).unwrap();
    assert_ne!(old.kid, new.kid);
    assert_eq!(stage.jwks().len(), 2);
    stage.verified(&old.token);
    assert_eq!(
        stage.files().keys().filter(|name| name.ends_with(".pkcs8")).count(),
        1,
        "the old one is gone"
    );
    stage.clock.advance(Duration::from_secs(3599));
    assert!(minter.verify(old.token.reveal()).is_ok());
    let reopened = stage.open();
    assert!(reopened.verify(old.token.reveal()).is_ok());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(minter.verify(old.token.reveal()).err(), Some(Reason::TokenExpired));
    stage.clock.advance(Duration::from_secs(6 * 60));
    assert_eq!(minter.verify(old.token.reveal()).err(), Some(Reason::TokenKeyUnknown));
    assert_eq!(stage.jwks().len(), 2);
    minter.prune_keys().unwrap();
    assert_eq!(stage.jwks().len(), 1, "the oldest is gone");
    assert_eq!(stage.open().mint(&OPERATOR, plain()).unwrap().kid, new.kid);
}

#[test]
fn a_key_is_due_at_its_age_and_two_at_once_rotate_once() {
    let stage = Stage::new();
    let minter = stage.open();
    stage.clock.advance(MINT_KEY_MAX_AGE_DEFAULT.saturating_sub(Duration::from_secs(1)));
    assert!(!minter.key_is_due());
    stage.clock.advance(Duration::from_secs(1));
    assert!(minter.key_is_due());
    let (first, second) = (minter.prepare_key().unwrap(), minter.prepare_key().unwrap());
    let kid = first.kid().to_owned();
    minter.install_key(first).unwrap();
    minter.install_key(second).unwrap();
    assert!(!minter.key_is_due());
    assert_eq!(minter.mint(&OPERATOR, plain()).unwrap().kid, kid);
}

#[test]
fn i11_no_more_keys_are_kept_than_the_limit() {
    let stage = Stage::new();
    let minter = stage.open();
    for _ in 1..TOKEN_KEYS_MAX {
        stage.rotate(&minter);
    }
    assert!(matches!(minter.prepare_key(), Err(KeysError::Full)));
    assert_eq!(stage.jwks().len(), TOKEN_KEYS_MAX);
    assert!(stage.try_open().is_ok());
    stage.clock.advance(2 * MINT_TTL_MAX_DEFAULT);
    assert!(minter.prepare_key().is_ok());
}

#[test]
fn keys_that_others_may_use_or_that_are_not_ours_are_refused() {
    let set =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let stage = Stage::new();
    let kid = stage.open().mint(&OPERATOR, plain()).unwrap().kid;
    let folder = stage.dir.path().join("keys");
    let (jwks, private) = (folder.join("token.jwks.json"), folder.join(format!("token.{kid}.pkcs8")));
    let refused = |part: &str| {
        let error = stage.try_open().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    for (path, open, right) in [(&folder, 0o750, 0o700), (&jwks, 0o644, 0o600), (&private, 0o640, 0o600)] {
        set(path, open);
        refused("may be used by others; run `chmod");
        set(path, right);
    }
    let (text, key) = (std::fs::read(&jwks).unwrap(), std::fs::read(&private).unwrap());
    let restore = || {
        std::fs::write(&jwks, &text).unwrap();
        std::fs::write(&private, &key).unwrap();
    };
    std::fs::write(&jwks, "{\"keys\":[{}]}").unwrap();
    refused("not what the gateway wrote");
    let other = Stage::new();
    let other_kid = other.open().mint(&OPERATOR, plain()).unwrap().kid;
    std::fs::write(&jwks, String::from_utf8(text.clone()).unwrap().replace(&kid, &other_kid)).unwrap();
    refused("no public key of this gateway");
    restore();
    std::fs::write(&private, "no key").unwrap();
    refused("holds no private key");
    let other_private = other.dir.path().join(format!("keys/token.{other_kid}.pkcs8"));
    std::fs::write(&private, std::fs::read(other_private).unwrap()).unwrap();
    refused("another key");
    std::fs::rename(&private, stage.dir.path().join("moved")).unwrap();
    refused("it is missing");
    std::os::unix::fs::symlink(stage.dir.path().join("moved"), &private).unwrap();
    refused("cannot read");
    std::fs::remove_file(&private).unwrap();
    std::fs::rename(stage.dir.path().join("moved"), &private).unwrap();
    restore();
    assert!(stage.try_open().is_ok());
}

#[test]
fn what_a_crash_left_is_cleared_and_was_never_used() {
    let stage = Stage::new();
    let kid = stage.open().mint(&OPERATOR, plain()).unwrap().kid;
    let folder = stage.dir.path().join("keys");
    // A crash before the JWKS was replaced: a private key whose public half stands nowhere.
    for rest in ["token.orphan.pkcs8", "token.jwks.json.new", "token.other.pkcs8.new"] {
        std::fs::write(folder.join(rest), "rest").unwrap();
    }
    std::fs::write(folder.join("unrelated"), "kept").unwrap();
    let minter = stage.open();
    assert_eq!(minter.mint(&OPERATOR, plain()).unwrap().kid, kid);
    let left = [format!("token.{kid}.pkcs8"), "token.jwks.json".into(), "unrelated".into()];
    assert_eq!(stage.files().into_keys().collect::<BTreeSet<_>>(), BTreeSet::from(left));
}

#[test]
fn i10_nothing_of_a_minting_prints_a_token_or_a_key() {
    let stage = Stage::new();
    let minter = stage.open();
    let minted = minter.mint(&OPERATOR, plain()).unwrap();
    let new = minter.prepare_key().unwrap();
    let credential = ClientCredential::Secret { id: "mailhook", secret: "sg_mailhook" };
    let printed = format!("{minter:?} {minted:?} {new:?} {credential:?} {:?}", stage.settings());
    let signature = minted.token.reveal().rsplit_once('.').unwrap().1;
    assert!(
        !printed.contains(signature) && !printed.contains("eyJ") && !printed.contains("sg_"),
        "{printed}"
    );
}
