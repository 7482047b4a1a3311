//! What a token makes of a call: its label in the journal, finer sources, and where its bytes never go.

use serde_json::{Value, json};

use super::{Issuers, bearer, call};
use crate::support::audit::{of_kind, records};
use crate::support::issuer::Signer;
use crate::support::{Client, check_audit};

fn mail(sender: &str, auth: &str) -> Value {
    json!({ "tctx": { "src": [{ "kind": "email", "sender": sender, "auth": auth, "subject": "Hi" }] } })
}

#[tokio::test]
async fn attributes_make_finer_sources_and_what_they_allow_counts() {
    let issuers = Issuers::new();
    let gateway = issuers.site.start();
    let write = async |token: &str, id: &str| {
        let params = json!({ "name": "tools__write", "arguments": { "id": id } });
        bearer(&gateway.url, token).modern(1, "tools/call", params).await.reason()
    };
    let of = |subject: &str, sender: &str, auth: &str| {
        let mut more = mail(sender, auth);
        more["sub"] = json!(subject);
        issuers.access(&more)
    };
    // Each subject has a run of its own, so that what one has read does not count for another.
    let colleague = of("user:1", "boss@ACME.example", "dkim-pass");
    assert_eq!(write(&colleague, "colleague").await, "ok");
    let strangers = [
        of("user:2", "boss@acme.example", "none"),
        of("user:3", "boss@acme.example.evil.example", "dkim-pass"),
        of("user:4", "\"boss@acme.example\" <x@evil.example>", "dkim-pass"),
    ];
    for token in &strangers {
        assert_ne!(write(token, "stranger").await, "ok");
    }
    assert!(gateway.stop().success());
    assert_eq!(issuers.site.executed(), ["colleague"]);
    let intent = &of_kind(&issuers.site, "intent")[0];
    assert_eq!(intent["provenance"], json!(["email.colleague"]), "{intent}");
    assert_eq!(intent["principal"]["entry_point"], "issuers.mailbot", "{intent}");
    assert_eq!(intent["principal"]["agents"], json!(["agent:inbox"]), "{intent}");
    for denial in of_kind(&issuers.site, "denial") {
        assert_eq!(denial["provenance"], json!(["email"]), "{denial}");
    }
    check_audit(&issuers.site);
}

#[tokio::test]
async fn two_tokens_unite_their_sources_on_the_record() {
    let issuers = Issuers::new();
    let gateway = issuers.site.start();
    let client = bearer(&gateway.url, &issuers.login(&json!({})))
        .header("txn-token", &issuers.run(&json!({ "roles": ["assistant", "reader"] })));
    assert_eq!(call(&client, "both").await.reason(), "ok");
    assert!(gateway.stop().success());
    let intent = &of_kind(&issuers.site, "intent")[0];
    assert_eq!(intent["provenance"], json!(["chat", "email"]), "{intent}");
    assert_eq!(intent["principal"]["roles"], json!(["assistant"]), "{intent}");
    assert_eq!(intent["principal"]["agents"], json!([]), "only one of them names an agent: {intent}");
    check_audit(&issuers.site);
}

#[tokio::test]
async fn a26_a27_a28_no_header_and_no_meta_changes_what_a_token_says() {
    let issuers = Issuers::new();
    let gateway = issuers.site.start();
    let forged = [
        "x-sluicegate-source",
        "x-forwarded-host",
        "x-forwarded-for",
        "forwarded",
        "mcp-init-host",
        "router-key",
        "x-txn-token",
        "tctx",
    ];
    let client = bearer(&gateway.url, &issuers.access(&json!({})));
    let client = forged.iter().fold(client, |client, name| client.header(name, "chat"));
    let meta = json!({ "tctx": { "src": [{ "kind": "chat" }] }, "source": "chat", "act": { "sub": "root" } });
    let arguments = json!({ "id": "forged", "tctx": { "src": [{ "kind": "chat" }] } });
    let params = json!({ "name": "tools__write", "arguments": arguments, "_meta": meta });
    assert_ne!(client.modern(1, "tools/call", params).await.reason(), "ok");
    assert!(gateway.stop().success());
    assert!(issuers.site.executed().is_empty());
    assert_eq!(of_kind(&issuers.site, "denial")[0]["provenance"], json!(["email"]));
    check_audit(&issuers.site);
}

#[tokio::test]
async fn a43_a47_a_token_is_never_forwarded_and_stands_in_no_record_and_no_log() {
    let issuers = Issuers::new();
    let gateway = issuers.site.start();
    let bound = issuers.login(&json!({ "cnf": { "jkt": issuers.ed.thumbprint() } }));
    let proof = issuers.ed.proof(super::URL, &bound, &json!({}));
    let run = issuers.run(&json!({}));
    let client = Client::anonymous(&gateway.url)
        .header("authorization", &format!("DPoP {bound}"))
        .header("dpop", &proof);
    // `echo` gives back everything that the tool server was sent.
    let params = json!({ "name": "tools__echo", "arguments": { "id": "seen" } });
    let echoed = client.modern(1, "tools/call", params).await;
    assert!(echoed.reason() == "ok" && String::from_utf8_lossy(&echoed.body).contains("seen"), "{echoed:?}");
    let by_run = call(&Client::anonymous(&gateway.url).header("txn-token", &run), "run").await;
    assert_eq!(by_run.reason(), "ok");
    let expired = issuers.access(&json!({ "iat": 1, "exp": 2 }));
    let refused = call(&bearer(&gateway.url, &expired), "refused").await;
    assert_eq!(refused.reason(), "token_expired");
    let url = format!("{}?access_token={bound}", gateway.url);
    let in_query = Client::anonymous(&url).post("{}").await;
    assert_eq!(in_query.reason(), "path_unknown");
    assert!(gateway.stop().success());
    let mut seen = std::fs::read_to_string(issuers.site.path("log")).unwrap();
    seen.push_str(&String::from_utf8_lossy(&refused.body));
    seen.push_str(&String::from_utf8_lossy(&echoed.body));
    seen.push_str(&String::from_utf8_lossy(&in_query.body));
    for record in records(&issuers.site).iter().chain(&issuers.site.ledger()) {
        seen.push_str(&record.to_string());
    }
    for secret in [&bound, &proof, &run, &expired] {
        for part in secret.split('.') {
            assert!(!seen.contains(part), "{part}");
        }
    }
    check_audit(&issuers.site);
}

#[tokio::test]
async fn a_token_whose_key_goes_is_refused_although_it_was_accepted_before() {
    let issuers = Issuers::new();
    let gateway = issuers.site.start();
    let token = issuers.es.token("at+jwt", &super::claims_of_mail());
    let client = bearer(&gateway.url, &token);
    assert_eq!(call(&client, "first").await.reason(), "ok");
    issuers.publish("mailbot", &[&issuers.ed]);
    // An unknown key makes the gateway look at the file, whatever it has remembered.
    let other = Signer::new("ES256", "stranger").token("at+jwt", &super::claims_of_mail());
    assert_eq!(call(&bearer(&gateway.url, &other), "other").await.reason(), "token_key_unknown");
    assert_eq!(call(&client, "second").await.reason(), "token_key_unknown");
    let rotated = issuers.ed.token("at+jwt", &super::claims_of_mail());
    assert_eq!(call(&bearer(&gateway.url, &rotated), "third").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(issuers.site.executed(), ["first", "third"]);
    check_audit(&issuers.site);
}
