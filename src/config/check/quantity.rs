//! Counts, sizes and durations, each within bounds.
//!
//! Must never let a zero pass: a limit that admits nothing is a mistake, and none means "no limit" (I11).

use std::time::Duration;

use crate::config::code::Code;
use crate::config::node::{Located, Node};
use crate::config::problem::Sink;
use crate::config::raw::Quantity;
use crate::config::units::{duration, size, written_duration, written_size};

/// Reads quantities and reports what is out of bounds.
#[derive(Clone, Copy)]
pub(super) struct Quantities<'a> {
    found: &'a Sink,
}

impl<'a> Quantities<'a> {
    pub(super) fn new(found: &'a Sink) -> Self {
        Self { found }
    }

    /// A number of things, from 1.
    pub(super) fn count(self, written: &Quantity, key: &str, default: usize) -> usize {
        let Some(Located { value, place }) = written else { return default };
        let Node::Integer(number) = value else {
            let message = format!("`{key}` takes an integer, and {} was written", value.kind());
            self.found.error(Code::WrongType, place, message, format!("write a number like {default}"));
            return default;
        };
        match usize::try_from(*number) {
            Ok(count @ 1..=COUNT_MAX) => count,
            _ => {
                let message = format!("`{key}` cannot be {number}");
                let help = format!("write a number from 1 to {COUNT_MAX}; without the key it is {default}");
                self.found.error(Code::OutOfRange, place, message, help);
                default
            }
        }
    }

    /// What a budget may count, from 1. Absent where it was not written, or is wrong.
    pub(super) fn amount(self, written: &Quantity, key: &str) -> Option<u64> {
        self.number(written, key, 1)
    }

    /// What a call costs, from 0.
    pub(super) fn cost(self, written: &Quantity, default: u64) -> u64 {
        self.number(written, "cost", 0).unwrap_or(default)
    }

    fn number(self, written: &Quantity, key: &str, min: u64) -> Option<u64> {
        let Located { value, place } = written.as_ref()?;
        let Node::Integer(number) = value else {
            let message = format!("`{key}` takes an integer, and {} was written", value.kind());
            self.found.error(Code::WrongType, place, message, "write a number like 100");
            return None;
        };
        let read = u64::try_from(*number).ok().filter(|number| (min..=AMOUNT_MAX).contains(number));
        if read.is_none() {
            let message = format!("`{key}` cannot be {number}");
            self.found.error(
                Code::OutOfRange,
                place,
                message,
                format!("write a number from {min} to {AMOUNT_MAX}"),
            );
        }
        read
    }

    /// A size that is held in memory, from 1 KiB.
    pub(super) fn bytes_in_memory(self, written: &Quantity, key: &str, default: usize) -> usize {
        let fallback = u64::try_from(default).unwrap_or(BYTES_MAX);
        usize::try_from(self.bytes(written, key, fallback, BYTES_MIN)).unwrap_or(default)
    }

    /// A size from `min` on: an integer of bytes or a string like `"4MiB"`.
    pub(super) fn bytes(self, written: &Quantity, key: &str, default: u64, min: u64) -> u64 {
        let Some(Located { value, place }) = written else { return default };
        let bytes = match value {
            Node::Integer(number) => u64::try_from(*number).ok(),
            Node::Text(text) => size(text),
            other => {
                let message = format!("`{key}` takes a size, and {} was written", other.kind());
                self.found.error(Code::WrongType, place, message, SIZE_HELP);
                return default;
            }
        };
        match bytes {
            Some(bytes) if (min..=BYTES_MAX).contains(&bytes) => bytes,
            Some(bytes) => {
                let message = format!("`{key}` cannot be {}", written_size(bytes));
                let (min, max, default_text) =
                    (written_size(min), written_size(BYTES_MAX), written_size(default));
                let help = format!("write a size from {min} to {max}; without the key it is {default_text}");
                self.found.error(Code::OutOfRange, place, message, help);
                default
            }
            None => {
                self.found.error(Code::BadValue, place, format!("`{key}` is not a size"), SIZE_HELP);
                default
            }
        }
    }

    /// A duration: a string like `"30s"`.
    pub(super) fn duration(self, written: &Quantity, key: &str, default: Duration) -> Duration {
        self.duration_up_to(written, key, default, DURATION_MAX)
    }

    /// The same, up to `max`.
    pub(super) fn duration_up_to(
        self,
        written: &Quantity,
        key: &str,
        default: Duration,
        max: Duration,
    ) -> Duration {
        let Some(Located { value, place }) = written else { return default };
        let read = match value {
            Node::Text(text) => duration(text),
            other => {
                let message = format!("`{key}` takes a duration, and {} was written", other.kind());
                self.found.error(Code::WrongType, place, message, DURATION_HELP);
                return default;
            }
        };
        match read {
            Some(read) if (DURATION_MIN..=max).contains(&read) => read,
            Some(read) => {
                let message = format!("`{key}` cannot be {}", written_duration(read));
                let help = format!(
                    "write a duration from {} to {}; without the key it is {}",
                    written_duration(DURATION_MIN),
                    written_duration(max),
                    written_duration(default),
                );
                self.found.error(Code::OutOfRange, place, message, help);
                default
            }
            None => {
                self.found.error(Code::BadValue, place, format!("`{key}` is not a duration"), DURATION_HELP);
                default
            }
        }
    }
}

/// Largest count that a setting takes.
const COUNT_MAX: usize = 1_000_000;
/// Largest amount of a budget: no gateway counts as much in a day.
const AMOUNT_MAX: u64 = 1_000_000_000_000;
/// Smallest size that a setting takes, in bytes.
const BYTES_MIN: u64 = 1 << 10;
/// Largest size that a setting takes, in bytes.
const BYTES_MAX: u64 = 4 << 30;
/// Shortest duration that a setting takes.
const DURATION_MIN: Duration = Duration::from_millis(1);
/// Longest duration that a setting takes.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const SIZE_HELP: &str = "write bytes as an integer, or a string with `B`, `KiB`, `MiB` or `GiB`: \"4MiB\"";
const DURATION_HELP: &str = "write a string of one number and `ms`, `s`, `m`, `h` or `d`: \"30s\"";
