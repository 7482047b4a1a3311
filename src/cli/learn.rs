//! `sluicegate learn`: the least policy that covers what was seen, as lines to be read and pasted.
//!
//! Must never apply anything, nor propose what was not seen. What it writes is TOML whatever the names are: they come
//! from records, and resources are named by strangers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::json;

use super::recorded::Past;
use super::{admin, exit};
use crate::audit::Recorded;
use crate::model::decision::Answer;
use crate::model::name::{AgentName, RoleName, SourceName};
use crate::model::target::Class;
use crate::model::text::printable;
use crate::policy::{Names, Proposed, Seen, TARGETS_MAX, Use};

/// The arguments of `learn`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate learn --source email --since 7d
  sluicegate learn --role assistant --generalise
  sluicegate learn --source web --include-denied --json

Writes a table for the source, role or agent with everything that was allowed to its runs, each name by itself.
`--generalise` writes upstream.* or upstream.prefix_* in the place of several tools, where every accepted tool that
the pattern matches was seen to be allowed. Nothing is changed: read it, paste what is right, and look at
`sluicegate diff`.")]
#[group(id = "whose", required = true, multiple = false, args = ["source", "role", "agent"])]
pub(super) struct Learn {
    /// For the runs that this source has influenced
    #[arg(long, value_name = "SOURCE", value_parser = SourceName::new)]
    source: Option<SourceName>,
    /// For the calls of subjects with this role
    #[arg(long, value_name = "ROLE", value_parser = RoleName::new)]
    role: Option<RoleName>,
    /// For the calls of this agent
    #[arg(long, value_name = "AGENT", value_parser = AgentName::new)]
    agent: Option<AgentName>,
    #[command(flatten)]
    past: Past,
    /// Patterns in the place of several tools, where they cover nothing that was not seen
    #[arg(long)]
    generalise: bool,
    /// Also what was only refused, as comments
    #[arg(long)]
    include_denied: bool,
    #[command(flatten)]
    target: admin::Target,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Learn) -> anyhow::Result<ExitCode> {
    let config = admin::configuration(&command.target.config)?;
    let compiled = config.compile([]).map_err(|error| exit::misconfigured(&error.into()))?;
    let known: BTreeSet<_> = compiled.accepted.iter().map(ToString::to_string).collect();
    let (mut seen, mut is_full) = (Seen::default(), false);
    let history = command.past.history(&config.state_dir);
    let scan = history.visit(|call| {
        if let Some(target) = call.target.as_ref().filter(|_| command.is_meant(&call)) {
            let answer = if call.is_allowed() { Answer::Allow } else { Answer::Deny };
            is_full |= seen.note(target.class(), &target.to_string(), answer, call.at).is_none();
        }
    })?;
    if is_full {
        bail!("more than {TARGETS_MAX} different targets; narrow it by `--since` and `--until`");
    }
    let names = if command.generalise { Names::Generalised } else { Names::Literal };
    let proposed = seen.propose(names, &known);
    let unwritable: Vec<_> = seen.unwritable().collect();
    let refused: Vec<_> = seen.refused().filter(|_| command.include_denied).collect();
    let mut caveats = history.caveats(scan);
    if proposed.is_empty() && unwritable.is_empty() {
        caveats.push("nothing was allowed in this time".to_owned());
    }
    let out = &mut std::io::stdout().lock();
    let told = match command.json {
        true => {
            let mut told = to_json(&proposed, &unwritable, &refused);
            if let Some(members) = told.as_object_mut() {
                members.insert("caveats".to_owned(), json!(caveats));
            }
            admin::json(&told, out)
        }
        false => {
            let caveats: String = caveats.iter().map(|caveat| format!("# {caveat}\n")).collect();
            let table = to_toml(&command.section(), &proposed, &unwritable, &refused);
            write!(out, "{caveats}{table}").map_err(Into::into)
        }
    };
    admin::conclude(told)
}

impl Learn {
    fn is_meant(&self, call: &Recorded) -> bool {
        let principal = &call.principal;
        self.source
            .as_ref()
            .is_some_and(|source| call.provenance.contains(source) || principal.sources.contains(source))
            || self.role.as_ref().is_some_and(|role| principal.roles.contains(role))
            || self.agent.as_ref().is_some_and(|agent| principal.agents.contains(agent))
    }

    /// The table, as TOML names it.
    fn section(&self) -> String {
        let named = |section: &str, name: &str| format!("{section}.{}", quoted(name));
        match (&self.source, &self.role, &self.agent) {
            (Some(source), ..) => named("sources", source.as_str()),
            (_, Some(role), _) => named("roles", role.as_str()),
            (.., Some(agent)) => named("agents", agent.as_str()),
            (None, None, None) => "sources".to_owned(),
        }
    }
}

