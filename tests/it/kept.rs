//! What records hold of arguments: what was asked for, nothing else, and nothing that a secret could be read from.

use std::path::Path;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use sluicegate::model::digest::Sha256;

use crate::support::audit::{of_kind, records};
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway, OTHER_KEY};
use crate::support::tls::write;
use crate::support::tracer::Tracer;
use crate::support::{Client, Site};

const TOOLS: &str = r#"tools = [
    { tool = "read", audit = { keep = ["/to", "/none"], hash = ["/iban"] } },
    { tool = "count", audit = "omit" },
    { tool = "send", audit = { whole = "2KiB", digest = false } },
]
"#;

/// The oracle, of whose tools something is kept, in this form; a file gets what the journal has.
fn site(values: &str) -> Site {
    let site = Site::with_oracle(&format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[audit]\nvalues = \"{values}\"\n[[audit.sinks]]\nname = \"copy\"\ntype = \"file\"\npath = \"copy.jsonl\"\n"
    ));
    site.edit(|config| config.replace("call_timeout = \"5s\"\n", &format!("call_timeout = \"5s\"\n{TOOLS}")));
    site
}

async fn client(gateway: &Gateway, key: &str) -> Client {
    Client::new(&gateway.url, key).initialize("2025-11-25").await
}

async fn call(client: &Client, tool: &str, arguments: &Value) -> String {
    client.request(2, "tools/call", &json!({ "name": tool, "arguments": arguments })).await.reason()
}

/// What the one record of this kind says of the arguments of a call of `tool`.
fn arguments(site: &Site, kind: &str, tool: &str) -> Value {
    let all: Vec<_> = of_kind(site, kind).into_iter().filter(|record| record["tool"] == tool).collect();
    assert_eq!(all.len(), 1, "{kind} {tool}");
    all[0]["arguments"].clone()
}

