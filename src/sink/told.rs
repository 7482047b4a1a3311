//! What a record says, together with its intent, in the words that every form of it needs.
//!
//! Pure. Must never fail, whatever stands in a record: what it lacks is absent here, and each form says that in its own
//! way. Must never say more than [`TEXT_BYTES_MAX`] of a text or [`NAMES_MAX`] of a list, as records do: the whole
//! stands in the record.

mod trace;

use jiff::Timestamp;
use serde_json::Value;

use crate::audit::{Kind, NAMES_MAX, UpstreamState};
use crate::model::target::Class;
use crate::model::text::Bounded;
pub(super) use trace::Trace;

/// Bound of one text of an event beside the record itself, in bytes: no more than what Elasticsearch indexes of a keyword
/// (`ignore_above` of ECS, in characters).
pub(super) const TEXT_BYTES_MAX: usize = 1024;

/// A record, and where it is an outcome, the intent that it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) kind: Kind,
    /// The record as it stands in the journal.
    pub(super) line: &'a str,
    pub(super) record: &'a Value,
    pub(super) intent: Option<&'a Value>,
}

/// How what is recorded ended, where that can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Success,
    Failure,
    /// Nobody knows.
    Unknown,
}

impl Ending {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

/// How much a record deserves to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Informational,
    Low,
    Medium,
    High,
}

impl Severity {
    /// 1 to 4.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::Informational => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
        }
    }
}

/// The rule of a decision that says why.
#[derive(Debug)]
pub(super) struct Rule {
    /// Whose it is: that of `[sources.NAME]`, or `[roles.NAME]`; the dimension where it has no name.
    pub(super) name: String,
    pub(super) dimension: Option<String>,
    pub(super) permission: Option<String>,
    pub(super) file: Option<String>,
    /// `FILE:LINE:COLUMN`.
    pub(super) place: Option<String>,
}

