//! One span, as the receiver is told of it.
//!
//! Must never have an attribute that a caller named: names are ours.

use jiff::Timestamp;

use crate::model::trace::{SpanId, Trace, TraceId, Tracestate};

/// One span.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its place in the trace.
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) state: Option<Tracestate>,
    /// Which sides it is between.
    pub sides: Sides,
    /// What it is called.
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is said of it, without those that say nothing.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Whether it ended well.
    pub status: Status,
}

/// Which sides a span is between (opentelemetry/proto/trace/v1/trace.proto, `SpanKind`), and so which one it is of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// A request of a caller: the call itself.
    Caller,
    /// Inside the gateway.
    Own(SpanId),
    /// What is asked of an upstream.
    Upstream,
}

/// Whether a span ended well (`Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did, as far as is known here.
    Unset,
    /// It did not.
    Error,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// Several texts.
    Texts(Vec<String>),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl Span {
    /// A span of the call that `trace` is about, from its first to its last moment.
    #[must_use]
    pub fn new(trace: &Trace, sides: Sides, name: String, (start, end): (Timestamp, Timestamp)) -> Self {
        let (id, parent) = match sides {
            Sides::Caller => (trace.span, trace.parent),
            Sides::Own(id) => (id, Some(trace.span)),
            Sides::Upstream => (trace.exchange, Some(trace.span)),
        };
        let (state, attributes) = (trace.state.clone(), Vec::new());
        // A clock that is set back makes no span that ends before it begins.
        let end = end.max(start);
        Self {
            trace: trace.id,
            id,
            parent,
            state,
            sides,
            name,
            start,
            end,
            attributes,
            status: Status::Unset,
        }
    }
}
