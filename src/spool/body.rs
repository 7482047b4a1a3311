//! A message on its way out: text, and what is read from disk where a mark stood.
//!
//! Must never hold more than one piece of what lies on disk, nor wait for it on a thread that others need.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::{Rest, Spool};
use crate::model::digest::{Digesting, Sha256};
use crate::wire::hollow::{self, Part};

/// How much is read at once, in bytes.
const READ_BYTES: u64 = 64 * 1024;

/// A message in pieces.
#[derive(Debug, Clone, Default)]
pub struct Body(VecDeque<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(Bytes),
    Disk { spool: Arc<Spool>, at: u64, end: u64 },
}

impl From<Bytes> for Body {
    fn from(text: Bytes) -> Self {
        Self(VecDeque::from([Piece::Text(text)]))
    }
}

impl Body {
    /// `text`, with what `rest` has in the place of its marks.
    #[must_use]
    pub fn whole(text: Bytes, rest: &Rest) -> Self {
        let Some(spool) = &rest.0 else { return text.into() };
        let pieces = hollow::split(&text, &spool.mark).into_iter().filter_map(|part| match part {
            Part::Text(text) => Some(Piece::Text(text)),
            Part::Long(number) => {
                let range = spool.range(number)?;
                Some(Piece::Disk { spool: Arc::clone(spool), at: range.start, end: range.end })
            }
        });
        Self(pieces.collect())
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(Piece::bytes).sum()
    }

    /// How many of them are held in memory.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let held = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Disk { .. } => 0,
        };
        self.0.iter().map(held).sum()
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// The same with each text of it changed. What lies on disk is the inside of strings and stays.
    #[must_use]
    pub fn map_text(self, change: impl Fn(Bytes) -> Bytes) -> Self {
        let changed = |piece| match piece {
            Piece::Text(text) => Piece::Text(change(text)),
            disk @ Piece::Disk { .. } => disk,
        };
        Self(self.0.into_iter().map(changed).collect())
    }

    /// The same between `before` and `after`.
    #[must_use]
    pub fn between(mut self, before: Bytes, after: Bytes) -> Self {
        self.0.push_front(Piece::Text(before));
        self.0.push_back(Piece::Text(after));
        self
    }

    /// This, and then `other`.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The text of a message that is nothing else.
    #[must_use]
    pub fn as_text(&self) -> Option<&Bytes> {
        static NOTHING: Bytes = Bytes::new();
        match (self.0.front(), self.0.len()) {
            (None, _) => Some(&NOTHING),
            (Some(Piece::Text(text)), 1) => Some(text),
            _ => None,
        }
    }

    /// The same with neighbouring texts in one piece.
    #[must_use]
    pub fn joined(self) -> Self {
        let (mut pieces, mut text) = (VecDeque::new(), BytesMut::new());
        for piece in self.0 {
            match piece {
                Piece::Text(more) => text.extend_from_slice(&more),
                disk @ Piece::Disk { .. } => {
                    pieces.push_back(Piece::Text(text.split().freeze()));
                    pieces.push_back(disk);
                }
            }
        }
        pieces.push_back(Piece::Text(text.freeze()));
        Self(pieces)
    }

    /// Its digest and size, read where others do not have to wait.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn digest(self) -> std::io::Result<(Sha256, u64)> {
        let bytes = self.bytes();
        let digest = move || {
            let mut digesting = Digesting::default();
            for piece in self.0 {
                piece.read_all(&mut |part| digesting.update(part))?;
            }
            Ok(digesting.finish())
        };
        let digest = tokio::task::spawn_blocking(digest).await.map_err(std::io::Error::other)?;
        digest.map(|digest| (digest, bytes))
    }

    /// Its bytes, one piece after the other.
    #[must_use]
    pub fn drain(self) -> Drained {
        Drained { left: self, reading: None, broken: false }
    }
}

impl Piece {
    fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
            Self::Disk { at, end, .. } => end.saturating_sub(*at),
        }
    }

    fn read_all(self, take: &mut impl FnMut(&[u8])) -> std::io::Result<()> {
        match self {
            Self::Text(text) => take(&text),
            Self::Disk { spool, mut at, end } => {
                while at < end {
                    let length = (end - at).min(READ_BYTES);
                    take(&spool.read(at, usize::try_from(length).unwrap_or_default())?);
                    at += length;
                }
            }
        }
        Ok(())
    }
}

/// A message that is being read.
#[derive(Debug)]
pub struct Drained {
    left: Body,
    reading: Option<JoinHandle<std::io::Result<Bytes>>>,
    broken: bool,
}

impl Drained {
    /// The next piece; `None` at the end, or where the disk fails: then less came than was said.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let Poll::Ready(read) = Pin::new(reading).poll(context) else { return Poll::Pending };
                self.reading = None;
                match read.map_err(std::io::Error::other).flatten() {
                    Ok(bytes) => return Poll::Ready(Some(bytes)),
                    Err(error) => {
                        tracing::error!(%error, "a spooled answer cannot be read: it is broken off");
                        (self.left, self.broken) = (Body::default(), true);
                        return Poll::Ready(None);
                    }
                }
            }
            match self.left.0.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Text(text)) if text.is_empty() => {}
                Some(Piece::Text(text)) => return Poll::Ready(Some(text)),
                Some(Piece::Disk { at, end, .. }) if at >= end => {}
                Some(Piece::Disk { spool, at, end }) => {
                    let length = (end - at).min(READ_BYTES);
                    let rest = Piece::Disk { spool: Arc::clone(&spool), at: at + length, end };
                    self.left.0.push_front(rest);
                    let length = usize::try_from(length).unwrap_or_default();
                    self.reading = Some(tokio::task::spawn_blocking(move || spool.read(at, length)));
                }
            }
        }
    }

    /// How many bytes are still to come.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.left.bytes()
    }

    /// Whether nothing is to come any more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.left.is_empty() && self.reading.is_none()
    }

    /// Whether the disk failed, so that less came than was said.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}
