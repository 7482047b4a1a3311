//! Puts the gateway into a client's file in the place of the servers that it took over.
//!
//! Must never change another thing: every byte beside the servers stays, and what comes out is read again and
//! compared with what was asked for. Where that does not hold, nothing is written.

mod json;
mod toml;

use std::path::PathBuf;

use serde_json::Value;

use super::document;
use super::file::{self, FileError};
use super::format::Syntax;
use super::{Bridge, Folders, OWN_NAME, Place};

pub(super) use toml::entry as toml_entry;

/// What is done to a file.
#[derive(Debug)]
pub struct Change<'a> {
    /// Where.
    pub place: &'a Place,
    /// What the client shall start.
    pub bridge: &'a Bridge,
    /// The servers that go.
    pub remove: &'a [String],
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Which file.
    pub path: PathBuf,
    /// What it was before; `None` where there was no file.
    pub backup: Option<PathBuf>,
}

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file could not be read or replaced.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is written in a way that this program does not change.
    #[error("`{}` is written in a way that is not changed by a program; put the snippet in by hand", .0.display())]
    ByHand(PathBuf),
}

/// Changes the file.
///
/// # Errors
/// [`EditError`]; the file is then as it was.
pub fn write(change: &Change<'_>, folders: &Folders) -> Result<Written, EditError> {
    let before = file::read(change.place, folders)?;
    let after = changed(change, before.as_deref())?;
    let backup = file::replace(&change.place.path, before.as_deref(), &after)?;
    Ok(Written { path: change.place.path.clone(), backup })
}

/// What the file holds after `change`, if it holds `before` now.
///
/// # Errors
/// [`EditError::ByHand`] where what would come out is not exactly what was asked for.
pub fn changed(change: &Change<'_>, before: Option<&str>) -> Result<String, EditError> {
    let Change { place, bridge, remove } = change;
    let format = place.client.format();
    let by_hand = || EditError::ByHand(place.path.clone());
    let parse = |text: &str| document::parse(format.syntax, text).map_err(|_| by_hand());
    let (text, entry) = (before.unwrap_or_default(), format.entry(bridge));
    let mut wanted = parse(text)?;
    let servers = table(&mut wanted, &place.section).ok_or_else(by_hand)?;
    let gone = |name: &String| name == OWN_NAME || remove.contains(name);
    servers.retain(|name, _| !gone(name));
    servers.insert(OWN_NAME.to_owned(), entry.clone());
    let after = match format.syntax {
        Syntax::Json => json::edit(text, &place.section, &gone, &entry),
        Syntax::Toml => place.section.first().map(|key| toml::edit(text, key, &gone, &entry)),
    };
    let after = after.ok_or_else(by_hand)?;
    if parse(&after)? == wanted { Ok(after) } else { Err(by_hand()) }
}

/// The table at the end of `path`, made where its parents are there.
fn table<'a>(document: &'a mut Value, path: &[String]) -> Option<&'a mut serde_json::Map<String, Value>> {
    let (last, parents) = path.split_last()?;
    let parent = parents.iter().try_fold(document, |value, key| value.get_mut(key))?;
    let empty = || Value::Object(serde_json::Map::new());
    parent.as_object_mut()?.entry(last.clone()).or_insert_with(empty).as_object_mut()
}
