//! What operators say of single tools in the place of what their server says.

use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY};
use crate::support::shaped::{self, ledger, tool, tools};
use crate::support::{Client, Site, check_audit};

#[tokio::test]
async fn a_hidden_tool_is_as_if_it_did_not_exist_and_a_description_is_the_operators() {
    let mut bare = tool("bare", "");
    bare.as_object_mut().unwrap().remove("description");
    bare["x-unknown"] = json!(9_007_199_254_740_993_u64);
    let shape = json!({ "tools": [tool("send", "Sends."), tool("wipe", "Wipes."), tool("wipe_safe", "Wipes."), bare] });
    let settings = r#"tools = [
    { tool = "wipe_safe", hide = false },
    { tool = "wipe*", hide = true },
    { tool = "send", description = "Sends \"mail\"." },
    { tool = "bare", description = "Does nothing." },
]
"#;
    let site = shaped::site(settings, "", &shape);
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(tools(&client).await, ["shaped__bare", "shaped__send", "shaped__wipe_safe"]);
    let list = client.request(1, "tools/list", &json!({})).await;
    let text = String::from_utf8(list.body.to_vec()).unwrap();
    assert!(text.contains("9007199254740993"), "byte for byte beside: {text}");
    let described = |name: &str| {
        let json = list.json();
        let all = json["result"]["tools"].as_array().unwrap();
        all.iter().find(|tool| tool["name"] == name).map(|tool| tool["description"].clone())
    };
    assert_eq!(described("shaped__send"), Some(Value::from("Sends \"mail\".")));
    assert_eq!(described("shaped__bare"), Some(Value::from("Does nothing.")));
    let hidden = client.call("shaped__wipe", "1").await.json();
    let missing = client.call("shaped__gone", "1").await.json();
    assert_eq!(hidden.to_string().replace("wipe", "gone"), missing.to_string());
    assert_eq!(client.call("shaped__wipe_safe", "2").await.reason(), "ok");
    assert_eq!(client.call("shaped__send", "3").await.reason(), "ok");
    assert_eq!(ledger(&site).len(), 2);
    let (_, out, _) = site.run(&["pins", "list"]);
    assert!(out.contains("every definition is as it was accepted"), "an override is no change: {out}");
    assert!(gateway.stop().success());
    let firsts = of_kind(&site, "pin").iter().filter(|pin| pin["tool"] == "shaped.wipe").count();
    assert_eq!(firsts, 1, "what is hidden is pinned all the same");
    check_audit(&site);
}

/// A tool that finds mail, with what its arguments may be.
fn find() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "folder": { "type": "string" }, "limit": { "type": "integer", "description": "How many. At most 100." },
            "query": { "type": "string" },
        },
        "required": ["folder", "query", "limit"],
    });
    json!({ "name": "find_v2", "description": "Finds mail. Slowly.", "inputSchema": schema, "_meta": { "a": 1 } })
}

/// The definition of `name` as `client` is shown it.
async fn shown(client: &Client, name: &str) -> Value {
    let list = client.request(9, "tools/list", &json!({})).await.json();
    let all = list["result"]["tools"].as_array().unwrap();
    all.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("{list}")).clone()
}

#[tokio::test]
async fn a_tool_is_called_by_the_name_that_it_was_given_and_decided_by_its_own() {
    let settings =
        "tools = [{ tool = \"find_v2\", name = \"find\" }, { tool = \"send\", name = \"find_v2\" }]\n";
    let shape = json!({ "tools": [find(), tool("send", "Sends."), tool("wipe", "Wipes.")] });
    let site = shaped::site(settings, "", &shape);
    site.edit(|config| config.replace("deny = [", "deny = [\"shaped.send\", "));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(tools(&client).await, ["shaped__find", "shaped__wipe"]);
    assert_eq!(client.call("shaped__find", "1").await.reason(), "ok");
    // It is the other tool's name now, which its own name denies.
    assert_eq!(
        client.call("shaped__find_v2", "2").await.json()["error"]["message"],
        "Unknown tool: shaped__find_v2"
    );
    let sent = ledger(&site).concat();
    assert!(sent.contains("\"name\":\"find_v2\"") && !sent.contains("\"name\":\"send\""), "{sent}");
    // A tool that comes later and has a name that was given does not take it.
    let more =
        [find(), tool("send", "Sends."), tool("find", "Hm."), tool("wipe", "Wipes."), tool("later", "Hm.")];
    shaped::reshape(&site, &json!({ "tell": true, "tools": more }));
    assert_eq!(client.call("shaped__find", "3").await.reason(), "ok");
    while tools(&client).await != ["shaped__find", "shaped__later", "shaped__wipe"] {}
    assert_eq!(client.call("shaped__find", "4").await.reason(), "ok");
    let sent = ledger(&site).concat();
    assert!(!sent.contains("\"name\":\"find\""), "{sent}");
    assert!(gateway.stop().success());
    let intents = of_kind(&site, "intent");
    let quarantined =
        of_kind(&site, "upstream").into_iter().filter(|record| record["state"] == "quarantined");
    assert_eq!(quarantined.count(), 1);
    assert!(intents.iter().all(|intent| intent["tool"] == "shaped.find_v2"), "{intents:?}");
    assert_eq!(intents[0]["claimed"]["name"], "shaped__find");
    check_audit(&site);
}

