//! Run tokens that a running gateway makes: at the admin socket, over HTTP, and what stands on record.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::CHAT_KEY;
use crate::support::tokens::{AUDIENCE, MAILHOOK_KEY, leaks, minted, minting, verified};
use crate::support::{Client, Site, check_audit};
use crate::token_endpoint::Asked;

fn site() -> Site {
    Site::with_oracle(&minting())
}

fn mint(site: &Site, arguments: &[&str]) -> (i32, String, String) {
    site.run(&[&["token", "mint"], arguments].concat())
}

const LABEL: [&str; 12] = [
    "--source",
    "email",
    "--subject",
    "user:1",
    "--role",
    "assistant",
    "--agent",
    "inbox",
    "--trigger",
    "sender=x@y.example",
    "--goal",
    "triage_mail",
];

/// A command that reads standard input.
pub fn with_input(site: &Site, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = site.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[test]
fn a_token_within_the_ceiling_is_minted_alone_on_standard_output_and_on_the_record() {
    let site = site();
    let gateway = site.start();
    let (code, out, err) = mint(&site, &LABEL);
    assert_eq!((code, err.as_str(), out.lines().count()), (0, "", 1));
    let token = out.trim();
    let (header, claims) = verified(&site, token);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("sluicegate"), &json!(AUDIENCE)));
    let src = json!({ "src": [{ "kind": "email", "sender": "x@y.example" }], "goal": "triage_mail" });
    assert_eq!((&claims["sub"], &claims["tctx"]), (&json!("user:1"), &src));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 15 * 60);

    let (code, out, _) = mint(
        &site,
        &[&LABEL[..], &["--json", "--ttl", "5m", "--txn", "mine", "--carrier", "txn-token"]].concat(),
    );
    assert_eq!(code, 0);
    let answer: Value = serde_json::from_str(&out).unwrap();
    let (header, claims) = verified(&site, answer["token"].as_str().unwrap());
    assert_eq!((&header["typ"], &claims["txn"]), (&json!("txntoken+jwt"), &json!("mine")));
    assert_eq!(
        (&answer["txn"], &answer["exp"], &answer["expires_in"]),
        (&json!("mine"), &claims["exp"], &json!(300))
    );

    let records = of_kind(&site, "mint");
    assert_eq!(records.len(), 2);
    let record = &records[0];
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(
        (&record["by"]["uid"], &record["act"], &record["result"]),
        (&json!(uid), &json!("mint"), &json!("made"))
    );
    let label = &record["label"];
    assert_eq!(
        (&label["subject"], &label["roles"], &label["agents"]),
        (&json!("user:1"), &json!(["assistant"]), &json!(["inbox"]))
    );
    assert_eq!((&label["sources"], &label["goal"]), (&json!(["email"]), &json!("triage_mail")));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[test]
fn what_may_not_be_asserted_is_refused_by_name_and_on_the_record() {
    let site = site();
    let gateway = site.start();
    let cases: [(&[&str], &str); 6] = [
        (&["--source", "chat", "--subject", "user:1"], "source `chat` may not be asserted"),
        (&["--source", "email", "--subject", "svc:1"], "subject `svc:1` may not be asserted"),
        (
            &["--source", "email", "--subject", "user:1", "--role", "admin"],
            "role `admin` may not be asserted",
        ),
        (&["--source", "email", "--subject", "user:1", "--goal", "pay"], "goal `pay` may not be asserted"),
        (&["--source", "email", "--subject", "user:1", "--ttl", "2h"], "1 to 3600 seconds"),
        (&["--source", "email", "--subject", "user:1", "--agent", "a", "--agent", "a"], "twice"),
    ];
    for (arguments, part) in cases {
        let (code, out, err) = mint(&site, arguments);
        assert_ne!(code, 0, "{arguments:?}");
        assert!(out.is_empty() && err.contains(part), "{arguments:?}: {err}");
    }
    let records = of_kind(&site, "mint");
    // The last one was not even asked: the command knows its bounds.
    assert_eq!(records.len(), 5);
    assert!(records.iter().all(|record| record["result"] == "refused"), "{records:?}");
    let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap()).collect();
    let forbidden = "label_forbidden";
    assert_eq!(reasons, [forbidden, forbidden, forbidden, forbidden, "token_lifetime_too_long"]);
    assert!(records[0]["detail"].as_str().unwrap().contains("`chat`"));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[test]
fn a_gateway_without_minting_says_what_to_add() {
    let site = Site::with_oracle("");
    let _gateway = site.start();
    let (code, _, err) = mint(&site, &["--source", "email", "--subject", "user:1"]);
    assert_eq!(code, 1);
    assert!(err.contains("add `[auth.mint]`"), "{err}");
    assert!(!site.path("state/keys").exists());
}

