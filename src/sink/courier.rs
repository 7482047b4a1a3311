//! One sink's task: reads on from where the sink is, gives it what is durable, keeps the place.
//!
//! Must never move the place beyond what the sink has for sure, nor end because something failed: what fails is tried
//! again, from there.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, sleep_until};

use super::backoff::Backoff;
use super::cursor::{Cursor, CursorError};
use super::dead::{DeadLetters, letters};
use super::failure::Failure;
use super::parcel::{Packer, Parcel};
use super::settings::{Begin, Settings};
use super::target::{Delivered, Refused, Sure, Target};
use super::{Figures, Had, Source, Stop, Tell, Trouble};
use crate::audit::{Position, Reach, Seq, Stream, TailError};
use crate::clock::Clock;

/// Most records of one batch, and most bytes before the last group of them.
const BATCH_RECORDS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How long a connection has to stand after something was written to it, where nobody acknowledges anything.
const TRUST_AFTER: Duration = Duration::from_secs(30);
/// Places of batches that are underway are kept apart by at least this.
const UNDERWAY_STEP: Duration = Duration::from_secs(1);

/// How often it is said how far behind a sink is that is being given something.
const GIVING_STEP: Duration = Duration::from_secs(1);

/// What a read gave.
enum Batch {
    /// There is nothing ahead.
    Nothing,
    /// What is sent of what was ahead; it may be nothing.
    Parcels(Vec<Parcel>),
}

/// What goes on with a courier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

pub(super) struct Courier {
    settings: Settings,
    source: Source,
    clock: Clock,
    tell: Tell,
    stop: watch::Receiver<Stop>,
    /// Tells how far the sink is.
    had: watch::Sender<Seq>,
    cursor: Cursor,
    dead: DeadLetters,
    target: Target,
    /// None while it is read from.
    stream: Option<Stream>,
    /// None while it packs.
    packer: Option<Packer>,
    /// As far as was known durable when it was read last.
    looked: Seq,
    /// As far as the sink has everything for sure.
    sure: Position,
    /// What it was given since, and when.
    underway: VecDeque<(Instant, Position)>,
    backoff: Backoff,
    figures: Figures,
}

impl Courier {
    pub(super) fn new(
        settings: Settings,
        source: Source,
        dir: &Path,
        clock: Clock,
        tell: Tell,
        stop: watch::Receiver<Stop>,
        had: &Had,
    ) -> Result<Self, CursorError> {
        let (cursor, kept) = Cursor::open(dir, &settings.name)?;
        let sure = kept.unwrap_or_else(|| match settings.begin {
            Begin::Oldest => Position::default(),
            Begin::Now => Position::behind(&source.dir, *source.synced.borrow()),
        });
        let had = had.of(sure.next, &cursor);
        // Where it begins now it begins also if it ends before it took anything.
        cursor.keep(sure)?;
        let (dead, count) = DeadLetters::open(dir, &settings.name).map_err(|source| CursorError::Io {
            doing: "read",
            path: dir.to_owned(),
            source,
        })?;
        let target = Target::of(&settings, &source.dir, &clock);
        let figures = Figures { delivered: 0, behind: 0, failures: 0, missed: 0, dead: count, trouble: None };
        let (underway, backoff) = (VecDeque::new(), Backoff::new());
        let stream = Some(Stream::new(&source.dir, sure));
        let packer = None;
        Ok(Self {
            settings,
            source,
            clock,
            tell,
            stop,
            had,
            cursor,
            dead,
            target,
            stream,
            packer,
            looked: Seq::default(),
            sure,
            underway,
            backoff,
            figures,
        })
    }

    /// Serves the sink until it is told to stop and there is nothing left, or nothing can be done.
    pub(super) async fn run(mut self) {
        loop {
            let next = match self.read().await {
                Ok(Batch::Nothing) => self.rest().await,
                // What was read has no event of its own.
                Ok(Batch::Parcels(parcels)) if parcels.is_empty() => Next::GoOn,
                Ok(Batch::Parcels(parcels)) => self.deliver(&parcels).await,
                Err(error) => self.fail(error.into()).await,
            };
            if next == Next::End {
                return;
            }
        }
    }

    /// What is ahead and durable.
    async fn read(&mut self) -> Result<Batch, TailError> {
        self.looked = *self.source.synced.borrow_and_update();
        let reach =
            Reach { until: Some(self.looked), records_max: BATCH_RECORDS_MAX, bytes_max: BATCH_BYTES_MAX };
        let mut stream = self.stream.take().unwrap_or_else(|| Stream::new(&self.source.dir, self.sure));
        let (format, dir) = (self.settings.format, self.source.dir.clone());
        let mut packer = self.packer.take().unwrap_or_else(|| Packer::new(format, &dir));
        let read = tokio::task::spawn_blocking(move || {
            let batch = stream.read(reach).map(|items| match items.is_empty() {
                true => Batch::Nothing,
                false => Batch::Parcels(packer.pack(items)),
            });
            (batch, stream, packer)
        });
        // A reader that panicked is made anew, from where it is sure.
        let Ok((batch, stream, packer)) = read.await else { return Ok(Batch::Nothing) };
        self.packer = Some(packer);
        let missed = stream.missed();
        if missed > self.figures.missed {
            let sink = &self.settings.name;
            tracing::error!(sink, missed, "segments of the journal were gone before the sink had them");
        }
        self.figures.missed = self.figures.missed.max(missed);
        self.stream = Some(stream);
        self.note_behind();
        batch
    }

