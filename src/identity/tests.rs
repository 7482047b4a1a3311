//! One test per way to be refused, and the order in which entry points count.

pub(super) mod signer;
mod tokens;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::model::name::{EntryPointName, SourceName, Subject};
use crate::model::principal::{
    Label, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT,
};
use crate::model::provenance::Provenance;

pub(super) fn principal(entry_point: &str) -> Arc<Principal> {
    Arc::new(Principal::configured(
        Label {
            entry_point: EntryPointName::new(entry_point).unwrap(),
            subject: Subject::new("user:1").unwrap(),
            roles: BTreeSet::new(),
            agents: Vec::new(),
            sources: Provenance::of([SourceName::new("chat").unwrap()]),
        },
        RunRule {
            scope: RunScope::Subject,
            idle: RUN_IDLE_DEFAULT,
            max: RUN_MAX_DEFAULT,
            token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
        },
    ))
}

fn with_key() -> (Authenticator, MintedKey) {
    let key = mint().unwrap();
    let keys = vec![KeySettings { hash: key.hash, principal: principal("keys.laptop") }];
    let settings = Settings { keys, ..Settings::default() };
    (Authenticator::new(settings, Clock::manual(Timestamp::UNIX_EPOCH)), key)
}

/// What a request presents that presents nothing.
pub(super) fn nothing(listener: &ListenerVouches) -> Presented<'_> {
    Presented {
        listener,
        authorization: &[],
        txn_token: &[],
        dpop: &[],
        method: "POST",
        peer_uid: None,
        certificate: None,
    }
}

async fn ask(
    room: &Authenticator,
    listener: &ListenerVouches,
    headers: &[&str],
    peer_uid: Option<u32>,
) -> Result<String, Reason> {
    let raw: Vec<&[u8]> = headers.iter().map(|header| header.as_bytes()).collect();
    let presented = Presented { authorization: &raw, peer_uid, ..nothing(listener) };
    room.authenticate(&presented).await.map(|principal| principal.entry_point.to_string())
}

#[tokio::test]
async fn a_key_is_known_whatever_the_case_of_the_scheme() {
    let (room, key) = with_key();
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        let header = format!("{scheme} {}", key.reveal());
        assert_eq!(ask(&room, &ListenerVouches::Nothing, &[&header], None).await.unwrap(), "keys.laptop");
    }
}

#[tokio::test]
async fn nothing_presented_is_missing() {
    let (room, _) = with_key();
    assert_eq!(ask(&room, &ListenerVouches::Nothing, &[], None).await, Err(Reason::CredentialMissing));
}

#[tokio::test]
async fn every_malformed_or_unknown_credential_is_refused_alike() {
    let (room, key) = with_key();
    let text = key.reveal();
    let other = mint().unwrap();
    let headers = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        text.to_owned(),
        format!("Basic {text}"),
        format!("Bearer\t{text}"),
        format!("Bearer {text} "),
        format!("Bearer {text},Bearer {text}"),
        format!(" Bearer {text}"),
        format!("Bearer {}", text.split_at(text.len() - 1).0),
        format!("Bearer {text}="),
        format!("Bearer {}", text.to_ascii_uppercase()),
        format!("Bearer {}", other.reveal()),
        "Bearer eyJhbGciOiJub25lIn0.e30.".into(),
        "Bearer \u{e4}".into(),
        format!("Bearer sg_{}", "a".repeat(20_000)),
        format!("Bearer {}", hash_text(key.hash)),
    ];
    for header in &headers {
        let got = ask(&room, &ListenerVouches::Nothing, &[header], None).await;
        assert_eq!(got, Err(Reason::CredentialUnknown), "{header:?}");
    }
}

#[tokio::test]
async fn two_headers_are_ambiguous_even_if_they_agree() {
    let (room, key) = with_key();
    let header = format!("Bearer {}", key.reveal());
    let got = ask(&room, &ListenerVouches::Nothing, &[&header, &header], None).await;
    assert_eq!(got, Err(Reason::CredentialAmbiguous));
}

#[tokio::test]
async fn a_peer_is_known_by_its_uid_and_refused_without_one() {
    let (room, key) = with_key();
    let socket = ListenerVouches::Peers(vec![(1000, principal("listen.agents/1000"))]);
    assert_eq!(ask(&room, &socket, &[], Some(1000)).await.unwrap(), "listen.agents/1000");
    assert_eq!(ask(&room, &socket, &[], Some(1001)).await, Err(Reason::PeerUnmapped));
    assert_eq!(ask(&room, &socket, &[], None).await, Err(Reason::PeerUnmapped));
    let header = format!("Bearer {}", key.reveal());
    assert_eq!(ask(&room, &socket, &[&header], Some(1001)).await, Err(Reason::PeerUnmapped));
    assert_eq!(ask(&room, &socket, &[&header], Some(1000)).await.unwrap(), "keys.laptop");
}

#[tokio::test]
async fn a_wrong_credential_is_never_passed_over_for_what_the_listener_vouches_for() {
    let (room, key) = with_key();
    let everyone = ListenerVouches::Everyone(principal("listen.main"));
    assert_eq!(ask(&room, &everyone, &[], None).await.unwrap(), "listen.main");
    assert_eq!(ask(&room, &everyone, &["Bearer sg_wrong"], None).await, Err(Reason::CredentialUnknown));
    assert_eq!(ask(&room, &everyone, &["Basic eA=="], None).await, Err(Reason::CredentialUnknown));
    let header = format!("Bearer {}", key.reveal());
    assert_eq!(ask(&room, &everyone, &[&header], None).await.unwrap(), "keys.laptop");
}

#[test]
fn a_key_has_the_announced_form_and_its_hash_round_trips() {
    let (first, second) = (mint().unwrap(), mint().unwrap());
    assert_eq!(first.reveal().len(), KEY_PREFIX.len() + 43);
    assert_ne!(first.reveal(), second.reveal());
    assert_eq!(parse_hash(&hash_text(first.hash)), Some(first.hash));
    for text in ["", "sha256:", "sha256:zz", &first.hash.to_string(), &hash_text(first.hash).to_uppercase()] {
        assert_eq!(parse_hash(text), None, "{text}");
    }
}

#[test]
fn i10_nothing_that_holds_a_key_prints_it() {
    let (room, key) = with_key();
    let header = format!("Bearer {}", key.reveal());
    let raw = [header.as_bytes()];
    let tokens = [key.reveal().as_bytes()];
    let presented = Presented {
        authorization: &raw,
        txn_token: &tokens,
        dpop: &tokens,
        ..nothing(&ListenerVouches::Nothing)
    };
    let printed = format!("{key:?} {presented:?} {room:?} {:?}", Bearer::of(&raw));
    assert!(!printed.contains(key.reveal().trim_start_matches(KEY_PREFIX)), "{printed}");
    assert!(!printed.contains(format!("{:?}", header.as_bytes()).trim_matches(['[', ']'])), "{printed}");
}
