//! The reviewer of plans outside of the gateway: what it is asked, what it can say, and what its silence is.

use std::sync::{Arc, Mutex};

use data_encoding::{BASE64, BASE64URL, HEXLOWER};
use http::Response;
use http_body_util::Full;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use sluicegate::clock::Clock;
use sluicegate::model::digest::Sha256;
use sluicegate::webhook::SigningKey;

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::receiver::{Batch, Receiver, json as plain, status};
use crate::support::tls::write;
use crate::support::tokens::{minted, minting};
use crate::support::{Client, Site, check_audit, shaped};

fn now() -> Timestamp {
    Clock::system().wall()
}

const SUBMIT: &str = "sluicegate__submit_plan";
const KEY: &str = "whsec_cmV2aWV3ZXItcmV2aWV3ZXItcmV2aWV3ZXItcmV2aQ==";
const OTHER_KEY: &str = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItbw==";

/// What is added to a site so that it asks the reviewer at `url`.
fn reviewer(url: &str, more: &str) -> String {
    format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[reviewer]\nurl = \"{url}/plans\"\nsign = {{ file = \"reviewer.key\" }}\n\
         known_domains = [\"acme.example\"]\n{more}\n"
    )
}

/// The oracle; mail that was planned before a page was read may still go out.
fn site(url: &str, more: &str) -> Site {
    let site = Site::with_oracle(&reviewer(url, more));
    site.edit(|config| {
        let line = "tools = [{ tool = \"send\", review_line = \"sends one mail\" }]\n";
        let config = config.replace("call_timeout = \"5s\"\n", &format!("call_timeout = \"5s\"\n{line}"));
        config.replace("[sources.web]\n", "[sources.web]\nplan = [\"tools.send\"]\n")
    });
    write(&site, "reviewer.key", KEY);
    site
}

async fn chat(gateway: &Gateway) -> Client {
    Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await
}

fn send_to(ids: &[&str]) -> Value {
    let step = |(at, id): (usize, &&str)| json!({ "id": format!("s{at}"), "tool": "tools__send", "args": { "id": { "lit": id } } });
    ids.iter().enumerate().map(step).collect()
}

async fn submit(client: &Client, steps: &Value) -> Value {
    let plan = json!({ "name": SUBMIT, "arguments": { "v": 1, "steps": steps } });
    client.request(5, "tools/call", &plan).await.json()["result"]["structuredContent"].clone()
}

