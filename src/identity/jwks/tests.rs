//! Key sets: what is read of them, when they are loaded, and what an endpoint can do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::clock::Clock;
use crate::identity::tests::signer::{Signer, set};
use crate::model::name::EntryPointName;
use crate::model::reason::Reason;

fn all() -> BTreeSet<Algorithm> {
    Algorithm::ALL.into()
}

fn keeper(from: KeysFrom, clock: &Clock) -> Arc<Keeper> {
    Keeper::new(EntryPointName::new("issuers.test").unwrap(), from, all(), clock.clone())
}

/// The key with this id, as a token would ask for it.
async fn ask(keeper: &Arc<Keeper>, kid: &str) -> Result<u64, Reason> {
    let held = keeper.in_force().await?;
    keeper.find(held, Some(kid), Algorithm::Es256).await.map(|(_, epoch)| epoch)
}

/// An endpoint that answers each request with what `answer` says now, and counts them.
struct Endpoint {
    url: String,
    requests: Arc<AtomicUsize>,
    answer: Arc<std::sync::Mutex<String>>,
}

impl Endpoint {
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(std::sync::Mutex::new(answer));
        let (counted, said) = (Arc::clone(&requests), Arc::clone(&answer));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let said = said.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let _request = stream.read(&mut head).await;
                    let _sent = stream.write_all(said.as_bytes()).await;
                    // An answer that is no answer leaves the connection open.
                    if said.is_empty() {
                        let _hung_up = stream.read(&mut head).await;
                    }
                });
            }
        });
        Self { url, requests, answer }
    }

    fn from(&self) -> KeysFrom {
        KeysFrom::Url { url: self.url.parse().unwrap(), ca: None }
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn say(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }
}

