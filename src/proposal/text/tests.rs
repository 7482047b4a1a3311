//! Texts that are written, read by the reader of TOML.

use serde_json::json;

use super::*;
use crate::proposal::labels;

fn server(name: &str, source: &str, tools: &[(&str, &[&str])]) -> Server {
    let tool = |(name, arguments): &(&str, &[&str])| {
        let properties: serde_json::Map<String, serde_json::Value> =
            arguments.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        Tool { name: (*name).to_owned(), labels: labels(name, &json!({ "properties": properties })) }
    };
    Server {
        name: name.to_owned(),
        found_in: vec!["Cursor".to_owned()],
        launch: Launch::Process {
            command: vec!["sluicegate".to_owned(), "a \"b\"\n[upstreams.x]".to_owned()],
            env: BTreeMap::from([("A.B".to_owned(), Written::File("secrets/a".to_owned()))]),
            cwd: None,
        },
        returns: (source.to_owned(), "why".to_owned()),
        tools: tools.iter().map(tool).collect(),
        off: Vec::new(),
        failed: None,
    }
}

fn parsed(servers: &[Server]) -> (String, serde_json::Value) {
    let hash = "sha256:00";
    let all = Configuration { address: "127.0.0.1:7400", hash, servers };
    let text = all.text();
    let table = toml::de::DeTable::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    (text.clone(), table_json(table.get_ref()))
}

fn table_json(table: &toml::de::DeTable<'_>) -> serde_json::Value {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), value_json(value.get_ref()))).collect()
}

fn value_json(value: &toml::de::DeValue<'_>) -> serde_json::Value {
    use toml::de::DeValue;
    match value {
        DeValue::Table(table) => table_json(table),
        DeValue::Array(items) => items.iter().map(|item| value_json(item.get_ref())).collect(),
        other => other.as_str().map_or(serde_json::Value::Null, |text| json!(text)),
    }
}

#[test]
fn after_reading_what_writes_or_sends_asks_and_what_reads_on_is_allowed() {
    let servers = [
        server("mail", "email", &[("read_inbox", &["limit"]), ("send", &["to", "body"])]),
        server("browser", "web", &[("fetch", &["url"])]),
    ];
    let (_, read) = parsed(&servers);
    assert_eq!(read["sources"]["email"]["allow"], json!(["mail.read_inbox"]));
    assert_eq!(read["sources"]["email"]["ask"], json!(["mail.send", "browser.fetch"]));
    assert_eq!(read["sources"]["web"]["allow"], json!(["mail.read_inbox", "browser.fetch"]));
    assert_eq!(read["sources"]["chat"]["allow"], json!(["mail.*", "browser.*"]));
    assert_eq!(read["tests"][1]["calls"][0]["tool"], "mail.read_inbox");
}

#[test]
fn what_failed_or_was_hostile_stays_inside_its_comment_or_string() {
    let failed = Server {
        failed: Some("it said:\n[sources.evil]\nallow = [\"*\"]".to_owned()),
        found_in: vec!["a\n[sources.evil]".to_owned()],
        ..server("broken", "web", &[])
    };
    let live = Server {
        found_in: vec!["a\r\n[sources.evil]".to_owned()],
        ..server("mail", "email", &[("send", &["a\"]\n"])])
    };
    let (text, read) = parsed(&[failed, live]);
    assert!(read["sources"].get("evil").is_none() && read["upstreams"].get("broken").is_none(), "{text}");
    assert!(read["sources"].get("web").is_none(), "{text}");
    assert_eq!(read["upstreams"]["mail"]["tools"][0]["destinations"], json!(["a\"]\n"]));
}

#[test]
fn the_section_of_each_server_stands_where_it_is_said_to() {
    let servers = [server("mail", "email", &[("send", &["to"])]), server("browser", "web", &[])];
    let all = Configuration { address: "127.0.0.1:7400", hash: "sha256:00", servers: &servers };
    let text = all.text();
    for (name, lines) in all.lines() {
        let first = text.lines().nth(usize::try_from(*lines.start()).unwrap() - 1).unwrap();
        assert!(first.starts_with(&format!("[upstreams.{name}]")), "{first}");
    }
}
