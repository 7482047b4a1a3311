//! The time of a line, as it is written.
//!
//! Must never write one moment in two ways.

use std::io::Write;

use jiff::Timestamp;

/// Timestamps as text, the calendar part of the last second kept: it is the same for thousands of lines.
#[derive(Debug, Default)]
pub(super) struct TimeText {
    second: Option<i64>,
    text: String,
}

impl TimeText {
    pub(super) fn push(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let micros = time.as_microsecond();
        let (second, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        if self.second != Some(second) {
            let whole = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            self.text = whole.to_string();
            self.second = Some(second);
        }
        out.extend_from_slice(self.text.trim_end_matches('Z').as_bytes());
        // Writing into a Vec cannot fail.
        let _ = write!(out, ".{fraction:06}Z");
    }
}