/// What became of each step, by the answer to a plan.
fn verdicts(answer: &Value) -> Vec<String> {
    let step = |step: &Value| {
        let why = step["why"].as_array().into_iter().flatten();
        let why: Vec<_> = why.map(|why| why["reason"].as_str().unwrap()).collect();
        [&[step["verdict"].as_str().unwrap()], &why[..]].concat().join(" ")
    };
    answer["steps"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(step).collect()
}

/// The answer that says these words to what was asked, `verdict` or `verdict rule` for each step.
fn saying(asked: &Batch, words: &[&str]) -> Value {
    let request: Value = serde_json::from_slice(&asked.body).unwrap();
    let step = |(step, words): (usize, &&str)| match words.split_once(' ') {
        Some((verdict, rule)) => json!({ "step": step, "verdict": verdict, "rule": rule }),
        None => json!({ "step": step, "verdict": words }),
    };
    let steps: Vec<_> = words.iter().enumerate().map(step).collect();
    let digest = format!("sha256:{}", Sha256::of(&asked.body));
    json!({ "v": 1, "id": request["id"], "request": digest, "steps": steps })
}

fn agreeing(asked: &Batch) -> Value {
    let request: Value = serde_json::from_slice(&asked.body).unwrap();
    saying(asked, &vec!["agree"; request["steps"].as_array().unwrap().len()])
}

/// `answer`, signed with `key` as of `now`.
fn signed(key: &str, now: Timestamp, answer: &Value) -> Response<Full<Bytes>> {
    let mut response = plain(200, answer);
    let seal = SigningKey::of(key).unwrap().seal("answer", now, answer.to_string().as_bytes()).unwrap();
    response.headers_mut().extend(seal);
    response
}

fn schema(name: &str) -> jsonschema::Validator {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    jsonschema::validator_for(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reviewer_turns_grants_into_questions_and_denials_on_the_record() {
    let receiver = Receiver::start(|_, asked| {
        let answer = saying(asked, &["agree", "ask new-domain", "deny"]);
        assert!(schema("reviewer-answer.schema.json").is_valid(&answer), "{answer}");
        signed(KEY, now(), &answer)
    })
    .await;
    let site = site(&receiver.url, "");
    let gateway = site.start();
    let client = chat(&gateway).await;
    let answer = submit(&client, &send_to(&["ann@acme.example", "eve@e.example", "eve"])).await;
    let expected = ["granted", "person reviewer_asks", "refused reviewer_denies"];
    assert_eq!(verdicts(&answer), expected, "{answer}");
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(client.call("tools__send", "ann@acme.example").await.reason(), "ok");
    assert_eq!(client.call("tools__send", "eve@e.example").await.reason(), "plan_required");
    // The question is one for people like any other.
    let (_, listed, _) = site.run(&["approvals", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        listed["questions"].as_array().map(Vec::len).or(listed.as_array().map(Vec::len)),
        Some(1),
        "{listed}"
    );
    let metrics = gateway.shows("/metrics").await;
    assert!(metrics.contains("sluicegate_reviewer_answers_total{answer=\"objected\"} 1"), "{metrics}");
    assert!(gateway.stop().success());

    let (asked, _) = receiver.came().remove(0);
    SigningKey::of(KEY).unwrap().open(&asked.headers, &asked.body, now()).unwrap();
    let request: Value = serde_json::from_slice(&asked.body).unwrap();
    assert!(schema("reviewer-request.schema.json").is_valid(&request), "{request:#}");
    assert_eq!(request["sources"], json!(["chat"]));
    let step = json!({
        "step": 1, "verdict": "granted", "line": "sends one mail", "tool": "tools.send",
        "max_calls": null, "needs": [],
        "arguments": { "id": { "kind": "values", "values": [
            { "type": "string", "len_max": 16, "is_known_domain": false, "count_max": 1 } ] } },
    });
    assert_eq!(request["steps"][1], step, "{request:#}");

    let plan = of_kind(&site, "plan").remove(0);
    let reviewer = &plan["submitted"]["reviewer"];
    assert_eq!(reviewer["request"], Sha256::of(&asked.body).to_string(), "{reviewer}");
    assert_eq!((&reviewer["result"], &reviewer["words"]), (&json!("said"), &json!(["agree", "ask", "deny"])));
    assert!(reviewer["took_us"].as_u64().unwrap() > 0 && reviewer["answer"].is_string(), "{reviewer}");
    let rule = plan["submitted"]["steps"][1]["findings"].to_string();
    assert!(rule.contains("reviewer rule new-domain at gateway.toml:"), "{rule}");
    check_audit(&site);
}

/// What a reviewer answers to a request, by how many came before.
type Answering = fn(&Batch, &[Value]) -> Response<Full<Bytes>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_of_the_reviewer_to_this_request_is_a_question() {
    let cases: [(&str, Answering); 11] = [
        ("status 500", |_, _| status(500)),
        ("status 302", |_, _| {
            Response::builder().status(302).header("location", "/plans2").body(Full::default()).unwrap()
        }),
        ("not signed", |asked, _| plain(200, &agreeing(asked))),
        ("another key", |asked, _| signed(OTHER_KEY, now(), &agreeing(asked))),
        ("five minutes", |asked, _| {
            signed(KEY, Timestamp::from_second(now().as_second() - 400).unwrap(), &agreeing(asked))
        }),
        ("another request", |_, before| signed(KEY, now(), &before[0])),
        ("each step", |asked, _| signed(KEY, now(), &saying(asked, &[]))),
        ("schema", |asked, _| signed(KEY, now(), &saying(asked, &["grant"]))),
        ("schema", |_, _| signed(KEY, now(), &json!("x".repeat(20_000)))),
        ("too long", |_, _| signed(KEY, now(), &json!("x".repeat(100_000)))),
        // What was asked, sent back with its own signature.
        ("schema", |asked, _| {
            let mut response = Response::new(Full::new(asked.body.clone()));
            for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
                response.headers_mut().insert(name, asked.headers[name].clone());
            }
            response
        }),
    ];
    let answers = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&answers);
    let receiver = Receiver::start(move |came, asked| {
        // The first is a good one, of which a later request gets the bytes again.
        let mut said = said.lock().unwrap();
        if came == 0 {
            said.push(agreeing(asked));
            return signed(KEY, now(), &said[0]);
        }
        cases[came - 1].1(asked, &said)
    })
    .await;
    let site = site(&receiver.url, "");
    let gateway = site.start();
    let client = chat(&gateway).await;
    let mut expected = vec!["granted".to_owned()];
    expected.extend(vec!["person reviewer_silent".to_owned(); cases.len()]);
    let mut got = Vec::new();
    for at in 0..=cases.len() {
        got.extend(verdicts(&submit(&client, &send_to(&[&format!("ann{at}")])).await));
    }
    assert_eq!(got, expected);
    let metrics = gateway.shows("/metrics").await;
    let silent = format!("sluicegate_reviewer_answers_total{{answer=\"silent\"}} {}", cases.len());
    assert!(metrics.contains(&silent), "{metrics}");
    assert!(gateway.stop().success());
    let plans = of_kind(&site, "plan");
    for ((why, _), plan) in cases.iter().zip(&plans[1..]) {
        let reviewer = &plan["submitted"]["reviewer"];
        assert_eq!((&reviewer["result"], &reviewer["words"]), (&json!("silent"), &json!([])), "{why}");
        assert!(reviewer["why"].as_str().unwrap().contains(why), "{why}: {reviewer}");
    }
    assert!(receiver.came().iter().all(|(asked, _)| asked.uri.path() == "/plans"), "a redirect was followed");
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert!(log.contains("the reviewer of plans said nothing that counts"), "{log}");
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reviewer_that_is_silent_or_gone_is_a_question_and_without_anybody_to_ask_a_refusal() {
    let receiver = Receiver::start(|_, asked| signed(KEY, now(), &agreeing(asked))).await;
    receiver.silent_at.send_replace("/plans");
    let site = site(&receiver.url, "timeout = \"1s\"");
    let gateway = site.start();
    let answer = submit(&chat(&gateway).await, &send_to(&["ann"])).await;
    assert_eq!(verdicts(&answer), ["person reviewer_silent"]);
    assert!(gateway.stop().success());
    // Nobody listens any more, and nobody may answer for the tool.
    site.edit(|config| {
        let gone = config.replace(&receiver.url, "http://127.0.0.1:9");
        format!("{gone}\n[[approvers]]\nuid = 1\ntools = [\"tools.write\"]\n")
    });
    let gateway = site.start();
    let answer = submit(&chat(&gateway).await, &send_to(&["ann"])).await;
    assert_eq!(verdicts(&answer), ["refused reviewer_silent"]);
    assert!(gateway.stop().success());
    let plans = of_kind(&site, "plan");
    let why = |at: usize| plans[at]["submitted"]["reviewer"]["why"].as_str().unwrap().to_owned();
    assert!(why(0).contains("within 1s") && why(1).contains("the connection"), "{plans:#?}");
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_reviewer_is_asked_its_run_goes_on_and_what_it_then_says_is_of_another_plan() {
    let receiver = Receiver::start(|_, asked| signed(KEY, now(), &agreeing(asked))).await;
    receiver.silent_at.send_replace("/plans");
    let site = site(&receiver.url, "");
    let gateway = site.start();
    let client = Arc::new(chat(&gateway).await);
    let submitting = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { submit(&client, &send_to(&["ann"])).await })
    };
    receiver.asked(1).await;
    // The run is neither held nor unchanged: a page joins it.
    let page = json!({ "name": "browser__read", "arguments": { "id": "page" } });
    assert_eq!(client.request(8, "tools/call", &page).await.reason(), "ok");
    receiver.silent_at.send_replace("");
    let answer = submitting.await.unwrap();
    assert_eq!(verdicts(&answer), ["person plan_uncovered reviewer_silent"], "{answer}");
    // Asked again, of what is now.
    let answer = submit(&client, &send_to(&["ann"])).await;
    assert_eq!(verdicts(&answer), ["person plan_uncovered"], "{answer}");
    assert!(gateway.stop().success());
    let results: Vec<_> =
        of_kind(&site, "plan").iter().map(|plan| plan["submitted"]["reviewer"]["result"].clone()).collect();
    assert_eq!(results, ["outdated", "said"]);
    check_audit(&site);
}

/// Everything that a plan can say in words, each word another.
fn canaries(goal: &Value, who: &Value) -> Value {
    json!({
        "v": 1, "goal": goal, "note": "canarynote",
        "steps": [
            { "id": "canaryida", "tool": "shaped__file", "note": "canarynotea", "args": {
                "text": { "lit": "canarylit canaryuser@canarydomain.example" },
                "one": { "enum": [
                    "canaryenuma", "canaryenumb@canaryhost.example", { "canarymember": "canarymembervalue" },
                    ["canaryelement", { "canarykey": ["canarynested"] }],
                ] },
                "like": { "match": "canarypattern[a-z]" },
                "many": { "each": { "lit": "canaryeach" }, "max_items": 3 },
                "open": { "object": {
                    "canaryname": { "lit": "canarydeep" },
                    "canaryother": { "object": { "canaryinner": { "match": "canaryinnerpattern" } }, "optional": true },
                } },
                "body": { "free": { "max_len": 20 } },
                "who": who,
            } },
            { "id": "canaryidb", "tool": "shaped__file", "after": ["canaryida"], "args": {
                "text": { "from": "canaryida", "select": "$.canaryselect[?@.canaryfilter=='canaryvalue']" },
                "one": { "each": { "from": "canaryida", "select": "$['canaryquoted']" }, "max_items": 2 },
            } },
            { "id": "canaryidc", "tool": "canary__tool", "args": { "canaryargument": { "lit": "canaryunknown" } } },
            { "id": "canaryidd", "tool": "tools__refuse", "args": { "canaryhidden": { "lit": "canaryofhidden" } } },
        ],
    })
}

/// The words of `text` that are canaries.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.contains("canary")).map(str::to_owned).collect()
}

/// Every string of `value`, names of members among them.
fn strings(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| strings(element, all)),
        Value::Object(members) => {
            for (name, member) in members {
                all.push(name.clone());
                strings(member, all);
            }
        }
        _ => {}
    }
}

