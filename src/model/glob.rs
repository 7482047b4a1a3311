//! Globs of permissions over `upstream.tool`: exact bytes, and `*` for any run of bytes.
//!
//! Must never fold case or normalise: names are compared byte for byte (CASES A21).

mod pairs;
mod ways;

use std::fmt;
use std::sync::Arc;

pub use pairs::{covers, overlaps, reaches};
pub use ways::{SITUATIONS_MAX, Way, ways};

/// A glob. `*` matches any run of bytes, dots included; every other byte matches itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(Arc<str>);

/// Longest glob, in bytes.
pub const GLOB_BYTES_MAX: usize = 256;

impl Glob {
    /// Takes `text` as a glob. `None` if it is empty, too long, or holds a byte no name can hold.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= GLOB_BYTES_MAX;
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && visible).then(|| Self(text.into()))
    }

    /// The glob as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` matches. Linear in `text` for a glob with one `*`, never exponential.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text;
        let mut parts = self.0.split('*');
        let Some(head) = parts.next() else { return false };
        let Some(after_head) = rest.strip_prefix(head) else { return false };
        rest = after_head;
        let Some(tail) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(tail)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_run_and_everything_else_is_exact() {
        let cases = [
            ("mail.*", "mail.send", true),
            ("mail.*", "mail.", true),
            ("mail.*", "mailx.send", false),
            ("*", "anything", true),
            ("mail.send", "mail.send", true),
            ("mail.send", "mail.send ", false),
            ("mail.send", "Mail.send", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*ba", "aba", false),
            ("*.read_*", "mail.read_inbox", true),
        ];
        for (glob, text, expected) in cases {
            assert_eq!(Glob::new(glob).unwrap().matches(text), expected, "{glob} on {text}");
        }
    }
}
