//! Codex: `config.toml` in its own folder, and `.codex/config.toml` of a project, with `[mcp_servers.NAME]`.
//!
//! Must never write a key there: Codex refuses a `bearer_token`, and ignores `headers`.

use super::format::{Format, References, Syntax, Transport, section};
use super::{Folders, OWN_NAME, Scope};

pub(super) const FORMAT: Format = Format {
    word: "codex",
    title: "Codex",
    places: |Folders { codex, project, .. }| {
        vec![
            (Scope::Project, project.join(".codex/config.toml"), section(&["mcp_servers"])),
            (Scope::User, codex.join("config.toml"), section(&["mcp_servers"])),
        ]
    },
    switched_off: None,
    syntax: Syntax::Toml,
    references: References::None,
    urls: &[("url", Transport::Http)],
    headers: "http_headers",
    started_type: None,
    by_url: Some(|url, variable| {
        let url = crate::model::text::toml_string(url);
        format!("[mcp_servers.{OWN_NAME}]\nurl = {url}\nbearer_token_env_var = \"{variable}\"\n")
    }),
    name_before: "mcp__{server}__",
    name_max: 64,
};
