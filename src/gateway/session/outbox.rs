//! What a session has to tell its client, stream by stream: numbered, kept for a while, told once more.
//!
//! One place for every message toward a client of the 2025 revisions that is on a stream: what belongs to a
//! call goes on the stream of its POST, everything else on one GET stream (2025-11-25, basic/transports,
//! "Multiple Connections": each message on only one stream). Must never tell a message of one stream on
//! another, leave a gap without saying so, keep more than its limits, or make anybody wait: whoever does
//! not read loses what falls out, and learns it when they come back.

mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::sync::watch;
use tokio::time::Instant;

use super::tap::Tap;
use crate::chance;
use crate::gateway::port::{CALL_EVENTS_MAX, STREAM_EVENTS_MAX};
use crate::model::reason::Reason;
use crate::run::Run;
use crate::spool::Body;
use crate::wire::Revision;

use stream::{Reader, Stream};

pub(super) use stream::{Place, Purpose};

/// Bytes of messages that one session keeps to tell them again. Beyond them its oldest stream loses its
/// oldest; what a client is about to read stays.
const SESSION_REPLAY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The same of all sessions together. Whoever adds more loses their own.
const REPLAY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// GET streams of one session, those included that wait for their client to come back; one more is refused
/// with `streams_full`, unless one that waits can make room.
const SESSION_LISTENING_MAX: usize = 8;
/// Streams of answered calls that one session keeps; beyond them the oldest that nobody reads is forgotten.
const SESSION_ANSWERED_MAX: usize = 64;

/// What all sessions share.
#[derive(Debug)]
pub(in crate::gateway) struct Replay {
    bytes: AtomicUsize,
    window_ms: AtomicU64,
}

impl Replay {
    pub(super) fn new(window: Duration) -> Self {
        Self { bytes: AtomicUsize::new(0), window_ms: AtomicU64::new(super::millis(window)) }
    }

    /// From now on a stream is kept this long for a client that lost it.
    pub(super) fn limit(&self, window: Duration) {
        self.window_ms.store(super::millis(window), Ordering::Relaxed);
    }

    fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms.load(Ordering::Relaxed))
    }
}

/// The streams of one session.
#[derive(Debug)]
pub(in crate::gateway) struct Outbox {
    /// Stands in every event id, so that the id of another session is nobody's here (CASES A30).
    tag: Box<str>,
    /// Whether streams begin with an event that only says how to come back.
    primes: Primes,
    shared: Arc<Replay>,
    state: Mutex<State>,
}

/// SEP-1699 (2025-11-25): streams begin with an event without data, and may then be polled. A client of an
/// older revision would take it for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primes {
    Yes,
    No,
}

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<u64, Stream>,
    streams_opened: u64,
    readers_seen: u64,
    bytes: usize,
    life: Life,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Life {
    #[default]
    Open,
    /// The session has ended: what is being read is read to its end, and nothing can be resumed.
    Ended,
}

/// What reading finds.
#[derive(Debug)]
pub(super) enum Found {
    Event(u64, Body),
    Nothing,
    /// The reader may go, and come back.
    Pause,
    /// The stream has ended, another reader took it over, or what comes next fell out.
    End,
}

impl Outbox {
    pub(super) fn new(revision: Revision, shared: Arc<Replay>) -> Result<Arc<Self>, Reason> {
        let random = chance::bytes::<8>().map_err(|_| Reason::Fault)?;
        let primes = if revision >= Revision::V2025_11_25 { Primes::Yes } else { Primes::No };
        Ok(Arc::new(Self { tag: HEXLOWER.encode(&random).into(), primes, shared, state: Mutex::default() }))
    }