fn to_json(
    proposed: &[Proposed],
    unwritable: &[(Class, &str, &Use)],
    refused: &[(Class, &str, &Use)],
) -> serde_json::Value {
    let use_of = |class: Class, text: &str, seen: &Use| {
        json!({
            "class": class.code(), "permission": text, "allowed": seen.allowed, "refused": seen.refused,
            "last": seen.last,
        })
    };
    let entries: Vec<_> =
        proposed.iter().map(|entry| use_of(entry.class, &entry.permission, &entry.seen)).collect();
    let each = |all: &[(Class, &str, &Use)]| -> Vec<_> {
        all.iter().map(|(class, text, seen)| use_of(*class, text, seen)).collect()
    };
    json!({ "allow": entries, "not_proposed": each(unwritable), "only_refused": each(refused) })
}

/// A table that can be pasted: tools in `allow`, every other class under its own key.
fn to_toml(
    section: &str,
    proposed: &[Proposed],
    unwritable: &[(Class, &str, &Use)],
    refused: &[(Class, &str, &Use)],
) -> String {
    let mut out = format!("[{section}]\n");
    for class in Class::ALL {
        let entries: Vec<_> = proposed.iter().filter(|entry| entry.class == class).collect();
        if entries.is_empty() {
            continue;
        }
        let (open, close) = match class {
            Class::Tool => ("allow = [\n".to_owned(), "]\n"),
            class => (format!("{} = {{ allow = [\n", class.plural()), "] }\n"),
        };
        out.push_str(&open);
        for entry in entries {
            push(&mut out, format_args!("    {}, # {}\n", quoted(&entry.permission), used(&entry.seen)));
        }
        out.push_str(close);
    }
    for (class, text, seen) in unwritable {
        let text = printable(text);
        push(
            &mut out,
            format_args!(
                "# not proposed, a permission would take its `*` for a pattern: {} {text} ({})\n",
                class.code(),
                used(seen)
            ),
        );
    }
    for (class, text, seen) in refused {
        let text = printable(text);
        push(
            &mut out,
            format_args!(
                "# only refused: {} {text} ({}x, last {})\n",
                class.code(),
                seen.refused,
                day(seen.last)
            ),
        );
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = out.write_fmt(text);
}

fn used(seen: &Use) -> String {
    let refused = if seen.refused > 0 { format!(", refused {}x", seen.refused) } else { String::new() };
    format!("{}x{refused}, last {}", seen.allowed, day(seen.last))
}

fn day(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// `text` as a basic string of TOML 1.0, whatever it holds.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || !c.is_ascii() => push(&mut out, format_args!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::de::{DeTable, DeValue};

    use super::*;

    fn entry(class: Class, permission: &str) -> Proposed {
        let last = Some(Timestamp::UNIX_EPOCH);
        Proposed { class, permission: permission.to_owned(), seen: Use { allowed: 3, refused: 1, last } }
    }

    #[test]
    fn every_class_stands_under_its_key() {
        let proposed = [entry(Class::Tool, "mail.send"), entry(Class::Resource, "docs:file:///a")];
        let written = to_toml("sources.\"email\"", &proposed, &[], &[]);
        let expected = "[sources.\"email\"]\nallow = [\n    \"mail.send\", # 3x, refused 1x, last 1970-01-01\n]\n\
                        resources = { allow = [\n    \"docs:file:///a\", # 3x, refused 1x, last 1970-01-01\n] }\n";
        assert_eq!(written, expected);
    }

    proptest! {
        #[test]
        fn whatever_the_names_are_it_is_toml_that_says_them(texts in proptest::collection::vec(".*", 1..5)) {
            let proposed: Vec<_> = texts.iter().map(|text| entry(Class::Tool, text)).collect();
            let refused = Use { refused: 1, ..Use::default() };
            let only: Vec<_> = texts.iter().map(|text| (Class::Tool, text.as_str(), &refused)).collect();
            let written = to_toml("roles.\"x\"", &proposed, &only, &only);
            let read = DeTable::parse(&written);
            let read = read.map_err(|error| TestCaseError::fail(format!("{error}: {written}")))?.into_inner();
            let roles = read.get("roles").unwrap().get_ref().as_table().unwrap();
            let row = roles.get("x").unwrap().get_ref().as_table().unwrap();
            let allow = row.get("allow").unwrap().get_ref().as_array().unwrap();
            let text = |text: &toml::Spanned<DeValue<'_>>| text.get_ref().as_str().unwrap().to_owned();
            let said: Vec<_> = allow.iter().map(text).collect();
            prop_assert_eq!(said, texts);
        }
    }
}
