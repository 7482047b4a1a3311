//! Words of strangers on the page: what is hidden in them is shown, what is long is cut and says so.
//!
//! Must never leave out silently, nor pass a character on that could make a line look like something else (CASES A61,
//! A69). Escaping for HTML is the templates'.

use maud::{Markup, html};

use crate::model::digest::Sha256;
use crate::model::text::is_hidden;

/// Most bytes of the arguments of one call that the page shows; the whole is a click away.
pub const ARGUMENTS_SHOWN_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of any other text that is shown.
const TEXT_SHOWN_BYTES_MAX: usize = 4 * 1024;

/// The beginning of `text`, with what is hidden in it made visible and marked.
pub(super) fn quoted(text: &str) -> Markup {
    let Shown { text, whole } = shown(text, TEXT_SHOWN_BYTES_MAX);
    html! {
        q { (visible(text)) }
        @if let Some(whole) = whole { " (cut: " (whole.bytes) " bytes in all)" }
    }
}

/// What is shown of a text.
pub(super) struct Shown<'a> {
    pub(super) text: &'a str,
    /// What the text is, where it was cut.
    pub(super) whole: Option<Whole>,
}

/// A text that is not shown whole.
pub(super) struct Whole {
    pub(super) bytes: usize,
    pub(super) sha256: Sha256,
}

/// The beginning of `text`, of at most `bytes_max` bytes.
pub(super) fn shown(text: &str, bytes_max: usize) -> Shown<'_> {
    if text.len() <= bytes_max {
        return Shown { text, whole: None };
    }
    let end = text.floor_char_boundary(bytes_max);
    let whole = Whole { bytes: text.len(), sha256: Sha256::of(text.as_bytes()) };
    Shown { text: text.get(..end).unwrap_or_default(), whole: Some(whole) }
}

/// `text` in which nothing is hidden: what could be, stands as its number, marked.
pub(super) fn visible(text: &str) -> Markup {
    marked(text, is_hidden)
}

/// The same of JSON, in which line breaks mean nothing and stay.
pub(super) fn visible_json(json: &str) -> Markup {
    marked(json, |c| c != '\n' && is_hidden(c))
}

fn marked(text: &str, is_hidden: impl Fn(char) -> bool) -> Markup {
    let chars: Vec<char> = text.chars().collect();
    let runs = chars.chunk_by(|one, next| is_hidden(*one) == is_hidden(*next));
    html! {
        @for run in runs {
            @if run.first().is_some_and(|c| is_hidden(*c)) {
                mark { (run.iter().copied().flat_map(char::escape_unicode).collect::<String>()) }
            } @else {
                (run.iter().collect::<String>())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a61_a69_what_is_hidden_is_shown_and_markup_is_text() {
        let text = visible("a<script>&\"'\u{202e}\u{0}b\u{1b}[2J\u{e0041}").into_string();
        assert_eq!(
            text,
            "a&lt;script&gt;&amp;&quot;'<mark>\\u{202e}\\u{0}</mark>b<mark>\\u{1b}</mark>[2J<mark>\\u{e0041}</mark>"
        );
        assert_eq!(visible("").into_string(), "");
        assert_eq!(visible("a\nb").into_string(), "a<mark>\\u{a}</mark>b");
        assert_eq!(visible_json("a\nb\r").into_string(), "a\nb<mark>\\u{d}</mark>");
        assert_eq!(visible("\u{7f}").into_string(), "<mark>\\u{7f}</mark>");
    }

    #[test]
    fn what_is_long_is_cut_at_a_character_and_says_so() {
        let text = "ä".repeat(TEXT_SHOWN_BYTES_MAX);
        let cut = quoted(&text).into_string();
        assert!(cut.contains(&format!("(cut: {} bytes in all)", 2 * TEXT_SHOWN_BYTES_MAX)), "{}", cut.len());
        assert!(cut.len() < TEXT_SHOWN_BYTES_MAX + 100);
        let Shown { text, whole } = shown("aä", 2);
        assert_eq!((text, whole.map(|whole| whole.bytes)), ("a", Some(3)));
        assert!(shown("aä", 3).whole.is_none());
    }
}
