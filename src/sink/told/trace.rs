//! Where in a trace a call stands: as the gateway says where it traces, else as its caller claims.
//!
//! Must never pass on what is not valid: a receiver takes the ids for what they are.

use crate::model::trace::Traceparent;

/// Where in a trace a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) struct Trace {
    /// 32 digits.
    pub(in crate::sink) trace_id: String,
    /// 16 digits.
    pub(in crate::sink) span_id: String,
    /// 2 digits, where they are known.
    pub(in crate::sink) flags: Option<String>,
}

impl Trace {
    /// The gateway's own span.
    pub(super) fn own(trace_id: &str, span_id: &str) -> Option<Self> {
        let own = Traceparent::parse(&format!("00-{trace_id}-{span_id}-00"))?;
        Some(Self { trace_id: own.trace.to_string(), span_id: own.span.to_string(), flags: None })
    }

    /// What `text` says, where it is valid.
    pub(super) fn claimed(text: &str) -> Option<Self> {
        let Traceparent { trace, span, flags } = Traceparent::parse(text)?;
        let flags = Some(format!("{flags:02x}"));
        Some(Self { trace_id: trace.to_string(), span_id: span.to_string(), flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_is_valid_is_taken_apart_and_nothing_else() {
        let trace = Trace::claimed(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        let parts = (trace.trace_id.as_str(), trace.span_id.as_str(), trace.flags.as_deref());
        assert_eq!(parts, (TRACE, "00f067aa0ba902b7", Some("01")));
        let own = Trace::own(TRACE, "00f067aa0ba902b7").unwrap();
        assert_eq!((own.trace_id.as_str(), own.flags), (TRACE, None));
        assert_eq!(Trace::own(TRACE, "0"), None);
        assert_eq!(Trace::claimed("00"), None);
    }
}
