//! `sluicegate key new`: makes an API key, shows it once, and writes the table to paste.
//!
//! Must never store the key, nor write it anywhere but to standard output: what is piped into a secret
//! store is the key alone.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::identity::{MintedKey, hash_text, mint};
use crate::model::name::{AgentName, RoleName, SourceName, Subject};

/// The arguments of `key`.
#[derive(Debug, clap::Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeyCommand {
    /// Make a key, show it once, and write the table for gateway.toml to standard error
    New(New),
}

/// The arguments of `key new`: what the table to paste says.
#[derive(Debug, clap::Args)]
struct New {
    /// The name of the key in the configuration
    #[arg(long, default_value = "laptop", value_parser = name)]
    name: String,
    /// The source that it vouches for
    #[arg(long, default_value = "chat", value_parser = SourceName::new)]
    source: SourceName,
    /// The subject on whose behalf its runs act
    #[arg(long, default_value = "user:me", value_parser = Subject::new)]
    subject: Subject,
    /// A role of the subject; may be repeated
    #[arg(long = "role", default_value = "assistant", value_parser = RoleName::new)]
    roles: Vec<RoleName>,
    /// The agent that acts, where agents are configured
    #[arg(long, value_parser = AgentName::new)]
    agent: Option<AgentName>,
    /// Write one JSON object with `key`, `hash` and `toml` to standard output instead
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Key) -> anyhow::Result<ExitCode> {
    let KeyCommand::New(new) = command.command;
    let key = mint().context("no key was made")?;
    write(&new, &key, &mut std::io::stdout().lock(), &mut std::io::stderr().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn write(new: &New, key: &MintedKey, out: &mut impl Write, notes: &mut impl Write) -> std::io::Result<()> {
    let table = table(new, key);
    if new.json {
        let answer = serde_json::json!({ "key": key.reveal(), "hash": hash_text(key.hash), "toml": table });
        return writeln!(out, "{answer}");
    }
    writeln!(out, "{}", key.reveal())?;
    out.flush()?;
    writeln!(notes, "\nThis is the key. It is shown once and stored nowhere. A client sends it as")?;
    writeln!(notes, "`Authorization: Bearer KEY`. For gateway.toml:\n\n{table}")
}

/// The table as it stands in the configuration. Names hold no character that TOML would have to escape.
fn table(new: &New, key: &MintedKey) -> String {
    let New { name, source, subject, roles, agent, .. } = new;
    let roles: Vec<String> = roles.iter().map(|role| format!("\"{role}\"")).collect();
    let agent = agent.as_ref().map(|agent| format!(", agent = \"{agent}\"")).unwrap_or_default();
    // A bare key of TOML holds no dot.
    let name = if name.contains('.') { format!("\"{name}\"") } else { name.clone() };
    format!(
        "[auth.keys.{name}]\nhash = \"{}\"\nvouches = {{ source = \"{source}\", subject = \"{subject}\", \
         roles = [{}]{agent} }}\n",
        hash_text(key.hash),
        roles.join(", "),
    )
}

/// Names of keys have the alphabet of sources.
fn name(text: &str) -> Result<String, crate::model::name::NameError> {
    SourceName::new(text).map(|name| name.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Machine, load_on};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        key: Key,
    }

    fn written(arguments: &[&str]) -> (MintedKey, String, String) {
        let line = Line::try_parse_from([&["key", "new"], arguments].concat()).unwrap();
        let KeyCommand::New(new) = line.key.command;
        let key = mint().unwrap();
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        write(&new, &key, &mut out, &mut notes).unwrap();
        (key, String::from_utf8(out).unwrap(), String::from_utf8(notes).unwrap())
    }

    const REST: &str = r#"
        [listen.main]
        address = "127.0.0.1:7400"
        [upstreams.web]
        url = "http://127.0.0.1:9100/mcp"
        returns = "email"
        [sources.email]
        allow = ["*"]
        [roles.a]
        allow = ["*"]
        [roles.b]
        allow = ["*"]
        [agents.inbox]
        allow = ["*"]
    "#;

    #[test]
    fn what_is_printed_can_be_pasted_and_the_key_is_printed_once() {
        let arguments = [
            "--name",
            "mail.bot",
            "--source",
            "email",
            "--subject",
            "user:7",
            "--role",
            "a",
            "--role",
            "b",
            "--agent",
            "inbox",
        ];
        let (key, out, notes) = written(&arguments);
        assert_eq!(out.trim(), key.reveal());
        assert!(!notes.contains(key.reveal()));
        let table = notes.split_once("\n\n").unwrap().1;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        std::fs::write(&path, format!("{REST}\n{table}")).unwrap();
        let config = load_on(&path, &Machine::this()).unwrap();
        let loaded = config.identity.keys.first().unwrap();
        assert_eq!(loaded.hash, key.hash);
        assert_eq!(loaded.principal.entry_point.as_str(), "keys.mail.bot");
        assert_eq!(loaded.principal.roles.len(), 2);
    }

    #[test]
    fn json_holds_the_same() {
        let (key, out, notes) = written(&["--json"]);
        let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(answer["key"], key.reveal());
        assert_eq!(answer["hash"], hash_text(key.hash));
        assert!(answer["toml"].as_str().unwrap().contains("[auth.keys.laptop]"));
        assert_eq!(notes, "");
    }

    #[test]
    fn what_is_no_name_is_a_usage_error() {
        for arguments in [["--source", "a b"], ["--subject", "a\"b"], ["--name", "a/b"], ["--role", ""]] {
            assert!(Line::try_parse_from([&["key", "new"], &arguments[..]].concat()).is_err());
        }
    }
}