fn assert_verifies(site: &Site) {
    let (code, out, err) = site.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{out}{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a77_records_hold_what_was_asked_for_of_calls_that_pass_and_of_those_that_do_not() {
    let site = site("plain");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let read = json!({ "id": "1", "to": ["a@x", "b@x"], "iban": "DE02120300000000202051", "text": "unsaid" });
    assert_eq!(call(&chat, "tools__read", &read).await, "ok");
    assert_eq!(call(&chat, "tools__count", &json!({ "id": "guessable" })).await, "ok");
    // What a plan would be needed for is refused, and its record says as much.
    let mail = client(&gateway, EMAIL_KEY).await;
    let long = json!({ "id": "2", "body": "é".repeat(2000) });
    assert_eq!(call(&mail, "tools__send", &long).await, "plan_required");
    let (_, hash, _) = site.run(&["audit", "hash", "DE02120300000000202051"]);
    assert!(gateway.stop().success());
    let kept = arguments(&site, "intent", "tools.read");
    assert_eq!(kept["bytes"], read.to_string().len());
    assert_eq!(kept["kept"], json!([{ "pointer": "/to", "json": "[\"a@x\",\"b@x\"]" }]));
    assert_eq!(kept["hashed"], json!([{ "pointer": "/iban", "hmac_sha256": hash.trim_end() }]));
    assert_eq!(arguments(&site, "intent", "tools.count"), json!({}));
    let whole = arguments(&site, "denial", "tools.send");
    let text = whole["kept"][0]["json"].as_str().unwrap();
    assert!(long.to_string().starts_with(text) && (2047..=2048).contains(&text.len()), "{text}");
    assert_eq!(whole["kept"][0]["whole_bytes"], long.to_string().len());
    assert_eq!((&whole["kept"][0]["pointer"], whole.get("sha256")), (&json!(""), None));
    let journal = records(&site).iter().map(Value::to_string).collect::<String>();
    assert!(!journal.contains("unsaid") && !journal.contains("guessable"));
    // Who tries all values finds none: the hash is keyed, and the key is not in the journal.
    let key = std::fs::read_to_string(site.path("state/kept-hash-key")).unwrap();
    let secret = key.split_whitespace().max_by_key(|word| word.len()).unwrap();
    let plain = Sha256::of(b"\"DE02120300000000202051\"").to_string();
    assert!(secret.len() >= 43 && !journal.contains(secret) && !journal.contains(&plain), "{key}");
    assert_verifies(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a70_a_refused_call_is_on_the_record_however_large_it_is_with_its_size_and_digest() {
    let site = site("plain");
    site.edit(|config| config + "[limits]\nbody_max = \"16MiB\"\n");
    let gateway = site.start();
    let mail = client(&gateway, EMAIL_KEY).await;
    let large = json!({ "id": "1", "body": "x".repeat(10 << 20) });
    assert_eq!(call(&mail, "tools__send", &large).await, "plan_required");
    assert_eq!(call(&mail, "tools__write", &large).await, "Unknown tool: tools__write");
    assert!(call(&mail, &"n".repeat(1 << 20), &large).await.starts_with("Unknown tool: nnn"));
    assert!(gateway.stop().success());
    let [sent, hidden, missing] = of_kind(&site, "denial").try_into().unwrap();
    let (bytes, digest) = (large.to_string().len(), Sha256::of(large.to_string().as_bytes()).to_string());
    let kept = &sent["arguments"]["kept"][0];
    assert_eq!((&kept["whole_bytes"], kept["json"].as_str().unwrap().len()), (&json!(bytes), 2048));
    for denial in [&hidden, &missing] {
        let arguments = &denial["arguments"];
        assert_eq!((&arguments["bytes"], &arguments["sha256"]), (&json!(bytes), &json!(digest)), "{denial}");
    }
    let cut = &missing["truncated"][0];
    assert_eq!((&cut["member"], &cut["bytes"]), (&json!("claimed.name"), &json!(1 << 20)), "{missing}");
    assert!(records(&site).iter().all(|record| record.to_string().len() < 16 * 1024), "each stays small");
    assert_verifies(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_a_subject_can_be_erased_and_the_journal_verifies_all_the_same() {
    let site = site("sealed");
    let gateway = site.start();
    let (ann, bob) = (client(&gateway, CHAT_KEY).await, client(&gateway, OTHER_KEY).await);
    for (client, to) in [(&ann, "ann@example.com"), (&bob, "bob@example.com")] {
        assert_eq!(call(client, "tools__read", &json!({ "id": to, "to": to })).await, "ok");
    }
    let show = |subject: &str| {
        let intent =
            of_kind(&site, "intent").into_iter().find(|intent| intent["principal"]["subject"] == subject);
        let seq = intent.unwrap()["seq"].to_string();
        let (code, out, err) = site.run(&["audit", "show", &seq]);
        assert_eq!((code, err.as_str()), (0, ""));
        out.lines().find(|line| line.starts_with("# kept ")).unwrap().to_owned()
    };
    assert_eq!(show("user:1"), "# kept /to: \"ann@example.com\"");
    assert_eq!(show("user:2"), "# kept /to: \"bob@example.com\"");
    let erase = ["audit", "erase", "--subject", "user:1"];
    let (code, out, _) = site.run(&erase);
    assert_eq!(
        (code, out.as_str()),
        (0, "what was kept of the arguments of user:1 cannot be read any more\n")
    );
    assert_eq!(show("user:1"), "# kept /to: erased");
    assert_eq!(show("user:2"), "# kept /to: \"bob@example.com\"");
    let (_, out, _) = site.run(&[&erase[..], &["--json"]].concat());
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!({ "was_kept": false }));
    let erasures: Vec<_> = of_kind(&site, "erasure").iter().map(|record| record["subject"].clone()).collect();
    assert_eq!(erasures, ["user:1", "user:1"], "on the record, whether or not there was anything");
    // What comes later is kept again, under another key, also after a restart.
    assert_eq!(call(&ann, "tools__read", &json!({ "id": "3", "to": "ann@new.example" })).await, "ok");
    assert!(gateway.stop().success());
    let (code, _, err) = site.run(&erase);
    assert!(code != 0 && err.contains("admin"), "only a running gateway erases: {err}");
    let gateway = site.start();
    let copied = std::fs::read_to_string(site.path("copy.jsonl")).unwrap();
    assert!(copied.contains("\"sealed\":") && !copied.contains("@example.com"), "a sink gets what is sealed");
    let sealed: Vec<_> =
        of_kind(&site, "intent").iter().map(|intent| intent["arguments"]["key"].to_string()).collect();
    assert!(sealed[0] != sealed[1] && sealed[0] != sealed[2], "{sealed:?}");
    let (_, last, _) = site.run(&["audit", "show", &of_kind(&site, "intent")[2]["seq"].to_string()]);
    assert!(last.contains("# kept /to: \"ann@new.example\""), "{last}");
    assert!(gateway.stop().success());
    assert_verifies(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_which_nothing_can_be_kept_does_not_go_on() {
    let site = site("sealed");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let keys = site.path("state/kept-keys");
    std::fs::rename(&keys, site.path("state/elsewhere")).unwrap();
    let asked = json!({ "id": "1", "to": "ann@example.com" });
    assert_eq!(call(&chat, "tools__read", &asked).await, "values_not_kept");
    assert_eq!(call(&chat, "tools__read", &json!({ "id": "2" })).await, "ok", "nothing is to be kept of it");
    // Whom the tool is hidden from learns nothing by it.
    site.edit(|config| {
        config.replace("allow = [\"tools.read\", \"tools.count\"", "allow = [\"tools.count\"")
    });
    let (code, _, err) = site.run(&["reload"]);
    assert_eq!(code, 0, "{err}");
    let mail = client(&gateway, EMAIL_KEY).await;
    let said = async |tool: &str| {
        let params = json!({ "name": tool, "arguments": asked });
        mail.request(3, "tools/call", &params).await.json().to_string().replace(tool, "x")
    };
    assert_eq!(said("tools__read").await, said("tools__none").await);
    std::fs::rename(site.path("state/elsewhere"), &keys).unwrap();
    assert_eq!(call(&chat, "tools__read", &asked).await, "ok");
    let ids: Vec<_> = site.ledger().iter().map(|entry| entry["id"].clone()).collect();
    assert_eq!(ids, ["2", "1"]);
    let denial = &of_kind(&site, "denial")[0];
    assert_eq!(
        (&denial["reason"], &denial["arguments"]["lacking"]),
        (&json!("values_not_kept"), &json!(true))
    );
    assert!(gateway.stop().success());
    assert_verifies(&site);
}

/// What a gateway does to its files beside the journal while `client` calls `tool`, the first that its subject calls.
async fn done_to_files(site: &Site, gateway: &Gateway, client: &Client, tool: &str) -> Vec<String> {
    const CALLS: [&str; 8] =
        ["pwrite64", "fsync", "fdatasync", "rename", "renameat", "mkdir", "unlink", "ftruncate"];
    let noted = site.path("noted");
    let tracer = Tracer::note(gateway, &format!("openat,{}", CALLS.join(",")), &noted);
    let whole = json!({ "id": "1", "to": "ann@example.com", "iban": "DE02120300000000202051" });
    assert_eq!(call(client, tool, &whole).await, format!("Unknown tool: {tool}"));
    drop(tracer);
    let state = site.path("state").display().to_string();
    let text = std::fs::read_to_string(noted).unwrap();
    assert!(text.contains("fdatasync"), "the record of it is seen: {text}");
    // Others are recorded meanwhile: tool servers start.
    let of_state = text.lines().filter(|line| line.contains(&state) && !line.contains("/journal"));
    let name = |line: &str| line.split_whitespace().nth(1).unwrap().split('(').next().unwrap().to_owned();
    of_state.map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a84_a_hidden_tool_costs_the_files_what_one_that_does_not_exist_costs_them() {
    let site = Site::with_oracle("[audit]\ndurability = \"full\"\n");
    let whole =
        "tools = [{ tool = \"refuse\", audit = { whole = \"2KiB\", hash = [\"/iban\"], digest = false } }]\n";
    site.edit(|config| config.replace("call_timeout = \"5s\"\n", &format!("call_timeout = \"5s\"\n{whole}")));
    let gateway = site.start();
    let (ann, bob) = (client(&gateway, CHAT_KEY).await, client(&gateway, OTHER_KEY).await);
    let hidden = done_to_files(&site, &gateway, &ann, "tools__refuse").await;
    let missing = done_to_files(&site, &gateway, &bob, "tools__nothing").await;
    assert_eq!((hidden, missing), (vec![], vec![]));
    assert_eq!(std::fs::read_dir(site.path("state/kept-keys")).unwrap().count(), 0, "nobody needs a key");
    assert!(gateway.stop().success());
    let denials = of_kind(&site, "denial");
    assert!(denials.iter().all(|denial| denial["reason"] == "not_visible"), "{denials:?}");
    assert_eq!((denials.len(), of_kind(&site, "run_start").len()), (2, 2), "the same records of each");
    // What an operator does not want to have recorded is not recorded of hidden calls either.
    assert_eq!((&denials[0]["tool"], &denials[0]["arguments"]), (&json!("tools.refuse"), &json!({})));
    assert!(site.executed().is_empty());
    assert_verifies(&site);
}

/// Every file below `dir` but the keys themselves.
fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file()
            && !["gateway.toml", "ledger", "upstream.token", "receiver.token"].contains(&name.as_str())
        {
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
}

fn seeded(name: &str) -> String {
    format!("seeded-{name}-c2VlZGVk")
}

/// The site of [`site`], with a secret wherever the configuration takes one.
fn site_with_secrets() -> Site {
    let site = site("sealed");
    for name in ["upstream", "receiver"] {
        write(&site, &format!("{name}.token"), &seeded(name));
    }
    site.edit(|config| {
        let env = format!("{TOOLS}env = {{ TOKEN = {{ file = \"upstream.token\" }} }}\n");
        let sink = "[[audit.sinks]]\nname = \"gone\"\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\nheaders = { Authorization = { file = \"receiver.token\" } }\n";
        config.replace(TOOLS, &env) + sink + "[limits]\nask_hold = \"1s\"\n"
    });
    site
}

/// What the gateway says to callers who send secrets in every place there is.
async fn said_to_callers(gateway: &Gateway, chat: &Client) -> String {
    let mut said = String::new();
    let arguments =
        json!({ "id": seeded("id"), "to": seeded("kept"), "iban": seeded("hashed"), "text": seeded("text") });
    for tool in ["tools__read", "tools__count", "tools__send", "tools__write", "tools__refuse", "tools__none"]
    {
        let params =
            json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": seeded("progress") } });
        let answer = chat.request(3, "tools/call", &params).await;
        // What the tool itself says is the caller's to know.
        if answer.reason() == "ok" {
            continue;
        }
        // Progress comes under the caller's own token, and to nobody else.
        let told =
            answer.events_or_one().into_iter().filter(|told| told["method"] != "notifications/progress");
        said.extend(told.map(|told| told.to_string()));
    }
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let broken = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"x":"{0}","x":"{0}"}}}}"#,
        seeded("broken")
    );
    let unknown = Client::new(&gateway.url, &seeded("credential"));
    let lost = Client::new(&gateway.url, CHAT_KEY).in_session(&seeded("session"));
    for (who, body) in [(&unknown, ping), (&lost, ping), (chat, &broken)] {
        said.push_str(&String::from_utf8_lossy(&who.post(body.to_owned()).await.body));
    }
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_a76_no_secret_is_in_the_journal_a_sink_a_log_an_error_or_a_page() {
    let site = site_with_secrets();
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let mut said = said_to_callers(&gateway, &chat).await;
    for page in ["/metrics", "/readyz", "/livez"] {
        said.push_str(&gateway.shows(page).await);
    }
    let commands: [&[&str]; 5] = [
        &["audit", "tail", "--no-follow"],
        &["audit", "query", "--json"],
        &["runs", "list"],
        &["check"],
        &["doctor"],
    ];
    for command in commands {
        let (_, out, err) = site.run(command);
        said.push_str(&out);
        said.push_str(&err);
    }
    assert!(gateway.stop().success());
    let mut found = vec![("what was said".to_owned(), said.into_bytes())];
    files(site.path("gateway.toml").parent().unwrap(), &mut found);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert!(["log", "copy.jsonl", "kept-hash-key"].iter().all(|name| names.contains(name)), "{names:?}");
    let seeds = [
        "upstream",
        "receiver",
        "id",
        "kept",
        "hashed",
        "text",
        "progress",
        "credential",
        "session",
        "broken",
    ];
    for secret in seeds.map(seeded).iter().map(String::as_str).chain([CHAT_KEY, chat.session()]) {
        let bytes = secret.as_bytes();
        let encoded = [BASE64.encode(bytes), BASE64URL_NOPAD.encode(bytes), HEXLOWER.encode(bytes)];
        for form in encoded.iter().map(String::as_str).chain([secret]) {
            let finder = memchr::memmem::Finder::new(form.as_bytes());
            let place = found.iter().find(|(_, bytes)| finder.find(bytes).is_some());
            assert!(place.is_none(), "{secret} stands in {}", place.unwrap().0);
        }
    }
    assert_verifies(&site);
}
