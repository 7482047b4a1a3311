//! Sinks to NATS before a real nats-server: with a stream and without, full, gone, hanging, killed, and particular about
//! whom it serves.

use async_nats::ConnectOptions;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::audit::of_kind;
use crate::support::gateway::CHAT_KEY;
use crate::support::nats::{Nats, SUBJECT};
use crate::support::sink::{assert_whole, call, letters, owed, seqs, sink_site, until_ready_shows};
use crate::support::tls::{Authority, write};
use crate::support::{Client, Site, check_audit};

fn site(nats: &Nats, more: &str) -> Site {
    sink_site("nats", &nats.url(), &format!("subject = {SUBJECT:?}\n{more}"))
}

fn anybody(_: &TempDir) -> ConnectOptions {
    ConnectOptions::new()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_has_every_record_once_and_in_order_whatever_comes_again() {
    let nats = Nats::with_stream().await;
    let site = site(&nats, "required = true");
    // Nobody listens at the first of them.
    site.edit(|config| config.replace("nats://", "nats://127.0.0.1:1,"));
    for _ in 0..2 {
        let gateway = site.start();
        call(&gateway, &["one", "two", "three"]).await;
        assert!(gateway.stop().success());
        assert_eq!(seqs(&nats.lines().await), owed(&site));
    }
    // All of it again.
    std::fs::remove_file(site.path("state/sinks/siem.json")).unwrap();
    assert!(site.start().stop().success());
    let messages = nats.messages().await;
    assert_eq!(seqs(&nats.lines().await), owed(&site));
    for message in messages {
        let record: Value = serde_json::from_str(&message.text).unwrap();
        assert_eq!(message.id, format!("siem-{}-{}", record["seq"], record["digest"].as_str().unwrap()));
    }
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_without_a_stream_holds_no_call_up_and_gets_it_all_later() {
    let nats = Nats::start("", &[], anybody);
    let site = site(&nats, "required = true\nbehind_max = 1");
    let gateway = site.start();
    call(&gateway, &["one", "two"]).await;
    until_ready_shows(&gateway, "make a stream that takes the subject").await;
    until_ready_shows(&gateway, "sink_behind").await;
    nats.make_stream(&json!({})).await;
    nats.has("outcome", 2).await;
    assert!(gateway.stop().success());
    assert_eq!((letters(&site).len(), seqs(&nats.lines().await)), (0, owed(&site)));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_nats_that_is_full_gets_the_rest_in_order_when_it_has_room() {
    let nats = Nats::start("", &[], anybody);
    nats.make_stream(&json!({ "max_msgs": 5, "discard": "new" })).await;
    let site = site(&nats, "");
    let gateway = site.start();
    call(&gateway, &["one", "two", "three"]).await;
    until_ready_shows(&gateway, "maximum messages exceeded (10077)").await;
    assert_eq!(nats.lines().await.len(), 5);
    nats.change_stream(&json!({ "max_msgs": -1, "discard": "new" })).await;
    nats.has("outcome", 3).await;
    assert!(gateway.stop().success());
    assert_eq!((letters(&site).len(), seqs(&nats.lines().await)), (0, owed(&site)));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_that_hangs_holds_no_call_up_and_gets_it_all_once_after_a_kill() {
    let nats = Nats::with_stream().await;
    let site = site(&nats, "");
    let gateway = site.start();
    nats.has("start", 1).await;
    nats.signal(Signal::STOP);
    call(&gateway, &["one", "two"]).await;
    until_ready_shows(&gateway, "it did not take anything for 10 s").await;
    gateway.kill();
    nats.signal(Signal::CONT);
    let gateway = site.start();
    nats.has("outcome", 2).await;
    assert!(gateway.stop().success());
    assert_eq!(seqs(&nats.lines().await), owed(&site));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_that_is_killed_and_comes_back_lacks_nothing() {
    let mut nats = Nats::with_stream().await;
    let site = site(&nats, "");
    let gateway = site.start();
    for round in 0..3 {
        let ids = [format!("{round}-before"), format!("{round}-without"), format!("{round}-behind")];
        call(&gateway, &[&ids[0]]).await;
        nats.kill();
        call(&gateway, &[&ids[1]]).await;
        until_ready_shows(&gateway, "sink_failing").await;
        nats.restart();
        call(&gateway, &[&ids[2]]).await;
        nats.has("outcome", 3 * round + 3).await;
    }
    assert!(gateway.stop().success());
    assert_whole(&site, &nats.lines().await, &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_for_nats_is_set_aside_alone() {
    let nats = Nats::start("max_payload: 32KB", &[], anybody);
    nats.make_stream(&json!({ "max_msg_size": 16384 })).await;
    let site = site(&nats, "[audit]\nvalues = \"plain\"");
    let keeps = "call_timeout = \"5s\"\ntools = [{ tool = \"read\", audit = { whole = \"64KiB\" } }]\n";
    site.edit(|config| config.replacen("call_timeout = \"5s\"\n", keeps, 1));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for (id, bytes) in [("before", 1), ("stream", 20_000), ("server", 40_000), ("behind", 1)] {
        let arguments = json!({ "id": id, "text": "x".repeat(bytes) });
        let params = json!({ "name": "tools__read", "arguments": arguments });
        assert_eq!(client.request(1, "tools/call", &params).await.reason(), "ok");
    }
    nats.has("outcome", 4).await;
    until_ready_shows(&gateway, "sink_dead_letters").await;
    assert!(gateway.stop().success());
    let letters = letters(&site);
    let intents = of_kind(&site, "intent");
    let lacking = [1, 2].map(|at| intents[at]["seq"].as_u64().unwrap());
    let seqs: Vec<_> = letters.iter().map(|letter| letter["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, lacking);
    assert_eq!(letters[0]["why"], "message size exceeds maximum allowed (10054)");
    assert!(
        letters[1]["why"].as_str().unwrap().ends_with("the server takes 32768 (`max_payload`)"),
        "{letters:?}"
    );
    assert_whole(&site, &nats.lines().await, &lacking);
    assert_eq!(site.run(&["audit", "verify"]).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_has_to_be_who_it_says_it_is_and_so_has_the_sink() {
    let (authority, other) = (Authority::new("nats"), Authority::new("other"));
    let pair = authority.signs(&["127.0.0.1"]);
    let config = "tls { cert_file: cert.pem, key_file: key.pem }\n\
                  authorization { users: [ { user: test, password: test },\n\
                  { user: reader, password: s3cr3t-passw0rd, permissions: { publish: \"$JS.>\" } },\n\
                  { user: gate, password: s3cr3t-passw0rd, permissions: { publish: \"audit.gate\" } } ] }";
    let files = [("cert.pem", pair.cert.as_str()), ("key.pem", &pair.key), ("ca.pem", &authority.pem())];
    let nats = Nats::start(config, &files, |dir| {
        let options = ConnectOptions::new().user_and_password("test".to_owned(), "test".to_owned());
        options.require_tls(true).add_root_certificates(dir.path().join("ca.pem"))
    });
    nats.make_stream(&json!({})).await;
    let more = "ca = \"nats.pem\"\nuser = \"nobody\"\npassword = { file = \"password\" }";
    let site = site(&nats, more);
    site.edit(|config| config.replace("nats://", "tls://"));
    write(&site, "nats.pem", &other.pem());
    write(&site, "password", "s3cr3t-passw0rd");
    let gateway = site.start();
    call(&gateway, &["one"]).await;
    until_ready_shows(&gateway, "UnknownIssuer").await;
    // Certificates are read with each connection.
    write(&site, "nats.pem", &authority.pem());
    until_ready_shows(&gateway, "authorization violation").await;
    assert!(!gateway.shows("/readyz").await.contains("s3cr3t"));
    assert!(gateway.stop().success());
    site.edit(|config| config.replace("nobody", "reader"));
    let gateway = site.start();
    until_ready_shows(&gateway, "Permissions Violation").await;
    assert!(gateway.stop().success());
    site.edit(|config| config.replace("reader", "gate"));
    let gateway = site.start();
    nats.has("outcome", 1).await;
    assert!(gateway.stop().success());
    assert!(!std::fs::read_to_string(site.path("log")).unwrap().contains("s3cr3t"));
    assert_eq!((letters(&site).len(), seqs(&nats.lines().await)), (0, owed(&site)));
    check_audit(&site);
}
