//! One destination behind what all of them have in common: take records, say what is sure, close.
//!
//! Must never acknowledge for a destination what that one does not.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::anchor::AnchorTarget;
use super::failure::Failure;
use super::file::FileTarget;
use super::http::HttpTarget;
#[cfg(feature = "kafka")]
use super::kafka::KafkaTarget;
#[cfg(feature = "nats")]
use super::nats::NatsTarget;
use super::parcel::Parcel;
use super::settings::{Destination, Settings, WitnessSettings};
use super::stdout::StdoutTarget;
use super::syslog::SyslogTarget;
use super::witness::WitnessTarget;
use crate::clock::Clock;

/// Longest time for a batch of one attempt; where there are requests, each has its own.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How sure it is that what was taken has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// It has.
    Arrived,
    /// It is on its way, and what breaks the connection within a while may have lost it: nobody says so otherwise.
    Underway,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    /// How sure it is that what was taken has arrived.
    pub(super) sure: Sure,
    /// What was not taken, and never will be.
    pub(super) refused: Vec<Refused>,
}

/// A record that the receiver cannot take, though it takes others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Which of the batch.
    pub(super) at: usize,
    /// What the receiver says.
    pub(super) why: String,
}

#[derive(Debug)]
pub(super) enum Target {
    Stdout(StdoutTarget),
    File(FileTarget),
    Checkpoint(AnchorTarget),
    Witness(Box<WitnessTarget>),
    Syslog(SyslogTarget),
    Http(Box<HttpTarget>),
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaTarget>),
    #[cfg(feature = "nats")]
    Nats(Box<NatsTarget>),
    /// What this program was built without.
    #[cfg(not(all(feature = "kafka", feature = "nats")))]
    Unbuilt(&'static str),
}

impl Target {
    /// That of `sink`, which is given what the journal in the folder `journal` holds.
    pub(super) fn of(sink: &Settings, journal: &Path, clock: &Clock) -> Self {
        match &sink.destination {
            Destination::Stdout => Self::Stdout(StdoutTarget),
            Destination::File(settings) => Self::File(FileTarget::new(settings.clone())),
            Destination::Checkpoint(path) => Self::Checkpoint(AnchorTarget::new(path.clone())),
            Destination::Witness(settings) => {
                Self::Witness(Box::new(WitnessTarget::new(WitnessSettings::clone(settings), journal)))
            }
            Destination::Syslog(settings) => Self::Syslog(SyslogTarget::new(settings.clone())),
            Destination::Http(settings) => {
                Self::Http(Box::new(HttpTarget::new(&sink.name, settings.clone(), clock.clone())))
            }
            #[cfg(feature = "kafka")]
            Destination::Kafka(settings) => {
                Self::Kafka(Box::new(KafkaTarget::new(&sink.name, settings.clone())))
            }
            #[cfg(feature = "nats")]
            Destination::Nats(settings) => {
                Self::Nats(Box::new(NatsTarget::new(&sink.name, settings.clone())))
            }
            #[cfg(not(feature = "kafka"))]
            Destination::Kafka(_) => Self::Unbuilt("kafka"),
            #[cfg(not(feature = "nats"))]
            Destination::Nats(_) => Self::Unbuilt("nats"),
        }
    }

    /// Gives it all of `parcels`, in order.
    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Delivered, Failure> {
        let sure = match self {
            Self::Http(target) => return target.deliver(parcels).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => return target.deliver(parcels).await,
            #[cfg(feature = "nats")]
            Self::Nats(target) => return target.deliver(parcels).await,
            #[cfg(not(all(feature = "kafka", feature = "nats")))]
            Self::Unbuilt(name) => return Err(Failure::Unbuilt(name)),
            // Each of its requests has its own; a proof takes as long as the journal that it is about.
            Self::Witness(target) => Ok(target.deliver(parcels).await),
            Self::Stdout(target) => timeout(DELIVERY_TIMEOUT, target.deliver(parcels)).await,
            Self::File(target) => timeout(DELIVERY_TIMEOUT, target.deliver(parcels)).await,
            Self::Checkpoint(target) => timeout(DELIVERY_TIMEOUT, target.deliver(parcels)).await,
            Self::Syslog(target) => timeout(DELIVERY_TIMEOUT, target.deliver(parcels)).await,
        };
        let sure = sure.unwrap_or(Err(Failure::TooSlow(DELIVERY_TIMEOUT.as_secs())))?;
        Ok(Delivered { sure, refused: Vec::new() })
    }

    /// Whether what is underway may still arrive.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        match self {
            Self::Syslog(target) => target.look().await,
            _ => Ok(()),
        }
    }

    /// Waits until what is open breaks; for ever, where nothing can.
    pub(super) async fn broken(&mut self) -> Failure {
        match self {
            Self::Syslog(target) => target.broken().await,
            #[cfg(feature = "nats")]
            Self::Nats(target) => target.broken().await,
            _ => std::future::pending().await,
        }
    }

    /// Ends in good order: says whether everything that was underway has arrived.
    pub(super) async fn close(&mut self) -> Sure {
        match self {
            Self::Syslog(target) => target.close().await,
            _ => Sure::Arrived,
        }
    }

    /// Gives up what it holds, so that the next attempt begins afresh.
    pub(super) fn reset(&mut self) {
        match self {
            Self::File(target) => target.reset(),
            Self::Syslog(target) => target.reset(),
            Self::Http(target) => target.reset(),
            Self::Witness(target) => target.reset(),
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.reset(),
            #[cfg(feature = "nats")]
            Self::Nats(target) => target.reset(),
            _ => {}
        }
    }
}
