//! `match`: a regular expression over a whole text, in the interoperable subset of RFC 9485 (I-Regexp).
//!
//! It is checked against that grammar and then written anew for the `regex` crate, every literal as its code point:
//! what is not in the grammar never reaches the engine, so that no flag, anchor, look-around or back-reference does.
//! Must never take more than linear time, and never match a part of a text. Trusts nobody: a model wrote it, and
//! whoever a call comes from chose the text.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 256;
/// Deepest groups in a pattern.
pub const PATTERN_GROUPS_MAX: usize = 8;
/// Most that a count in a pattern may say.
pub const PATTERN_COUNT_MAX: u32 = 256;
/// Largest compiled pattern, in bytes, and the most that its search may keep beside it.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 128 * 1024;
/// Longest text that a pattern is tried on, in bytes; a longer one does not match.
pub const MATCHED_BYTES_MAX: usize = 4096;

/// A pattern that was compiled.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is too long.
    #[error("the pattern is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// `^` or `$`, which the grammar takes for themselves and most people for anchors.
    #[error(
        "`{0}` stands in the pattern, which is matched with the whole text as it is; leave it out, or write `[{0}]` or `\\^` for the character"
    )]
    Anchor(char),
    /// A backslash before what has no escape.
    #[error(
        "`\\{0}` is no escape of RFC 9485; write a class, like `[0-9]` for `\\d`, `[A-Za-z0-9_]` for `\\w`, `[ ]` for `\\s`"
    )]
    Escape(char),
    /// A character that has to be escaped, or that ends what did not begin.
    #[error("`{0}` cannot stand there; escape it with a backslash")]
    Stray(char),
    /// The pattern ends within a group, a class, a count or an escape.
    #[error("the pattern ends too early; close every `(`, `[` and `{{`")]
    End,
    /// A count that is none, or too large.
    #[error(
        "a count has to be `{{n}}`, `{{n,}}` or `{{n,m}}` with numbers up to {PATTERN_COUNT_MAX}, the smaller first"
    )]
    Count,
    /// A range of a class whose ends are the wrong way round.
    #[error("a range in a class has to name the smaller character first")]
    Range,
    /// `\p{…}` with what is no general category.
    #[error("`\\p{{…}}` takes a general category of Unicode, like `L`, `Lu` or `Nd`")]
    Category,
    /// Groups within groups.
    #[error("groups are nested deeper than {PATTERN_GROUPS_MAX}")]
    TooDeep,
    /// It would compile to too much.
    #[error("the pattern is too large once compiled; use smaller counts, or none")]
    TooLarge,
}

