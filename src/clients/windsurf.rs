//! Windsurf: `~/.codeium/windsurf/mcp_config.json`. A remote server has a `serverUrl`.
//!
//! Must never be given a `type`, which it does not know.

use serde_json::json;

use super::format::{Format, References, Syntax, Transport, pretty, section};
use super::{Folders, OWN_NAME, Scope};

pub(super) const FORMAT: Format = Format {
    word: "windsurf",
    title: "Windsurf",
    places: |Folders { home, .. }| {
        let path = home.join(".codeium/windsurf/mcp_config.json");
        vec![(Scope::User, path, section(&["mcpServers"]))]
    },
    switched_off: None,
    syntax: Syntax::Json,
    references: References::Named,
    urls: &[("serverUrl", Transport::Unsaid), ("url", Transport::Unsaid)],
    headers: "headers",
    started_type: None,
    by_url: Some(|url, variable| {
        let headers = json!({ "Authorization": format!("Bearer ${{env:{variable}}}") });
        pretty(&json!({ "mcpServers": { OWN_NAME: { "serverUrl": url, "headers": headers } } }))
    }),
    name_before: "{server}",
    name_max: 60,
};
