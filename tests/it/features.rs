//! Prompts, resources, templates, completion and logs: listed, hidden, called, and decided like tools.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::support::audit::{of_kind, records};
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Exchange, Site, check_audit, shaped};

const REVISION: &str = "2025-11-25";

/// Two libraries: a trusted one, and one whose words are the web's. Mail may read notes and get prompts.
fn site(many: usize) -> Site {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/library_server.py");
    let site = Site::with_oracle("");
    let upstream = |name: &str, returns: &str| {
        let ledger = site.path(&format!("{name}.requests"));
        format!(
            "[upstreams.{name}]\ncommand = [\"python3\", {library:?}, {ledger:?}, \"{many}\"]\nreturns = \"{returns}\"\n"
        )
    };
    let lists = r#"
prompts = { allow = ["*"], deny = ["*.secret"] }
resources = { allow = ["library:*", "web:note:2"], deny = ["library:note:secret", "library:vault:*"] }
completion = { allow = ["library"] }
"#;
    site.edit(|config| {
        let config = config.replace("[sources.chat]\n", &format!("[sources.chat]{lists}"));
        let config = config.replace("[sources.web]\n", "[sources.web]\nresources = { allow = [\"library:note:1\"] }\n");
        let all = "prompts = { allow = [\"*\"] }\nresources = { allow = [\"*\"] }\ncompletion = { allow = [\"*\"] }\n";
        let config = config.replace("[roles.assistant]\n", &format!("[roles.assistant]\n{all}"));
        format!("{config}\n{}{}", upstream("library", "trusted"), upstream("web", "web"))
    });
    site
}

async fn client(gateway: &Gateway, key: &str) -> Client {
    Client::new(&gateway.url, key).initialize(REVISION).await
}

/// What stands in a list under `key`.
fn listed(answer: &Exchange, member: &str, key: &str) -> Vec<String> {
    let json = answer.json();
    let entries = json["result"][member].as_array().unwrap_or_else(|| panic!("no list: {json}"));
    entries.iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
}

/// The methods that a library was sent, those of its start left out.
fn asked(site: &Site, upstream: &str, method: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path(&format!("{upstream}.requests"))).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["method"] == method).collect()
}

#[tokio::test]
async fn lists_show_what_may_be_known_and_never_the_words_of_strangers() {
    let site = site(0);
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let prompts = chat.request(1, "prompts/list", &json!({})).await;
    assert_eq!(listed(&prompts, "prompts", "name"), ["library__greet"]);
    let text = String::from_utf8(prompts.body.to_vec()).unwrap();
    assert!(text.contains("\"x-unknown\": 12345678901234567890"), "byte for byte but for the name: {text}");
    let resources = chat.request(2, "resources/list", &json!({})).await;
    assert_eq!(listed(&resources, "resources", "uri"), ["note:1"]);
    assert!(String::from_utf8_lossy(&resources.body).contains("9007199254740993"));
    let templates = chat.request(3, "resources/templates/list", &json!({})).await;
    assert_eq!(listed(&templates, "resourceTemplates", "uriTemplate"), ["note:{id}"]);
    // Mail has no permission of these classes at all: nobody is asked on its behalf.
    let before = asked(&site, "library", "prompts/list").len();
    let mail = client(&gateway, EMAIL_KEY).await;
    let none = mail.request(1, "prompts/list", &json!({})).await;
    assert_eq!(listed(&none, "prompts", "name"), [""; 0]);
    assert_eq!(asked(&site, "library", "prompts/list").len(), before);
    assert_eq!(asked(&site, "web", "prompts/list").len(), 0, "its entries are strangers' words");
    assert!(gateway.stop().success());
    let shown: Vec<_> = of_kind(&site, "list").iter().map(|list| list["shown"].clone()).collect();
    assert_eq!(shown, [1, 1, 1, 0]);
    check_audit(&site);
}