/// `text` as whoever smuggles it would write it.
fn disguises(text: &str) -> Vec<Vec<u8>> {
    let digest = Sha256::of(text.as_bytes());
    let reversed: String = text.chars().rev().collect();
    let mut all = vec![text.to_owned(), reversed, HEXLOWER.encode(text.as_bytes()), digest.to_string()];
    all.extend([BASE64.encode(digest.as_bytes()), BASE64URL.encode(digest.as_bytes())]);
    for shift in 0..3 {
        let padded = [&b"\0\0"[..shift], text.as_bytes()].concat();
        let encoded = BASE64.encode(&padded);
        // What stands before and after has a part in the first and the last characters.
        let inner = encoded.trim_end_matches('=');
        let whole = inner.len() - 1 - if shift == 0 { 0 } else { 4 };
        all.push(inner.chars().skip(inner.len() - 1 - whole).take(whole).collect());
    }
    all.into_iter().map(String::into_bytes).collect()
}

#[track_caller]
fn assert_unseen(receiver: &Receiver, texts: &[String]) {
    for (asked, _) in receiver.came() {
        let mut seen = format!("{} {:?}", asked.uri, asked.headers).into_bytes();
        seen.extend_from_slice(&asked.body);
        let seen = seen.to_ascii_lowercase();
        for text in texts {
            for disguise in disguises(text) {
                let disguise = disguise.to_ascii_lowercase();
                let is_seen = seen.windows(disguise.len()).any(|window| window == disguise);
                assert!(!is_seen, "{text} as {}", String::from_utf8_lossy(&disguise));
            }
        }
    }
}

