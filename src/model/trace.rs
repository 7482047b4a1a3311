//! Where a call stands in a trace (W3C Trace Context, w3.org/TR/trace-context).
//!
//! Must never pass on what is not valid: a receiver takes the ids for what they are. What a caller says decides nothing
//! but the trace and the parent.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// Longest `tracestate` that is passed on, in bytes: what has to be at least (3.3.1.5).
pub const TRACESTATE_BYTES_MAX: usize = 512;

/// The flag that the caller may have recorded the trace (3.2.2.5.1).
const SAMPLED: u8 = 1;

/// The id of a trace (3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The id of a span in it (3.2.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id that `bytes` are; zeros are none.
    #[must_use]
    pub fn of(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }
}

impl SpanId {
    /// The id that `bytes` are; zeros are none.
    #[must_use]
    pub fn of(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Whether a span is sent to a receiver of traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// It is.
    Recorded,
    /// It is not; its ids are passed on all the same.
    Dropped,
}

/// `traceparent` (3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    /// The trace.
    pub trace: TraceId,
    /// The span that what is asked for belongs to.
    pub span: SpanId,
    /// `trace-flags`.
    pub flags: u8,
}

impl Traceparent {
    /// What `text` says, where it is valid. Of a later version the parts of this one are read (3.2.4).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let [version] = digits::<1>(parts.next()?)?;
        let trace = TraceId::of(digits(parts.next()?)?)?;
        let span = SpanId::of(digits(parts.next()?)?)?;
        let [flags] = digits::<1>(parts.next()?)?;
        let is_known = match version {
            0xff => false,
            0 => parts.next().is_none(),
            _ => true,
        };
        is_known.then_some(Self { trace, span, flags })
    }

    /// Whether the caller says that it may have recorded the trace.
    #[must_use]
    pub const fn sampling(self) -> Sampling {
        if self.flags & SAMPLED == 0 { Sampling::Dropped } else { Sampling::Recorded }
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// Lower-case hexadecimal of `N` bytes.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// `tracestate` (3.3), which is for others to read: it is passed on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracestate(String);

impl Tracestate {
    /// What `text` says, where it can stand in a header and is not too long.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_short = (1..=TRACESTATE_BYTES_MAX).contains(&text.len());
        let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        (is_short && is_plain && text.contains('=')).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where one call stands in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The trace: the caller's, or one that begins here.
    pub id: TraceId,
    /// The span of the call, which is the gateway's own.
    pub span: SpanId,
    /// The span of what is asked of the upstream for it.
    pub exchange: SpanId,
    /// The span that the caller names; none where the trace begins here.
    pub parent: Option<SpanId>,
    /// `tracestate` of the caller.
    pub state: Option<Tracestate>,
    /// Whether the spans are sent to the receiver.
    pub sampling: Sampling,
    /// When it began, on both clocks: the spans' times are wall time, and what is measured is not.
    pub began: (Timestamp, Duration),
}

impl Trace {
    /// What the upstream is told.
    #[must_use]
    pub const fn toward(&self) -> Traceparent {
        let flags = match self.sampling {
            Sampling::Recorded => SAMPLED,
            Sampling::Dropped => 0,
        };
        Traceparent { trace: self.id, span: self.exchange, flags }
    }

    /// The wall time of `moment` on the monotonic clock, by the wall clock of the beginning.
    #[must_use]
    pub fn at(&self, moment: Duration) -> Timestamp {
        let (wall, began) = self.began;
        let moved = match moment.checked_sub(began) {
            Some(later) => wall.checked_add(later),
            None => wall.checked_sub(began.saturating_sub(moment)),
        };
        moved.unwrap_or(wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_is_valid_is_taken_apart_and_written_as_it_was() {
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let parent = Traceparent::parse(&text).unwrap();
        assert_eq!((parent.to_string(), parent.sampling()), (text, Sampling::Recorded));
        assert_eq!(
            (parent.trace.to_string(), parent.span.to_string().as_str()),
            (TRACE.to_owned(), "00f067aa0ba902b7")
        );
        let later = Traceparent::parse(&format!("01-{TRACE}-00f067aa0ba902b7-02-more")).unwrap();
        assert_eq!(later.sampling(), Sampling::Dropped);
    }

    #[test]
    fn what_is_not_valid_is_none() {
        let zeros = "0".repeat(32);
        for wrong in [
            String::new(),
            "00".to_owned(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-1"),
            format!("00-{TRACE}é-00f067aa0ba902b7-01"),
            format!(" 00-{TRACE}-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(Traceparent::parse(&wrong), None, "{wrong}");
        }
        for wrong in ["", "a", "a=\u{1}", "a=é", &format!("a={}", "x".repeat(TRACESTATE_BYTES_MAX))] {
            assert_eq!(Tracestate::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Tracestate::parse("a=1, b=2").unwrap().as_str(), "a=1, b=2");
    }

    #[test]
    fn moments_of_the_monotonic_clock_become_wall_time() {
        let began = (Timestamp::from_second(1000).unwrap(), Duration::from_secs(10));
        let parent = Traceparent::parse(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        let (id, span, sampling) = (parent.trace, parent.span, Sampling::Dropped);
        let trace = Trace { id, span, exchange: span, parent: None, state: None, sampling, began };
        let at = |seconds| trace.at(Duration::from_secs(seconds)).as_second();
        assert_eq!((at(9), at(10), at(12)), (999, 1000, 1002));
        assert_eq!(trace.toward().to_string(), format!("00-{TRACE}-00f067aa0ba902b7-00"));
    }
}
