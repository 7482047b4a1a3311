//! A tool server that is what a file says, behind a gateway of its own (`tests/fixtures/shaped_server.py`).

use serde_json::{Value, json};

use super::{Client, Exchange, Site};

/// A site whose upstream `shaped` is `shape`. `settings` stands in its table; `sources` gets further lines in
/// `[sources.chat]`. Agents may do everything there is.
pub fn site(settings: &str, sources: &str, shape: &Value) -> Site {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shaped_server.py");
    let site = Site::with_oracle("");
    reshape(&site, shape);
    let (file, ledger) = (site.path("shape.json"), site.path("shaped.ledger"));
    site.edit(|config| {
        let all = "prompts = { allow = [\"*\"] }\nresources = { allow = [\"*\"] }\ncompletion = { allow = [\"*\"] }\n";
        let config = config.replace("[sources.chat]\n", &format!("[sources.chat]\n{all}{sources}"));
        let config = config.replace("[roles.assistant]\n", &format!("[roles.assistant]\n{all}"));
        format!(
            "{config}\n[upstreams.shaped]\ncommand = [\"python3\", {server:?}, {file:?}, {ledger:?}]\nreturns = \"trusted\"\n{settings}"
        )
    });
    site
}

/// Makes the server another one, from its next list on.
pub fn reshape(site: &Site, shape: &Value) {
    let file = site.path("shape.json");
    let new = site.path("shape.json.new");
    std::fs::write(&new, shape.to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// A tool that does nothing, described as `description`.
pub fn tool(name: &str, description: &str) -> Value {
    json!({ "name": name, "description": description, "inputSchema": { "type": "object" } })
}

/// What the server was sent that was no list: whole lines.
pub fn ledger(site: &Site) -> Vec<String> {
    let text = std::fs::read_to_string(site.path("shaped.ledger")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The names in a list.
pub fn listed(answer: &Exchange, member: &str, key: &str) -> Vec<String> {
    let json = answer.json();
    let entries = json["result"][member].as_array().unwrap_or_else(|| panic!("no list: {json}"));
    entries.iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
}

/// The tools of `shaped` that `client` is shown.
pub async fn tools(client: &Client) -> Vec<String> {
    let all = client.list().await;
    all.into_iter().filter(|name| name.starts_with("shaped__")).collect()
}
