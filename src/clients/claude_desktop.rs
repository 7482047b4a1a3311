//! Claude Desktop: `claude_desktop_config.json`. It starts processes and reaches nothing by a URL of a file.
//!
//! Must never be told of a URL: it would drop the server.

use super::format::{Format, References, Syntax, section};
use super::{Folders, Scope};

pub(super) const FORMAT: Format = Format {
    word: "claude-desktop",
    title: "Claude Desktop",
    places: |Folders { settings, .. }| {
        let path = settings.join("Claude/claude_desktop_config.json");
        vec![(Scope::User, path, section(&["mcpServers"]))]
    },
    switched_off: None,
    syntax: Syntax::Json,
    references: References::None,
    urls: &[],
    headers: "headers",
    started_type: None,
    by_url: None,
    name_before: "",
    name_max: 64,
};
