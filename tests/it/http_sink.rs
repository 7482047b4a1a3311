//! Sinks over HTTP before a real receiver that refuses, asks for patience, takes half, or says nothing.

use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::receiver::{Attempts, Batch, Receiver, status};
use crate::support::sink::{
    assert_denial_set_aside, assert_whole, call, call_around_a_denial, letters, sink_site, until_ready_shows,
};
use crate::support::tls::{Authority, acceptor, write};
use crate::support::{Site, check_audit};

fn site(url: &str, more: &str) -> Site {
    sink_site("http", url, more)
}

const KEY: &str = "whsec_c2x1aWNlZ2F0ZSBzaWducyB3aGF0IGl0IHNlbmRz";

/// As a receiver checks it (Standard Webhooks 1.0.0).
fn assert_signed(batch: &Batch) {
    let header = |name: &str| batch.headers[name].to_str().unwrap();
    let key = BASE64.decode(KEY.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let head = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
    let signed = [head.as_bytes(), &batch.body].concat();
    let signature =
        BASE64.decode(header("webhook-signature").strip_prefix("v1,").unwrap().as_bytes()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &signature).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_gets_everything_once_packed_and_signed_and_nobody_else_sees_the_secrets() {
    let receiver = Receiver::start(|_, _| status(200)).await;
    let more =
        "headers = { Authorization = { file = \"token\" } }\ncompress = \"gzip\"\nsign = { file = \"key\" }";
    let site = site(&receiver.url, more);
    for (name, value) in [("token", "Bearer s3cr3t-t0ken"), ("key", KEY)] {
        write(&site, name, value);
    }
    for _ in 0..2 {
        let gateway = site.start();
        call(&gateway, &["one", "two", "three"]).await;
        assert!(!gateway.shows("/readyz").await.contains("s3cr3t-t0ken"));
        assert!(gateway.stop().success());
    }
    let lines = receiver.taken();
    assert_whole(&site, &lines, &[]);
    let mut ids = Vec::new();
    for (batch, _) in receiver.came() {
        let header = |name: &str| batch.headers[name].to_str().unwrap();
        assert_eq!(header("authorization"), "Bearer s3cr3t-t0ken");
        assert_eq!((header("content-type"), header("content-encoding")), ("application/x-ndjson", "gzip"));
        assert_signed(&batch);
        ids.push(header("webhook-id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), receiver.came().len(), "no batch came twice");
    for file in std::fs::read_dir(site.path("state/journal")).unwrap() {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("s3cr3t-t0ken") && !text.contains("c2x1aWNl"));
    }
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_at_once_comes_in_parts() {
    let receiver = Receiver::start(|_, batch| status(if batch.lines.len() > 3 { 413 } else { 204 })).await;
    let site = site(&receiver.url, "");
    let gateway = site.start();
    call(&gateway, &["one", "two", "three", "four", "five", "six"]).await;
    assert!(gateway.stop().success());
    // All of it again, at once.
    std::fs::remove_file(site.path("state/sinks/siem.json")).unwrap();
    let gateway = site.start();
    receiver.has("start", 3).await;
    assert!(gateway.stop().success());
    assert!(receiver.came().iter().any(|(_, status)| *status == StatusCode::PAYLOAD_TOO_LARGE));
    assert_whole(&site, &receiver.taken(), &[]);
    assert!(!site.path("state/sinks/siem.dead.jsonl").exists());
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f64_a_record_that_the_receiver_cannot_take_is_set_aside_and_said() {
    let is_poison = |line: &String| line.contains("\"kind\":\"denial\"");
    let receiver =
        Receiver::start(move |_, batch| status(if batch.lines.iter().any(is_poison) { 400 } else { 200 }))
            .await;
    let site = site(&receiver.url, "");
    let gateway = site.start();
    call_around_a_denial(&gateway).await;
    receiver.has("outcome", 2).await;
    until_ready_shows(&gateway, "sink_dead_letters").await;
    let metrics = gateway.shows("/metrics").await;
    assert!(metrics.contains("sluicegate_sink_dead_letters_total{sink=\"siem\"} 1"), "{metrics}");
    assert!(gateway.stop().success());
    let denial = assert_denial_set_aside(&site);
    assert_whole(&site, &receiver.taken(), &[denial]);
    assert!(letters(&site)[0]["why"].as_str().unwrap().contains("400"));
    // It is still said after a restart, and nothing comes again.
    let gateway = site.start();
    assert!(gateway.shows("/readyz").await.contains("sink_dead_letters"));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_takes_nothing_makes_nothing_be_set_aside() {
    let is_well = watch::Sender::new(false);
    let (well, attempts) = (is_well.subscribe(), Attempts::default());
    let is_taken = watch::Sender::new(false);
    let receiver = Receiver::start(move |_, batch| {
        // Not in the midst of a batch, of which it would take a part then.
        if attempts.begins(&batch.lines) && *well.borrow() {
            is_taken.send_replace(true);
        }
        status(if *is_taken.borrow() { 200 } else { 400 })
    })
    .await;
    let site = site(&receiver.url, "");
    let gateway = site.start();
    call(&gateway, &["one", "two"]).await;
    while !gateway.shows("/readyz").await.contains("takes none of") {}
    is_well.send_replace(true);
    receiver.has("outcome", 2).await;
    assert!(gateway.stop().success());
    assert!(!site.path("state/sinks/siem.dead.jsonl").exists());
    assert_whole(&site, &receiver.taken(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_receiver_is_left_alone_as_long_as_it_asks() {
    let receiver = Receiver::start(|before, _| match before {
        0 => Response::builder().status(429).header("retry-after", "2").body(Full::default()).unwrap(),
        _ => status(200),
    })
    .await;
    let site = site(&receiver.url, "");
    let gateway = site.start();
    receiver.has("start", 1).await;
    assert!(gateway.stop().success());
    let came = receiver.came();
    assert_eq!(came[0].1, StatusCode::TOO_MANY_REQUESTS);
    assert!(came[1].0.at - came[0].0.at >= Duration::from_secs(2));
    assert_whole(&site, &receiver.taken(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_credentials_and_redirects_are_no_fault_of_a_record_and_nobody_else_gets_it() {
    let elsewhere = Receiver::start(|_, _| status(200)).await;
    let to = elsewhere.url.clone();
    let receiver = Receiver::start(move |before, _| match before {
        0 => status(401),
        1 => Response::builder().status(307).header("location", &to).body(Full::default()).unwrap(),
        _ => status(200),
    })
    .await;
    let site = site(&receiver.url, "headers = { X-Token = \"t\" }");
    let gateway = site.start();
    receiver.has("start", 1).await;
    assert!(gateway.stop().success());
    assert_eq!(elsewhere.came().len(), 0);
    assert_whole(&site, &receiver.taken(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f62_a_receiver_that_says_nothing_holds_no_call_up_and_gets_it_all_after_a_restart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = Receiver::new(format!("http://{}/", listener.local_addr().unwrap()), |_, _| status(200));
    let site = site(&receiver.url, "");
    let gateway = site.start();
    // It reads, and never answers.
    let silent = listener.accept().await.unwrap().0;
    call(&gateway, &["one", "two"]).await;
    gateway.kill();
    drop(silent);
    tokio::spawn(receiver.clone().listen(listener));
    let gateway = site.start();
    receiver.asked(1).await;
    assert!(gateway.stop().success());
    assert_whole(&site, &receiver.taken(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_behind_tls_has_to_be_who_it_says_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let receiver = Receiver::new(url, |_, _| status(200));
    let site = site(&receiver.url, "ca = \"siem.pem\"");
    let (authority, other) = (Authority::new("siem"), Authority::new("other"));
    std::fs::write(site.path("siem.pem"), authority.pem()).unwrap();
    let gateway = site.start();
    let refused = listener.accept().await.unwrap().0;
    assert!(acceptor(&other.signs(&["127.0.0.1"])).accept(refused).await.is_err(), "nobody's certificate");
    let stream = listener.accept().await.unwrap().0;
    let stream = acceptor(&authority.signs(&["127.0.0.1"])).accept(stream).await.unwrap();
    tokio::spawn(receiver.clone().serve(TokioIo::new(stream)));
    call(&gateway, &["one"]).await;
    receiver.has("outcome", 1).await;
    assert!(gateway.stop().success());
    assert_whole(&site, &receiver.taken(), &[]);
    check_audit(&site);
}