#[tokio::test]
async fn capabilities_say_what_the_credential_may_use() {
    let site = site(0);
    let gateway = site.start();
    let body = json!({ "protocolVersion": REVISION, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let introduced = |key| {
        let (url, body) = (gateway.url.clone(), body.clone());
        async move {
            let answer = Client::new(&url, key).request(1, "initialize", &body).await;
            let json = answer.json();
            let capabilities = json["result"]["capabilities"].as_object().unwrap();
            capabilities.keys().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        }
    };
    assert_eq!(introduced(CHAT_KEY).await, ["completions", "logging", "prompts", "resources", "tools"]);
    assert_eq!(introduced(EMAIL_KEY).await, ["logging", "tools"]);
    let asked = Client::new(&gateway.url, EMAIL_KEY).modern(1, "server/discover", json!({})).await;
    assert!(asked.json()["result"]["capabilities"]["prompts"].is_null());
    let asked = Client::new(&gateway.url, CHAT_KEY).modern(1, "server/discover", json!({})).await;
    let resources = &asked.json()["result"]["capabilities"]["resources"];
    assert_eq!(*resources, json!({ "subscribe": true, "listChanged": true }));
}

#[tokio::test]
async fn what_the_operator_says_of_single_resources_and_prompts_counts_for_them_alone() {
    let site = site(0);
    site.edit(|config| {
        let web = "returns = \"web\"\n";
        let finer = "resources = [{ resource = \"note:1\", returns = \"trusted\" }]\nprompts = [{ prompt = \"gr*\", returns = \"trusted\" }]\n";
        let (before, after) = config.rsplit_once(web).unwrap();
        let config = format!("{before}{web}{finer}{after}");
        config.replace("\"web:note:2\"", "\"web:note:*\"")
    });
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    // What is declared trusted is listed; everything else of the web's library is strangers' words as before.
    let prompts = chat.request(1, "prompts/list", &json!({})).await;
    assert_eq!(listed(&prompts, "prompts", "name"), ["library__greet", "web__greet"]);
    let resources = chat.request(2, "resources/list", &json!({})).await;
    assert_eq!(listed(&resources, "resources", "uri"), ["note:1", "note:1"], "of both");
    let got = chat.request(3, "prompts/get", &json!({ "name": "web__greet" })).await;
    assert_eq!(got.reason(), "ok");
    let intent = of_kind(&site, "intent").pop().unwrap();
    assert_eq!((&intent["prompt"], &intent["adds"]), (&json!("web.greet"), &json!([])), "it adds nothing");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn i7_a_prompt_is_got_under_its_own_name_and_a_resource_comes_byte_for_byte() {
    let site = site(0);
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let params = json!({ "name": "library__greet", "arguments": { "who": "a__b" }, "extra": 1 });
    let got = chat.request(1, "prompts/get", &params).await;
    let text = got.json()["result"]["messages"][0]["content"]["text"].as_str().unwrap().to_owned();
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sent, json!({ "name": "greet", "arguments": { "who": "a__b" }, "extra": 1 }));
    for (id, uri) in [(2, "note:1"), (3, "note:unlisted")] {
        let read = chat.request(id, "resources/read", &json!({ "uri": uri })).await;
        assert!(String::from_utf8_lossy(&read.body).contains("\"n\": 12345678901234567890"), "{read:?}");
        let modern =
            Client::new(&gateway.url, CHAT_KEY).modern(id, "resources/read", json!({ "uri": uri })).await;
        let json = modern.json();
        assert_eq!(json["result"]["cacheScope"], "private", "{json}");
        assert_eq!(json["result"]["ttlMs"], 0);
    }
    let reference = json!({ "type": "ref/prompt", "name": "library__greet" });
    let completed = |reference: Value| {
        let chat = chat.clone();
        let params = json!({ "ref": reference, "argument": { "name": "who", "value": "a" } });
        async move { chat.request(4, "completion/complete", &params).await.json() }
    };
    assert_eq!(completed(reference).await["result"]["completion"]["values"], json!(["greet"]));
    let template = json!({ "type": "ref/resource", "uri": "note:{id}" });
    assert_eq!(completed(template).await["result"]["completion"]["values"], json!(["note:{id}"]));
    assert!(gateway.stop().success());
    let intents = of_kind(&site, "intent");
    let methods: Vec<_> =
        intents.iter().map(|intent| intent["method"].as_str().unwrap().to_owned()).collect();
    assert_eq!(methods.iter().filter(|method| *method == "resources/read").count(), 4);
    assert_eq!(intents[0]["prompt"], "library.greet");
    assert!(intents.iter().any(|intent| intent["resource"] == "library:note:1"));
    assert!(intents.iter().any(|intent| intent["completion"] == "library"));
    check_audit(&site);
}

#[tokio::test]
async fn i5_what_is_hidden_is_answered_like_what_does_not_exist() {
    let site = site(0);
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let modern = Client::new(&gateway.url, CHAT_KEY);
    let argument = json!({ "name": "who", "value": "a" });
    let of_prompt =
        |name: &str| json!({ "ref": { "type": "ref/prompt", "name": name }, "argument": argument });
    let of_template =
        |uri: &str| json!({ "ref": { "type": "ref/resource", "uri": uri }, "argument": argument });
    let pairs = [
        ("prompts/get", json!({ "name": "library__secret" }), json!({ "name": "library__absent" })),
        ("prompts/get", json!({ "name": "library__secret" }), json!({ "name": "nowhere__absent" })),
        ("resources/read", json!({ "uri": "note:secret" }), json!({ "uri": "absent:1" })),
        ("resources/read", json!({ "uri": "vault:1" }), json!({ "uri": "file:///../etc/passwd" })),
        ("resources/read", json!({ "uri": "vault:1" }), json!({ "uri": "no uri" })),
        ("completion/complete", of_prompt("library__secret"), of_prompt("library__absent")),
        ("completion/complete", of_prompt("library__secret"), of_prompt("web__greet")),
        ("completion/complete", of_template("vault:{id}"), of_template("absent:{id}")),
    ];
    for (method, hidden, absent) in pairs {
        for revision in ["legacy", "modern"] {
            let ask = async |params: &Value| match revision {
                "legacy" => chat.request(7, method, params).await,
                _ => modern.modern(7, method, params.clone()).await,
            };
            let (one, other) = (ask(&hidden).await, ask(&absent).await);
            let neutral = |answer: &Exchange, params: &Value| {
                let name = ["/name", "/uri", "/ref/name", "/ref/uri"]
                    .iter()
                    .find_map(|at| params.pointer(at)?.as_str());
                assert!(answer.json().get("error").is_some(), "{method}: {answer:?}");
                String::from_utf8_lossy(&answer.body).replace(name.unwrap(), "X")
            };
            assert_eq!(neutral(&one, &hidden), neutral(&other, &absent), "{method} in {revision}");
            assert_eq!(one.status, other.status);
        }
    }
    for upstream in ["library", "web"] {
        let ledger = std::fs::read_to_string(site.path(&format!("{upstream}.requests"))).unwrap_or_default();
        assert!(!ledger.contains("secret") && !ledger.contains("vault"), "{ledger}");
    }
    assert!(gateway.stop().success());
    assert!(of_kind(&site, "denial").iter().all(|denial| denial["reason"] == "not_visible"));
    check_audit(&site);
}

#[tokio::test]
async fn i4_what_was_read_closes_what_its_source_does_not_allow() {
    let site = site(0);
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let both = json!({ "uri": "note:2" });
    // Both libraries may have it and one lists the template first.
    assert_eq!(chat.request(1, "resources/read", &both).await.reason(), "ok");
    assert_eq!(chat.request(2, "prompts/get", &json!({ "name": "web__greet" })).await.reason(), "ok");
    let refused = chat.request(3, "resources/read", &both).await;
    assert_eq!(refused.reason(), "source_denies");
    assert_eq!(refused.json()["error"]["code"], -31_000);
    assert_eq!(refused.json()["error"]["data"]["decision"], "deny");
    assert_eq!(chat.request(4, "resources/read", &json!({ "uri": "note:1" })).await.reason(), "ok");
    // A list of the older revisions shrinks with it, that of 2026-07-28 does not.
    let legacy = chat.request(5, "prompts/list", &json!({})).await;
    assert_eq!(listed(&legacy, "prompts", "name"), [""; 0]);
    let modern = Client::new(&gateway.url, CHAT_KEY).modern(6, "prompts/list", json!({})).await;
    assert_eq!(listed(&modern, "prompts", "name"), ["library__greet"]);
    assert!(gateway.stop().success());
    let adds: Vec<_> = of_kind(&site, "intent").iter().map(|intent| intent["adds"].clone()).collect();
    assert_eq!(adds[1], json!(["web"]), "{adds:?}");
    check_audit(&site);
}

#[tokio::test]
async fn i9_a_long_list_comes_in_pages_whose_cursors_are_one_callers() {
    let site = site(2500);
    let gateway = site.start();
    let (mut cursor, mut seen, mut pages) = (None, Vec::new(), 0);
    let (chat, other) = (client(&gateway, CHAT_KEY).await, client(&gateway, OTHER_KEY).await);
    loop {
        let params = cursor.as_ref().map_or(json!({}), |cursor| json!({ "cursor": cursor }));
        let page = chat.request(1, "resources/list", &params).await;
        seen.extend(listed(&page, "resources", "uri"));
        pages += 1;
        match page.json()["result"]["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
        let stolen = json!({ "cursor": cursor });
        assert_eq!(other.request(2, "resources/list", &stolen).await.reason(), "cursor_unknown");
        assert_eq!(chat.request(3, "prompts/list", &stolen).await.reason(), "cursor_unknown");
    }
    assert_eq!((seen.len(), pages), (2501, 3));
    assert_eq!(seen[2500], "many:2499");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn logs_reach_the_call_that_they_belong_to_at_the_level_that_was_asked_for() {
    let site = site(0);
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let call = |id| message(id, "tools/call", &json!({ "name": "library__log", "arguments": {} }));
    let levels = |answer: &Exchange| {
        let events = answer.events();
        let levels = events.iter().filter_map(|event| event["params"]["level"].as_str().map(str::to_owned));
        levels.collect::<Vec<_>>()
    };
    let told = chat.post(call(1)).await;
    assert_eq!(levels(&told), ["warning", "error", "critical", "alert", "emergency"]);
    assert_eq!(chat.request(2, "logging/setLevel", &json!({ "level": "alert" })).await.reason(), "ok");
    assert_eq!(levels(&chat.post(call(3)).await), ["alert", "emergency"]);
    assert_eq!(
        chat.request(4, "logging/setLevel", &json!({ "level": "loud" })).await.reason(),
        "params_invalid"
    );
    let modern = Client::new(&gateway.url, CHAT_KEY);
    let silent = modern.modern(5, "tools/call", json!({ "name": "library__log", "arguments": {} })).await;
    assert_eq!(silent.headers["content-type"], "application/json", "it asked for none");
    let meta = json!({ "io.modelcontextprotocol/logLevel": "info" });
    let loud = modern
        .modern(6, "tools/call", json!({ "name": "library__log", "arguments": {}, "_meta": meta }))
        .await;
    assert_eq!(levels(&loud), ["info", "notice", "warning", "error", "critical", "alert", "emergency"]);
}

#[tokio::test]
async fn changes_are_told_to_those_who_share_the_instance_and_may_see_them() {
    let site = site(0);
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let mut stream = chat.clone().open(Method::GET, "").await;
    chat.request(1, "prompts/list", &json!({})).await;
    let other = client(&gateway, OTHER_KEY).await;
    let mut others = other.clone().open(Method::GET, "").await;
    assert_eq!(other.call("library__announce", "").await.reason(), "ok");
    let mut methods = [others.next().await, others.next().await].map(|told| told["method"].to_string());
    methods.sort();
    assert_eq!(
        methods,
        ["\"notifications/prompts/list_changed\"", "\"notifications/resources/list_changed\""]
    );
    // What comes next on the first stream is what its own subject caused.
    assert_eq!(chat.call("web__announce", "").await.reason(), "ok");
    assert_eq!(
        stream.next().await["method"],
        "notifications/tools/list_changed",
        "taint, and no entries of strangers"
    );
    assert_eq!(chat.call("library__announce", "").await.reason(), "source_denies");
    assert!(gateway.stop().success());
    assert!(records(&site).len() > 4);
}

#[tokio::test]
async fn a63_what_looks_like_a_template_in_the_arguments_of_a_prompt_stays_as_it_is() {
    let prompt = json!({ "name": "greet", "arguments": [{ "name": "who" }] });
    let site = shaped::site("", "", &json!({ "prompts": [prompt] }));
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let who = "{{7*7}} ${7*7} <%= 7*7 %> #{7*7} %s $(id) \\u0000";
    let params = json!({ "name": "shaped__greet", "arguments": { "who": who } });
    assert_eq!(chat.request(1, "prompts/get", &params).await.reason(), "ok");
    let sent: Value = serde_json::from_str(&shaped::ledger(&site).concat()).unwrap();
    assert_eq!(sent["params"]["arguments"], json!({ "who": who }));
    assert!(gateway.stop().success());
    check_audit(&site);
}
