//! One destination behind what all of them have in common: take records, say what is sure, close.
//!
//! Must never acknowledge for a destination what that one does not.

use super::failure::Failure;
use super::file::FileTarget;
use super::parcel::Parcel;
use super::settings::Destination;
use super::stdout::StdoutTarget;
use super::syslog::SyslogTarget;

/// How sure it is that what was taken has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// It has.
    Arrived,
    /// It is on its way, and what breaks the connection within a while may have lost it: nobody says so otherwise.
    Underway,
}

#[derive(Debug)]
pub(super) enum Target {
    Stdout(StdoutTarget),
    File(FileTarget),
    Syslog(SyslogTarget),
}

impl Target {
    pub(super) fn of(destination: &Destination) -> Self {
        match destination {
            Destination::Stdout => Self::Stdout(StdoutTarget),
            Destination::File(settings) => Self::File(FileTarget::new(settings.clone())),
            Destination::Syslog(settings) => Self::Syslog(SyslogTarget::new(settings.clone())),
        }
    }

    /// Gives it all of `parcels`, in order.
    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Sure, Failure> {
        match self {
            Self::Stdout(target) => target.deliver(parcels).await,
            Self::File(target) => target.deliver(parcels).await,
            Self::Syslog(target) => target.deliver(parcels).await,
        }
    }

    /// Whether what is underway may still arrive.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        match self {
            Self::Stdout(_) | Self::File(_) => Ok(()),
            Self::Syslog(target) => target.look().await,
        }
    }

    /// Waits until what is open breaks; for ever, where nothing can.
    pub(super) async fn broken(&mut self) -> Failure {
        match self {
            Self::Stdout(_) | Self::File(_) => std::future::pending().await,
            Self::Syslog(target) => target.broken().await,
        }
    }

    /// Ends in good order: says whether everything that was underway has arrived.
    pub(super) async fn close(&mut self) -> Sure {
        match self {
            Self::Stdout(_) | Self::File(_) => Sure::Arrived,
            Self::Syslog(target) => target.close().await,
        }
    }

    /// Gives up what it holds, so that the next attempt begins afresh.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Stdout(_) => {}
            Self::File(target) => target.reset(),
            Self::Syslog(target) => target.reset(),
        }
    }
}
