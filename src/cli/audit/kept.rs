//! `sluicegate audit hash|erase`, and opening what a record keeps sealed.
//!
//! Must never print a key, nor change the journal by itself: the running gateway erases, and records it.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::cli::admin::{asked, json};
use crate::keep::{self, HashKey, Opened};
use crate::model::keep::Pointer;
use crate::model::name::Subject;
use crate::model::text::printable;

/// Which value.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate audit hash bob@example.com
  sluicegate audit hash --json-value '{\"iban\":\"DE02120300000000202051\"}'
  grep \"$(sluicegate audit hash bob@example.com)\" state/journal/*.jsonl

Records have the hash under `arguments.hashed`, where `audit = { hash = [...] }` of the tool asks for it.")]
pub(super) struct HashArgs {
    /// The value, as text
    #[arg(required_unless_present = "json_value")]
    text: Option<String>,
    /// The value as JSON, for what is no text
    #[arg(long, value_name = "JSON", conflicts_with = "text")]
    json_value: Option<String>,
    /// Answers in JSON, with the id of the key
    #[arg(long)]
    json: bool,
}

/// Whose values.
#[derive(Debug, clap::Args)]
pub(super) struct EraseArgs {
    /// The subject, whole, as records name it
    #[arg(long, value_name = "SUBJECT", value_parser = Subject::new)]
    subject: Subject,
    /// Answers in JSON
    #[arg(long)]
    json: bool,
}

/// Prints the hash that a record has of a value.
pub(super) fn hash(state_dir: &Path, args: &HashArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let key = HashKey::open(state_dir)?;
    let key = key.with_context(|| {
        format!("`{}` holds no key of hashes: a gateway makes it when it starts", state_dir.display())
    })?;
    let value = match (&args.json_value, &args.text) {
        (Some(value), _) => {
            let value: Box<serde_json::value::RawValue> =
                serde_json::from_str(value).context("the value of --json-value is no JSON")?;
            value.get().to_owned()
        }
        (None, text) => serde_json::to_string(text.as_deref().unwrap_or_default())?,
    };
    let hashed = key.hash(&value.into());
    if args.json {
        let said = serde_json::json!({ "hmac_sha256": hashed.hmac_sha256, "hash_key": hashed.hash_key });
        return json(&said, out);
    }
    Ok(writeln!(out, "{}", hashed.hmac_sha256)?)
}

/// Has the running gateway erase what is kept of a subject.
pub(super) fn erase(config: &Path, args: &EraseArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let erased = asked(config, async |client| client.erase(&args.subject).await)?;
    if args.json {
        return json(&erased, out);
    }
    let subject = &args.subject;
    let said = if erased.was_kept {
        format!("what was kept of the arguments of {subject} cannot be read any more")
    } else {
        format!("nothing is kept of {subject}: there is no key to destroy")
    };
    Ok(writeln!(out, "{said}")?)
}

/// The members of a record that say what is kept.
#[derive(Deserialize)]
struct Written {
    principal: Whose,
    arguments: Arguments,
}

#[derive(Deserialize)]
struct Whose {
    subject: Subject,
}

#[derive(Deserialize)]
struct Arguments {
    key: String,
    kept: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    pointer: String,
    sealed: Option<String>,
}

/// Says what `line` keeps sealed, a line for each part.
pub(super) fn opened(state_dir: &Path, line: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let Ok(Written { principal, arguments }) = serde_json::from_str(line) else { return Ok(()) };
    for Part { pointer, sealed } in &arguments.kept {
        let Some(sealed) = sealed else { continue };
        let Ok(at) = Pointer::new(pointer) else { continue };
        let said = match keep::open(state_dir, &principal.subject, &arguments.key, &at, sealed)? {
            Opened::Json(text) => text,
            Opened::Erased => "erased".to_owned(),
            Opened::Damaged => "not what was sealed".to_owned(),
        };
        let name = if pointer.is_empty() { "all arguments" } else { pointer };
        writeln!(out, "# kept {}: {}", printable(name), printable(&said))?;
    }
    Ok(())
}