    /// Opens a stream and reads it from its beginning.
    ///
    /// # Errors
    /// `streams_full`, or `session_unknown` where the session has ended meanwhile.
    pub(super) fn open(self: &Arc<Self>, purpose: Purpose) -> Result<Tap, Reason> {
        let mut state = self.lock();
        if state.life == Life::Ended {
            return Err(Reason::SessionUnknown);
        }
        if matches!(purpose, Purpose::Listening) {
            self.make_room_to_listen(&mut state)?;
        } else {
            self.forget_answered(&mut state);
        }
        let stream = state.streams_opened;
        state.streams_opened += 1;
        let mut events = VecDeque::new();
        // 2025-11-25, basic/transports: "The server SHOULD immediately send an SSE event consisting of an
        // event ID and an empty data field in order to prime the client to reconnect."
        if self.primes == Primes::Yes {
            events.push_back((0, Body::default()));
        }
        let next = u64::from(self.primes == Primes::No);
        let reader = Reader::Left(Instant::now());
        let (changed, _) = watch::channel(());
        state.streams.insert(
            stream,
            Stream { purpose, events, next: 1, ended: false, paused: false, reader, changed },
        );
        Ok(self.read(&mut state, stream, next))
    }

    /// Reads on after the event `last_id` (2025-11-25, basic/transports, "Resumability and Redelivery"):
    /// on the stream of that event and no other. Whoever read it before is cut off: a client comes back
    /// before the dead half of its connection is noticed.
    ///
    /// # Errors
    /// `event_unknown` where no stream of this session has such an event, `events_gone` where what came
    /// after it is no longer here, or why the run of the call may not be told.
    pub(super) fn resume(self: &Arc<Self>, last_id: &[u8]) -> Result<(Tap, Resumed), Reason> {
        let (stream, event) = self.place_of(last_id).ok_or(Reason::EventUnknown)?;
        let mut state = self.lock();
        if state.life == Life::Ended {
            return Err(Reason::SessionUnknown);
        }
        self.forget_stale(&mut state);
        if stream >= state.streams_opened {
            return Err(Reason::EventUnknown);
        }
        let found = state.streams.get(&stream).ok_or(Reason::EventsGone)?;
        if event >= found.next {
            return Err(Reason::EventUnknown);
        }
        if event + 1 < found.first() {
            return Err(Reason::EventsGone);
        }
        let resumed = match &found.purpose {
            Purpose::Listening => Resumed::Listening,
            Purpose::Call(runs) => {
                // What was answered may not be told to a run that is over by now: its client may be in a
                // fresh one, which does not carry the sources of the answer (I4).
                runs.iter().try_for_each(|run| may_be_told(run))?;
                Resumed::Call
            }
        };
        Ok((self.read(&mut state, stream, event + 1), resumed))
    }

    /// Adds a message to `stream`. One that is only `Passing` is dropped where too much is unread.
    ///
    /// # Errors
    /// The stream has gone, or the message was dropped: nobody will read it.
    pub(super) fn add(&self, stream: u64, message: Body, place: Place) -> Result<(), Unheard> {
        let mut state = self.lock();
        let window = self.shared.window();
        let found = state.streams.get_mut(&stream).ok_or(Unheard)?;
        if place == Place::Passing && found.unread() >= CALL_EVENTS_MAX {
            return Err(Unheard);
        }
        let number = found.next;
        found.next += 1;
        found.ended = place == Place::Last;
        if found.is_listening() && found.is_stale(window) {
            // Nobody came back in time. That there was something to tell is what the number says.
            let freed = found.events.drain(..).map(|(_, message)| message.held_bytes()).sum();
            self.account(&mut state, 0, freed);
            return Err(Unheard);
        }
        let mut freed = 0;
        let added = message.held_bytes();
        found.events.push_back((number, message));
        while found.events.len() > STREAM_EVENTS_MAX {
            freed += found.events.pop_front().map_or(0, |(_, message)| message.held_bytes());
        }
        found.wake();
        self.account(&mut state, added, freed);
        self.trim(&mut state);
        Ok(())
    }

    /// Whoever reads `stream` is sent away once they have read what is there, to come back later (SEP-1699).
    pub(super) fn pause(&self, stream: u64) {
        // In older revisions nobody would come back.
        let may_come_back = |found: &&mut Stream| found.is_read() && self.primes == Primes::Yes;
        if let Some(found) = self.lock().streams.get_mut(&stream).filter(may_come_back) {
            found.paused = true;
            found.wake();
        }
    }

