//! Telling people that something waits for them: by signed webhook, or by mail (`[[notify]]`).
//!
//! A courtesy beside the record, which is the truth. Must never stand in the way of a call, nor hold an argument, a
//! credential or an answer: whoever is told looks at the gateway itself. Must never send without bounds: a queue, a rate
//! and a number of attempts limit each, and what is left out is counted and logged. What strangers chose is bounded and
//! marked. Trusts the caller to tell what is on the record.

mod courier;
mod mail;
mod message;
mod spike;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::model::name::SourceName;
use crate::model::place::Place;
use crate::model::provenance::Provenance;
use crate::model::secret::Secret;
use crate::webhook::SigningKey;
use courier::Courier;
pub use mail::MAIL_TIMEOUT_MAX;
use message::Message;
pub use message::{News, Topic, UNTRUSTED_BYTES_MAX};
use spike::Spikes;

/// Most entries of `[[notify]]`.
pub const NOTIFIERS_MAX: usize = 16;
/// Messages of one notifier that may wait to be sent; a further one is dropped.
pub const MESSAGES_QUEUED_MAX: usize = 64;
/// How many messages a notifier sends in an hour (`per_hour`) where the configuration is silent.
pub const PER_HOUR_DEFAULT: usize = 60;
/// How many denials of one source are a spike (`denials.count`) where the configuration is silent.
pub const DENIALS_COUNT_DEFAULT: usize = 20;
/// Most denials that can be asked for (`denials.count`): as many moments are kept of each source.
pub const DENIALS_COUNT_MAX: usize = 1000;
/// Within which time they are one (`denials.within`) where the configuration is silent; no source is told of more often.
pub const DENIALS_WITHIN_DEFAULT: Duration = Duration::from_secs(10 * 60);

/// One entry of `[[notify]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in metrics and logs.
    pub name: String,
    /// Of what it tells (`on`).
    pub on: BTreeSet<Topic>,
    /// Where it tells it.
    pub channel: Channel,
    /// How many messages it sends in an hour (`per_hour`).
    pub per_hour: usize,
    /// What a spike of denials is.
    pub spike: Spike,
    /// Where it was written.
    pub place: Place,
}

/// How many denials of one source, within which time, are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spike {
    /// `denials.count`.
    pub count: usize,
    /// `denials.within`.
    pub within: Duration,
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// `type = "webhook"`: a POST of JSON, signed by Standard Webhooks.
    Webhook {
        /// Where.
        url: Uri,
        /// What it is signed with.
        key: SigningKey,
        /// Headers that go along.
        headers: Vec<(HeaderName, Secret)>,
        /// Certificates, in PEM, that are trusted there instead of the system's.
        ca: Option<PathBuf>,
    },
    /// `type = "mail"`: a program of the machine that takes mails as sendmail does.
    Mail {
        /// Program and arguments; `-i -f FROM -- TO …` is added.
        command: Vec<String>,
        /// Whom it is from.
        from: String,
        /// Whom it is for.
        to: Vec<String>,
    },
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It was taken.
    Sent,
    /// It was not, at any attempt.
    Failed,
    /// It was not sent at all: too many waited, or were sent within the hour.
    Dropped,
}

impl Fate {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::Dropped];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// Counts what became of messages, by the name of the notifier.
pub type Count = Arc<dyn Fn(&str, Fate) + Send + Sync>;

/// Everybody who is told.
pub struct Notifiers {
    each: Vec<Notifier>,
    clock: Clock,
}

struct Notifier {
    name: String,
    on: BTreeSet<Topic>,
    queue: mpsc::Sender<Message>,
    spikes: Spikes,
    count: Count,
}

impl Notifiers {
    /// Those of these settings, each with a task of its own that ends once this is dropped and what waits was sent. Has
    /// to be called within a tokio runtime.
    #[must_use]
    pub fn start(settings: Vec<Settings>, clock: &Clock, count: &Count) -> Self {
        let start = |settings: Settings| {
            let (queue, messages) = mpsc::channel(MESSAGES_QUEUED_MAX);
            let (name, on, spike) = (settings.name.clone(), settings.on.clone(), settings.spike);
            let courier = Courier::new(settings, messages, clock.clone(), Arc::clone(count));
            tokio::spawn(courier.run());
            Notifier { name, on, queue, spikes: Spikes::of(spike), count: Arc::clone(count) }
        };
        Self { each: settings.into_iter().map(start).collect(), clock: clock.clone() }
    }

    /// Tells everybody who wants to hear of it. Never waits.
    pub fn tell(&self, news: &News) {
        for notifier in self.each.iter().filter(|notifier| notifier.on.contains(&news.topic())) {
            notifier.take(news, &self.clock);
        }
    }

    /// Notes that something was refused to a run of these `sources`; tells where that is a spike. Never waits.
    pub fn denied(&self, sources: &Provenance) {
        let now = self.clock.monotonic();
        for notifier in self.each.iter().filter(|notifier| notifier.on.contains(&Topic::Denials)) {
            for source in sources.iter().filter(|source| notifier.spikes.add(source, now)) {
                let Spike { count, within } = notifier.spikes.spike();
                let news = News::Denials { source: SourceName::clone(source), count, within };
                notifier.take(&news, &self.clock);
            }
        }
    }
}

impl Notifier {
    fn take(&self, news: &News, clock: &Clock) {
        let Some(message) = Message::of(news, clock.wall()) else {
            tracing::error!(notify = self.name, "a message could not be written");
            return (self.count)(&self.name, Fate::Dropped);
        };
        if self.queue.try_send(message).is_err() {
            tracing::error!(
                notify = self.name,
                topic = news.topic().as_str(),
                "a message was dropped: too many wait"
            );
            (self.count)(&self.name, Fate::Dropped);
        }
    }
}

impl std::fmt::Debug for Notifiers {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.each.iter().map(|notifier| &notifier.name)).finish()
    }
}
