//! A stream that knows in which phase of HTTP its connection is, so that each phase has its own limit.
//!
//! hyper's own head timeout runs while a connection is idle too, and would cut kept-alive clients off in
//! the middle of their next request. And hyper forgets a `Content-Length` that stands beside a
//! `Transfer-Encoding` (RFC 9112, 6.3, lets it), where this gateway refuses such a request (CASES A15).
//!
//! Must never change a byte, nor keep more of them than one head may have.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{HEAD_BYTES_MAX, LINGER_BYTES_MAX};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for a further request.
    Idle,
    /// Reading the head of a request.
    Head,
    /// Reading a body, working, or answering.
    Busy,
    /// Waiting for the peer to read.
    Stalled,
    /// Answered for the last time, waiting for the peer to close.
    Closing,
}

/// What stands in the head of the request that is being served, beside what hyper hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// The head was seen whole and holds no `Content-Length`.
    NoLength,
    /// The head holds one, or was not seen from its first byte to its last.
    LengthOrUnseen,
}

/// The phase of one connection, shared between its stream and its service.
#[derive(Debug)]
pub(super) struct Watch(Mutex<State>);

#[derive(Debug)]
struct State {
    phase: Phase,
    requests: u64,
    stalled: bool,
    /// How often the peer took something, so that one that reads slowly is not taken for one that does not.
    taken: u64,
    head: Vec<u8>,
}

impl Watch {
    /// The watch of a new connection. It has no time to idle before its first request.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            phase: Phase::Head,
            requests: 0,
            stalled: false,
            taken: 0,
            head: Vec::new(),
        }))
    }

    /// The phase now, and a number by which the same phase of two requests, or before and after the peer
    /// took something, differs.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let state = self.state();
        let stalled = state.stalled && state.phase != Phase::Closing;
        if stalled { (Phase::Stalled, state.taken) } else { (state.phase, state.requests) }
    }

    /// The head of a request was read and its service begins.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.phase = Phase::Busy;
        state.requests = state.requests.wrapping_add(1);
    }

    /// The whole answer was handed to the connection.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.head.clear();
        if state.phase == Phase::Busy {
            state.phase = Phase::Idle;
        }
    }

    /// How the request that is being served is framed.
    pub(super) fn framing(&self) -> Framing {
        let state = self.state();
        let Some(end) = state.head.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Framing::LengthOrUnseen;
        };
        let mut lines = state.head.get(..end).unwrap_or_default().split(|&byte| byte == b'\n');
        let starts_here = lines.next().is_some_and(|line| line.ends_with(b" HTTP/1.1\r"));
        let has_length = |line: &[u8]| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            name.trim_ascii().eq_ignore_ascii_case(b"content-length")
        };
        if starts_here && !lines.any(has_length) { Framing::NoLength } else { Framing::LengthOrUnseen }
    }

    fn read(&self, fresh: &[u8]) {
        let mut state = self.state();
        match state.phase {
            Phase::Idle => state.phase = Phase::Head,
            Phase::Head => {}
            // A body, or a request that came before its time: the head of such a request is not seen.
            Phase::Busy | Phase::Stalled | Phase::Closing => return,
        }
        let room = HEAD_BYTES_MAX.saturating_sub(state.head.len());
        state.head.extend(fresh.iter().take(room));
    }

    pub(super) fn wrote(&self, progress: &Poll<io::Result<usize>>) {
        let mut state = self.state();
        state.stalled = progress.is_pending();
        if let Poll::Ready(Ok(1..)) = progress {
            state.taken = state.taken.wrapping_add(1);
        }
    }

    /// TLS takes what is written into a buffer of its own, and waits for the peer only here.
    pub(super) fn flushed(&self, progress: &Poll<io::Result<()>>) {
        self.state().stalled = progress.is_pending();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    watch: Arc<Watch>,
    lingered_bytes: usize,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, watch: Arc<Watch>) -> Self {
        Self { inner, watch, lingered_bytes: 0 }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        if !fresh.is_empty() {
            self.watch.read(fresh);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch.wrote(&progress);
        progress
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch.wrote(&progress);
        progress
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_flush(context);
        self.watch.flushed(&progress);
        progress
    }

    /// Closes our side, then reads what still comes until the peer closes too: closing a socket that
    /// holds unread bytes resets the connection, and the peer might lose the answer (RFC 9112, 9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch.state().phase = Phase::Closing;
        ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
        let mut thrown_away = [0; 8 * 1024];
        while self.lingered_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.lingered_bytes += buffer.filled().len(),
                // The peer closed, or is gone: there is nobody left to be polite to.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