    /// Tells the client something that belongs to no call: on the GET stream that was opened last, of
    /// those that are read if any is.
    ///
    /// # Errors
    /// There is no such stream.
    pub(super) fn tell(&self, message: Bytes) -> Result<(), Unheard> {
        let stream = {
            let state = self.lock();
            let listening = || state.streams.iter().rev().filter(|(_, stream)| stream.is_listening());
            let open = listening().find(|(_, stream)| stream.is_read()).or_else(|| listening().next());
            *open.ok_or(Unheard)?.0
        };
        self.add(stream, message.into(), Place::Between)
    }

    /// Returns once nobody has read `stream` for the window, or it has gone.
    pub(super) async fn abandoned(&self, stream: u64) {
        loop {
            let (left, mut changed) = {
                let state = self.lock();
                let Some(found) = state.streams.get(&stream) else { return };
                let left = match found.reader {
                    Reader::Left(since) => Some(since + self.shared.window()),
                    Reader::There { .. } => None,
                };
                (left, found.changed.subscribe())
            };
            let over = async {
                match left {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                gone = changed.changed() => if gone.is_err() { return },
            }
        }
    }

    /// Forgets `stream`; whoever reads it comes to its end.
    pub(super) fn forget(&self, stream: u64) {
        self.remove(&mut self.lock(), stream);
    }

    /// Ends every GET stream.
    pub(super) fn end_listening(&self) {
        let mut state = self.lock();
        let listening: Vec<_> =
            state.streams.iter().filter(|(_, stream)| stream.is_listening()).map(|(at, _)| *at).collect();
        for stream in listening {
            self.remove(&mut state, stream);
        }
    }

    /// The session has ended: what nobody reads is forgotten, which cancels what is still in flight.
    pub(super) fn end(&self) {
        self.end_listening();
        let mut state = self.lock();
        state.life = Life::Ended;
        let unread: Vec<_> =
            state.streams.iter().filter(|(_, stream)| !stream.is_read()).map(|(at, _)| *at).collect();
        for stream in unread {
            self.remove(&mut state, stream);
        }
    }

    /// Frees what is kept of GET streams to which nobody came back in time.
    pub(super) fn expire(&self) {
        self.forget_stale(&mut self.lock());
    }

    /// How many GET streams are being read.
    pub(super) fn listeners(&self) -> usize {
        self.lock().streams.values().filter(|stream| stream.is_listening() && stream.is_read()).count()
    }

    /// Whether there is a GET stream, or one that can be resumed.
    pub(super) fn is_listening(&self) -> bool {
        self.lock().streams.values().any(Stream::is_listening)
    }

    pub(super) fn primes(&self) -> Primes {
        self.primes
    }

    /// The id of an event: 2025-11-25, "Event IDs SHOULD encode sufficient information to identify the
    /// originating stream".
    pub(super) fn id_of(&self, stream: u64, event: u64) -> String {
        format!("{}-{stream}-{event}", self.tag)
    }

    fn place_of(&self, id: &[u8]) -> Option<(u64, u64)> {
        let rest = std::str::from_utf8(id).ok()?.strip_prefix(&*self.tag)?.strip_prefix('-')?;
        let (stream, event) = rest.split_once('-')?;
        let place = (stream.parse().ok()?, event.parse().ok()?);
        // There is one spelling of each.
        (self.id_of(place.0, place.1).as_bytes() == id).then_some(place)
    }

    fn read(self: &Arc<Self>, state: &mut State, stream: u64, next: u64) -> Tap {
        let number = state.readers_seen;
        state.readers_seen += 1;
        if let Some(found) = state.streams.get_mut(&stream) {
            found.wake();
            found.reader = Reader::There { number, next, waker: None };
            found.paused = false;
            found.changed.send_replace(());
        }
        Tap::new(Arc::clone(self), stream, number)
    }

    /// What the reader `number` finds next on `stream`.
    pub(super) fn next(&self, stream: u64, number: u64, waker: &Waker) -> Found {
        let mut state = self.lock();
        let Some(found) = state.streams.get_mut(&stream) else { return Found::End };
        let (first, ended) = (found.first(), found.ended);
        let Reader::There { number: of, next, waker: asleep } = &mut found.reader else { return Found::End };
        if *of != number || *next < first {
            return Found::End;
        }
        let at = usize::try_from(*next - first).unwrap_or(usize::MAX);
        match found.events.get(at) {
            Some((event, message)) => {
                *next += 1;
                Found::Event(*event, message.clone())
            }
            None if ended => Found::End,
            None if std::mem::take(&mut found.paused) => Found::Pause,
            None => {
                *asleep = Some(waker.clone());
                Found::Nothing
            }
        }
    }

    /// The reader `number` of `stream` has gone.
    pub(super) fn leave(&self, stream: u64, number: u64) {
        let mut state = self.lock();
        let life = state.life;
        let Some(found) = state.streams.get_mut(&stream) else { return };
        if !matches!(found.reader, Reader::There { number: of, .. } if of == number) {
            return;
        }
        found.reader = Reader::Left(Instant::now());
        found.changed.send_replace(());
        if life == Life::Ended {
            self.remove(&mut state, stream);
        } else {
            self.trim(&mut state);
        }
    }

    fn make_room_to_listen(&self, state: &mut State) -> Result<(), Reason> {
        let listening = state.streams.iter().filter(|(_, stream)| stream.is_listening());
        if listening.clone().count() < SESSION_LISTENING_MAX {
            return Ok(());
        }
        let left = listening.clone().find(|(_, stream)| !stream.is_read()).map(|(at, _)| *at);
        self.remove(state, left.ok_or(Reason::StreamsFull)?);
        Ok(())
    }

    fn forget_answered(&self, state: &mut State) {
        let answered = state.streams.iter().filter(|(_, stream)| stream.ended && !stream.is_read());
        if answered.clone().count() >= SESSION_ANSWERED_MAX
            && let Some(oldest) = answered.clone().map(|(at, _)| *at).next()
        {
            self.remove(state, oldest);
        }
    }

    fn forget_stale(&self, state: &mut State) {
        let window = self.shared.window();
        let mut freed = 0;
        for stream in
            state.streams.values_mut().filter(|stream| stream.is_listening() && stream.is_stale(window))
        {
            freed += stream.events.drain(..).map(|(_, message)| message.held_bytes()).sum::<usize>();
        }
        self.account(state, 0, freed);
    }

    /// Drops what nobody is about to read, the oldest of the oldest stream first, until both limits hold.
    fn trim(&self, state: &mut State) {
        let is_over = |state: &State, shared: &Replay| {
            state.bytes > SESSION_REPLAY_BYTES_MAX || shared.bytes.load(Ordering::Relaxed) > REPLAY_BYTES_MAX
        };
        while is_over(state, &self.shared) {
            let Some(freed) = state.streams.values_mut().find_map(Stream::pop_spare) else { return };
            self.account(state, 0, freed);
        }
    }

    fn remove(&self, state: &mut State, stream: u64) {
        if let Some(mut removed) = state.streams.remove(&stream) {
            removed.wake();
            let freed = removed.events.iter().map(|(_, message)| message.held_bytes()).sum();
            self.account(state, 0, freed);
        }
    }

    fn account(&self, state: &mut State, added: usize, freed: usize) {
        state.bytes = (state.bytes + added).saturating_sub(freed);
        self.shared.bytes.fetch_add(added, Ordering::Relaxed);
        self.shared.bytes.fetch_sub(freed, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.shared.bytes.fetch_sub(state.bytes, Ordering::Relaxed);
    }
}

/// What a resumed stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Resumed {
    Call,
    Listening,
}

/// Nobody will read the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) struct Unheard;

fn may_be_told(run: &Run) -> Result<(), Reason> {
    // Reading again what was answered keeps no run alive: only what its agent does is use of it.
    let no_use = run.started();
    let closed = run.section(no_use, |section| section.is_closed())?;
    if closed { Err(Reason::SourceClosed) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
