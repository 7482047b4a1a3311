//! Bounded text: what strangers wrote, cut to a limit and made safe for one line of a record or terminal.
//!
//! Must never grow beyond its bound, nor pass a control character on.

use serde::{Deserialize, Serialize, Serializer};

use super::digest::Sha256;

/// Text from outside, at most `MAX` bytes, cut at a character boundary. Says whether it was cut.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(from = "String")]
pub struct Bounded<const MAX: usize> {
    text: String,
    whole: Option<Box<Whole>>,
}

/// What a text was before it was cut, so that a record of it hides nothing (CASES A70).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whole {
    /// Its length.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

impl<const MAX: usize> Bounded<MAX> {
    /// The beginning of `text`; what is cut is marked by a trailing `…`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.len() <= MAX {
            return Self { text: text.to_owned(), whole: None };
        }
        let room = MAX.saturating_sub('…'.len_utf8());
        let end = text.floor_char_boundary(room);
        let mut kept = text.get(..end).unwrap_or_default().to_owned();
        kept.push('…');
        let whole = Whole { bytes: text.len() as u64, sha256: Sha256::of(text.as_bytes()) };
        Self { text: kept, whole: Some(Box::new(whole)) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the text was, if it was cut.
    #[must_use]
    pub fn whole(&self) -> Option<&Whole> {
        self.whole.as_deref()
    }
}

impl<const MAX: usize> From<String> for Bounded<MAX> {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl<const MAX: usize> Serialize for Bounded<MAX> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.text)
    }
}

/// An error and its causes, joined by colons; no further once that is `bytes_max` long.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error, bytes_max: usize) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause
        && text.len() < bytes_max
    {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
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

/// `json`, which means the same, with what could steer a terminal escaped: line breaks are kept between its parts, where
/// they mean nothing.
#[must_use]
pub fn harmless_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_hidden(c) {
            out.push(c);
            continue;
        }
        // Only in a string; RFC 8259, 7: beyond the basic plane as a pair of surrogates.
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// Whether `c` could make a line look like something else: a control or format character.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// `text` as a basic string of TOML, in which nothing is hidden.
#[must_use]
pub fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_hidden(c) => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character_boundary_and_says_so() {
        let cut = Bounded::<8>::new("äöüäöü");
        assert_eq!(cut.as_str(), "äö…");
        assert_eq!(cut.whole().map(|whole| whole.bytes), Some(12));
        assert_eq!(Bounded::<8>::new("short").as_str(), "short");
    }

    #[test]
    fn a69_json_for_a_terminal_means_the_same() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}2J\u{e0041}\n\u{7f}é" });
        let json = serde_json::to_string_pretty(&value).unwrap();
        let harmless = harmless_json(&json);
        assert!(!harmless.contains(|c| c != '\n' && is_hidden(c)), "{harmless}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&harmless).unwrap(), value);
    }

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
    }
}