impl Told<'_> {
    /// What the record has at `pointer`, or else its intent.
    fn at(&self, pointer: &str) -> Option<&Value> {
        self.record.pointer(pointer).or_else(|| self.intent?.pointer(pointer))
    }

    /// The text at `pointer`, where there is one that is not empty.
    pub(super) fn text(&self, pointer: &str) -> Option<String> {
        bounded(self.at(pointer)?)
    }

    /// The text of the member `key` of the record itself.
    pub(super) fn text_of_record(&self, key: &str) -> Option<String> {
        bounded(self.record.get(key)?)
    }

    /// The whole number at `pointer`, where it is one that 64 signed bits hold.
    pub(super) fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer)?.as_i64()
    }

    /// The names at `pointer`.
    pub(super) fn names(&self, pointer: &str) -> Vec<String> {
        let all = self.at(pointer).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(bounded).take(NAMES_MAX).collect()
    }

    /// The time at `pointer`.
    pub(super) fn time_at(&self, pointer: &str) -> Option<Timestamp> {
        self.at(pointer)?.as_str()?.parse().ok()
    }

    /// When it was recorded; the beginning of 1970 where that is not known.
    pub(super) fn time(&self) -> Timestamp {
        let own = self.record.get("t").and_then(Value::as_str).and_then(|text| text.parse().ok());
        own.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The same as text, in microseconds, as it stands in the record.
    pub(super) fn time_text(&self) -> String {
        format!("{:.6}", self.time())
    }

    /// The number of the record.
    pub(super) fn seq(&self) -> Option<i64> {
        self.record.get("seq")?.as_i64()
    }

    /// The number of the intent that the record is about.
    pub(super) fn intent_seq(&self) -> Option<i64> {
        self.record.get("intent")?.as_i64()
    }

    pub(super) fn is_call(&self) -> bool {
        matches!(
            self.kind,
            Kind::Intent
                | Kind::Outcome
                | Kind::Denial
                | Kind::List
                | Kind::Suspended
                | Kind::Resumed
                | Kind::Unknown
        )
    }

    pub(super) fn subject(&self) -> Option<String> {
        ["/principal/subject", "/subject", "/label/subject"].iter().find_map(|at| self.text(at))
    }

    pub(super) fn roles(&self) -> Vec<String> {
        let own = self.names("/principal/roles");
        if own.is_empty() { self.names("/label/roles") } else { own }
    }

    /// The agent that called: the innermost one.
    pub(super) fn agent(&self) -> Option<String> {
        ["/principal/agents/0", "/label/agents/0"].iter().find_map(|at| self.text(at))
    }

    pub(super) fn entry_point(&self) -> Option<String> {
        ["/principal/entry_point", "/entry_point"].iter().find_map(|at| self.text(at))
    }

    /// The person who did it: the uid at the admin socket, or the subject that signed in.
    pub(super) fn by(&self) -> Option<String> {
        self.number("/by/uid").map(|uid| uid.to_string()).or_else(|| self.text("/by/subject"))
    }

    /// What a call is for: the word for its class, and which one.
    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        Class::ALL
            .into_iter()
            .map(Class::code)
            .find_map(|class| Some((class, self.text(&format!("/{class}"))?)))
    }

    /// The upstream that it is about.
    pub(super) fn upstream(&self) -> Option<String> {
        if let Some(upstream) = self.text("/upstream") {
            return Some(upstream);
        }
        let (class, name) = self.target()?;
        let upstream = match class {
            "tool" | "prompt" => name.split('.').next(),
            "resource" => name.split(':').next(),
            _ => Some(name.as_str()),
        };
        upstream.filter(|upstream| !upstream.is_empty()).map(str::to_owned)
    }

    /// What happened, in a word: the method of a call; else the kind, and what a record of it tells apart.
    pub(super) fn action(&self) -> String {
        let kind = self.kind.as_str();
        if self.is_call() {
            return self.text("/method").unwrap_or_else(|| kind.to_owned());
        }
        let told_apart = ["/change", "/state", "/act", "/result"].iter().find_map(|at| self.text(at));
        match told_apart {
            Some(word) => shortened(&format!("{kind}_{word}")),
            None => kind.to_owned(),
        }
    }

    /// Why.
    pub(super) fn reason(&self) -> Option<String> {
        ["/reason", "/why", "/cause"].iter().find_map(|at| self.text(at))
    }

    /// The same for a person to read, in a sentence.
    pub(super) fn message(&self) -> String {
        let mut text = self.action();
        if text != self.kind.as_str() && self.is_call() {
            text = format!("{} {text}", self.kind.as_str());
        }
        let about = ["/pinned", "/source", "/kid", "/listener", "/file"].iter().find_map(|at| self.text(at));
        let about = self.target().map(|(_, name)| name).or(about).or_else(|| self.upstream());
        let parts =
            [(" ", about), (" for ", self.subject()), (": ", self.reason()), (": ", self.text("/detail"))];
        for (between, part) in parts {
            if let Some(part) = part {
                text.push_str(between);
                text.push_str(&part);
            }
        }
        shortened(&text)
    }

    /// How it ended; none where that would mean nothing.
    pub(super) fn ending(&self) -> Option<Ending> {
        let of = |word: Option<String>, good: &str| match word {
            Some(word) if word == good => Ending::Success,
            _ => Ending::Failure,
        };
        match self.kind {
            Kind::Denial | Kind::AuthFailures => Some(Ending::Failure),
            Kind::List | Kind::Suspended | Kind::Resumed | Kind::RunStart => Some(Ending::Success),
            Kind::Unknown | Kind::Intent => Some(Ending::Unknown),
            Kind::Outcome if self.error_type().is_some() => Some(Ending::Failure),
            Kind::Outcome => Some(Ending::Success),
            Kind::Mint => Some(of(self.text("/result"), "made")),
            Kind::Reload => Some(of(self.text("/result"), "in_force")),
            Kind::Upstream if self.is_state(UpstreamState::Started) => Some(Ending::Success),
            Kind::Upstream if self.is_state(UpstreamState::Failed) => Some(Ending::Failure),
            Kind::Upstream if self.is_state(UpstreamState::RequestRefused) => Some(Ending::Failure),
            _ => None,
        }
    }

    /// The class of the error that a call ended with, in the words of OpenTelemetry (semantic conventions, MCP, "error.type"):
    /// the code of a JSON-RPC error, `tool_error` of a tool result that is one, else our reason. None where there was none.
    pub(super) fn error_type(&self) -> Option<String> {
        if self.kind == Kind::Denial {
            return Some(self.text("/reason").unwrap_or_else(|| OTHER_ERROR.to_owned()));
        }
        if self.kind != Kind::Outcome {
            return None;
        }
        if let Some(code) = self.error_code() {
            return Some(code.to_string());
        }
        let is_error = self.record.get("is_error").and_then(Value::as_bool) == Some(true);
        let reason = self.text("/reason");
        match reason.as_deref() {
            Some("answered") if is_error => Some("tool_error".to_owned()),
            Some("answered") => None,
            _ => Some(reason.unwrap_or_else(|| OTHER_ERROR.to_owned())),
        }
    }

    /// The code of the JSON-RPC error that a call was answered with; 0, which no error has, where it had none.
    pub(super) fn error_code(&self) -> Option<i64> {
        let is_error = self.record.pointer("/jsonrpc/response")?.as_str() == Some("error");
        is_error.then(|| self.number("/jsonrpc/code").unwrap_or_default())
    }

    pub(super) fn severity(&self) -> Severity {
        match self.kind {
            Kind::Halted | Kind::Gap | Kind::Torn => Severity::High,
            Kind::Denial | Kind::AuthFailures | Kind::Unknown | Kind::Pin | Kind::Revocation => {
                Severity::Medium
            }
            Kind::Upstream if self.is_state(UpstreamState::Quarantined) => Severity::Medium,
            _ if self.ending() == Some(Ending::Failure) => Severity::Low,
            _ => Severity::Informational,
        }
    }

    /// Whether the record is about an upstream that is in `state`.
    pub(super) fn is_state(&self, state: UpstreamState) -> bool {
        self.record.get("state").and_then(Value::as_str) == Some(state.as_str())
    }

    /// Whether somebody should look whether all is well: a definition that changed or looks suspicious and that no person
    /// accepted, records that are lost, an upstream that offers what cannot be listed.
    pub(super) fn is_finding(&self) -> bool {
        let change = self.record.get("change").and_then(Value::as_str);
        let nobody = self.record.get("by").is_none();
        match self.kind {
            Kind::Gap | Kind::Torn => true,
            Kind::Pin if matches!(change, Some("changed" | "restored")) => true,
            Kind::Pin => nobody && self.record.get("findings").is_some(),
            Kind::Upstream => self.is_state(UpstreamState::Quarantined),
            _ => false,
        }
    }

    /// How long a call took, in nanoseconds.
    pub(super) fn duration_ns(&self) -> Option<i64> {
        let micros = self.record.pointer("/latency_us/total")?.as_i64()?;
        Some(micros.saturating_mul(1000))
    }

    /// The rule that a decision is due to: the first that answers as was decided.
    pub(super) fn rule(&self) -> Option<Rule> {
        let verdict = self.at("/decision/verdict").and_then(Value::as_str);
        let all = self.at("/decision/rules")?.as_array()?;
        let answers = |rule: &&Value| rule.get("answer").and_then(Value::as_str) == verdict;
        let rule = all.iter().find(answers).or_else(|| all.first())?;
        let text = |pointer: &str| rule.pointer(pointer).and_then(bounded);
        let number = |pointer: &str| rule.pointer(pointer).and_then(Value::as_u64);
        let (dimension, file) = (text("/dimension"), text("/place/file"));
        let place = match (&file, number("/place/line"), number("/place/column")) {
            (Some(file), Some(line), Some(column)) => Some(shortened(&format!("{file}:{line}:{column}"))),
            _ => None,
        };
        let name = text("/name").or_else(|| dimension.clone())?;
        Some(Rule { name, dimension, permission: text("/permission"), file, place })
    }

    /// The trace that the call belongs to: the gateway's own span where it traces, else what the caller says.
    pub(super) fn trace(&self) -> Option<Trace> {
        let text = |pointer: &str| self.at(pointer).and_then(Value::as_str);
        match (text("/trace_id"), text("/span_id")) {
            (Some(trace), Some(span)) => Trace::own(trace, span),
            _ => Trace::claimed(text("/claimed/traceparent")?),
        }
    }

    /// The caller's id of the request: a string without its quotes, as the semantic conventions of OpenTelemetry want it.
    pub(super) fn request_id(&self) -> Option<String> {
        let raw = self.text("/claimed/request_id")?;
        // What was cut is no JSON any more, and stays as it is.
        serde_json::from_str::<String>(&raw).ok().filter(|id| !id.is_empty()).or(Some(raw))
    }
}

