//! Durations (`"30s"`) and sizes (`"4MiB"`) as they are written.
//!
//! Must never guess a unit: a number without one is a size in bytes and never a duration.

use std::time::Duration;

/// The duration that `text` writes: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60 * 1_000,
        "h" => 60 * 60 * 1_000,
        "d" => 24 * 60 * 60 * 1_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// The number of bytes that `text` writes: a whole number and one of `B`, `KiB`, `MiB`, `GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// `duration` in the largest unit that holds it exactly, as it would be written.
pub(super) fn written_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.into_iter().find(|(unit, _)| milliseconds >= *unit && milliseconds.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
    }
}

/// `bytes` in the largest unit that holds them exactly, as they would be written.
pub(super) fn written_size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_number_and_one_unit_alone() {
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(size("4MiB"), Some(4 << 20));
        for text in ["", "10", "m", "1h30m", "-1s", "1.5s", " 1s", "1 s", "1S", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "4", "4MB", "4mib", "0x4MiB", "18446744073709551615KiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_would_read() {
        for text in ["250ms", "90s", "10m", "12h", "7d"] {
            assert_eq!(written_duration(duration(text).unwrap()), text);
        }
        for text in ["1023B", "64KiB", "4MiB", "1GiB"] {
            assert_eq!(written_size(size(text).unwrap()), text);
        }
    }
}
