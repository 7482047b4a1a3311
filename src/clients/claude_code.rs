//! Claude Code: `.mcp.json` of a project, and `~/.claude.json`, which holds the user's servers and, by project,
//! those of one user in it. `.claude/settings.json` and the like hold no servers, but say which of `.mcp.json` are
//! switched off.
//!
//! Must never write another part of `~/.claude.json` anew: it holds everything that Claude Code knows.

use serde_json::json;

use super::format::{Format, References, SwitchedOff, Syntax, Transport, pretty, section};
use super::{Folders, OWN_NAME, Scope};

pub(super) const FORMAT: Format = Format {
    word: "claude-code",
    title: "Claude Code",
    places: |Folders { home, project, .. }| {
        let known = home.join(".claude.json");
        let here = project.to_string_lossy();
        vec![
            (Scope::Project, project.join(".mcp.json"), section(&["mcpServers"])),
            (Scope::User, known.clone(), section(&["projects", &here, "mcpServers"])),
            (Scope::User, known, section(&["mcpServers"])),
        ]
    },
    switched_off: Some(SwitchedOff {
        files: |Folders { home, project, .. }| {
            vec![
                (Scope::Project, project.join(".claude/settings.json")),
                (Scope::Project, project.join(".claude/settings.local.json")),
                (Scope::User, home.join(".claude/settings.json")),
            ]
        },
        key: "disabledMcpjsonServers",
    }),
    syntax: Syntax::Json,
    references: References::Shell,
    urls: &[("url", Transport::Unsaid)],
    headers: "headers",
    started_type: Some("stdio"),
    by_url: Some(|url, variable| {
        let bearer = format!("Bearer ${{{variable}}}");
        let entry = json!({ "type": "http", "url": url, "headers": { "Authorization": bearer } });
        pretty(&json!({ "mcpServers": { OWN_NAME: entry } }))
    }),
    name_before: "mcp__{server}__",
    name_max: 64,
};
