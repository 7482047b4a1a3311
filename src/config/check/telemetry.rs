//! `[telemetry]`: where traces go, and how many of them.
//!
//! Must never reach a receiver, nor repeat a value that may be a secret (I10).

use http::Uri;

use super::{Scope, endpoint};
use crate::config::code::Code;
use crate::config::node::{Located, Node};
use crate::config::problem::Sink;
use crate::config::raw::Telemetry;
use crate::telemetry::{SAMPLE_DEFAULT, TraceSettings};

/// What is written of traces, if anything.
pub(super) fn check(written: Option<&Telemetry>, scope: Scope<'_>) -> Option<TraceSettings> {
    let written = written?;
    let headers = endpoint::headers(&written.headers, endpoint::is_of_requests, scope);
    let sample = written.sample.as_ref().map_or(SAMPLE_DEFAULT, |sample| ratio(sample, scope.found));
    let url = receiver(written, scope)?;
    let ca = written.ca.as_ref().map(|ca| scope.path(&ca.value));
    Some(TraceSettings { url, headers, ca, sample })
}

/// Where spans are sent: what is written, with the path of the protocol (OTLP, "OTLP/HTTP Request").
fn receiver(written: &Telemetry, scope: Scope<'_>) -> Option<Uri> {
    let found = scope.found;
    let Some(traces) = &written.traces else {
        if found.lacks(&written.place, &["traces"]) {
            let message = "`[telemetry]` does not say where traces go";
            found.error(Code::MissingKey, &written.place, message, format!("{HELP}, or remove the table"));
        }
        return None;
    };
    let what = "traces and their headers travel";
    let uri = endpoint::receiver(("traces", traces), written.ca.as_ref(), what, HELP, scope)?;
    let base = endpoint::before(("traces", traces), &uri, PATH, HELP, scope)?;
    format!("{base}{PATH}").parse().ok()
}

fn ratio(written: &Located<Node>, found: &Sink) -> f64 {
    let number = match &written.value {
        Node::Integer(0) => Some(0.0),
        Node::Integer(1) => Some(1.0),
        Node::Fraction(text) => text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)),
        _ => None,
    };
    if number.is_none() {
        let help = "write a number from 0 to 1, as 0.1 for every tenth trace; without the key it is 1";
        found.error(Code::OutOfRange, &written.place, "`sample` is no share of the traces", help);
    }
    number.unwrap_or(SAMPLE_DEFAULT)
}

const PATH: &str = "/v1/traces";
const HELP: &str = "write what stands before `/v1/traces`: `traces = \"https://otel.example:4318\"`";