/// `error.type` where nothing else is known (semantic conventions of OpenTelemetry, "error.type").
const OTHER_ERROR: &str = "_OTHER";

/// The text `value` is, where it is one that is not empty.
fn bounded(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(shortened)
}

fn shortened(text: &str) -> String {
    Bounded::<TEXT_BYTES_MAX>::new(text).as_str().to_owned()
}

/// Further texts of records, by the names that they get among our own in forms that have no place for them.
pub(super) const TEXTS: [(&str, &str); 25] = [
    ("run", "/run"),
    ("txn", "/principal/txn"),
    ("verdict", "/decision/verdict"),
    ("visibility", "/decision/visibility"),
    ("would_be_verdict", "/decision/would_be/verdict"),
    ("would_be_reason", "/decision/would_be/reason"),
    ("budget", "/budget/name"),
    ("goal", "/trigger/goal"),
    ("method", "/method"),
    ("protocol_version", "/revision"),
    ("executed", "/executed"),
    ("transport", "/transport"),
    ("client", "/claimed/client"),
    ("asked_name", "/claimed/name"),
    ("by_entry_point", "/by/entry_point"),
    ("listener", "/listener"),
    ("dispatcher", "/dispatcher"),
    ("change", "/change"),
    ("state", "/state"),
    ("result", "/result"),
    ("detail", "/detail"),
    ("source", "/source"),
    ("definition", "/pinned"),
    ("key", "/kid"),
    ("config", "/config"),
];
/// Further numbers.
pub(super) const NUMBERS: [(&str, &str); 6] = [
    ("epoch", "/decision/epoch"),
    ("config_epoch", "/epoch"),
    ("count", "/count"),
    ("refused", "/refused"),
    ("widened_count", "/widened_count"),
    ("retry_after_s", "/budget/retry_after_s"),
];
/// Further lists of names.
pub(super) const LISTS: [(&str, &str); 4] = [
    ("provenance", "/provenance"),
    ("adds", "/adds"),
    ("agents", "/principal/agents"),
    ("widened", "/widened"),
];

/// What the gateway calls itself where a program is named.
pub(super) const PROGRAM: &str = "sluicegate";
/// The version of this program.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
