//! Visual Studio Code: `.vscode/mcp.json` of a project, `mcp.json` of the user's profile. Servers stand under
//! `servers`; what it asks the user for stands under `inputs`.
//!
//! Must never take the answer to an input for known: only the editor has it.

use serde_json::json;

use super::format::{Format, References, Syntax, Transport, pretty, section};
use super::{Folders, OWN_NAME, Scope};

pub(super) const FORMAT: Format = Format {
    word: "vs-code",
    title: "VS Code",
    places: |Folders { settings, project, .. }| {
        vec![
            (Scope::Project, project.join(".vscode/mcp.json"), section(&["servers"])),
            (Scope::User, settings.join("Code/User/mcp.json"), section(&["servers"])),
        ]
    },
    switched_off: None,
    syntax: Syntax::Json,
    references: References::Named,
    urls: &[("url", Transport::Unsaid)],
    headers: "headers",
    started_type: Some("stdio"),
    by_url: Some(|url, _| {
        let input = json!({ "type": "promptString", "id": "sluicegate-key", "password": true,
            "description": "The key of the gateway" });
        let headers = json!({ "Authorization": "Bearer ${input:sluicegate-key}" });
        let entry = json!({ "type": "http", "url": url, "headers": headers });
        pretty(&json!({ "inputs": [input], "servers": { OWN_NAME: entry } }))
    }),
    name_before: "mcp_{server}_",
    name_max: 64,
};
