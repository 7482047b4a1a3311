//! The spans of a call, for the receiver of traces: the call itself, its wait for the journal, and what was asked of the
//! upstream (semantic conventions for the Model Context Protocol, "Spans"; those of GenAI, "Execute tool span").
//!
//! Must never say an argument, a result, a credential, the id of a session or a name that only the caller chose (I10):
//! what a span says its record says too, and less. Must never wait.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use super::exchange::Exchange;
use crate::audit::{JsonRpc, Latency, NAMES_MAX, OutcomeFacts};
use crate::chance;
use crate::model::facts::CallFacts;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::model::trace::{SpanId, Trace};
use crate::telemetry::{Attribute, Claim, Sides, Span, Status};

/// `error.type` of a tool that says itself that it failed (semantic conventions for MCP, "error.type").
const TOOL_ERROR: &str = "tool_error";

/// A call that has ended, as its spans tell it.
pub(super) struct Ended<'a> {
    pub(super) facts: &'a CallFacts,
    /// The number of its intent, or of what records that there is none.
    pub(super) seq: Option<u64>,
    /// When it was taken up, on the monotonic clock.
    pub(super) arrived: Duration,
    pub(super) latency: Latency,
    /// What its spans say of how it ended.
    pub(super) end: End,
}

/// How a call ended.
pub(super) struct End {
    pub(super) reason: Reason,
    /// What went wrong, if anything did.
    pub(super) error: Option<String>,
    /// The code of a JSON-RPC error of the upstream.
    pub(super) code: Option<i64>,
    /// When it was decided, and when its upstream had answered; none where it was not forwarded.
    pub(super) forwarded: Option<(Duration, Duration)>,
}

impl End {
    /// It was not forwarded, or not answered.
    pub(super) fn refused(reason: Reason) -> Self {
        Self { reason, error: Some(reason.code().to_owned()), code: None, forwarded: None }
    }

    /// It was answered with what it asks for.
    pub(super) fn answered() -> Self {
        Self { reason: Reason::Answered, error: None, code: None, forwarded: None }
    }

    /// It was forwarded, with this outcome.
    pub(super) fn of(outcome: &OutcomeFacts) -> Self {
        let code = match outcome.jsonrpc {
            Some(JsonRpc::Error(code)) => Some(code),
            Some(JsonRpc::Result) | None => None,
        };
        let is_tool_error = outcome.is_error == Some(true);
        let error = match (outcome.reason, code) {
            (Reason::Answered, Some(code)) => Some(code.to_string()),
            (Reason::Answered, None) => is_tool_error.then(|| TOOL_ERROR.to_owned()),
            (reason, _) => Some(reason.code().to_owned()),
        };
        Self { reason: outcome.reason, error, code, forwarded: None }
    }
}

impl Gateway {
    /// Where `exchange` stands in a trace, where traces are made: in the one that its message names, else in that of its
    /// request (SEP-414), else in one of its own.
    pub(super) fn trace(&self, exchange: &Exchange) -> Option<Arc<Trace>> {
        let tracer = self.tracer.as_ref()?;
        let in_message = exchange
            .whole_meta_text("traceparent")
            .map(|parent| Claim { parent, state: exchange.whole_meta_text("tracestate") });
        let headers = &exchange.caller.headers;
        let in_header = Claim::of_headers(&headers.traceparent, &headers.tracestate);
        tracer.begin(in_message.into_iter().chain(in_header)).map(Arc::new)
    }

    /// Tells the receiver of traces of a call, if it is one that is recorded.
    pub(super) fn tell_trace(&self, ended: &Ended<'_>) {
        if let (Some(tracer), Some(trace)) = (&self.tracer, &ended.facts.trace) {
            tracer.ended(trace, || ended.spans(trace, self.clock.monotonic()));
        }
    }
}

