//! Files: read within limits, parsed to trees with places, includes followed and united.
//!
//! Must never follow an include twice or without end, nor let one file change what another wrote.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::digest::Sha256;
use crate::model::place::Place;

use super::code::Code;
use super::node::{Entries, Entry, Fields, Located, Node};
use super::problem::Sink;

/// Largest file of a configuration, in bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most files of a configuration, and so also the greatest depth of includes.
const FILES_MAX: usize = 64;

/// Every file of a configuration, united.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What all files say together.
    pub(super) root: Entries,
    /// The first character of the main file.
    pub(super) start: Place,
    /// The folder of the main file; absolute. What is written relative is relative to it.
    pub(super) dir: PathBuf,
    /// Over every file in the order of reading.
    pub(super) digest: Sha256,
}

/// Reads the file at `path` and what it includes.
pub(super) fn load(path: &Path, found: &Sink) -> Loaded {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let start = first_character(path);
    let mut reading = Reading { found, seen: BTreeSet::new(), root: Entries::new(), parts: Vec::new() };
    // Where the main file stands is not part of what it says.
    reading.read(path, "", &start);
    let parts: Vec<&[u8]> = reading.parts.iter().map(Vec::as_slice).collect();
    Loaded {
        digest: Sha256::of_parts(&parts),
        dir: absolute.parent().map(Path::to_owned).unwrap_or_default(),
        root: reading.root,
        start,
    }
}

struct Reading<'a> {
    found: &'a Sink,
    seen: BTreeSet<PathBuf>,
    root: Entries,
    /// Name and content of each file, each with its length in front, so that no two sets of files
    /// share a digest.
    parts: Vec<Vec<u8>>,
}

impl Reading<'_> {
    /// Reads the file at `path`; `name` is how it was named, and `named_at` where.
    fn read(&mut self, path: &Path, name: &str, named_at: &Place) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if !self.seen.insert(real) {
            let message = format!("`{}` is included a second time", path.display());
            let help = "include each file once; a file may not include itself or one that includes it";
            return self.found.error(Code::BadInclude, named_at, message, help);
        }
        if self.seen.len() > FILES_MAX {
            let message = format!("more than {FILES_MAX} files are included");
            return self.found.error(Code::BadInclude, named_at, message, "unite some of them");
        }
        let Some(text) = self.text(path, named_at) else { return };
        let file: Arc<str> = path.display().to_string().into();
        for part in [name.as_bytes(), text.as_bytes()] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            self.parts.push([&length.to_be_bytes(), part].concat());
        }
        let mut entries = parse(&text, &file, self.found);
        let includes = take_includes(&mut entries, &first_character(path), self.found);
        self.unite(entries);
        for include in includes {
            let named = Path::new(&include.value);
            if named.is_absolute() || include.value.is_empty() {
                let message = format!("`{}` is not a relative path", include.value);
                let help = "name the file relative to the one that includes it";
                self.found.error(Code::BadInclude, &include.place, message, help);
                continue;
            }
            let dir = path.parent().unwrap_or(Path::new(""));
            self.read(&dir.join(named), &include.value, &include.place);
        }
    }

    fn text(&self, path: &Path, named_at: &Place) -> Option<String> {
        let shown = path.display();
        let unreadable = |why: String| {
            let message = format!("`{shown}` cannot be read: {why}");
            let help = "name an existing file that the gateway's user may read (`--config PATH`)";
            self.found.error(Code::FileUnreadable, named_at, message, help);
        };
        self.found.note_file(path);
        let mut bytes = Vec::new();
        let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        // Opening a pipe would wait for its other end.
        if path.metadata().is_ok_and(|facts| !facts.is_file()) {
            unreadable("it is not a file".to_owned());
            return None;
        }
        let read = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        if let Err(error) = read {
            unreadable(error.to_string());
            return None;
        }
        if bytes.len() > FILE_BYTES_MAX {
            let message = format!("`{shown}` is larger than {FILE_BYTES_MAX} bytes");
            self.found.error(Code::FileTooLarge, named_at, message, "split it by `include`");
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                unreadable(error.utf8_error().to_string());
                None
            }
        }
    }

    /// Adds the tables of one more file. A table of tables is united, anything else stands once.
    fn unite(&mut self, entries: Entries) {
        for (key, entry) in entries {
            let Some(known) = self.root.get_mut(&key) else {
                self.root.insert(key, entry);
                continue;
            };
            unite_entry(&key, known, entry, united_depth(&key), self.found);
        }
    }
}