impl Pattern {
    /// The pattern that `text` is.
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        // RFC 9485, 5.4: the whole is enveloped in `\A(?:` and `)\z`.
        let translated = format!("\\A(?:{})\\z", Translation::of(text)?);
        let regex = RegexBuilder::new(&translated)
            .size_limit(PATTERN_COMPILED_BYTES_MAX)
            .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
            .build()
            .map_err(|_| PatternError::TooLarge)?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Whether it matches the whole of `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        text.len() <= MATCHED_BYTES_MAX && self.regex.is_match(text)
    }
}

/// Two patterns are the same if they are written the same.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// Reads a pattern by the grammar of RFC 9485, section 4, and writes it for the engine.
struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    depth: usize,
}

/// Whether a quantifier may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Atom,
    Other,
}

impl<'a> Translation<'a> {
    fn of(text: &'a str) -> Result<String, PatternError> {
        let mut translation = Self { rest: text.chars().peekable(), out: String::new(), depth: 0 };
        let mut after = After::Other;
        while let Some(c) = translation.rest.next() {
            after = translation.piece(c, after)?;
        }
        if translation.depth == 0 { Ok(translation.out) } else { Err(PatternError::End) }
    }

    fn piece(&mut self, c: char, after: After) -> Result<After, PatternError> {
        match c {
            '*' | '+' | '?' if after == After::Atom => self.out.push(c),
            '{' if after == After::Atom => self.count()?,
            '|' => self.out.push(c),
            '(' => {
                self.depth += 1;
                if self.depth > PATTERN_GROUPS_MAX {
                    return Err(PatternError::TooDeep);
                }
                self.out.push_str("(?:");
            }
            _ => return self.atom(c),
        }
        Ok(After::Other)
    }

    fn atom(&mut self, c: char) -> Result<After, PatternError> {
        match c {
            ')' => {
                self.depth = self.depth.checked_sub(1).ok_or(PatternError::Stray(c))?;
                self.out.push(c);
            }
            '[' => self.class()?,
            // RFC 9485, 5.3: a dot stands for everything but the ends of lines.
            '.' => self.out.push_str("[^\\n\\r]"),
            '\\' => self.escape()?,
            '^' | '$' => return Err(PatternError::Anchor(c)),
            '*' | '+' | '?' | '{' | '}' | ']' => return Err(PatternError::Stray(c)),
            c => self.literal(c),
        }
        Ok(After::Atom)
    }

    /// A character that stands for itself: by its code point, so that the engine sees no syntax in it.
    fn literal(&mut self, c: char) {
        let _ = write!(self.out, "\\x{{{:X}}}", u32::from(c));
    }

    /// What stands after a backslash: one character, or a category.
    fn escape(&mut self) -> Result<(), PatternError> {
        let c = self.rest.next().ok_or(PatternError::End)?;
        match single(c) {
            Some(meant) => self.literal(meant),
            None => self.category(c)?,
        }
        Ok(())
    }

    /// `\p{Lu}` and `\P{Lu}`, after the backslash and the letter `c`.
    fn category(&mut self, c: char) -> Result<(), PatternError> {
        if !matches!(c, 'p' | 'P') {
            return Err(PatternError::Escape(c));
        }
        if self.rest.next() != Some('{') {
            return Err(PatternError::Category);
        }
        let name: String = self.rest.by_ref().take_while(|c| *c != '}').take(3).collect();
        if !CATEGORIES.contains(&name.as_str()) {
            return Err(PatternError::Category);
        }
        let _ = write!(self.out, "\\{c}{{{name}}}");
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`, after its brace.
    fn count(&mut self) -> Result<(), PatternError> {
        let written: String = self.rest.by_ref().take_while(|c| *c != '}').collect();
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse()
                .ok()
                .filter(|count: &u32| is_number && *count <= PATTERN_COUNT_MAX)
                .ok_or(PatternError::Count)
        };
        let (least, most) = written.split_once(',').unwrap_or((&written, &written));
        let least = number(least)?;
        if most.is_empty() {
            let _ = write!(self.out, "{{{least},}}");
            return Ok(());
        }
        let most = number(most)?;
        if least > most {
            return Err(PatternError::Count);
        }
        let _ = write!(self.out, "{{{least},{most}}}");
        Ok(())
    }

    /// A class, after its bracket.
    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_empty = true;
        loop {
            match self.rest.next().ok_or(PatternError::End)? {
                ']' if !is_empty => break,
                '-' if is_empty || self.rest.peek() == Some(&']') => self.literal('-'),
                '\\' if matches!(self.rest.peek(), Some('p' | 'P')) => self.escape()?,
                c => self.range(c)?,
            }
            is_empty = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// One character of a class, or two with all between them; the first is or begins with `c`.
    fn range(&mut self, c: char) -> Result<(), PatternError> {
        let first = self.class_char(c)?;
        self.literal(first);
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || ahead.peek() == Some(&']') {
            return Ok(());
        }
        self.rest.next();
        let c = self.rest.next().ok_or(PatternError::End)?;
        let last = self.class_char(c)?;
        if last < first {
            return Err(PatternError::Range);
        }
        self.out.push('-');
        self.literal(last);
        Ok(())
    }

    fn class_char(&mut self, c: char) -> Result<char, PatternError> {
        match c {
            '\\' => {
                let escaped = self.rest.next().ok_or(PatternError::End)?;
                single(escaped).ok_or(PatternError::Escape(escaped))
            }
            '[' | ']' | '-' => Err(PatternError::Stray(c)),
            c => Ok(c),
        }
    }
}

/// The character that a backslash and `c` stand for (`SingleCharEsc`).
const fn single(c: char) -> Option<char> {
    match c {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        '('..='+' | '-' | '.' | '?' | '['..='^' | '{'..='}' => Some(c),
        _ => None,
    }
}

