//! `sluicegate audit key|rotate-key|checkpoint|prove`, and what `audit verify` is given from elsewhere.
//!
//! Must never change the journal, nor print a private key.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;

use crate::audit::{self, Against, Checkpoint, NoteError, Seq, VerifyingKey, WitnessKey};
use crate::cli::admin::{asked, json};
use crate::config;

/// What the journal is held against.
#[derive(Debug, clap::Args)]
pub(super) struct AgainstArgs {
    /// A key whose checkpoints count, as `audit key` prints it, or a file that holds it; may be repeated
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A checkpoint that was kept elsewhere: the journal has to go on from it; may be repeated
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// The key of a witness, or a file that holds it: it has to have signed every `--checkpoint`; may be repeated
    #[arg(long = "witness", value_name = "KEY", requires = "checkpoints")]
    witnesses: Vec<String>,
}

impl AgainstArgs {
    pub(super) fn read(&self) -> anyhow::Result<Against> {
        let keys: Vec<VerifyingKey> = read_keys(&self.keys)?;
        let witnesses: Vec<WitnessKey> = read_keys(&self.witnesses)?;
        let read = |path: &PathBuf| {
            let note = note(path)?;
            for witness in &witnesses {
                let seen = witness.seen(&note);
                let by =
                    || format!("the checkpoint in `{}`, by the witness `{}`", path.display(), witness.name());
                seen.with_context(by)?;
            }
            let checkpoint = Checkpoint::read(&note, &keys);
            checkpoint.with_context(|| format!("the checkpoint in `{}`", path.display()))
        };
        let kept = self.checkpoints.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Against { keys, kept })
    }
}

/// Keys as they are written, or files that hold them.
fn read_keys<K: FromStr<Err = NoteError>>(texts: &[String]) -> anyhow::Result<Vec<K>> {
    let key = |text: &String| {
        if let Ok(key) = text.parse() {
            return Ok(key);
        }
        let written = std::fs::read_to_string(text)
            .with_context(|| format!("`{text}` is no key, written `name+hash+key`, and no file"))?;
        written.trim_end().parse().with_context(|| format!("the key in `{text}`"))
    };
    texts.iter().map(key).collect()
}

fn note(path: &Path) -> anyhow::Result<String> {
    audit::read_note(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// What is proven.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate audit prove 4711 > proof.json
  sluicegate audit prove 4711 --by kept.note
  sluicegate audit prove --from kept.note --to newer.note

A proof is JSON: the record, its place, the path of hashes up to the root (RFC 6962, 2.1.1), and the signed checkpoint.
Whoever has the public key checks it without us: docs/AUDIT.md says how.")]
pub(super) struct ProveArgs {
    /// The number of the record, as `audit tail` shows it behind `#`
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    seq: Option<u64>,
    /// The checkpoint that it is proven by; where absent, the newest
    #[arg(long, value_name = "FILE", requires = "seq")]
    by: Option<PathBuf>,
    /// Proves that this checkpoint is the beginning of that of `--to`
    #[arg(long, value_name = "FILE", requires = "to")]
    from: Option<PathBuf>,
    /// The later checkpoint
    #[arg(long, value_name = "FILE", requires = "from")]
    to: Option<PathBuf>,
}

pub(super) fn prove(dir: &Path, args: &ProveArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let json = match (&args.from, &args.to, args.seq) {
        (Some(from), Some(to), _) => {
            serde_json::to_string(&audit::prove_consistency(dir, &note(from)?, &note(to)?)?)?
        }
        (_, _, seq) => {
            let by = args.by.as_deref().map(note).transpose()?;
            let seq = Seq(seq.context("say which record")?);
            serde_json::to_string(&audit::prove_inclusion(dir, seq, by.as_deref())?)?
        }
    };
    writeln!(out, "{json}")?;
    Ok(())
}

/// How the key is replaced.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Whoever verifies with the old key goes on: the journal says which key is the next, and the old one
signs that. After a theft give them the new one, as `audit key` prints it, and let them forget the old."
)]
pub(super) struct RotateArgs {
    /// How long the old key signs too
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = overlap)]
    overlap: Duration,
    /// Answers in JSON
    #[arg(long)]
    json: bool,
}

fn overlap(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "write a number and `s`, `m`, `h` or `d`: 7d".to_owned())
}

pub(super) fn rotate_key(config: &Path, args: &RotateArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let rotated = asked(config, async |client| client.rotate_audit_key(args.overlap).await)?;
    if args.json { json(&rotated, out) } else { Ok(writeln!(out, "{}", rotated.key)?) }
}

/// Prints the newest checkpoint, to be kept elsewhere.
pub(super) fn checkpoint(dir: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let newest = audit::newest_checkpoint(dir)?;
    let newest =
        newest.context("there is no checkpoint yet: the first is written a minute after the start")?;
    write!(out, "{newest}")?;
    Ok(())
}

/// Prints the public key of the gateway whose state directory this is.
pub(super) fn print_key(state_dir: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let path = audit::public_path(&state_dir.join(audit::KEY_FILE));
    let key = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read `{}`: a gateway makes it when it starts", path.display()))?;
    write!(out, "{key}")?;
    Ok(())
}
