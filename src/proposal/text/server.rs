//! The section of one server.
//!
//! Must never let what a server or a client wrote end a comment or a string.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Launch, PINS, Server, Tool, Written, array};
use crate::model::label::ToolClass;
use crate::model::text::{printable, toml_string};

/// The section; every line of it a comment where the server is not taken over.
pub(super) fn section(server: &Server) -> String {
    let Server { name, found_in, launch, returns: (source, why), tools, failed, .. } = server;
    let mut out = String::new();
    let found_in = printable(&found_in.join("; "));
    // Writing to a string does not fail.
    let _ = writeln!(out, "[upstreams.{name}]  # from {found_in}");
    out.push_str(&launched(launch));
    let _ = writeln!(out, "returns = {}  # {why}", toml_string(source));
    let _ = writeln!(out, "pins = \"{PINS}\"");
    if !tools.is_empty() {
        out.push_str("tools = [\n");
        for tool in tools {
            let _ = writeln!(out, "    {}", entry(tool));
        }
        out.push_str("]\n");
    }
    out.push('\n');
    match failed {
        None => out,
        Some(why) => {
            let lines: String = out.trim_end().lines().map(|line| format!("# {line}\n")).collect();
            format!("# Not taken over: {}\n{lines}\n", printable(why))
        }
    }
}

fn launched(launch: &Launch) -> String {
    match launch {
        Launch::Process { command, env, cwd } => {
            let cwd = cwd.as_ref().map(|cwd| format!("cwd = {}\n", toml_string(cwd))).unwrap_or_default();
            format!("command = {}\n{cwd}{}", array(command), table("env", env))
        }
        Launch::Http { url, headers, is_event_stream } => {
            let transport = if *is_event_stream { "transport = \"sse\"\n" } else { "" };
            format!("url = {}\n{transport}{}", toml_string(url), table("headers", headers))
        }
    }
}

fn table(key: &str, values: &BTreeMap<String, Written>) -> String {
    if values.is_empty() {
        return String::new();
    }
    let value = |value: &Written| match value {
        Written::Text(text) => toml_string(text),
        Written::Env(name) => format!("{{ env = {} }}", toml_string(name)),
        Written::File(path) => format!("{{ file = {} }}", toml_string(path)),
    };
    let lines =
        values.iter().map(|(name, written)| format!("{key}.{} = {}\n", toml_string(name), value(written)));
    lines.collect()
}

fn entry(tool: &Tool) -> String {
    let Tool { name, labels } = tool;
    let classes: Vec<&str> = labels.classes.iter().map(|class| class.as_str()).collect();
    let classes: Vec<String> = classes.into_iter().map(toml_string).collect();
    let mut out = format!("{{ tool = {}, classes = [{}]", toml_string(name), classes.join(", "));
    for (key, names) in [("destinations", &labels.destinations), ("content", &labels.content)] {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| toml_string(name)).collect();
            let _ = write!(out, ", {key} = [{}]", names.join(", "));
        }
    }
    if labels.stores {
        out.push_str(", stores = \"all\"");
    }
    out.push_str(" },");
    if labels.is_unknown {
        out.push_str("  # its name says nothing: it counts as everything until you say what it does");
    } else if labels.classes.len() == ToolClass::ALL.len() {
        out.push_str("  # look at this one");
    }
    out
}
