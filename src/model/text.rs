//! Bounded text: what strangers wrote, cut to a limit and made safe for one line of a record or terminal.
//!
//! Must never grow beyond its bound, nor pass a control character on.

use serde::{Deserialize, Serialize};

/// Text from outside, at most `MAX` bytes, cut at a character boundary. Says whether it was cut.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bounded<const MAX: usize>(String);

impl<const MAX: usize> Bounded<MAX> {
    /// The beginning of `text`; what is cut is marked by a trailing `…`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.len() <= MAX {
            return Self(text.to_owned());
        }
        let room = MAX.saturating_sub('…'.len_utf8());
        let end = text.floor_char_boundary(room);
        let mut kept = text.get(..end).unwrap_or_default().to_owned();
        kept.push('…');
        Self(kept)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `text` for a person's terminal or a log line: control and format characters (ANSI escapes, line
/// separators, bidirectional overrides, tag characters) stand as `\u{…}` (CASES A61, A69).
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character_boundary_and_says_so() {
        let cut = Bounded::<8>::new("äöüäöü");
        assert_eq!(cut.as_str(), "äö…");
        assert_eq!(Bounded::<8>::new("short").as_str(), "short");
    }

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
    }
}
