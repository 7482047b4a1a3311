//! What people are told, as JSON and as the text of a mail.
//!
//! Must never hold an argument, a credential or a trigger. What an upstream chose stands under `untrusted`, bounded and
//! without characters that could steer whoever reads it.

use std::fmt::Write as _;
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::chance;
use crate::model::name::{SourceName, Subject};
use crate::model::provenance::Provenance;
use crate::model::text::{Bounded, printable};

/// Most bytes of a text that an upstream chose, in a message.
pub const UNTRUSTED_BYTES_MAX: usize = 160;

/// Of what people can be told (`on`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A call or a step of a plan waits for a person.
    Question,
    /// Much is refused to runs of one source.
    Denials,
    /// A definition changed, waits to be accepted, looks suspicious, or is not listed.
    Definition,
    /// Nothing is forwarded, because the journal cannot be written.
    Halted,
}

impl Topic {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Question, Self::Denials, Self::Definition, Self::Halted];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Denials => "denials",
            Self::Definition => "definition",
            Self::Halted => "halted",
        }
    }

    /// The type of its messages (Standard Webhooks 1.0.0, "Event types").
    const fn event(self) -> &'static str {
        match self {
            Self::Question => "question.asked",
            Self::Denials => "denials.spiked",
            Self::Definition => "definition.changed",
            Self::Halted => "journal.halted",
        }
    }
}

/// Something that people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A question waits.
    Question {
        /// Its id.
        id: String,
        /// `call`, or `step` of a plan.
        about: &'static str,
        /// The tool, by its name in permissions.
        tool: String,
        /// On whose behalf.
        subject: Subject,
        /// The run.
        run: String,
        /// What has influenced it.
        sources: Provenance,
        /// Until when an answer counts.
        until: Timestamp,
    },
    /// As many refusals to runs of a source, within this time.
    Denials {
        /// The source.
        source: SourceName,
        /// How many.
        count: usize,
        /// Within which time.
        within: Duration,
    },
    /// A definition of an upstream.
    Definition {
        /// The upstream.
        upstream: String,
        /// What happened: `changed`, `new`, `taken`, `suspicious` or `quarantined`.
        change: &'static str,
        /// Which, as its upstream calls it. Untrusted.
        name: String,
    },
    /// The journal is halted.
    Halted {
        /// Why.
        why: String,
    },
}

impl News {
    /// What it is about.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self {
            Self::Question { .. } => Topic::Question,
            Self::Denials { .. } => Topic::Denials,
            Self::Definition { .. } => Topic::Definition,
            Self::Halted { .. } => Topic::Halted,
        }
    }

    /// One sentence, and what to do.
    fn sentence(&self) -> (String, String) {
        match self {
            Self::Question { id, about, tool, .. } => (
                format!("A {about} of {tool} waits for a person"),
                format!("Look at what it would do before you answer: sluicegate approvals show {id}"),
            ),
            Self::Denials { source, count, within } => (
                format!("{count} refusals to runs of {source} within {} s", within.as_secs()),
                "See what was refused: sluicegate audit query --verdict refused".to_owned(),
            ),
            Self::Definition { upstream, change, .. } => (
                format!("A definition of {upstream} is {change}"),
                "What it defines is refused until somebody accepts it: sluicegate pins diff".to_owned(),
            ),
            Self::Halted { .. } => (
                "Nothing is forwarded: the journal cannot be written".to_owned(),
                "It goes on by itself once that is mended; /readyz names the cause.".to_owned(),
            ),
        }
    }

    fn data(&self) -> Value {
        match self {
            Self::Question { id, about, tool, subject, run, sources, until } => json!({
                "id": id, "about": about, "tool": tool, "subject": subject, "run": run, "sources": sources,
                "until": until,
            }),
            Self::Denials { source, count, within } => {
                json!({ "source": source, "count": count, "within_s": within.as_secs() })
            }
            Self::Definition { upstream, change, name } => {
                json!({ "upstream": upstream, "change": change, "untrusted": { "name": untrusted(name) } })
            }
            Self::Halted { why } => json!({ "why": untrusted(why) }),
        }
    }
}

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) topic: Topic,
    pub(super) subject: String,
    pub(super) json: Vec<u8>,
    pub(super) text: String,
}

impl Message {
    /// What is sent of `news` at `now`; `None` where the system gives no random id, or it cannot be written.
    pub(super) fn of(news: &News, now: Timestamp) -> Option<Self> {
        let id = format!("ntf_{}", HEXLOWER.encode(&chance::bytes::<16>().ok()?));
        let ((what, advice), data) = (news.sentence(), news.data());
        let body = json!({
            "type": news.topic().event(), "timestamp": now, "message": what, "advice": advice, "data": data,
        });
        let mut text = format!("{what}.\n\n");
        lines(&mut text, "", &data);
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{advice}\n");
        let json = serde_json::to_vec(&body).ok()?;
        Some(Self { id, topic: news.topic(), subject: what, json, text })
    }
}

/// The members of `data`, one a line.
fn lines(text: &mut String, prefix: &str, data: &Value) {
    for (name, value) in data.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => lines(text, &format!("{name} "), value),
            Value::String(value) => drop(writeln!(text, "{prefix}{name}: {value}")),
            other => drop(writeln!(text, "{prefix}{name}: {other}")),
        }
    }
}

fn untrusted(text: &str) -> String {
    Bounded::<UNTRUSTED_BYTES_MAX>::new(&printable(text)).as_str().to_owned()
}
