//! A file, a record a line: appended, synced, and moved aside when it is large.
//!
//! Must never leave half a line between two: what a crash or a full disk left of one is cut off before the next.
//! Follows the path, not the file: whoever moves it away finds a new one made (logrotate).

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::parcel::{Parcel, lines};
use super::settings::FileSettings;
use super::target::Sure;
use crate::audit::LINE_BYTES_MAX;

#[derive(Debug)]
pub(super) struct FileTarget {
    settings: FileSettings,
    open: Option<File>,
}

impl FileTarget {
    pub(super) fn new(settings: FileSettings) -> Self {
        Self { settings, open: None }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Sure, Failure> {
        let (settings, open, text) = (self.settings.clone(), self.open.take(), lines(parcels));
        // A file can lie on a disk that does not answer.
        let appended = tokio::task::spawn_blocking(move || append(&settings, open, &text)).await;
        let appended = appended.map_err(io::Error::other).and_then(|appended| appended);
        self.open = Some(appended.map_err(Failure::doing("writing the file"))?);
        Ok(Sure::Arrived)
    }

    pub(super) fn reset(&mut self) {
        self.open = None;
    }
}

fn append(settings: &FileSettings, open: Option<File>, text: &[u8]) -> io::Result<File> {
    let path = &settings.path;
    let mut file = match open.filter(|file| is_at(file, path)) {
        Some(file) => file,
        None => open_whole(path)?,
    };
    let mut len = file.metadata()?.len();
    let would_be = len.saturating_add(text.len() as u64);
    if len > 0 && settings.rotate_bytes.is_some_and(|max| would_be > max) {
        rotate(path, settings.rotate_keep)?;
        file = open_whole(path)?;
        len = 0;
    }
    write_at_end(&mut file, len, text)?;
    Ok(file)
}

/// Appends `text` to `file`, which is `len` bytes long: all of it, on the disk, or nothing.
pub(super) fn write_at_end(file: &mut File, len: u64, text: &[u8]) -> io::Result<()> {
    let written = file.write_all(text).and_then(|()| file.sync_data());
    if written.is_err() {
        // What is there of the lines comes again with the next attempt.
        let _stays = file.set_len(len);
    }
    written
}

/// Whether `file` is still what stands at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |ours: &Metadata, named: &Metadata| (ours.dev(), ours.ino()) == (named.dev(), named.ino());
    matches!((file.metadata(), fs::symlink_metadata(path)), (Ok(ours), Ok(named)) if same(&ours, &named))
}

/// Opens the file for appending, without what a crash left of a last line.
pub(super) fn open_whole(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let looked_at = facts.len().min(LINE_BYTES_MAX as u64);
    let start = facts.len() - looked_at;
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    Read::by_ref(&mut file).take(looked_at).read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = tail.get(whole..).unwrap_or_default();
    if is_record(torn) {
        file.set_len(start + whole as u64)?;
    } else if !torn.is_empty() {
        // Somebody else's: it stays, on a line of its own.
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Whether `torn` is the beginning of what is written here: a record, or an event.
fn is_record(torn: &[u8]) -> bool {
    let heads: [&[u8]; 2] = [b"{\"v\":", b"{\"class_uid\":"];
    !torn.is_empty() && heads.iter().any(|head| torn.starts_with(head) || head.starts_with(torn))
}

/// Moves `path` to `path.1`, that to `path.2`, and so on; what would be more than `keep` is removed.
fn rotate(path: &Path, keep: usize) -> io::Result<()> {
    let numbered = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let missing_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if keep == 0 {
        return fs::remove_file(path);
    }
    missing_is_fine(fs::remove_file(numbered(keep)))?;
    for number in (1..keep).rev() {
        missing_is_fine(fs::rename(numbered(number), numbered(number + 1)))?;
    }
    fs::rename(path, numbered(1))
}
