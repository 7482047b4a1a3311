//! What operators say of single tools in the place of what their server says.

use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::CHAT_KEY;
use crate::support::shaped::{self, ledger, tool, tools};
use crate::support::{Client, check_audit};

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
