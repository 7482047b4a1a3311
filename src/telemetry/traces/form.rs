//! Spans as `ExportTraceServiceRequest`, in JSON (opentelemetry/proto/trace/v1/trace.proto; OTLP 1.9.0, "JSON Protobuf
//! Encoding": ids in hexadecimal, enums and 32 bits as numbers, 64 bits as strings).
//!
//! Must never send what is no span.

use jiff::Timestamp;
use serde::Serialize;

use super::span::{Attribute, Sides, Span, Status};
use crate::outbound::otlp::{AnyValue, ArrayValue, KeyValue, Resource, Scope};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportTraceServiceRequest<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Form<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u32,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<FormStatus>,
}

#[derive(Serialize)]
struct FormStatus {
    code: u8,
}

/// `SpanFlags`: the trace flags, of which ours is always set, since nothing else is sent.
const SAMPLED: u32 = 1;
/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`.
const KNOWS_WHERE: u32 = 0x100;
/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
const IS_REMOTE: u32 = 0x200;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The request for `spans`.
pub(super) fn request(spans: &[Span]) -> serde_json::Result<Vec<u8>> {
    let spans = spans.iter().map(form).collect();
    let scope_spans = [ScopeSpans { scope: Scope::own(), spans }];
    let resource_spans = [ResourceSpans { resource: Resource::own(), scope_spans }];
    serde_json::to_vec(&ExportTraceServiceRequest { resource_spans })
}

fn form(span: &Span) -> Form<'_> {
    let (kind, remote) = match span.sides {
        // `SPAN_KIND_INTERNAL`, `SPAN_KIND_SERVER`, `SPAN_KIND_CLIENT`.
        Sides::Own(_) => (1, 0),
        Sides::Caller if span.parent.is_some() => (2, IS_REMOTE),
        Sides::Caller => (2, 0),
        Sides::Upstream => (3, 0),
    };
    Form {
        trace_id: span.trace.to_string(),
        span_id: span.id.to_string(),
        trace_state: span.state.as_ref().map(|state| state.as_str()),
        parent_span_id: span.parent.map(|parent| parent.to_string()),
        flags: SAMPLED | KNOWS_WHERE | remote,
        name: &span.name,
        kind,
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end),
        attributes: span.attributes.iter().map(attribute).collect(),
        status: (span.status == Status::Error).then_some(FormStatus { code: ERROR }),
    }
}

/// 0 is unknown.
fn nanos(time: Timestamp) -> String {
    u64::try_from(time.as_nanosecond()).unwrap_or_default().to_string()
}

fn attribute<'a>((key, value): &'a (&'static str, Attribute)) -> KeyValue<'a> {
    let value = match value {
        Attribute::Text(text) => AnyValue::StringValue(text),
        Attribute::Number(number) => AnyValue::IntValue(number.to_string()),
        Attribute::Texts(texts) => {
            let values = texts.iter().map(|text| AnyValue::StringValue(text)).collect();
            AnyValue::ArrayValue(ArrayValue { values })
        }
    };
    KeyValue { key, value }
}
