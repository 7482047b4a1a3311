//! `traceparent` (W3C Trace Context, 3.2), as a caller claims it.
//!
//! Must never pass on what is not valid: a receiver takes the ids for what they are.

/// Where in a trace a call stands, as its caller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) struct Trace {
    /// 32 digits.
    pub(in crate::sink) trace_id: String,
    /// 16 digits.
    pub(in crate::sink) span_id: String,
    /// 2 digits.
    pub(in crate::sink) flags: String,
}

impl Trace {
    /// What `text` says, where it is valid. Of a later version the parts of this one are read (3.2.4).
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let version = digits(parts.next()?, 2)?;
        let trace_id = digits(parts.next()?, 32).filter(|id| is_some(id))?;
        let span_id = digits(parts.next()?, 16).filter(|id| is_some(id))?;
        let flags = digits(parts.next()?, 2)?;
        let is_known = match version {
            "ff" => false,
            "00" => parts.next().is_none(),
            _ => true,
        };
        let own = |text: &str| text.to_owned();
        is_known.then(|| Self { trace_id: own(trace_id), span_id: own(span_id), flags: own(flags) })
    }
}

/// Lower-case hexadecimal, `count` digits of it.
fn digits(text: &str, count: usize) -> Option<&str> {
    let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == count && text.bytes().all(is_digit)).then_some(text)
}

/// An id of zeros is none (3.2.2.3, 3.2.2.4).
fn is_some(id: &str) -> bool {
    id.bytes().any(|digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_is_valid_is_taken_apart() {
        let trace = Trace::of(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        let parts = (trace.trace_id.as_str(), trace.span_id.as_str(), trace.flags.as_str());
        assert_eq!(parts, (TRACE, "00f067aa0ba902b7", "01"));
        assert!(Trace::of(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")).is_some());
    }

    #[test]
    fn what_is_not_valid_is_none() {
        let zeros = "0".repeat(32);
        for wrong in [
            String::new(),
            "00".to_owned(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}é-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(Trace::of(&wrong), None, "{wrong}");
        }
    }
}
