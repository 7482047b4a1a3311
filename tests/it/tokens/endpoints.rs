//! Key sets at a URL that is down, slow, huge, of the wrong type, elsewhere or forbidden: bounded, clear,
//! and no call goes through on a guess.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::{bearer, call, claims_of_mail, site};
use crate::support::issuer::{Signer, key_set, with};
use crate::support::{Exchange, check_audit};

/// Longest wait for a gateway to find what has changed, and how often it is asked.
const CHANGE_WAIT_MAX: Duration = Duration::from_secs(30);
const CHANGE_ASK_INTERVAL: Duration = Duration::from_millis(100);

/// What an endpoint does with a request.
#[derive(Clone)]
enum Does {
    /// Answers with these bytes.
    Say(String),
    /// Keeps the connection and says nothing.
    Nothing,
    /// Sends the head of an answer, and then a byte now and then.
    Drip(String),
}

/// An endpoint on loopback that counts who comes.
struct Endpoint {
    url: String,
    came: Arc<AtomicUsize>,
}

impl Endpoint {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, does)
    }

    fn serve(listener: TcpListener, does: Does) -> Self {
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let came = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&came);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(stream, does.clone()));
            }
        });
        Self { url, came }
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, does: Does) {
    let mut buffer = [0; 4096];
    let _request = stream.read(&mut buffer).await;
    match does {
        Does::Say(text) => {
            let _sent = stream.write_all(text.as_bytes()).await;
        }
        // Until the gateway hangs up.
        Does::Nothing => {
            let _end = stream.read(&mut buffer).await;
        }
        Does::Drip(head) => {
            let mut drops = tokio::time::interval(Duration::from_millis(100));
            let _head = stream.write_all(head.as_bytes()).await;
            while stream.write_all(b" ").await.is_ok() {
                drops.tick().await;
            }
        }
    }
}

pub(super) fn good(kind: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The table of an issuer whose keys are at `url`.
pub(super) fn issuer(name: &str, url: &str) -> String {
    format!(
        "[auth.issuers.{name}]\njwks = {{ url = \"{url}\" }}\nmay_assert = {{ sources = [\"email\"], \
         subjects = [\"user:*\"], roles = [\"assistant\"], agents = [\"*\"], goals = [\"*\"] }}\n"
    )
}

pub(super) fn token(signer: &Signer, name: &str) -> String {
    signer.token("at+jwt", &with(claims_of_mail(), &json!({ "iss": name })))
}

/// Asks again and again until the answer is for this reason: what has changed is found within seconds.
pub(super) async fn until(reason: &str, ask: impl AsyncFn() -> Exchange) {
    let started = Instant::now();
    let mut asks = tokio::time::interval(CHANGE_ASK_INTERVAL);
    loop {
        let answer = ask().await;
        if answer.reason() == reason {
            return;
        }
        assert!(started.elapsed() < CHANGE_WAIT_MAX, "still {}", answer.reason());
        asks.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a44_keys_that_cannot_be_had_refuse_every_token_with_503_and_in_time() {
    let signer = Signer::new("ES256", "k");
    let set = key_set(&[&signer]);
    let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(1024 * 1024));
    let other = Endpoint::start(Does::Say(good("application/json", &set))).await;
    let to_other = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", other.url);
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_owned();
    let bad = [
        ("silent", Does::Nothing),
        ("dripping", Does::Drip(endless)),
        ("huge", Does::Say(good("application/json", &huge))),
        ("html", Does::Say(good("text/html", &set))),
        ("redirecting", Does::Say(to_other)),
        ("failing", Does::Say("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned())),
        ("lying", Does::Say(good("application/json", "{\"keys\":{}}"))),
        ("doubled", Does::Say(good("application/json", &set.replacen('{', "{\"keys\":[],", 1)))),
    ];
    let mut endpoints = Vec::new();
    let mut config = String::new();
    for (name, does) in bad {
        let endpoint = Endpoint::start(does).await;
        config.push_str(&issuer(name, &endpoint.url));
        endpoints.push((name, endpoint));
    }
    for (name, url) in [
        ("metadata", "https://169.254.169.254/latest/meta-data/jwks"),
        ("linklocal", "https://[fe80::1]/jwks"),
        ("mapped", "https://[::ffff:169.254.169.254]/jwks"),
        ("tunnelled", "https://[2002:a9fe:a9fe::]/jwks"),
    ] {
        config.push_str(&issuer(name, url));
    }
    let site = site(&config);
    let gateway = site.start();
    let names = ["metadata", "linklocal", "mapped", "tunnelled"];
    for name in endpoints.iter().map(|(name, _)| *name).chain(names) {
        let asked = Instant::now();
        let answer = call(&bearer(&gateway.url, &token(&signer, name)), name).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {answer:?}");
        assert_eq!(answer.reason(), "keys_unavailable", "{name}");
        assert_eq!(answer.headers["retry-after"], "2", "{name}");
        assert!(answer.headers.get("www-authenticate").is_none(), "{name}: no login would help");
        assert!(asked.elapsed() < Duration::from_secs(9), "{name} took {:?}", asked.elapsed());
    }
    assert_eq!(other.came(), 0, "a redirect is not followed");
    assert!(endpoints.iter().all(|(_, endpoint)| endpoint.came() >= 1));
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    for said in ["where no issuer's keys may be fetched from", "it redirects", "larger than", "took longer"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    check_audit(&site);
}

#[tokio::test]
async fn an_endpoint_that_is_down_at_the_start_is_asked_again() {
    let signer = Signer::new("EdDSA", "k");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/jwks");
    drop(listener);
    let site = site(&issuer("late", &url));
    let gateway = site.start();
    let client = bearer(&gateway.url, &token(&signer, "late"));
    let refused = call(&client, "early").await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable")
    );
    let set = good("application/json", &key_set(&[&signer]));
    let endpoint = Endpoint::serve(TcpListener::bind(address).await.unwrap(), Does::Say(set));
    until("ok", async || call(&client, "late").await).await;
    assert_eq!(endpoint.came(), 1);
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["late"]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a39_a_flood_of_unknown_kids_is_at_most_one_fetch_every_two_seconds() {
    let (signer, thief) = (Signer::new("ES256", "k"), Signer::new("ES256", "x"));
    let endpoint = Endpoint::start(Does::Say(good("application/json", &key_set(&[&signer])))).await;
    let site = site(&issuer("flooded", &endpoint.url));
    let gateway = site.start();
    let started = Instant::now();
    let claims = with(claims_of_mail(), &json!({ "iss": "flooded" })).to_string();
    let mut flood = tokio::task::JoinSet::new();
    for kid in 0..400 {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": format!("../{kid}") }).to_string();
        let client = bearer(&gateway.url, &thief.sign(&header, &claims));
        flood.spawn(async move { call(&client, "flood").await });
    }
    for answer in flood.join_all().await {
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (StatusCode::UNAUTHORIZED, "token_key_unknown")
        );
    }
    assert_eq!(call(&bearer(&gateway.url, &token(&signer, "flooded")), "honest").await.reason(), "ok");
    let fetches_max = 1 + usize::try_from(started.elapsed().as_secs() / 2).unwrap();
    assert!(endpoint.came() <= fetches_max, "{} fetches in {:?}", endpoint.came(), started.elapsed());
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["honest"]);
    check_audit(&site);
}