fn answer(kind: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn keys(signers: &[&Signer]) -> String {
    answer("application/json; charset=utf-8", &set(signers))
}

#[test]
fn a39_a_kid_is_looked_up_in_the_set_alone_and_has_to_name_one_key() {
    let (one, other) = (Signer::new("one"), Signer::new("other"));
    let read = |signers: &[&Signer]| KeySet::read(set(signers).as_bytes(), &all()).unwrap();
    let both = read(&[&one, &other]);
    assert!(both.find(Some("one"), Algorithm::Es256).is_ok());
    assert_eq!(both.find(Some("one"), Algorithm::Rs256).unwrap_err(), NoKey::OtherAlgorithm);
    for kid in ["", "One", "../one", "one\u{0}", "' OR 1=1 --", "http://evil.example/jwks", "three"] {
        assert_eq!(both.find(Some(kid), Algorithm::Es256).unwrap_err(), NoKey::Unknown, "{kid}");
    }
    assert_eq!(both.find(None, Algorithm::Es256).unwrap_err(), NoKey::Unknown, "two would do");
    assert!(read(&[&one]).find(None, Algorithm::Es256).is_ok(), "only one would do");
    let twice = read(&[&one, &Signer::new("one")]);
    assert_eq!(twice.find(Some("one"), Algorithm::Es256).unwrap_err(), NoKey::Unknown);
}

#[test]
fn what_is_no_set_is_told_from_a_set_without_usable_keys() {
    let read = |text: &str| KeySet::read(text.as_bytes(), &all()).map(|set| set.keys.len());
    assert_eq!(read(r#"{"keys":[]}"#), Ok(0));
    assert_eq!(read(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"},{"kty":1},{"kid":7,"kty":"EC"}]}"#), Ok(0));
    for text in ["", "[]", "{", r#"{"keys":[],"keys":[]}"#, r#"{"keys":[{"kty":"EC","kty":"EC"}]}"#] {
        assert_eq!(read(text), Err(NotASet::NotJson), "{text}");
    }
    for text in ["{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":null}"#] {
        assert_eq!(read(text), Err(NotASet::NoKeys), "{text}");
    }
    let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; SET_KEYS_MAX + 1].join(","));
    assert_eq!(read(&many), Err(NotASet::TooManyKeys));
}

#[tokio::test]
async fn a39_a_flood_of_unknown_keys_causes_one_fetch_an_interval_and_rotation_is_found() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let endpoint = Endpoint::start(keys(&[&old])).await;
    let keeper = keeper(endpoint.from(), &clock);
    let first = ask(&keeper, "old").await.unwrap();
    assert_eq!(endpoint.count(), 1);
    for flood in 0..200 {
        assert_eq!(ask(&keeper, &format!("k{flood}")).await, Err(Reason::TokenKeyUnknown));
    }
    assert_eq!(endpoint.count(), 1, "the interval has not passed");
    clock.advance(LOAD_INTERVAL);
    let mut waiting = tokio::task::JoinSet::new();
    for flood in 0..200 {
        let keeper = Arc::clone(&keeper);
        waiting.spawn(async move { ask(&keeper, &format!("k{flood}")).await });
    }
    assert!(waiting.join_all().await.iter().all(|answer| *answer == Err(Reason::TokenKeyUnknown)));
    assert_eq!(endpoint.count(), 2, "one fetch for all that wait");
    assert_eq!(ask(&keeper, "old").await, Ok(first), "the same set has the same epoch");
    endpoint.say(keys(&[&new]));
    clock.advance(LOAD_INTERVAL);
    let second = ask(&keeper, "new").await.unwrap();
    assert!(second > first);
    assert_eq!(ask(&keeper, "old").await, Err(Reason::TokenKeyUnknown), "and the old key is gone");
}

#[tokio::test]
async fn keys_are_confirmed_in_the_background_and_dropped_when_they_cannot_be() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let signer = Signer::new("one");
    let endpoint = Endpoint::start(keys(&[&signer])).await;
    let keeper = keeper(endpoint.from(), &clock);
    assert!(ask(&keeper, "one").await.is_ok());
    endpoint.say("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned());
    clock.advance(KEYS_FRESH);
    assert!(ask(&keeper, "one").await.is_ok(), "an outage is lived through");
    clock.advance(KEYS_AGE_MAX - KEYS_FRESH);
    assert_eq!(ask(&keeper, "one").await, Err(Reason::KeysUnavailable), "but not for ever");
    assert_eq!(keeper.epoch(), None);
    endpoint.say(keys(&[&signer]));
    clock.advance(LOAD_INTERVAL);
    assert!(ask(&keeper, "one").await.is_ok());
}

#[tokio::test]
async fn a_key_that_was_taken_out_while_nobody_asked_counts_no_more() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let endpoint = Endpoint::start(keys(&[&old])).await;
    let keeper = keeper(endpoint.from(), &clock);
    assert!(ask(&keeper, "old").await.is_ok());
    endpoint.say(keys(&[&new]));
    clock.advance(KEYS_UNCONFIRMED_MAX);
    assert_eq!(ask(&keeper, "old").await, Err(Reason::TokenKeyUnknown), "confirmed before it is used");
    endpoint.say("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned());
    clock.advance(KEYS_UNCONFIRMED_MAX);
    for _ in 0..2 {
        assert!(ask(&keeper, "new").await.is_ok(), "what cannot be confirmed counts for a while");
    }
}

#[tokio::test]
async fn a44_no_answer_but_a_plain_set_of_keys_counts() {
    let signer = Signer::new("one");
    let body = set(&[&signer]);
    let length = body.len();
    let good = keys(&[&signer]);
    let redirect =
        |status: &str| format!("HTTP/1.1 {status}\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n");
    let large = "x".repeat(SET_BYTES_MAX + 1);
    let bad = [
        redirect("301 Moved"),
        redirect("307 Temporary"),
        redirect("303 See Other"),
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        answer("text/html", &body),
        answer("text/plain", &body),
        answer("application/json\r\ncontent-encoding: gzip", &body),
        answer("application/json\r\ncontent-type: application/json", &body),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"),
        answer("application/json", &large),
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{large}"),
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{body}"),
        answer("application/json", "<html>"),
        answer("application/json", "{}"),
        "SSH-2.0-x\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024)),
    ];
    for said in bad {
        let endpoint = Endpoint::start(said.clone()).await;
        let keeper = keeper(endpoint.from(), &Clock::manual(Timestamp::UNIX_EPOCH));
        let got = ask(&keeper, "one").await;
        assert_eq!(got, Err(Reason::KeysUnavailable), "{}", said.get(..80).unwrap_or(&said));
        assert_eq!(endpoint.count(), 1, "nothing is tried twice");
    }
    let endpoint = Endpoint::start(good).await;
    assert!(ask(&keeper(endpoint.from(), &Clock::manual(Timestamp::UNIX_EPOCH)), "one").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_endpoint_is_given_up_and_holds_nobody_longer() {
    let endpoint = Endpoint::start(String::new()).await;
    let keeper = keeper(endpoint.from(), &Clock::manual(Timestamp::UNIX_EPOCH));
    let asked = tokio::time::Instant::now();
    assert_eq!(ask(&keeper, "one").await, Err(Reason::KeysUnavailable));
    assert!(asked.elapsed() <= Duration::from_secs(6), "{:?}", asked.elapsed());
    assert_eq!(ask(&keeper, "one").await, Err(Reason::KeysUnavailable), "at once, until it is time again");
}

#[tokio::test]
async fn a44_link_local_and_metadata_addresses_are_not_connected_to() {
    let urls = [
        "https://169.254.169.254/latest/jwks",
        "https://[fe80::1]/jwks",
        "https://[::ffff:169.254.169.254]/jwks",
        "https://0.0.0.0/jwks",
        "https://[2002:a9fe:a9fe::1]/jwks",
        "https://[64:ff9b::a9fe:a9fe]/jwks",
        "https://224.0.0.1/jwks",
    ];
    for url in urls {
        let from = KeysFrom::Url { url: url.parse().unwrap(), ca: None };
        let refused = from.load(None).await.unwrap_err().to_string();
        assert!(refused.contains("where no issuer's keys may be fetched from"), "{url}: {refused}");
    }
}

#[tokio::test]
async fn a_key_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let keeper = keeper(KeysFrom::File(path.clone()), &clock);
    assert_eq!(ask(&keeper, "old").await, Err(Reason::KeysUnavailable), "there is no file yet");
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    std::fs::write(&path, set(&[&old])).unwrap();
    clock.advance(LOAD_INTERVAL);
    let first = ask(&keeper, "old").await.unwrap();
    std::fs::write(&path, set(&[&old, &new])).unwrap();
    let second = ask(&keeper, "new").await.expect("an unknown key is looked for at once");
    assert!(second > first);
    std::fs::write(&path, set(&[&new])).unwrap();
    clock.advance(LOAD_INTERVAL);
    assert_eq!(ask(&keeper, "old").await, Err(Reason::TokenKeyUnknown), "taken out, and gone");
    for broken in ["{", &"x".repeat(SET_BYTES_MAX + 1)] {
        std::fs::write(&path, broken).unwrap();
        clock.advance(LOAD_INTERVAL);
        assert!(ask(&keeper, "new").await.is_ok());
    }
    clock.advance(KEYS_AGE_MAX);
    assert_eq!(ask(&keeper, "new").await, Err(Reason::KeysUnavailable), "too old to be believed");
}
