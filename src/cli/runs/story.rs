//! `runs show`: a run as the gateway knows it now and as the journal tells it.
//!
//! Must never need the gateway: of a run that has ended, or where none is running, the journal tells alone.
//! What strangers wrote (attributes of a trigger, names of tools) must never steer the terminal.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::names;
use crate::audit::{self, Item, Story, Summary};
use crate::cli::admin::failed;
use crate::cli::exit;
use crate::config::Config;
use crate::console::{Client, ClientError, RunEntry};
use crate::model::facts::RunId;
use crate::model::run::RunHistory;
use crate::model::text::printable;

/// How many records are told where nobody says.
pub(super) const RECORDS_DEFAULT: usize = 50;

/// What is known of a run.
pub(super) struct Told {
    id: RunId,
    /// As the gateway knows it; absent where it has ended, or where no gateway answers.
    open: Option<RunEntry>,
    gateway: GatewayAnswered,
    story: Story,
}

/// Whether a gateway said whether the run is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GatewayAnswered {
    Yes,
    No,
}

/// Asks the gateway and reads the journal.
pub(super) async fn read(
    config: &Config,
    client: &Client,
    id: &RunId,
    records: usize,
) -> anyhow::Result<Told> {
    let (open, gateway) = match client.run(id).await {
        Ok(run) => (Some(run), GatewayAnswered::Yes),
        Err(ClientError::Refused { reason, .. }) if reason == "missing" => (None, GatewayAnswered::Yes),
        Err(ClientError::Unreachable { .. }) => (None, GatewayAnswered::No),
        Err(error) => return Err(failed(error)),
    };
    let story = audit::story(&config.audit.dir, id, records);
    let story = story.map_err(|error| exit::unavailable(&anyhow::Error::new(error)))?;
    if open.is_none() && story.is_empty() {
        anyhow::bail!("neither a gateway nor the journal knows a run {id}");
    }
    Ok(Told { id: id.clone(), open, gateway, story })
}

impl Told {
    /// Everything, the records as they stand in the journal.
    pub(super) fn as_json(&self) -> anyhow::Result<Value> {
        let record = |item: &Item| serde_json::from_str::<Value>(&item.line);
        let records = |items: &std::collections::VecDeque<Item>| -> Result<Vec<Value>, _> {
            items.iter().map(record).collect()
        };
        let told = serde_json::to_value(&self.open)?;
        let mut told = told.as_object().cloned().unwrap_or_default();
        told.insert("run".to_owned(), json!(self.id));
        let open = match self.gateway {
            GatewayAnswered::Yes => json!(self.open.is_some()),
            GatewayAnswered::No => Value::Null,
        };
        told.insert("open".to_owned(), open);
        let story = json!({
            "start": self.story.start.as_ref().map(record).transpose()?,
            "growth": records(&self.story.growth)?,
            "end": self.story.end.as_ref().map(record).transpose()?,
            "records": records(&self.story.records)?,
            "counts": self.story.counts,
        });
        told.insert("story".to_owned(), story);
        Ok(Value::Object(told))
    }

    fn start(&self) -> Value {
        self.story.start.as_ref().and_then(parse).unwrap_or_default()
    }
}

/// Writes the story for people.
pub(super) fn write(told: &Told, out: &mut impl Write) -> io::Result<()> {
    let start = told.start();
    line(out, "run", told.id.as_str())?;
    line(out, "state", &state(told))?;
    head(told, &start, out)?;
    trigger(&start, out)?;
    growth(told, out)?;
    let counts = told.story.counts;
    writeln!(out, "\n{} calls, {} refusals", counts.calls, counts.refusals)?;
    if counts.earlier > 0 {
        writeln!(out, "  ({} earlier records are not told; -n tells more)", counts.earlier)?;
    }
    let mut summary = Summary::default();
    for text in told.story.records.iter().filter_map(|item| summary.line(item)) {
        writeln!(out, "  {text}")?;
    }
    if counts.damaged > 0 {
        writeln!(out, "{} records of it are damaged: `sluicegate audit verify`", counts.damaged)?;
    }
    if told.story.start.is_none() {
        writeln!(out, "\nIts start is not in the journal folder; older segments may be archived.")?;
    }
    if told.open.as_ref().is_some_and(|run| run.history == RunHistory::Lost) {
        writeln!(
            out,
            "\nPart of this run's history is lost, so nobody knows what it has read and every call"
        )?;
        writeln!(out, "is refused. `sluicegate runs end {}` lets its caller go on.", told.id)?;
    }
    Ok(())
}

