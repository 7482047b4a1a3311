//! `POST /token`: who may ask, for what, and what each refusal is called.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::mint::with_input;
use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::tokens::{AUDIENCE, MAILHOOK_KEY, minted, minting, verified};
use crate::support::{Client, Site, check_audit};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const UNSIGNED: &str = "urn:ietf:params:oauth:token-type:unsigned_json";
const TXN_TOKEN: &str = "urn:ietf:params:oauth:token-type:txn_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn site() -> Site {
    Site::with_oracle(&minting())
}

/// One exchange at the token endpoint.
pub struct Asked<'g> {
    gateway: &'g Gateway,
    headers: Vec<(&'static str, String)>,
    form: Vec<(&'static str, String)>,
}

impl<'g> Asked<'g> {
    pub fn good(gateway: &'g Gateway) -> Self {
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

    pub fn renewing(self, token: &str) -> Self {
        self.without("request_details")
            .without("request_context")
            .with("subject_token_type", TXN_TOKEN)
            .with("subject_token", token)
    }

    pub async fn send(self) -> (StatusCode, Value, http::HeaderMap) {
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
    let operators = minted(&site, &["--source", "email", "--subject", "user:1"]);
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

/// A dispatcher that signs who it is.
struct Scheduler(Ed25519KeyPair);

impl Scheduler {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    /// Its table, with its keys at `jwks`.
    fn table(jwks: &str) -> String {
        format!(
            "[auth.dispatchers.scheduler]\njwks = {{ {jwks} }}\nmay_assert = {{ sources = [\"email\"], \
             subjects = [\"user:*\"], roles = [\"assistant\"], goals = [\"*\"] }}\n"
        )
    }

    fn jwks(&self) -> String {
        let x = BASE64URL_NOPAD.encode(self.0.public_key().as_ref());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one" }] }).to_string()
    }

    fn assertion(&self, jti: &str) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let header = json!({ "alg": "EdDSA", "kid": "one" });
        let claims =
            json!({ "iss": "scheduler", "sub": "scheduler", "aud": AUDIENCE, "exp": now + 120, "jti": jti });
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = BASE64URL_NOPAD.encode(self.0.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }
}

async fn ask_with(gateway: &Gateway, assertion: &str) -> (StatusCode, Value, http::HeaderMap) {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let asked = Asked::good(gateway).header("authorization", "");
    asked.with("client_assertion_type", kind).with("client_assertion", assertion).send().await
}

#[tokio::test]
async fn a_dispatcher_that_signs_who_it_is_gets_a_token_once_for_each_assertion() {
    let scheduler = Scheduler::new();
    let table = Scheduler::table("file = \"scheduler.jwks.json\"");
    let site = Site::with_oracle(&format!("{}{table}", minting()));
    std::fs::write(site.path("scheduler.jwks.json"), scheduler.jwks()).unwrap();
    let gateway = site.start();
    let ask = async |assertion: &str| ask_with(&gateway, assertion).await;
    let (status, answer, _) = ask(&scheduler.assertion("1")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let claims = verified(&site, answer["access_token"].as_str().unwrap()).1;
    assert_eq!(claims["req_wl"], "dispatchers.scheduler");
    assert_eq!(ask(&scheduler.assertion("1")).await.0, StatusCode::UNAUTHORIZED, "it counts once");
    assert_eq!(ask(&scheduler.assertion("2")).await.0, StatusCode::OK);
    let run_token = answer["access_token"].as_str().unwrap();
    assert_eq!(ask(run_token).await.0, StatusCode::UNAUTHORIZED, "a run token is no assertion");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatcher_that_a_reload_removes_while_its_keys_are_loaded_gets_no_token() {
    let scheduler = Scheduler::new();
    let keys = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("url = \"http://{}/jwks\"", keys.local_addr().unwrap());
    let site = Site::with_oracle(&minting());
    let without = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    for meanwhile in [
        (without.clone(), StatusCode::UNAUTHORIZED),
        // Narrowed, and what is asked for would still be allowed: it asks again.
        (without.clone() + &Scheduler::table(&url).replace("user:*", "user:1"), StatusCode::UNAUTHORIZED),
        // What has nothing to do with it.
        (without.clone() + &Scheduler::table(&url) + "# more\n", StatusCode::OK),
    ] {
        site.configure(&(without.clone() + &Scheduler::table(&url)));
        let gateway = site.start();
        let assertion = scheduler.assertion("1");
        let loading = async {
            let (mut stream, _) = keys.accept().await.unwrap();
            site.configure(&meanwhile.0);
            let (code, out, err) = site.run(&["reload"]);
            assert_eq!(code, 0, "{out}{err}");
            let set = scheduler.jwks();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{set}", set.len());
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
        };
        let ((status, answer, _), ()) = tokio::join!(ask_with(&gateway, &assertion), loading);
        assert_eq!(status, meanwhile.1, "{answer}");
        let record = of_kind(&site, "mint").pop().unwrap();
        assert_eq!(record["dispatcher"], "dispatchers.scheduler");
        let reason = if status == StatusCode::OK { Value::Null } else { json!("credential_unknown") };
        assert_eq!(record["reason"], reason);
        assert!(gateway.stop().success());
    }
    check_audit(&site);
}

#[tokio::test]
async fn a_revoked_dispatcher_gets_no_token_and_those_it_got_count_no_more_until_it_is_lifted() {
    let site = site();
    let gateway = site.start();
    let (_, answer, _) = Asked::good(&gateway).send().await;
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let call = async |token: &str, id: &str| {
        let params = json!({ "name": "tools__read", "arguments": { "id": id } });
        let client = Client::anonymous(&gateway.url).with("txn-token", token);
        client.modern(1, "tools/call", params).await.reason().to_owned()
    };
    let (_, unused, _) = Asked::good(&gateway).send().await;
    let unused = unused["access_token"].as_str().unwrap();
    assert_eq!(call(&token, "before").await, "ok");
    let (code, out, err) = site.run(&["runs", "revoke", "--entry-point", "dispatchers.mailhook"]);
    assert!(code == 0 && out.contains("1 open runs have ended") && err.is_empty(), "{code}: {out}{err}");

    for refused in [Asked::good(&gateway), Asked::good(&gateway).renewing(&token)] {
        let (status, answer, _) = refused.send().await;
        assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    }
    // Neither an operator nor a used token gets around it.
    let (code, _, err) = with_input(&site, &["token", "renew"], unused);
    assert!(code != 0 && err.contains("revoked"), "{code}: {err}");
    assert_eq!(call(&token, "after").await, "credential_revoked");
    assert_eq!(call(unused, "unused").await, "credential_revoked");
    // Who else may mint still may.
    let operators = minted(&site, &["--source", "email", "--subject", "user:1", "--role", "assistant"]);
    let others = Client::new(&gateway.url, &operators);
    let params = json!({ "name": "tools__read", "arguments": { "id": "operator" } });
    assert_eq!(others.modern(1, "tools/call", params).await.reason(), "ok");

    assert_eq!(site.run(&["revocations", "lift", "--entry-point", "dispatchers.mailhook"]).0, 0);
    assert_eq!(Asked::good(&gateway).send().await.0, StatusCode::OK);
    assert_eq!(call(unused, "lifted").await, "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["before", "operator", "lifted"]);
    check_audit(&site);
}

#[tokio::test]
async fn no_token_is_made_for_a_revoked_subject_and_its_refusal_is_on_the_record() {
    let site = site();
    let gateway = site.start();
    assert_eq!(site.run(&["runs", "revoke", "--subject", "user:1"]).0, 0);
    let (status, answer, _) = Asked::good(&gateway).send().await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    let other = json!({ "sub": "user:2", "roles": ["assistant"] }).to_string();
    assert_eq!(Asked::good(&gateway).with("subject_token", &other).send().await.0, StatusCode::OK);
    let (code, _, err) = site.run(&["token", "mint", "--source", "email", "--subject", "user:1"]);
    assert!(code != 0 && err.contains("revoked"), "{code}: {err}");
    let reasons: Vec<_> = of_kind(&site, "mint").into_iter().map(|record| record["reason"].clone()).collect();
    assert_eq!(reasons, [json!("credential_revoked"), Value::Null, json!("credential_revoked")]);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn i11_a_dispatcher_that_asks_too_often_is_told_to_wait() {
    let site = site();
    let gateway = site.start();
    // What is wrong counts too: nothing has to be signed to find out.
    let mut last = StatusCode::OK;
    for _ in 0..=sluicegate::identity::MINTS_PER_MINUTE_MAX {
        let (status, answer, headers) = Asked::good(&gateway).with("scope", "x").send().await;
        last = status;
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer["error"], "temporarily_unavailable");
            assert_eq!(headers["retry-after"], "60");
            break;
        }
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let refused = of_kind(&site, "mint").pop().unwrap();
    assert_eq!(refused["reason"], "mint_rate_exceeded");
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn a_dispatcher_whose_address_was_refused_too_often_has_to_wait() {
    let site =
        Site::with_oracle(&format!("{}\n[limits]\nfailed_authentications_per_minute = 2\n", minting()));
    let gateway = site.start();
    let mut last = StatusCode::OK;
    // At most one minute ends meanwhile.
    for _ in 0..6 {
        let bad = Asked::good(&gateway).header("authorization", "Bearer sg_nobody");
        let (status, answer, headers) = bad.send().await;
        last = status;
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer["error"], "temporarily_unavailable");
            assert_eq!(headers["retry-after"], "60");
            break;
        }
        assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert!(gateway.stop().success());
    check_audit(&site);
}