/// The general categories of RFC 9485 (`IsCategory`).
const CATEGORIES: &[&str] = &[
    "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe",
    "Pf", "Pi", "Po", "Ps", "Z", "Zl", "Zp", "Zs", "S", "Sc", "Sk", "Sm", "So", "C", "Cc", "Cf", "Cn", "Co",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_text_or_nothing() {
        let cases: &[(&str, &str, bool)] = &[
            ("a|b", "a", true),
            ("a|b", "ab", false),
            ("", "", true),
            ("", "x", false),
            ("[0-9]{4}-[0-9]{2}", "2026-12", true),
            ("[0-9]{4}-[0-9]{2}", "2026-12\n", false),
            ("[a-z.]+@acme\\.example", "jo.do@acme.example", true),
            ("[a-z.]+@acme\\.example", "jo@acmeXexample", false),
            ("[a-z.]+@acme\\.example", "x@evil.example,jo@acme.example", false),
            (".*", "a\nb", false),
            (".", "\u{2028}", true),
            ("\\p{Lu}\\P{L}", "Ä1", true),
            ("[^a\\-z]", "-", false),
            ("[-a]", "-", true),
            ("[a-]", "-", true),
            // What the engine would read as an operation on classes.
            ("[a&&b]", "&", true),
            ("[a~~b]", "~", true),
            ("a#b c", "a#b c", true),
            ("(?:a)", "a", false),
        ];
        for (pattern, text, expected) in cases {
            match Pattern::new(pattern) {
                Ok(compiled) => assert_eq!(compiled.matches(text), *expected, "{pattern} on {text:?}"),
                Err(_) => assert!(!expected, "{pattern}"),
            }
        }
    }

    #[test]
    fn what_the_grammar_does_not_have_is_refused_with_its_reason() {
        let cases = [
            ("^a", PatternError::Anchor('^')),
            ("a$", PatternError::Anchor('$')),
            ("\\d", PatternError::Escape('d')),
            ("\\bA", PatternError::Escape('b')),
            ("(a)\\1", PatternError::Escape('1')),
            ("(?i)a", PatternError::Stray('?')),
            ("a**", PatternError::Stray('*')),
            ("a+?", PatternError::Stray('?')),
            ("a)", PatternError::Stray(')')),
            ("(a", PatternError::End),
            ("[a", PatternError::End),
            ("[]", PatternError::Stray(']')),
            ("a\\", PatternError::End),
            ("[z-a]", PatternError::Range),
            ("[a[b]", PatternError::Stray('[')),
            ("[a-b-c]", PatternError::Stray('-')),
            ("\\p{Greek}", PatternError::Category),
            ("a{3,2}", PatternError::Count),
            ("a{x}", PatternError::Count),
            ("a{257}", PatternError::Count),
            ("((((((((( ", PatternError::TooDeep),
            ("((a{256}){256}){256}", PatternError::TooLarge),
        ];
        for (pattern, error) in cases {
            assert_eq!(Pattern::new(pattern).err(), Some(error), "{pattern}");
        }
        assert_eq!(Pattern::new(&"a".repeat(PATTERN_BYTES_MAX + 1)).err(), Some(PatternError::TooLong));
    }

    #[test]
    fn a_text_beyond_its_limit_does_not_match() {
        let pattern = Pattern::new("a*").unwrap();
        assert!(pattern.matches(&"a".repeat(MATCHED_BYTES_MAX)));
        assert!(!pattern.matches(&"a".repeat(MATCHED_BYTES_MAX + 1)));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_none_gets_by_the_grammar(text in "[\\\\(){}\\[\\]a-c*+?|^$.&~,0-9pL-]{0,24}") {
            // A failure of the engine that is not about size would be one of the translation.
            let result = Pattern::new(&text);
            prop_assert_ne!(result.as_ref().err(), Some(&PatternError::TooLarge));
            if let Ok(pattern) = result {
                let _ = pattern.matches("abc");
            }
        }

        #[test]
        fn a_text_without_syntax_matches_itself_alone(text in "[a-z@,:;/ äß&#~]{0,20}", other in "[a-z@ ]{0,20}") {
            let pattern = Pattern::new(&text).unwrap();
            prop_assert!(pattern.matches(&text));
            prop_assert_eq!(pattern.matches(&other), text == other);
        }
    }
}
