//! Files that are replaced whole: a reader sees the old one or the new one, also after a loss of power.
//!
//! Must never leave half a file in the place of one. Trusts whoever may write in its folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Puts `text` in the place of what is at `path`; a new file gets this `mode`.
///
/// # Errors
/// What the system says; then the old file stands as it was.
pub fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// Makes sure that what was done to the name `path` is on the disk.
///
/// # Errors
/// What the system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