impl Ended<'_> {
    fn spans(&self, trace: &Trace, now: Duration) -> Vec<Span> {
        let name = self.name();
        let between = |from, to| (trace.at(from), trace.at(to));
        let mut call = Span::new(trace, Sides::Caller, name.clone(), between(self.arrived, now));
        call.attributes = self.attributes();
        call.status = self.status();
        let mut spans = vec![call];
        let Some((decided, answered)) = self.end.forwarded else { return spans };
        let durable = decided.saturating_add(self.latency.journal);
        if let Some(id) = chance::bytes().ok().and_then(SpanId::of) {
            spans.push(Span::new(trace, Sides::Own(id), "journal".to_owned(), between(decided, durable)));
        }
        let mut exchange = Span::new(trace, Sides::Upstream, name, between(durable, answered));
        exchange.attributes = self.of_mcp();
        exchange.attributes.extend(self.of_end());
        exchange.status = self.status();
        spans.push(exchange);
        spans
    }

    fn status(&self) -> Status {
        if self.end.error.is_some() { Status::Error } else { Status::Unset }
    }

    /// `{mcp.method.name} {target}`; of resources only the method, as there are too many.
    fn name(&self) -> String {
        match self.target() {
            Some((_, name)) => format!("{} {name}", self.facts.method),
            None => self.facts.method.to_owned(),
        }
    }

    /// The tool or prompt, under the attribute that it has.
    fn target(&self) -> Option<(&'static str, String)> {
        match self.facts.target.as_ref()? {
            tool @ Target::Tool(_) => Some(("gen_ai.tool.name", tool.to_string())),
            prompt @ Target::Prompt(_) => Some(("gen_ai.prompt.name", prompt.to_string())),
            // A URI may be an argument like any other.
            _ => None,
        }
    }

    fn of_mcp(&self) -> Vec<(&'static str, Attribute)> {
        let facts = self.facts;
        let mut all = vec![("mcp.method.name", facts.method.into())];
        all.extend(facts.revision.map(|revision| ("mcp.protocol.version", revision.into())));
        if let Some((key, name)) = self.target() {
            if key == "gen_ai.tool.name" {
                all.push(("gen_ai.operation.name", "execute_tool".into()));
            }
            all.push((key, Attribute::Text(name)));
        }
        all.extend(facts.target.as_ref().map(|of| ("sluicegate.upstream", of.upstream().as_str().into())));
        all
    }

    fn of_end(&self) -> Vec<(&'static str, Attribute)> {
        let End { error, code, .. } = &self.end;
        let error = error.clone().map(|error| ("error.type", Attribute::Text(error)));
        let code = code.map(|code| ("rpc.response.status_code", Attribute::Text(code.to_string())));
        error.into_iter().chain(code).collect()
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let (facts, mut all) = (self.facts, self.of_mcp());
        all.extend(self.of_end());
        all.push(("sluicegate.reason", self.end.reason.code().into()));
        all.extend(facts.run.as_ref().map(|run| ("sluicegate.run", run.as_str().into())));
        all.extend(self.seq.map(|seq| ("sluicegate.seq", seq.into())));
        let verdict = facts.decision.as_ref().map(|decision| decision.verdict.as_str());
        all.extend(verdict.map(|verdict| ("sluicegate.verdict", verdict.into())));
        let mut sources = facts.provenance.clone();
        sources.join(&facts.adds);
        let names = sources.iter().take(NAMES_MAX).map(|source| source.as_str().to_owned()).collect();
        all.push(("sluicegate.sources", Attribute::Texts(names)));
        all.push(("sluicegate.entry_point", facts.principal.entry_point.as_str().into()));
        let Latency { decide, journal, upstream, total } = self.latency;
        for (key, took) in [
            ("sluicegate.latency.decide_us", decide),
            ("sluicegate.latency.journal_us", journal),
            ("sluicegate.latency.upstream_us", upstream),
            ("sluicegate.latency.total_us", total),
        ] {
            all.push((key, u64::try_from(took.as_micros()).unwrap_or(u64::MAX).into()));
        }
        all
    }
}
