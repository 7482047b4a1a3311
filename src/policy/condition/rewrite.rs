//! The six words of a condition as Cedar knows them: `args.to` becomes `context.args.to`.
//!
//! Must never change anything but these words where they stand as variables, and keeps the way back, so that
//! an error quotes what was written.

use std::fmt;

use crate::model::name::SourceName;

/// The words that a condition may use beside Cedar's own.
const WORDS: [&str; 6] = ["args", "trigger", "subject", "roles", "agent", "now"];
/// Variables of Cedar that are ours to fill: a condition that named them could see more than its words.
const RESERVED: [&str; 4] = ["context", "principal", "action", "resource"];
/// Words of Cedar's grammar that look like variables.
const GRAMMAR: [&str; 9] = ["true", "false", "if", "then", "else", "in", "is", "like", "has"];

/// An expression for Cedar, and what it was written as.
#[derive(Debug)]
pub(super) struct Rewritten {
    written: String,
    cedar: String,
    /// Where in `cedar` a piece begins that was copied, and where in `written` it stands.
    pieces: Vec<(usize, usize)>,
}

/// One token, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Mark,
    Space,
    Text,
}

impl Rewritten {
    /// Rewrites `written`; `source` is the one whose trigger is meant.
    pub(super) fn of(written: &str, source: Option<&SourceName>) -> Result<Self, String> {
        let tokens = tokens(written);
        let mut out = Self { written: written.to_owned(), cedar: String::new(), pieces: Vec::new() };
        let significant = |token: &&(Kind, usize, &str)| token.0 != Kind::Space;
        for (at, (kind, offset, text)) in tokens.iter().enumerate() {
            let before = tokens.iter().take(at).rev().find(significant).map(|token| token.2);
            let after = tokens.iter().skip(at + 1).find(significant).map(|token| token.2);
            let is_variable = *kind == Kind::Word
                && !matches!(before, Some("." | "::" | "has"))
                && !matches!(after, Some("::" | "(" | ":"))
                && !GRAMMAR.contains(text)
                && !text.starts_with(|first: char| first.is_ascii_digit());
            if is_variable {
                match variable(text, source)? {
                    Some(replaced) => out.cedar.push_str(&replaced),
                    None => out.cedar.push_str("context."),
                }
                if *text == "trigger" {
                    continue;
                }
            }
            out.pieces.push((out.cedar.len(), *offset));
            out.cedar.push_str(text);
        }
        Ok(out)
    }

    /// The expression for Cedar.
    pub(super) fn cedar(&self) -> &str {
        &self.cedar
    }

    /// `problem`, whose place counts from `head` bytes before the expression, in the words that were written.
    pub(super) fn say(
        &self,
        problem: &impl fmt::Display,
        place: Option<(usize, usize)>,
        head: usize,
    ) -> String {
        let message = plain(problem).replace("context.", "");
        let quoted = place.filter(|(_, length)| *length > 0).and_then(|(offset, length)| {
            let from = self.back(offset.checked_sub(head)?)?;
            let to = self.back((offset + length).checked_sub(head)?).unwrap_or(self.written.len());
            self.written.get(from..to).map(str::trim).filter(|quoted| !quoted.is_empty())
        });
        match quoted {
            Some(quoted) if !message.contains(quoted) => format!("{message}, at `{quoted}`"),
            _ => message,
        }
    }

    /// The place in what was written of a place in what Cedar read.
    fn back(&self, offset: usize) -> Option<usize> {
        let at = self.pieces.partition_point(|(cedar, _)| *cedar <= offset).checked_sub(1)?;
        let (cedar, written) = self.pieces.get(at)?;
        let place = written + (offset - cedar);
        (place <= self.written.len()).then_some(place)
    }
}

/// What Cedar says, without the names that it gives to what is ours.
pub(in crate::policy) fn plain(problem: &impl fmt::Display) -> String {
    let whole = problem.to_string();
    let message = whole.split_once("`, ").filter(|(id, _)| id.starts_with("for policy `"));
    let message = message.map_or(whole.as_str(), |(_, message)| message);
    message.replace(" in context for Action::\"call\"", "")
}

/// What `word` becomes as a variable; `None` where it only gets `context.` before it.
fn variable(word: &str, source: Option<&SourceName>) -> Result<Option<String>, String> {
    match (word, source) {
        ("trigger", Some(source)) => Ok(Some(format!("context.trigger[\"{source}\"]"))),
        ("trigger", None) => {
            Err("`trigger` is the trigger of a source, and only entries of sources have one".to_owned())
        }
        _ if WORDS.contains(&word) => Ok(None),
        _ if RESERVED.contains(&word) => Err(format!(
            "`{word}` is not for conditions; they speak of `args`, `trigger`, `subject`, `roles`, `agent`, `now`"
        )),
        _ => Err(format!(
            "`{word}` is no word of a condition; there are `args`, `trigger`, `subject`, `roles`, `agent`, `now`"
        )),
    }
}

/// The tokens of `text`, each with its place. Joined they are `text`.
fn tokens(text: &str) -> Vec<(Kind, usize, &str)> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            '"' => (Kind::Text, text_length(rest)),
            c if c.is_whitespace() => (Kind::Space, c.len_utf8()),
            '/' if rest.starts_with("//") => (Kind::Space, rest.find('\n').unwrap_or(rest.len())),
            c if c == '_' || c.is_alphanumeric() => {
                (Kind::Word, rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len()))
            }
            ':' if rest.starts_with("::") => (Kind::Mark, 2),
            c => (Kind::Mark, c.len_utf8()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push((kind, text.len() - rest.len(), token));
        rest = after;
    }
    tokens
}

/// The length of the quoted text that `rest` begins with; all of it where it has no end.
fn text_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}
