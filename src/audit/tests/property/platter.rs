//! A disk after a loss of power, made from what was done to it: each sector holds one of the contents that it had since
//! it was last synced, a file ends anywhere behind what was synced of it, and of the names the first few are there.
//!
//! A file whose sync failed keeps, for every process, what was written to it; the disk has of it what luck has it, and
//! nothing that is synced later brings the rest unless it is written again.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::audit::trace::Did;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// How much of what may be there is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Nothing,
    Everything,
    Anything,
}

/// What decides, wherever a disk may do one thing or another. The same seed decides the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Luck {
    pub(super) fate: Fate,
    pub(super) seed: u64,
}

impl Luck {
    /// A number below `bound` (splitmix64).
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    /// How many of `most` things came to be.
    fn of(&mut self, most: usize) -> usize {
        match self.fate {
            Fate::Nothing => 0,
            Fate::Everything => most,
            Fate::Anything => self.below(most + 1),
        }
    }
}

/// The folder of a journal, as processes see it and as the disk has it.
#[derive(Debug, Default)]
pub(super) struct Platter {
    files: Vec<Image>,
    /// Which file an inode of the folder is in which the journal lives now.
    inodes: BTreeMap<u64, usize>,
    now: BTreeMap<String, usize>,
    safe: BTreeMap<String, usize>,
    /// What the disk may not have of the names yet, in order.
    since: Vec<Naming>,
}

#[derive(Debug)]
enum Naming {
    Made(String, usize),
    Renamed(String, String),
}

impl Naming {
    fn put(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made(name, file) => drop(names.insert(name.clone(), *file)),
            // One that was never there under its first name is there under none.
            Self::Renamed(from, to) => {
                names.remove(from).map(|file| names.insert(to.clone(), file));
            }
        }
    }
}

impl Platter {
    /// What was done.
    pub(super) fn apply(&mut self, did: &Did, luck: &mut Luck) {
        match did {
            Did::Made { name, file } => {
                self.inodes.insert(*file, self.files.len());
                self.name(Naming::Made(name.clone(), self.files.len()));
                self.files.push(Image::default());
            }
            Did::Wrote { file, at, bytes } => self.file(*file).write(*at, bytes),
            Did::Synced { file } => self.file(*file).sync(),
            Did::Forgot { file } => self.file(*file).settle(luck),
            Did::Renamed { from, to } => self.name(Naming::Renamed(from.clone(), to.clone())),
            Did::SyncedFolder => {
                self.safe.clone_from(&self.now);
                self.since.clear();
            }
            Did::Closed { file, bytes } => self.file(*file).close(*bytes),
        }
    }

    /// The machine dies, and starts again.
    pub(super) fn lose_power(&mut self, luck: &mut Luck) {
        self.files.iter_mut().for_each(|file| file.lose_power(luck));
        let there = luck.of(self.since.len());
        self.since.drain(..).take(there).for_each(|naming| naming.put(&mut self.safe));
        self.now.clone_from(&self.safe);
    }

    /// Puts what processes see into the folder at `dir`, which is the journal's from now on.
    pub(super) fn mount(&mut self, dir: &Path) {
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(dir).unwrap();
        self.inodes.clear();
        for (name, file) in &self.now {
            let (path, image) = (dir.join(name), &self.files[*file]);
            std::fs::write(&path, &image.now).unwrap();
            let mode = if image.is_closed { 0o400 } else { 0o600 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            self.inodes.insert(path.metadata().unwrap().ino(), *file);
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.put(&mut self.now);
        self.since.push(naming);
    }

    fn file(&mut self, inode: u64) -> &mut Image {
        &mut self.files[self.inodes[&inode]]
    }
}

/// One file.
#[derive(Debug, Default)]
struct Image {
    /// What a process reads.
    now: Vec<u8>,
    is_closed: bool,
    /// What the disk has for sure.
    safe: Vec<u8>,
    is_safe_closed: bool,
    /// What else a sector may hold there: each content that it had since, in order.
    since: BTreeMap<usize, Vec<Vec<u8>>>,
    /// To what it was cut, where the disk may not know that.
    cut: Option<usize>,
}

impl Image {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.now, at, bytes);
        for sector in at / SECTOR_BYTES..(at + bytes.len()).div_ceil(SECTOR_BYTES) {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(self.now.len());
            self.since.entry(sector).or_default().push(self.now[start..end].to_vec());
        }
    }

    fn sync(&mut self) {
        self.settle(&mut Luck { fate: Fate::Everything, seed: 0 });
        // What was forgotten is zeros.
        self.safe.resize(self.now.len(), 0);
    }

    fn close(&mut self, bytes: usize) {
        self.now.truncate(bytes);
        self.is_closed = true;
        self.cut = Some(bytes);
    }

    /// The disk gets of each sector what it gets, and nobody will write it the rest.
    fn settle(&mut self, luck: &mut Luck) {
        for (sector, contents) in std::mem::take(&mut self.since) {
            if let Some(last) = luck.of(contents.len()).checked_sub(1) {
                put(&mut self.safe, sector * SECTOR_BYTES, &contents[last]);
            }
        }
    }

    fn lose_power(&mut self, luck: &mut Luck) {
        let before = self.safe.len();
        self.settle(luck);
        // Its length is written by itself.
        let (now, there) = (self.now.len(), self.safe.len());
        match luck.below(3) {
            0 => self.safe.truncate(before + luck.below(there - before + 1)),
            1 => self.safe.resize(there.max(now), 0),
            _ => {}
        }
        if let Some(bytes) = self.cut.take() {
            if luck.of(1) == 1 {
                self.safe.truncate(bytes);
            }
            self.is_safe_closed |= luck.of(1) == 1;
        }
        self.now.clone_from(&self.safe);
        self.is_closed = self.is_safe_closed;
    }
}

/// Writes `bytes` at `at`, behind zeros where that is behind the end.
fn put(whole: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    whole.resize(whole.len().max(end), 0);
    whole[at..end].copy_from_slice(bytes);
}