#[test]
fn keys_rotate_with_overlap_and_on_the_record() {
    let site = site();
    let gateway = site.start();
    let old = mint(&site, &LABEL).1;
    let (code, out, _) = site.run(&["token", "rotate-key", "--json"]);
    assert_eq!(code, 0);
    let rotated: Value = serde_json::from_str(&out).unwrap();
    let new = mint(&site, &LABEL).1;
    let (old_kid, new_kid) =
        (verified(&site, old.trim()).0["kid"].clone(), verified(&site, new.trim()).0["kid"].clone());
    assert_ne!(old_kid, new_kid);
    assert_eq!(new_kid, rotated["kid"]);
    assert_eq!(with_input(&site, &["token", "inspect"], &old).0, 0, "the old one is accepted");
    let records = of_kind(&site, "token_key");
    let changes: Vec<_> =
        records.iter().map(|record| (record["change"].as_str().unwrap(), record["kid"].clone())).collect();
    assert_eq!(changes, [("made", old_kid), ("rotated", new_kid.clone())]);
    gateway.kill();

    let gateway = site.start();
    assert_eq!(with_input(&site, &["token", "inspect"], &old).0, 0, "and after a restart");
    assert_eq!(verified(&site, mint(&site, &LABEL).1.trim()).0["kid"], new_kid);
    assert_eq!(of_kind(&site, "token_key").len(), 2, "nothing was made anew");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[test]
fn keys_that_others_may_read_stop_the_start() {
    let site = site();
    assert!(site.start().stop().success());
    let jwks = site.path("state/keys/token.jwks.json");
    std::fs::set_permissions(&jwks, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = site.try_start().map(drop).unwrap_err();
    assert!(said.contains("chmod 600") && said.contains("token.jwks.json"), "{said}");
    std::fs::set_permissions(&jwks, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(site.start().stop().success());
}

#[test]
fn a_renewed_token_says_the_same_with_a_new_end() {
    let site = site();
    let gateway = site.start();
    let old = mint(&site, &[&LABEL[..], &["--ttl", "60s"]].concat()).1;
    let (code, new, err) = with_input(&site, &["token", "renew", "--ttl", "10m"], &old);
    assert_eq!((code, err.as_str()), (0, ""));
    let (old_claims, new_claims) = (verified(&site, old.trim()).1, verified(&site, new.trim()).1);
    for claim in ["txn", "sub", "act", "roles", "tctx", "req_wl"] {
        assert_eq!(old_claims[claim], new_claims[claim], "{claim}");
    }
    assert!(new_claims["exp"].as_i64().unwrap() > old_claims["exp"].as_i64().unwrap() + 500);
    let forged = format!("{}x", old.trim());
    for (token, part) in
        [("nothing", "malformed"), (&*forged, "malformed"), ("", "no token on standard input")]
    {
        let (code, out, err) = with_input(&site, &["token", "renew"], token);
        assert!(code == 1, "{code}");
        assert!(out.is_empty() && err.contains(part), "{token}: {err}");
    }
    let records = of_kind(&site, "mint");
    let acts: Vec<_> = records
        .iter()
        .map(|record| (record["act"].as_str().unwrap(), record["result"].as_str().unwrap()))
        .collect();
    assert_eq!(acts, [("mint", "made"), ("renew", "made"), ("renew", "refused"), ("renew", "refused")]);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[test]
fn a47_a_token_is_inspected_without_its_signature() {
    let site = site();
    let gateway = site.start();
    let token = mint(&site, &LABEL).1.trim().to_owned();
    let signature = token.rsplit_once('.').unwrap().1.to_owned();
    let (code, out, err) = with_input(&site, &["token", "inspect"], &token);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("accepts it") && out.contains("user:1") && !out.contains(&signature), "{out}");
    let (code, out, err) = site.run(&["token", "inspect", "--json", &token]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["gateway"]["verdict"]), (0, &json!("accepted")));
    assert!(err.contains("other users of this machine"), "{err}");
    let swapped = if signature.starts_with('A') { "B" } else { "A" };
    let forged = token.replace(&signature, &format!("{swapped}{}", signature.split_at(1).1));
    let (code, out, _) = with_input(&site, &["token", "inspect"], &forged);
    assert_eq!(code, 1);
    assert!(out.contains("refuses it: token_"), "{out}");
    assert!(gateway.stop().success());
    let (code, out, _) = with_input(&site, &["token", "inspect"], &token);
    assert_eq!(code, 0);
    assert!(out.contains("was not asked: no gateway runs"), "{out}");
    let (code, _, err) = with_input(&site, &["token", "inspect"], CHAT_KEY);
    assert_eq!(code, 1);
    assert!(err.contains("no signed token") && !err.contains(CHAT_KEY), "{err}");
}

#[test]
fn headers_are_written_for_a_clients_helper() {
    let site = site();
    let _gateway = site.start();
    let (code, out, _) = mint(&site, &[&LABEL[..], &["--json-headers"]].concat());
    let headers: Value = serde_json::from_str(&out).unwrap();
    let token = headers["Authorization"].as_str().unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!((code, headers.as_object().unwrap().len()), (0, 1));
    verified(&site, token);
    let path = site.path("token");
    std::fs::write(&path, token).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, again, _) = site.run(&["token", "--json-headers", "--token-file", "token"]);
    assert_eq!((code, again), (0, out.clone()));
    let output =
        site.command(&["token", "--json-headers"]).env("SLUICEGATE_TOKEN_FILE", "token").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), out);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, out, err) = site.run(&["token", "--json-headers", "--token-file", "token"]);
    assert!(code == 78 && out.is_empty() && err.contains("chmod 600"), "{err}");
    let (_, out, _) = mint(&site, &[&LABEL[..], &["--json-headers", "--carrier", "txn-token"]].concat());
    assert!(out.starts_with("{\"Txn-Token\":\"eyJ"), "{out}");
}