#[tokio::test]
async fn settled_arguments_are_sent_and_decided_on_and_those_that_are_fixed_are_nobodys_to_say() {
    let settings = r#"tools = [
    { tool = "find_v2", arguments = { folder = { fixed = "inbox" }, limit = { default = 10 } } },
]
"#;
    let shape = json!({ "tools": [find(), tool("send", "Sends.")] });
    let asked = r#"{ tool = "shaped.find_v2", when = "args.folder != \"inbox\" || args.limit > 10" }, "#;
    let site = shaped::site(settings, "", &shape);
    site.edit(|config| config.replace("ask = [", &format!("ask = [{asked}")));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let schema = shown(&client, "shaped__find_v2").await["inputSchema"].clone();
    assert_eq!(schema["required"], json!(["query"]));
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["limit", "query"]);
    assert_eq!(schema["properties"]["limit"]["default"], 10);

    let call = |arguments: Value| json!({ "name": "shaped__find_v2", "arguments": arguments });
    let answered = client.request(2, "tools/call", &call(json!({ "query": "a" }))).await;
    assert_eq!(answered.reason(), "ok");
    let asked = client.request(3, "tools/call", &call(json!({ "query": "b", "limit": 11 }))).await;
    assert_eq!(asked.reason(), "approval_pending");
    // A condition looks at the arguments, so that the policy itself refuses what can be mistaken for one of them.
    for (id, name, reason) in [(4, "folder", "argument_fixed"), (5, "Folder", "argument_unknown")] {
        let fixed = client.request(id, "tools/call", &call(json!({ "query": "c", name: "inbox" }))).await;
        assert_eq!(fixed.reason(), reason, "{name}");
    }
    assert_eq!(client.request(6, "tools/call", &json!({ "name": "shaped__find_v2" })).await.reason(), "ok");
    // Who is not told of a tool is not told what is fixed of it.
    let other = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    let hidden = other.request(2, "tools/call", &call(json!({ "folder": "x" }))).await.json();
    assert_eq!(hidden["error"]["message"], "Unknown tool: shaped__find_v2");

    let sent: Vec<Value> = ledger(&site).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let arguments: Vec<_> = sent.iter().map(|line| line["params"]["arguments"].clone()).collect();
    let expected =
        [json!({ "folder": "inbox", "limit": 10, "query": "a" }), json!({ "folder": "inbox", "limit": 10 })];
    assert_eq!(arguments, expected);
    assert!(gateway.stop().success());
    let digest = |text: &str| sluicegate::model::digest::Sha256::of(text.as_bytes()).to_string();
    let intents = of_kind(&site, "intent");
    let of_sent = digest(r#"{"folder":"inbox","limit":10,"query":"a"}"#);
    assert_eq!(intents[0]["arguments"]["sha256"], of_sent, "what is recorded is what was sent");
    let refused = of_kind(&site, "denial").into_iter().filter(|denial| denial["reason"] == "argument_fixed");
    assert_eq!(refused.count(), 1);
    let explain = ["explain", "--source", "chat", "--role", "assistant", "shaped.find_v2"];
    let (code, out, _) = site.run(&[&explain[..], &[r#"{"folder":"inbox"}"#]].concat());
    assert!(code == 1 && out.contains("deny (argument_fixed)"), "{code}: {out}");
    let (code, out, _) = site.run(&[&explain[..], &["{}"]].concat());
    assert!(code == 0 && out.contains("allow (allowed)"), "{code}: {out}");
    check_audit(&site);
}

#[tokio::test]
async fn a_short_list_holds_first_sentences() {
    let settings = "tools = [{ tool = \"send\", list = \"full\" }, { tool = \"*\", list = \"short\" }]\n";
    let shape = json!({ "tools": [find(), tool("send", "Sends. Fast.")] });
    let site = shaped::site(settings, "", &shape);
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let short = shown(&client, "shaped__find_v2").await;
    assert_eq!((&short["description"], &short["_meta"]), (&json!("Finds mail."), &Value::Null));
    assert_eq!(short["inputSchema"]["properties"]["limit"]["description"], "How many.");
    assert_eq!(shown(&client, "shaped__send").await["description"], "Sends. Fast.");
    let (_, out, _) = site.run(&["pins", "list"]);
    assert!(out.contains("every definition is as it was accepted"), "{out}");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_tool_has_its_own_deadline_and_its_own_largest_answer() {
    let site = Site::with_oracle("");
    let tools = "tools = [{ tool = \"hang\", call_timeout = \"100ms\" }, { tool = \"echo\", result_max = \"1KiB\" }]\n";
    site.edit(|config| {
        config.replacen("call_timeout = \"5s\"\n", &format!("call_timeout = \"1d\"\n{tools}"), 1)
    });
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__hang", "late").await.reason(), "upstream_timeout");
    assert_eq!(client.call("tools__echo", "short").await.reason(), "ok");
    let withheld = client.call("tools__echo", &"x".repeat(2000)).await;
    assert_eq!(withheld.reason(), "result_too_large");
    assert!(gateway.stop().success());
    let executed: Vec<_> =
        of_kind(&site, "outcome").iter().map(|outcome| outcome["executed"].clone()).collect();
    assert_eq!(executed, ["unknown", "yes", "yes"]);
    check_audit(&site);
}