fn head(told: &Told, start: &Value, out: &mut impl Write) -> io::Result<()> {
    if let Some(run) = &told.open {
        line(out, "entry point", run.entry_point.as_str())?;
        line(out, "subject", run.subject.as_str())?;
        if let Some(session) = &run.session {
            line(out, "session", session)?;
        }
    } else {
        said(out, "entry point", start.pointer("/principal/entry_point"))?;
        said(out, "subject", start.pointer("/principal/subject"))?;
    }
    said(out, "txn", start.pointer("/claim/txn"))?;
    said(out, "agent", start.pointer("/claim/agent").or_else(|| start.pointer("/principal/agents/0")))?;
    said(out, "roles", start.pointer("/claim/roles").or_else(|| start.pointer("/principal/roles")))?;
    if let Some(listener) = start.pointer("/origin/listener").and_then(Value::as_str) {
        let uid = start.pointer("/origin/uid").map(|uid| format!(", uid {uid}")).unwrap_or_default();
        line(out, "came in at", &format!("{listener}{uid}"))?;
    }
    if let Some(run) = &told.open {
        line(out, "provenance", &names(&run.provenance))?;
        line(out, "started", &run.started.to_string())?;
        line(out, "last used", &run.used.to_string())?;
    } else {
        said(out, "started", start.get("t"))?;
    }
    Ok(())
}

/// What started it: each entry with its attributes.
fn trigger(start: &Value, out: &mut impl Write) -> io::Result<()> {
    let Some(trigger) = start.pointer("/claim/trigger").or_else(|| start.get("trigger")) else {
        return Ok(());
    };
    said(out, "goal", trigger.get("goal"))?;
    for entry in trigger.get("entries").and_then(Value::as_array).into_iter().flatten() {
        line(out, "trigger", &entry_text(entry))?;
    }
    Ok(())
}

fn entry_text(entry: &Value) -> String {
    let word = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("-");
    let mut text = word("kind").to_owned();
    if word("source") != word("kind") {
        text.push_str(&format!(" (counts as {})", word("source")));
    }
    for (name, value) in entry.get("attributes").and_then(Value::as_object).into_iter().flatten() {
        text.push_str(&format!("  {name}={value}"));
    }
    if let Some(dropped) = entry.get("dropped") {
        text.push_str(&format!("  (not declared, dropped: {})", plain(dropped)));
    }
    text
}

/// How its provenance grew, and why.
fn growth(told: &Told, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nprovenance, as it grew")?;
    for record in told.story.growth.iter().filter_map(parse) {
        let time = record.get("t").map(plain).unwrap_or_default();
        let time = time.get(..19).unwrap_or(&time).to_owned();
        let seq = record.get("seq").map(plain).unwrap_or_default();
        let is_start = record.get("kind").and_then(Value::as_str) == Some("run_start");
        let added = record.get(if is_start { "provenance" } else { "adds" }).map(plain).unwrap_or_default();
        let because = if is_start { "what it started with".to_owned() } else { why(&record) };
        let text = format!("  {time}Z  #{seq:<8} +{added:<24} {because}");
        writeln!(out, "{}", printable(text.trim_end()))?;
        for entry in record.get("entries").and_then(Value::as_array).into_iter().flatten() {
            writeln!(out, "      {}", printable(&entry_text(entry)))?;
        }
    }
    Ok(())
}

/// What brought a source: a cause that was recorded, or the call that did.
fn why(record: &Value) -> String {
    if let Some(cause) = record.get("cause") {
        return plain(cause);
    }
    let method = || record.get("method").map(plain);
    let target = audit::target_of(record).or_else(method).unwrap_or_default();
    match record.get("reason") {
        Some(reason) => format!("{target} (refused: {})", plain(reason)),
        None => target,
    }
}

fn state(told: &Told) -> String {
    if let Some(end) = told.story.end.as_ref().and_then(parse) {
        let time = end.get("t").map(plain).unwrap_or_default();
        let by = end.pointer("/by/uid").map(|uid| format!(", by uid {uid}")).unwrap_or_default();
        return format!("ended {time} ({}{by})", end.get("why").map(plain).unwrap_or_default());
    }
    match (&told.open, told.gateway) {
        (Some(run), _) => super::state(run).to_owned(),
        (None, GatewayAnswered::Yes) => "not open".to_owned(),
        (None, GatewayAnswered::No) => "not ended as far as the journal tells; no gateway answers".to_owned(),
    }
}

fn parse(item: &Item) -> Option<Value> {
    serde_json::from_str(&item.line).ok()
}

fn said(out: &mut impl Write, label: &str, value: Option<&Value>) -> io::Result<()> {
    value.map_or(Ok(()), |value| line(out, label, &plain(value)))
}

fn line(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{label:<12} {}", printable(text))
}

/// A value without the signs of JSON: texts as they are, lists with commas.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