#[tokio::test]
async fn i10_no_token_stands_in_the_journal_or_the_log() {
    let site = site();
    let gateway = site.start();
    let mut tokens = vec![mint(&site, &LABEL).1.trim().to_owned()];
    let renewed = with_input(&site, &["token", "renew"], &tokens[0]).1;
    tokens.push(renewed.trim().to_owned());
    let (_, answer, _) = Asked::good(&gateway).send().await;
    tokens.push(answer["access_token"].as_str().unwrap().to_owned());
    let (_, refused, _) = Asked::good(&gateway).renewing(&tokens[0]).send().await;
    assert!(gateway.stop().success());
    let mut said = std::fs::read_to_string(site.path("log")).unwrap();
    said.push_str(&refused.to_string());
    for entry in std::fs::read_dir(site.path("state/journal")).unwrap() {
        said.push_str(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
    for token in &tokens {
        assert!(!leaks(&said, token));
        let jti = verified(&site, token).1["jti"].as_str().unwrap().to_owned();
        assert!(!said.contains(&jti));
    }
    assert!(!said.contains(MAILHOOK_KEY));
    check_audit(&site);
}

#[tokio::test]
async fn i3_a_minted_token_calls_under_its_label_and_no_other() {
    let declared = "[sources.\"email.colleague\"]\nallow = [\"tools.*\"]\n";
    let site = Site::with_oracle(&format!("{}{declared}", minting()));
    let text = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    let trigger = "[sources.email]\ntrigger = { sender = \"string\", auth = \"string\" }\n";
    let refine = "\n[auth.mint.refine.email]\nrules = [{ when = { auth = \"dkim-pass\" }, source = \"email.colleague\" }]\n";
    site.configure(&format!("{}{refine}", text.replace("[sources.email]\n", trigger)));
    let gateway = site.start();
    let token = |arguments: &[&str]| {
        minted(&site, &[&["--source", "email", "--role", "assistant"], arguments].concat())
    };
    let stranger = Client::new(&gateway.url, &token(&["--subject", "user:1", "--trigger", "auth=none"]));
    let colleague = Client::anonymous(&gateway.url).header(
        "txn-token",
        &token(&["--subject", "user:2", "--trigger", "auth=dkim-pass", "--carrier", "txn-token"]),
    );
    let call = |client: Client, tool: &'static str, id: &'static str| async move {
        client.modern(1, "tools/call", json!({ "name": tool, "arguments": { "id": id } })).await.reason()
    };
    assert_eq!(call(stranger.clone(), "tools__read", "a").await, "ok");
    assert_eq!(call(stranger.clone(), "tools__send", "b").await, "plan_required");
    assert_eq!(call(colleague.clone(), "tools__send", "c").await, "ok");
    // The wrong header, and a broken signature.
    let swapped = Client::anonymous(&gateway.url).header("txn-token", &token(&["--subject", "user:1"]));
    assert_eq!(call(swapped, "tools__read", "d").await, "token_type_forbidden");
    let forged = token(&["--subject", "user:1"]).replace("eyJ0eXAi", "eyJ0eXBi");
    assert_ne!(call(Client::new(&gateway.url, &forged), "tools__read", "e").await, "ok");
    let (code, out, _) = with_input(
        &site,
        &["token", "inspect"],
        &token(&["--subject", "user:1", "--trigger", "auth=dkim-pass"]),
    );
    assert!(code == 0 && out.contains("accepts it: issuers.sluicegate vouches for email.colleague"), "{out}");
    let (code, out, _) =
        with_input(&site, &["token", "inspect"], &token(&["--subject", "user:1", "--carrier", "txn-token"]));
    assert!(code == 0 && out.contains("vouches for email"), "{out}");
    let intents = of_kind(&site, "intent");
    assert!(
        intents.iter().all(|intent| intent["principal"]["entry_point"] == "issuers.sluicegate"),
        "{intents:?}"
    );
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a", "c"]);
    check_audit(&site);
}

#[tokio::test]
async fn a_new_key_is_accepted_at_once() {
    let site = site();
    let gateway = site.start();
    for round in 0..3 {
        let token = mint(&site, &LABEL[..6]).1;
        let client = Client::new(&gateway.url, token.trim());
        let id = format!("round-{round}");
        let answer =
            client.modern(1, "tools/call", json!({ "name": "tools__read", "arguments": { "id": id } })).await;
        assert_eq!(answer.reason(), "ok", "{answer:?}");
        assert_eq!(site.run(&["token", "rotate-key"]).0, 0);
    }
    assert!(gateway.stop().success());
    check_audit(&site);
}
