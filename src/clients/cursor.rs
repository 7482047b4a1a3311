//! Cursor: `.cursor/mcp.json` of a project and of the user.
//!
//! Must never hold a key in a project's file: it is under version control.

use serde_json::json;

use super::format::{Format, References, Syntax, Transport, pretty, section};
use super::{Folders, OWN_NAME, Scope};

pub(super) const FORMAT: Format = Format {
    word: "cursor",
    title: "Cursor",
    places: |Folders { home, project, .. }| {
        let servers = || section(&["mcpServers"]);
        vec![
            (Scope::Project, project.join(".cursor/mcp.json"), servers()),
            (Scope::User, home.join(".cursor/mcp.json"), servers()),
        ]
    },
    switched_off: None,
    syntax: Syntax::Json,
    references: References::Named,
    urls: &[("url", Transport::Unsaid)],
    headers: "headers",
    started_type: None,
    by_url: Some(|url, variable| {
        let bearer = format!("Bearer ${{env:{variable}}}");
        let entry = json!({ "url": url, "headers": { "Authorization": bearer } });
        pretty(&json!({ "mcpServers": { OWN_NAME: entry } }))
    }),
    name_before: "{server}",
    name_max: 60,
};
