//! What two patterns have in common, told from the patterns alone.
//!
//! Must never answer *no* where a text exists that both match: `check` would keep silent.

/// Whether some text that begins with `head` matches `glob`.
#[must_use]
pub fn reaches(glob: &str, head: &str) -> bool {
    overlaps(glob, &format!("{head}*"))
}

/// Whether some text matches both globs. Takes time in proportion to the product of their lengths.
#[must_use]
pub fn overlaps(one: &str, other: &str) -> bool {
    let one = one.as_bytes();
    // `row[j]`: what is left of `one` overlaps with the last `j` bytes of `other`.
    let mut row: Vec<bool> = Vec::with_capacity(other.len() + 1);
    row.push(true);
    for byte in other.bytes().rev() {
        let last = row.last().copied().unwrap_or_default();
        row.push(last && byte == b'*');
    }
    for &left in one.iter().rev() {
        row = step(left, other, &row);
    }
    row.last().copied().unwrap_or_default()
}

/// Whether every text that matches `narrow` matches `wide`. May answer *no* where it is so.
#[must_use]
pub fn covers(wide: &str, narrow: &str) -> bool {
    // A star of `narrow` is taken as a byte that only a star of `wide` matches.
    match super::Glob::new(wide) {
        Some(glob) if narrow.contains('*') => glob.matches(&narrow.replace('*', "\u{1}")),
        Some(glob) => glob.matches(narrow),
        None => false,
    }
}

/// The row for one more byte of the first glob in front, from the row without it.
fn step(left: u8, other: &str, below: &[bool]) -> Vec<bool> {
    let mut row: Vec<bool> = Vec::with_capacity(below.len());
    let without = |row: &[bool]| row.last().copied().unwrap_or_default();
    row.push(left == b'*' && below.first().copied().unwrap_or_default());
    for (byte, pair) in other.bytes().rev().zip(below.windows(2)) {
        let [both_shorter, only_left_shorter] = pair else { continue };
        let answer = match (left, byte) {
            // A star matches nothing, or one more byte of the other side.
            (b'*', _) => *only_left_shorter || without(&row),
            (_, b'*') => without(&row) || *only_left_shorter,
            (a, b) => a == b && *both_shorter,
        };
        row.push(answer);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_where_a_common_text_exists() {
        let cases = [
            ("mail.*", "mail.send", true),
            ("mail.*", "*.send", true),
            ("mail.*", "calendar.*", false),
            ("*", "mail.send", true),
            ("a*b", "a*c", false),
            ("a*b", "*ab", true),
            ("mail.read_*", "mail.*_inbox", true),
            ("mail.read", "mail.reads", false),
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("a*a", "a", false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(overlaps(one, other), expected, "{one} and {other}");
            assert_eq!(overlaps(other, one), expected, "{other} and {one}");
        }
    }

    #[test]
    fn a_pattern_reaches_an_upstream_if_it_can_match_one_of_its_tools() {
        assert!(reaches("m*.send", "mail."));
        assert!(reaches("*", "mail."));
        assert!(reaches("mail.send", "mail."));
        assert!(!reaches("mail", "mail."));
        assert!(!reaches("m*.send", "calendar."));
        assert!(!reaches("mailbox.*", "mail."));
    }

    #[test]
    fn covers_is_never_wrong_where_it_says_yes() {
        assert!(covers("mail.*", "mail.send"));
        assert!(covers("mail.*", "mail.read_*"));
        assert!(covers("*", "*"));
        assert!(!covers("mail.read_*", "mail.*"));
        assert!(!covers("mail.send", "mail.*"));
    }
}