/// A site whose tool takes whatever a plan can say, and says canaries of itself.
fn canary_site(url: &str) -> Site {
    let described =
        |kind: &str| json!({ "type": kind, "description": "canaryschema", "title": "canaryschematitle" });
    let shape = json!({ "tools": [{
        "name": "file", "description": "canarydescription", "title": "canarytitle",
        "annotations": { "title": "canaryannotation" },
        "inputSchema": { "type": "object", "description": "canaryroot", "properties": {
            "text": described("string"), "one": {}, "like": described("string"), "many": { "type": "array" },
            "open": { "type": "object" }, "body": described("string"), "who": described("string"),
        } },
    }] });
    let labels = "tools = [{ tool = \"file\", content = [\"body\"], review_line = \"files one note\" }]\n";
    let site = shaped::site(labels, "", &shape);
    site.edit(|config| {
        let email = "[sources.email]\ntrigger = { sender = \"string\" }\nplan = [\"shaped.*\"]\n";
        let config = config.replace("[sources.email]\n", email).replace("plan = [\"tools.send\"]\n", "");
        format!("{config}{}{}", minting(), reviewer(url, ""))
    });
    write(&site, "reviewer.key", KEY);
    site
}

/// Everything that no reviewer may see of these plans, of whoever submits them, and of the tool server.
fn texts_of(plans: &[Value]) -> Vec<String> {
    let mut all = Vec::new();
    for plan in plans {
        strings(plan, &mut all);
        all.push(plan.to_string());
        all.push(serde_json::to_string(&plan["steps"]).unwrap());
    }
    // The words of the language and of the tool's own schema are no text of the plan.
    let mut texts: Vec<String> = all.iter().filter(|text| text.contains("canary")).cloned().collect();
    texts.extend(all.iter().flat_map(|text| words(text)));
    texts.extend(
        [
            "canarydescription",
            "canarytitle",
            "canaryannotation",
            "canaryschema",
            "canaryroot",
            "canarysubject",
        ]
        .map(str::to_owned),
    );
    texts.extend(
        ["canarysender", "canaryfrom", "canaryagent", "canarytxn", "canary", "tools.refuse"]
            .map(str::to_owned),
    );
    texts.sort();
    texts.dedup();
    assert!(texts.len() > 40, "{texts:?}");
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_of_a_plan_its_sender_or_a_tool_server_reaches_a_reviewer_in_any_disguise() {
    let receiver = Receiver::start(|_, asked| signed(KEY, now(), &agreeing(asked))).await;
    let site = canary_site(&receiver.url);
    let gateway = site.start();
    let client = chat(&gateway).await;
    let plan = canaries(&json!("canarygoal"), &json!({ "lit": "canarywho" }));
    let call = json!({ "name": SUBMIT, "arguments": plan });
    let answer = client.request(5, "tools/call", &call).await.json();
    let told = &answer["result"]["structuredContent"];
    let expected = ["person", "granted", "refused", "refused"];
    let got: Vec<_> = verdicts(told).iter().map(|word| word.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(got, expected, "{told:#}");
    // By a token whose every free word is a canary too.
    let label = [
        "--source",
        "email",
        "--subject",
        "user:canarysubject",
        "--role",
        "assistant",
        "--txn",
        "canarytxn",
        "--agent",
        "canaryagent",
        "--goal",
        "triage_mail",
        "--trigger",
        "sender=canarysender@canaryfrom.example",
    ];
    let token = minted(&site, &label);
    let by_mail = canaries(&json!("triage_mail"), &json!({ "trigger": "sender" }));
    let call = json!({ "name": SUBMIT, "arguments": by_mail });
    let answer = Client::new(&gateway.url, &token).modern(1, "tools/call", call).await.json();
    let told = answer["result"]["structuredContent"].clone();
    assert_eq!(told["steps"].as_array().map(Vec::len), Some(4), "{answer:#}");
    assert!(gateway.stop().success());

    let asked: Vec<Value> =
        receiver.came().iter().map(|(asked, _)| serde_json::from_slice(&asked.body).unwrap()).collect();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    for request in &asked {
        assert!(schema("reviewer-request.schema.json").is_valid(request), "{request:#}");
        assert_eq!(request["steps"][0]["tool"], "shaped.file");
        // Hidden tools are like those that do not exist.
        assert_eq!(request["steps"][2]["tool"], Value::Null);
        assert_eq!(request["steps"][3]["arguments"], json!({}));
    }
    assert_eq!((&asked[0]["goal"], &asked[1]["goal"]), (&Value::Null, &json!("triage_mail")));
    assert_unseen(&receiver, &texts_of(&[plan, by_mail]));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reviewer_of_the_examples_runs_as_it_stands() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plan-reviewer");
    let site = site("http://127.0.0.1:1", "");
    let mut command = std::process::Command::new("python3");
    command.arg(folder.join("reviewer.py")).args(["--port", "0", "--key"]).arg(site.path("reviewer.key"));
    command.args(["--rules"]).arg(folder.join("rules.toml"));
    let process = crate::examples::Process::start(command);
    site.edit(|config| config.replace("http://127.0.0.1:1/", &format!("{}/", process.url())));
    let gateway = site.start();
    let client = chat(&gateway).await;
    let steps = json!([
        { "id": "known", "tool": "tools__send", "args": { "id": { "lit": "ann@acme.example" } } },
        { "id": "new", "tool": "tools__send", "args": { "id": { "lit": "eve@e.example" } } },
        { "id": "many", "tool": "tools__send", "max_calls": 99, "args": { "id": { "lit": "ann" } } },
    ]);
    let answer = submit(&client, &steps).await;
    let expected = ["granted", "person reviewer_asks", "refused reviewer_denies"];
    assert_eq!(verdicts(&answer), expected, "{answer}");
    assert!(gateway.stop().success());
    let plan = of_kind(&site, "plan").remove(0);
    let rules = plan["submitted"]["steps"].to_string();
    assert!(
        rules.contains("reviewer rule unknown-domain") && rules.contains("reviewer rule too-many-calls"),
        "{rules}"
    );
    // What nobody signed it does not answer.
    let unsigned = Client::anonymous(process.url()).send(http::Method::POST, "{}").await;
    assert_eq!(unsigned.status, 401);
    check_audit(&site);
}