    async fn deliver(&mut self, parcels: &[Parcel]) -> Next {
        let delivered = match self.give(parcels).await {
            Ok(delivered) => delivered,
            Err(failure) => return self.fail(failure).await,
        };
        if let Err(source) = self.set_aside(parcels, &delivered.refused).await {
            let path = self.dead.path().to_owned();
            return self.fail(Failure::DeadLetters { path, source }).await;
        }
        let taken = parcels.len().saturating_sub(delivered.refused.len());
        self.figures.delivered += u64::try_from(taken).unwrap_or(u64::MAX);
        self.backoff = Backoff::new();
        if self.figures.trouble.take().is_some() {
            tracing::info!(sink = self.settings.name, "a sink of the audit trail goes on");
        }
        let at = self.stream.as_ref().map_or(self.sure, Stream::position);
        match delivered.sure {
            Sure::Arrived => self.arrived(at),
            Sure::Underway => self.underway(at),
        }
        self.note_behind();
        self.look().await
    }

    /// Gives the sink `parcels`, and says meanwhile what it does not have yet: some take minutes.
    async fn give(&mut self, parcels: &[Parcel]) -> Result<Delivered, Failure> {
        let Self { target, source, settings, tell, figures, sure, .. } = self;
        let mut looks = interval_at(Instant::now() + GIVING_STEP, GIVING_STEP);
        let mut giving = pin!(target.deliver(parcels));
        loop {
            tokio::select! {
                delivered = &mut giving => return delivered,
                _ = looks.tick() => {
                    figures.behind = source.behind(*sure);
                    tell(settings, figures);
                }
            }
        }
    }

    /// Keeps what the receiver cannot take where somebody can look at it.
    async fn set_aside(&mut self, parcels: &[Parcel], refused: &[Refused]) -> io::Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let (dead, lines) = (self.dead.clone(), letters(parcels, refused)?);
        let kept = tokio::task::spawn_blocking(move || dead.keep(&lines)).await;
        kept.map_err(io::Error::other).and_then(|kept| kept)?;
        let (sink, records) = (&self.settings.name, refused.len());
        let why = refused.last().map_or("", |last| last.why.as_str());
        let file = self.dead.path().display();
        tracing::error!(sink, records, why, %file, "records that a sink cannot take were set aside");
        self.figures.dead += u64::try_from(records).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The sink has everything before `at`.
    fn arrived(&mut self, at: Position) {
        self.underway.retain(|(_, position)| position.next > at.next);
        if at == self.sure {
            return;
        }
        self.sure = at;
        match self.cursor.keep(at) {
            // Only now may what it had be removed (CASES F69).
            Ok(()) => _ = self.had.send_replace(at.next),
            // The records come twice, should the gateway end before it can be kept.
            Err(error) => {
                tracing::error!(sink = self.settings.name, %error, "the place of a sink cannot be kept");
            }
        }
    }

    fn underway(&mut self, at: Position) {
        let now = Instant::now();
        match self.underway.back_mut().filter(|(since, _)| now.duration_since(*since) < UNDERWAY_STEP) {
            Some(last) => *last = (now, at),
            None => self.underway.push_back((now, at)),
        }
    }

    /// Looks after what is underway: what a connection has stood for long enough has arrived.
    async fn look(&mut self) -> Next {
        if self.underway.is_empty() {
            return Next::GoOn;
        }
        if let Err(failure) = self.target.look().await {
            return self.fail(failure).await;
        }
        let due = |(since, _): &&(Instant, Position)| since.elapsed() >= TRUST_AFTER;
        if let Some((_, at)) = self.underway.iter().rev().find(due).copied() {
            self.arrived(at);
        }
        Next::GoOn
    }

    /// Waits for something to do.
    async fn rest(&mut self) -> Next {
        if *self.stop.borrow() == Stop::Asked {
            // The last records may have become durable, and the stop been asked for, while it was read.
            let is_read = *self.source.synced.borrow() == self.looked;
            return if is_read { self.end().await } else { Next::GoOn };
        }
        let due = self.underway.front().map(|(since, _)| *since + TRUST_AFTER);
        let trusted = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let is_over = tokio::select! {
            changed = self.source.synced.changed() => changed.is_err(),
            changed = self.stop.changed() => changed.is_err(),
            () = trusted => false,
            failure = self.target.broken() => {
                return self.fail(failure).await;
            }
        };
        // A journal without a writer will have no more.
        if is_over { self.end().await } else { self.look().await }
    }

    async fn end(&mut self) -> Next {
        let last = self.underway.back().map(|(_, at)| *at);
        if self.target.close().await == Sure::Arrived
            && let Some(at) = last
        {
            self.arrived(at);
        }
        Next::End
    }

    /// Notes what went wrong, goes back to where it is sure, and waits before the next attempt.
    async fn fail(&mut self, failure: Failure) -> Next {
        let why = crate::model::text::printable(&failure.to_string());
        self.figures.failures += 1;
        if self.figures.trouble.is_none() {
            tracing::warn!(sink = self.settings.name, why, "a sink of the audit trail takes nothing");
        }
        let since = self.figures.trouble.take().map_or_else(|| self.clock.wall(), |before| before.since);
        self.figures.trouble = Some(Trouble { why, since });
        self.target.reset();
        self.stream = None;
        self.underway.clear();
        self.note_behind();
        tokio::select! {
            () = sleep(self.backoff.next().max(failure.retry_after())) => Next::GoOn,
            // What cannot be given now is left for the next start.
            _ = self.stop.wait_for(|stop| *stop == Stop::Asked) => Next::End,
        }
    }

    fn note_behind(&mut self) {
        self.figures.behind = self.source.behind(self.stream.as_ref().map_or(self.sure, Stream::position));
        (self.tell)(&self.settings, &self.figures);
    }
}