/// How deep the tables of a section are united: `[sources.*]` once, `[auth.keys.*]` twice.
fn united_depth(section: &str) -> usize {
    match section {
        "auth" => 2,
        "listen" | "upstreams" | "sources" | "roles" | "agents" => 1,
        _ => 0,
    }
}

fn unite_entry(name: &str, known: &mut Entry, more: Entry, depth: usize, found: &Sink) {
    match (&mut known.value.value, more.value.value) {
        (Node::Table(known), Node::Table(more)) if depth > 0 => {
            for (key, entry) in more {
                let name = format!("{name}.{key}");
                match known.get_mut(&key) {
                    Some(known) => unite_entry(&name, known, entry, depth - 1, found),
                    None => {
                        known.insert(key, entry);
                    }
                }
            }
        }
        _ => {
            let message = format!("`{name}` is already written at {}", known.key_place);
            found.error(Code::Duplicate, &more.key_place, message, "write it in one file alone");
        }
    }
}

/// Takes `include` out: it speaks of files and not of the gateway.
fn take_includes(entries: &mut Entries, start: &Place, found: &Sink) -> Vec<Located<String>> {
    let Some(entry) = entries.remove("include") else { return Vec::new() };
    let alone = Entries::from([("include".to_owned(), entry)]);
    Fields::new(&alone, "the file", start, found).texts("include").unwrap_or_default()
}

fn first_character(path: &Path) -> Place {
    Place { file: path.display().to_string().into(), line: 1, column: 1 }
}

fn parse(text: &str, file: &Arc<str>, found: &Sink) -> Entries {
    let lines = Lines::new(text, file);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        let help = "correct the TOML; see https://toml.io for its grammar";
        found.error(Code::Syntax, &lines.place(at), error.message(), help);
    }
    entries(table.into_inner(), &lines)
}

fn entries(table: DeTable<'_>, lines: &Lines<'_>) -> Entries {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let key_place = lines.place(key.span().start);
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        // A table with a header of its own stands where its name stands.
        let place = match value.get_ref() {
            DeValue::Table(_) => key_place.clone(),
            _ => lines.place(value.span().start),
        };
        let value = Located { value: node(value.into_inner(), lines), place };
        (key.into_owned(), Entry { key_place, value })
    };
    table.into_iter().map(entry).collect()
}

fn node(value: DeValue<'_>, lines: &Lines<'_>) -> Node {
    match value {
        DeValue::String(text) => Node::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Node::Integer(number),
            Err(_) => Node::Other("an integer beyond 64 bits"),
        },
        DeValue::Boolean(value) => Node::Boolean(value),
        DeValue::Float(number) => Node::Fraction(number.as_str().to_owned()),
        DeValue::Datetime(_) => Node::Other("a date"),
        DeValue::Table(table) => Node::Table(entries(table, lines)),
        DeValue::Array(items) => {
            let item = |item: Spanned<DeValue<'_>>| {
                let place = lines.place(item.span().start);
                Located { value: node(item.into_inner(), lines), place }
            };
            Node::List(items.into_iter().map(item).collect())
        }
    }
}

/// Byte offsets of one text to lines and columns.
struct Lines<'a> {
    text: &'a str,
    file: Arc<str>,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, file: &Arc<str>) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, file: Arc::clone(file), starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..offset).map_or(0, |text| text.chars().count());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line: number(line.max(1)), column: number(before + 1) }
    }
}
