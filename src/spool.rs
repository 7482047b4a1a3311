//! Messages that are too large for memory: their long strings lie in a file that has no name.
//!
//! Must never leave a file behind, whatever ends the process: it is unlinked before a byte is in it. Nor may it
//! hold more of a message in memory than `wire::hollow` lets stay. It trusts that what it is given is bounded.

mod body;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use rustix::fs::{Mode, OFlags};

use crate::chance;
use crate::wire::Fault;
use crate::wire::gather::{self, Gather};
use crate::wire::hollow::{Hollow, Hollowed};

pub use body::{Body, Drained};

/// What of a message is held in memory before it is spooled, in bytes (DESIGN §6, `result_buffer`).
pub const RESULT_BUFFER_BYTES: usize = 1024 * 1024;
/// How much of the beginning of a message is known of one that cannot be used, in bytes.
pub const HEAD_BYTES: usize = 64;
/// How much is written at once, in bytes.
const WRITE_BYTES: usize = 64 * 1024;

/// A message, and what of it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its text. Where `rest` is something, marks stand in it for long strings.
    pub text: Bytes,
    /// Those.
    pub rest: Rest,
}

impl From<Bytes> for Message {
    fn from(text: Bytes) -> Self {
        Self { text, rest: Rest::default() }
    }
}

/// What of a message lies on disk, if anything does. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Rest(Option<Arc<Spool>>);

impl PartialEq for Rest {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Rest {}

impl Rest {
    /// Whether all of the message is in its text.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

/// The long strings of one message.
#[derive(Debug)]
struct Spool {
    file: File,
    mark: String,
    starts: Vec<u64>,
    end: u64,
}

impl Spool {
    /// Where the long string `number` lies.
    fn range(&self, number: usize) -> Option<std::ops::Range<u64>> {
        let start = *self.starts.get(number)?;
        Some(start..self.starts.get(number + 1).copied().unwrap_or(self.end))
    }

    /// What is in the file from `at` on, at most `length` bytes.
    fn read(&self, at: u64, length: usize) -> std::io::Result<Bytes> {
        let mut buffer = BytesMut::zeroed(length);
        self.file.read_exact_at(&mut buffer, at)?;
        Ok(buffer.freeze())
    }
}

/// Gathers messages, the large ones on disk.
#[derive(Debug)]
pub struct Gatherer {
    folder: Arc<Path>,
    bytes: usize,
    memory: BytesMut,
    large: Option<Large>,
}

/// A message that is too large for memory.
#[derive(Debug)]
enum Large {
    Spooling(Box<Spooling>),
    /// It cannot be used: the rest of it goes by.
    Flawed(Flawed),
}

#[derive(Debug)]
struct Spooling {
    hollow: Hollow,
    mark: String,
    file: BufWriter<File>,
    /// How the message begins.
    head: Bytes,
}

/// A message that cannot be used.
#[derive(Debug)]
pub struct Flawed {
    /// Why.
    pub flaw: Flaw,
    /// How it begins.
    pub head: Bytes,
}

/// Why a large message cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It is no JSON, or too much of it would have to stay in memory.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// It could not be kept.
    #[error("it could not be kept on disk: {0}")]
    Disk(#[from] std::io::Error),
    /// The system gave no random bytes for its marks.
    #[error("{0}")]
    Entropy(#[from] chance::NoEntropy),
}

impl Gatherer {
    /// Spools into files that lie in `folder`.
    #[must_use]
    pub fn new(folder: Arc<Path>) -> Self {
        Self { folder, bytes: 0, memory: BytesMut::new(), large: None }
    }

    /// Goes on with what is in memory on disk.
    fn begin_large(&mut self) -> Large {
        let memory = std::mem::take(&mut self.memory).freeze();
        let head = Bytes::copy_from_slice(memory.get(..HEAD_BYTES).unwrap_or(&memory));
        match Spooling::begin(&self.folder, head.clone()) {
            Ok(spooling) => Large::Spooling(Box::new(spooling)).push(&memory),
            Err(flaw) => Large::Flawed(Flawed { flaw, head }),
        }
    }
}

impl Gather for Gatherer {
    type Whole = Result<Message, Flawed>;

    fn put(&mut self, part: &[u8]) {
        self.bytes += part.len();
        if let Some(large) = self.large.take() {
            self.large = Some(large.push(part));
            return;
        }
        self.memory.extend_from_slice(part);
        if self.memory.len() > RESULT_BUFFER_BYTES {
            self.large = Some(self.begin_large());
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self) -> Self::Whole {
        self.bytes = 0;
        match self.large.take() {
            None => Ok(Message { text: Gather::take(&mut self.memory), rest: Rest::default() }),
            Some(Large::Spooling(spooling)) => spooling.finish(),
            Some(Large::Flawed(flawed)) => Err(flawed),
        }
    }

    fn take_line(&mut self) -> Option<Self::Whole> {
        match self.take() {
            Ok(Message { text, rest }) => gather::line(text).map(|text| Ok(Message { text, rest })),
            flawed => Some(flawed),
        }
    }

    fn clear(&mut self) {
        *self = Self::new(Arc::clone(&self.folder));
    }
}

impl Large {
    fn push(self, part: &[u8]) -> Self {
        let Self::Spooling(mut spooling) = self else { return self };
        match spooling.push(part) {
            Ok(()) => Self::Spooling(spooling),
            Err(flaw) => Self::Flawed(Flawed { flaw, head: spooling.head }),
        }
    }
}

impl Spooling {
    fn begin(folder: &Path, head: Bytes) -> Result<Self, Flaw> {
        // Nobody can write a message that holds it.
        let mark = format!("~{}~", HEXLOWER.encode(&chance::bytes::<16>()?));
        let file = BufWriter::with_capacity(WRITE_BYTES, nameless(folder)?);
        Ok(Self { hollow: Hollow::new(mark.clone()), mark, file, head })
    }

    fn push(&mut self, part: &[u8]) -> Result<(), Flaw> {
        let (file, mut written) = (&mut self.file, Ok(()));
        self.hollow.push(part, &mut |bytes| {
            if written.is_ok() {
                written = file.write_all(bytes);
            }
        })?;
        Ok(written?)
    }

    fn finish(self: Box<Self>) -> Result<Message, Flawed> {
        let Self { hollow, mark, file, head } = *self;
        let finish = || -> Result<Message, Flaw> {
            let Hollowed { text, starts } = hollow.finish()?;
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            let end = file.metadata()?.len();
            Ok(Message { text, rest: Rest(Some(Arc::new(Spool { file, mark, starts, end }))) })
        };
        finish().map_err(|flaw| Flawed { flaw, head })
    }
}

/// A file in `folder` that only its holder can find.
fn nameless(folder: &Path) -> std::io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags | OFlags::TMPFILE, mode) {
        Ok(file) => Ok(file.into()),
        // Some file systems have no such files: there the name goes before anything is in it.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            let random = chance::bytes::<16>().map_err(std::io::Error::other)?;
            let path = folder.join(format!("spool-{}", HEXLOWER.encode(&random)));
            let file = rustix::fs::open(&path, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
            std::fs::remove_file(&path)?;
            Ok(file.into())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
