//! Run tokens that a running gateway makes: at the admin socket, over HTTP, and what stands on record.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use data_encoding::BASE64;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::tokens::{AUDIENCE, MAILHOOK_KEY, leaks, minting, verified};
use crate::support::{Client, Site, check_audit};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const UNSIGNED: &str = "urn:ietf:params:oauth:token-type:unsigned_json";
const TXN_TOKEN: &str = "urn:ietf:params:oauth:token-type:txn_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

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
fn with_input(site: &Site, arguments: &[&str], input: &str) -> (i32, String, String) {
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
        assert!(code == 1 || code == 69, "{code}");
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
    let forged = token.replace(&signature, &signature.chars().rev().collect::<String>());
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

/// One exchange at the token endpoint.
struct Asked<'g> {
    gateway: &'g Gateway,
    headers: Vec<(&'static str, String)>,
    form: Vec<(&'static str, String)>,
}

impl<'g> Asked<'g> {
    fn good(gateway: &'g Gateway) -> Self {
        let subject = json!({ "sub": "user:1", "roles": ["assistant"] }).to_string();
        let details =
            json!({ "src": [{ "kind": "email", "sender": "x@y" }], "goal": "triage_mail" }).to_string();
        let form = vec![
            ("grant_type", GRANT.to_owned()),
            ("requested_token_type", TXN_TOKEN.to_owned()),
            ("subject_token_type", UNSIGNED.to_owned()),
            ("subject_token", subject),
            ("request_details", details),
            ("request_context", json!({ "event": "imap:1" }).to_string()),
            ("audience", AUDIENCE.to_owned()),
        ];
        let headers = vec![("authorization", format!("Bearer {MAILHOOK_KEY}"))];
        Self { gateway, headers, form }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.form.retain(|(known, _)| *known != name);
        self.form.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.form.retain(|(known, _)| *known != name);
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.headers.push((name, value.to_owned()));
        }
        self
    }

    fn renewing(self, token: &str) -> Self {
        self.without("request_details")
            .without("request_context")
            .with("subject_token_type", TXN_TOKEN)
            .with("subject_token", token)
    }

    async fn send(self) -> (StatusCode, Value, http::HeaderMap) {
        let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let parts: Vec<_> =
            self.form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        self.raw(parts.join("&")).await
    }

    async fn raw(self, body: String) -> (StatusCode, Value, http::HeaderMap) {
        let url = self.gateway.url.replace("/mcp", "/token");
        let mut client = Client::anonymous(&url).with("content-type", "application/x-www-form-urlencoded");
        for (name, value) in &self.headers {
            client = client.with(name, value);
        }
        let answer = client.post(body).await;
        let json = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        (answer.status, json, answer.headers)
    }
}

#[tokio::test]
async fn a_dispatcher_gets_and_renews_tokens_over_http() {
    let site = site();
    let gateway = site.start();
    let (status, answer, headers) = Asked::good(&gateway).send().await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(
        (&headers["cache-control"], &headers["content-type"]),
        (&"no-store".parse().unwrap(), &"application/json".parse().unwrap())
    );
    assert_eq!((&answer["token_type"], &answer["issued_token_type"]), (&json!("N_A"), &json!(TXN_TOKEN)));
    assert_eq!(answer["expires_in"], 900);
    let token = answer["access_token"].as_str().unwrap();
    let (header, claims) = verified(&site, token);
    assert_eq!(header["typ"], "txntoken+jwt");
    assert_eq!((&claims["txn"], &claims["req_wl"]), (&answer["txn"], &json!("dispatchers.mailhook")));
    assert_eq!(claims["rctx"], json!({ "event": "imap:1" }));

    let (status, renewed, _) = Asked::good(&gateway).renewing(token).send().await;
    assert_eq!(status, StatusCode::OK, "{renewed}");
    assert_eq!(verified(&site, renewed["access_token"].as_str().unwrap()).1["txn"], claims["txn"]);

    let basic = format!("Basic {}", BASE64.encode(format!("mailhook:{MAILHOOK_KEY}").as_bytes()));
    let ways = [
        Asked::good(&gateway).header("authorization", &basic),
        Asked::good(&gateway)
            .header("authorization", "")
            .with("client_id", "mailhook")
            .with("client_secret", MAILHOOK_KEY),
    ];
    for way in ways {
        let (status, answer, _) = way.with("requested_token_type", ACCESS_TOKEN).send().await;
        assert_eq!((status, &answer["token_type"]), (StatusCode::OK, &json!("Bearer")), "{answer}");
        assert_eq!(verified(&site, answer["access_token"].as_str().unwrap()).0["typ"], "at+jwt");
    }
    let records = of_kind(&site, "mint");
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record["dispatcher"] == "dispatchers.mailhook"), "{records:?}");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn every_refusal_of_the_token_endpoint_has_its_error_and_its_record() {
    let site = site();
    let gateway = site.start();
    let good = || Asked::good(&gateway);
    let operators = mint(&site, &LABEL).1.trim().to_owned();
    let details = |json: Value| json.to_string();
    let cases = [
        (good().with("grant_type", "authorization_code"), "unsupported_grant_type", "params_invalid"),
        (good().without("grant_type"), "invalid_request", "params_invalid"),
        (good().with("requested_token_type", "urn:x"), "invalid_request", "params_invalid"),
        (good().without("subject_token"), "invalid_request", "params_invalid"),
        (good().with("audience", "http://other/mcp"), "invalid_target", "token_audience_wrong"),
        (good().with("scope", "admin"), "invalid_scope", "params_invalid"),
        (good().with("request_details", "{}"), "invalid_request", "params_invalid"),
        (
            good().with("request_details", &details(json!({ "src": [{ "kind": "web" }] }))),
            "invalid_request",
            "label_forbidden",
        ),
        (
            good().with("request_details", &details(json!({ "src": [] }))),
            "invalid_request",
            "token_claims_invalid",
        ),
        (
            good().with("subject_token", &details(json!({ "sub": "svc:1" }))),
            "invalid_request",
            "label_forbidden",
        ),
        (
            good().with("subject_token", &details(json!({ "sub": "user:1", "act": { "sub": "x" } }))),
            "invalid_request",
            "label_forbidden",
        ),
        (
            good().with("subject_token", &details(json!({ "sub": "user:1", "ttl": 7200 }))),
            "invalid_request",
            "token_lifetime_too_long",
        ),
        (good().renewing("eyJ.e30.c2ln"), "invalid_request", "token_malformed"),
        (good().renewing(&operators), "invalid_request", "label_forbidden"),
    ];
    let expected: Vec<_> = cases.iter().map(|(_, _, reason)| *reason).collect();
    for (asked, error, reason) in cases {
        let (status, answer, headers) = asked.send().await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{reason}: {answer}"
        );
        assert_eq!(headers["cache-control"], "no-store");
    }
    let refused: Vec<_> =
        of_kind(&site, "mint").into_iter().filter(|record| record["result"] == "refused").collect();
    let reasons: Vec<_> = refused.iter().map(|record| record["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, expected);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn who_is_no_dispatcher_gets_a_401_that_is_counted() {
    let site = site();
    let gateway = site.start();
    let good = || Asked::good(&gateway);
    let basic = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
    let cases = [
        (good().header("authorization", ""), StatusCode::UNAUTHORIZED, "invalid_client"),
        (
            good().header("authorization", &format!("Bearer {CHAT_KEY}")),
            StatusCode::UNAUTHORIZED,
            "invalid_client",
        ),
        (good().header("authorization", "Bearer x"), StatusCode::UNAUTHORIZED, "invalid_client"),
        (
            good().header("authorization", &basic(&format!("other:{MAILHOOK_KEY}"))),
            StatusCode::UNAUTHORIZED,
            "invalid_client",
        ),
        (good().header("authorization", &basic("mailhook")), StatusCode::UNAUTHORIZED, "invalid_client"),
        (good().header("authorization", "Basic %%%"), StatusCode::UNAUTHORIZED, "invalid_client"),
        (good().header("authorization", "Digest x"), StatusCode::UNAUTHORIZED, "invalid_client"),
        (
            good().header("authorization", "").with("client_secret", MAILHOOK_KEY),
            StatusCode::UNAUTHORIZED,
            "invalid_client",
        ),
        (
            good().header("authorization", "").with("client_assertion", "eyJ"),
            StatusCode::UNAUTHORIZED,
            "invalid_client",
        ),
        (good().with("client_secret", MAILHOOK_KEY), StatusCode::BAD_REQUEST, "invalid_request"),
    ];
    let count = cases.len() as u64;
    for (asked, status, error) in cases {
        let (found, answer, headers) = asked.send().await;
        assert_eq!((found, &answer["error"]), (status, &json!(error)), "{answer}");
        assert_eq!(headers.contains_key("www-authenticate"), status == StatusCode::UNAUTHORIZED);
    }
    assert!(gateway.stop().success());
    let counted: u64 =
        of_kind(&site, "auth_failures").iter().map(|record| record["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, count);
    assert!(of_kind(&site, "mint").is_empty());
    check_audit(&site);
}

#[tokio::test]
async fn a16_a48_the_token_endpoint_has_the_guards_of_every_path() {
    let site = site();
    let gateway = site.start();
    let good = || Asked::good(&gateway);
    let status = |(status, _, _): (StatusCode, Value, http::HeaderMap)| status;
    assert_eq!(status(good().header("origin", "https://evil.example").send().await), StatusCode::FORBIDDEN);
    assert_eq!(
        status(good().header("content-type", "application/json").send().await),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(status(good().raw("a=1&a=2".into()).await), StatusCode::BAD_REQUEST);
    assert_eq!(status(good().raw("a=%zz".into()).await), StatusCode::BAD_REQUEST);
    assert_eq!(status(good().raw("x".repeat(70_000)).await), StatusCode::PAYLOAD_TOO_LARGE);
    let url = gateway.url.replace("/mcp", "/token");
    let get = Client::anonymous(&url).send(Method::GET, "").await;
    assert_eq!(
        (get.status, &get.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
    for path in ["/token/", "/token?x", "/Token", "/%74oken"] {
        let answer = Client::anonymous(&gateway.url.replace("/mcp", path)).post("").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(gateway.stop().success());

    let none = Site::with_oracle("");
    let gateway = none.start();
    let answer = Client::anonymous(&gateway.url.replace("/mcp", "/token")).post("").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "without dispatchers there is nothing");
    assert!(gateway.stop().success());
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
