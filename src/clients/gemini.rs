//! Gemini CLI: `.gemini/settings.json` of a project and of the user. `httpUrl` is Streamable HTTP, `url` is
//! HTTP+SSE.
//!
//! Must never take one for the other: the client does not try both.

use serde_json::json;

use super::format::{Format, References, Syntax, Transport, pretty, section};
use super::{Folders, OWN_NAME, Scope};

pub(super) const FORMAT: Format = Format {
    word: "gemini",
    title: "Gemini CLI",
    places: |Folders { home, project, .. }| {
        let servers = || section(&["mcpServers"]);
        vec![
            (Scope::Project, project.join(".gemini/settings.json"), servers()),
            (Scope::User, home.join(".gemini/settings.json"), servers()),
        ]
    },
    switched_off: None,
    syntax: Syntax::Json,
    references: References::Dollar,
    urls: &[("httpUrl", Transport::Http), ("url", Transport::Unsaid)],
    headers: "headers",
    started_type: None,
    by_url: Some(|url, variable| {
        let headers = json!({ "Authorization": format!("Bearer ${variable}") });
        pretty(&json!({ "mcpServers": { OWN_NAME: { "httpUrl": url, "headers": headers } } }))
    }),
    name_before: "mcp_{server}_",
    name_max: 63,
};
