//! Records in the form that a sink wants them.
//!
//! Must never leave a record out that the form has an event for, whatever is in it. Remembers a bounded number of intents;
//! what it does not remember it reads from the journal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::one_line::one_line;
use super::settings::Format;
use super::told::Told;
use super::{ecs, ocsf, otel};
use crate::audit::{self, Item, Kind, Seq};

/// Most intents that are remembered until their outcomes come.
const INTENTS_MAX: usize = 4096;

/// One record on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) seq: Seq,
    pub(super) kind: Kind,
    /// The time of the record, as it stands there.
    pub(super) time: String,
    /// The digest of the record.
    pub(super) digest: String,
    /// What is sent: one line.
    pub(super) text: String,
}

impl Parcel {
    /// The time of the record, where it says one.
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }

    /// What it is known by to a receiver that tells what comes twice, and that other sinks may send to as well.
    #[cfg(any(feature = "kafka", feature = "nats"))]
    pub(super) fn id(&self, sink: &str) -> String {
        format!("{sink}-{}-{}", self.seq.0, self.digest)
    }
}

/// What makes parcels.
#[derive(Debug)]
pub(super) struct Packer {
    format: Format,
    dir: PathBuf,
    intents: BTreeMap<Seq, Value>,
}

impl Packer {
    /// Of the journal in `dir`.
    pub(super) fn new(format: Format, dir: &Path) -> Self {
        Self { format, dir: dir.to_owned(), intents: BTreeMap::new() }
    }

    /// What of `items` is sent, in their order. May read the journal.
    pub(super) fn pack(&mut self, items: Vec<Item>) -> Vec<Parcel> {
        items.into_iter().filter_map(|item| self.one(item)).collect()
    }

    fn one(&mut self, item: Item) -> Option<Parcel> {
        let (time, digest) = (member(&item.line, "t"), member(&item.line, "digest"));
        let (seq, kind) = (item.seq, item.kind);
        let text = match self.format {
            Format::Record => item.line,
            Format::Ocsf(version) => self.told(item, |told| ocsf::event(told, version))?,
            Format::Ecs => self.told(item, ecs::event)?,
            Format::Otel => self.told(item, otel::log_record)?,
        };
        Some(Parcel { seq, kind, time, digest, text })
    }

    /// The record in a form of its own, with the intent that it ends; none where another record tells it.
    fn told(&mut self, item: Item, form: impl FnOnce(Told<'_>) -> Option<Value>) -> Option<String> {
        let Item { seq, kind, line } = item;
        let record: Value = serde_json::from_str(&line).unwrap_or_else(|_| Value::String(line.clone()));
        let intent = self.intent_of(kind, &record);
        let event = form(Told { kind, line: &line, record: &record, intent: intent.as_ref() });
        if kind == Kind::Intent {
            self.remember(seq, record);
        }
        event.as_ref().map(one_line)
    }

    fn remember(&mut self, seq: Seq, intent: Value) {
        self.intents.insert(seq, intent);
        if self.intents.len() > INTENTS_MAX {
            self.intents.pop_first();
        }
    }

    /// The intent that an outcome ends.
    fn intent_of(&mut self, kind: Kind, record: &Value) -> Option<Value> {
        let seq = Seq(record.get("intent").filter(|_| kind == Kind::Outcome)?.as_u64()?);
        if let Some(intent) = self.intents.remove(&seq) {
            return Some(intent);
        }
        let shown = audit::show(&self.dir, seq).ok()?;
        let own = format!("\"seq\":{},", seq.0);
        let intent = shown.iter().find(|shown| shown.flaw.is_none() && shown.line.contains(&own))?;
        serde_json::from_str(&intent.line).ok()
    }
}

/// The text of the member `key` that every line has, which holds no escapes (docs/AUDIT.md §2): of `digest` the last one of
/// that name, which is the line's own.
fn member(line: &str, key: &str) -> String {
    let mark = format!("\"{key}\":\"");
    let at = if key == "digest" { line.rfind(&mark) } else { line.find(&mark) };
    let text = at.and_then(|at| line.get(at + mark.len()..)).and_then(|rest| rest.split('"').next());
    text.unwrap_or("-").to_owned()
}

/// The parcels, one a line.
pub(super) fn lines(parcels: &[Parcel]) -> Vec<u8> {
    let mut text = Vec::with_capacity(parcels.iter().map(|parcel| parcel.text.len() + 1).sum());
    for parcel in parcels {
        text.extend_from_slice(parcel.text.as_bytes());
        text.push(b'\n');
    }
    text
}
