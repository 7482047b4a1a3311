//! The first policy, and the tests that prove it.
//!
//! Must never let what was read from somebody else write, send, execute or load by itself.

use std::fmt::Write as _;

use super::{Configuration, OWN_ROLE, OWN_SOURCE, Server, Tool, array};
use crate::model::label::ToolClass;
use crate::model::text::toml_string;

/// Most tools that one test names.
const TESTED_MAX: usize = 24;

/// What a source may do, tool by tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Allow,
    Ask,
}

/// What a run may do with `tool` of `server` that has read from `source`.
fn answer(source: &str, server: &Server, tool: &Tool) -> Answer {
    let reads = |tool: &Tool| tool.labels.classes.iter().all(|class| *class == ToolClass::Reads);
    // What led to an address may lead to the next, as long as nothing else was read: another source forbids it.
    let reads_on = server.returns.0 == source && tool.labels.only_follows;
    if reads(tool) || reads_on { Answer::Allow } else { Answer::Ask }
}

/// `upstream.tool` of every tool of which `wanted` says yes.
fn tools(all: &Configuration<'_>, wanted: impl Fn(&Server, &Tool) -> bool) -> Vec<String> {
    let of = |server| {
        let wanted = &wanted;
        let Server { name, tools, .. }: &Server = server;
        tools.iter().filter(move |tool| wanted(server, tool)).map(move |tool| format!("{name}.{}", tool.name))
    };
    all.live().flat_map(of).collect()
}

fn off(server: &Server, tool: &Tool) -> bool {
    server.off.contains(&tool.name)
}

/// `[sources.*]` and `[roles.*]`.
pub(super) fn sections(all: &Configuration<'_>) -> String {
    let each = |form: &str| all.live().map(|server| format!("{}{form}", server.name)).collect::<Vec<_>>();
    let mut out = format!(
        "# What a run may do that a source has influenced. Of several, the strictest counts.\n\n\
         # You typed it: what you had before in your own client, as long as nothing else was read.\n\
         [sources.{OWN_SOURCE}]\nallow = {}\nprompts = {{ allow = {} }}\nresources = {{ allow = {} }}\n",
        array(&each(".*")),
        array(&each(".*")).replace('\n', " "),
        array(&each(":*")).replace('\n', " "),
    );
    let denied = tools(all, off);
    if !denied.is_empty() {
        let _ = writeln!(out, "deny = {}  # switched off in your client", array(&denied));
    }
    for source in all.sources() {
        let is = |wanted| move |server: &Server, tool: &Tool| answer(source, server, tool) == wanted;
        let (allow, ask) = (tools(all, is(Answer::Allow)), tools(all, is(Answer::Ask)));
        let _ = write!(
            out,
            "\n# It has read something of `{source}`: it may read on. What writes, sends, executes or loads asks a \
             person (until\n# a version that can ask, it is refused); move to `allow` what you want to give up.\n\
             [sources.{}]\nallow = {}\n",
            key(source),
            array(&allow)
        );
        if !ask.is_empty() {
            let _ = writeln!(out, "ask = {}", array(&ask));
        }
    }
    let _ = write!(
        out,
        "\n# What a subject may do, whatever the source. Agents that act for others get a narrower role.\n\n\
         [roles.{OWN_ROLE}]\nallow = [\"*\"]\nprompts = {{ allow = [\"*\"] }}\nresources = {{ allow = [\"*\"] }}\n"
    );
    out
}

/// A bare key holds no dot.
fn key(name: &str) -> String {
    if name.contains('.') { toml_string(name) } else { name.to_owned() }
}

/// `[[tests]]`.
pub(super) fn tests(all: &Configuration<'_>) -> String {
    let mut own = tools(all, |server, tool| !off(server, tool));
    own.truncate(TESTED_MAX);
    if own.is_empty() {
        return "\n# No tool is known yet. Start the gateway once, then say what each source may do, and prove it with\n\
                # `[[tests]]`.\n"
            .to_owned();
    }
    let mut out = String::from(
        "\n# What has to stay true. `sluicegate check` runs them, and a reload refuses a file whose tests fail.\n",
    );
    let mut denied = tools(all, off);
    denied.truncate(TESTED_MAX);
    let denied = if denied.is_empty() { String::new() } else { format!("deny = {}\n", array(&denied)) };
    let _ = write!(
        out,
        "\n[[tests]]\nname = \"what you type may use what you had before\"\nsource = \"{OWN_SOURCE}\"\nrole = \"{OWN_ROLE}\"\n\
         allow = {}\n{denied}",
        array(&own)
    );
    for source in all.sources() {
        let is = |wanted| {
            move |server: &Server, tool: &Tool| answer(source, server, tool) == wanted && !off(server, tool)
        };
        let (mut allow, mut ask) = (tools(all, is(Answer::Allow)), tools(all, is(Answer::Ask)));
        allow.truncate(TESTED_MAX);
        ask.truncate(TESTED_MAX);
        if allow.is_empty() && ask.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "\n[[tests]]\nname = {}\nsources = [\"{OWN_SOURCE}\", {}]\nrole = \"{OWN_ROLE}\"\nallow = {}\nask = {}\n",
            toml_string(&format!("what came from {source} reads on and does nothing else")),
            toml_string(source),
            array(&allow),
            array(&ask)
        );
        out.push_str(&sequence(all, source, ask.first()));
    }
    out
}

/// One run that reads from `source`, and then tries what asks.
fn sequence(all: &Configuration<'_>, source: &str, ask: Option<&String>) -> String {
    let reader = tools(all, |server, tool| {
        let labels = &tool.labels;
        let reads = labels.classes.len() == 1 && labels.classes.contains(&ToolClass::Reads);
        server.returns.0 == source && !off(server, tool) && (reads || labels.only_follows)
    });
    let Some((reader, ask)) = reader.first().zip(ask) else { return String::new() };
    format!(
        "calls = [  # reading it is what narrows the run\n    {{ tool = {}, expect = \"allow\" }},\n    \
         {{ tool = {}, expect = \"ask\" }},\n]\n",
        toml_string(reader),
        toml_string(ask)
    )
}
