//! What was written, as a tree of values that know their places; and how a table is read from it.
//!
//! Must never say what a key means: only that it is there, and of which type.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::model::place::Place;

use super::code::Code;
use super::problem::Sink;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A value as it was written.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Located<Node>>),
    Table(Entries),
    /// As it was written.
    Fraction(String),
    /// What no key of ours takes: dates, integers beyond 64 bits. Its type's name.
    Other(&'static str),
}

/// The entries of a table, each with the place of its key.
pub(super) type Entries = BTreeMap<String, Entry>;

/// One entry of a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key_place: Place,
    pub(super) value: Located<Node>,
}

impl Node {
    /// The type, as a person would say it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
            Self::Fraction(_) => "a fraction",
            Self::Other(kind) => kind,
        }
    }
}

impl<T> Located<T> {
    pub(super) fn new(value: T, place: &Place) -> Self {
        Self { value, place: place.clone() }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), place: self.place }
    }
}

/// Reads one table: remembers which keys were asked for, so that the others can be reported.
pub(super) struct Fields<'a> {
    entries: &'a Entries,
    /// The table as a person would name it: `[listen.main]`.
    title: String,
    /// Where the table stands.
    place: Place,
    found: &'a Sink,
    asked: RefCell<Vec<&'static str>>,
}

/// A key that a later version reads, and the words for it.
pub(super) type Later = (&'static str, &'static str);

impl<'a> Fields<'a> {
    pub(super) fn new(
        entries: &'a Entries,
        title: impl Into<String>,
        place: &Place,
        found: &'a Sink,
    ) -> Self {
        let asked = RefCell::new(Vec::new());
        Self { entries, title: title.into(), place: place.clone(), found, asked }
    }

    /// The fields of `node`, if it is a table.
    pub(super) fn of(node: &'a Located<Node>, title: impl Into<String>, found: &'a Sink) -> Option<Self> {
        let title = title.into();
        match &node.value {
            Node::Table(entries) => Some(Self::new(entries, title, &node.place, found)),
            other => {
                let message = format!("{title} takes a table, and {} was written", other.kind());
                found.error(Code::WrongType, &node.place, message, "write a table");
                None
            }
        }
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn found(&self) -> &'a Sink {
        self.found
    }

    /// The entry of `key`, whatever its type.
    pub(super) fn node(&self, key: &'static str) -> Option<&'a Entry> {
        self.asked.borrow_mut().push(key);
        let entry = self.entries.get(key)?;
        self.found.attempt(&self.place, key);
        Some(entry)
    }

    pub(super) fn text(&self, key: &'static str) -> Option<Located<String>> {
        let node = &self.node(key)?.value;
        text_of(node, &format!("`{key}`"), self.found)
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<Located<bool>> {
        let node = &self.node(key)?.value;
        match node.value {
            Node::Boolean(value) => Some(Located::new(value, &node.place)),
            _ => self.mismatch(node, key, "`true` or `false`"),
        }
    }

    /// An array of strings.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<Located<String>>> {
        let node = &self.node(key)?.value;
        match &node.value {
            Node::List(items) => {
                let what = format!("each entry of `{key}`");
                Some(items.iter().filter_map(|item| text_of(item, &what, self.found)).collect())
            }
            _ => self.mismatch(node, key, "an array of strings"),
        }
    }

    /// One string, or an array of strings.
    pub(super) fn one_or_more(&self, key: &'static str) -> Option<Located<Vec<Located<String>>>> {
        let node = &self.node(key)?.value;
        match &node.value {
            Node::Text(text) => {
                let only = Located::new(text.clone(), &node.place);
                Some(Located::new(vec![only], &node.place))
            }
            Node::List(items) => {
                let what = format!("each entry of `{key}`");
                let texts = items.iter().filter_map(|item| text_of(item, &what, self.found)).collect();
                Some(Located::new(texts, &node.place))
            }
            _ => self.mismatch(node, key, "a string or an array of strings"),
        }
    }

    /// A number, size or duration: it is read when its bounds are known.
    pub(super) fn quantity(&self, key: &'static str) -> Option<Located<Node>> {
        Some(self.node(key)?.value.clone())
    }

    /// The entries of the table `key`, by name: `[listen.*]`. `wanted` says what each is.
    pub(super) fn table(&self, key: &'static str, wanted: &str) -> Vec<(&'a str, &'a Entry)> {
        let Some(entry) = self.node(key) else { return Vec::new() };
        match &entry.value.value {
            Node::Table(entries) => entries.iter().map(|(name, entry)| (name.as_str(), entry)).collect(),
            _ => {
                self.mismatch::<()>(&entry.value, key, wanted);
                Vec::new()
            }
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, later: &[Later]) {
        let asked = self.asked.borrow();
        #[cfg(test)]
        self.found.note_known(self.entries, &asked);
        for (key, entry) in self.entries.iter().filter(|(key, _)| !asked.contains(&key.as_str())) {
            let title = &self.title;
            if let Some((_, what)) = later.iter().find(|(name, _)| name == key) {
                let message = format!("`{key}` in {title} ({what}) comes with a later version");
                let help = "remove it; nothing of it would be in force";
                self.found.error(Code::LaterVersion, &entry.key_place, message, help);
                continue;
            }
            let message = format!("`{key}` is not a key of {title}");
            let help = suggestion(key, &asked);
            if let Some(meant) = closest(key, &asked) {
                self.found.attempt(&self.place, meant);
            }
            self.found.error(Code::UnknownKey, &entry.key_place, message, help);
        }
    }

    fn mismatch<T>(&self, node: &Located<Node>, key: &str, wanted: &str) -> Option<T> {
        let message = format!("`{key}` takes {wanted}, and {} was written", node.value.kind());
        self.found.error(Code::WrongType, &node.place, message, format!("write {wanted}"));
        None
    }
}

/// The string that `node` is.
pub(super) fn text_of(node: &Located<Node>, what: &str, found: &Sink) -> Option<Located<String>> {
    match &node.value {
        Node::Text(text) => Some(Located::new(text.clone(), &node.place)),
        other => {
            let message = format!("{what} takes a string, and {} was written", other.kind());
            found.error(Code::WrongType, &node.place, message, "write it in quotes");
            None
        }
    }
}

/// Advice for a word that is not among `known`, as a sentence.
pub(super) fn suggestion<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    if let Some(close) = closest(word, known) {
        return format!("did you mean `{close}`?");
    }
    let mut known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        return "nothing of this kind is declared.".to_owned();
    }
    let shown: Vec<String> = known.iter().take(KNOWN_SHOWN_MAX).map(|word| format!("`{word}`")).collect();
    let more = if known.len() > KNOWN_SHOWN_MAX { " and others" } else { "" };
    format!("known here: {}{more}.", shown.join(", "))
}

/// The word among `known` that is likely meant.
fn closest<'a, S: AsRef<str>>(word: &str, known: &'a [S]) -> Option<&'a str> {
    let distance = |other: &&'a str| strsim::damerau_levenshtein(word, other);
    let close = known.iter().map(AsRef::as_ref).min_by_key(distance)?;
    (distance(&close) <= SUGGESTION_DISTANCE_MAX.min(word.len() / 2)).then_some(close)
}

/// How many edits away a suggestion may be.
const SUGGESTION_DISTANCE_MAX: usize = 3;
/// How many known words advice lists.
const KNOWN_SHOWN_MAX: usize = 24;
