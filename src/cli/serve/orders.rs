//! What a running gateway is told, from wherever it is told: signals, people, and its own files.
//!
//! Must never queue without a limit: a storm of one signal is one order, and people wait in a bounded queue.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::watch::Watcher;
use crate::console::ReloadRequest;

/// The signals that are heeded. From now on they end the process no more.
pub(in crate::cli) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    on_hang_up: OnHangUp,
}

/// What `SIGHUP` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum OnHangUp {
    /// The configuration is to be read anew: a daemon has no terminal.
    Reload,
    /// The terminal is gone, and with it who looks on.
    Stop,
}

/// What to do next.
pub(super) enum Order {
    Stop,
    Reload(Cause),
}

/// Why to reload.
pub(super) enum Cause {
    /// `SIGHUP`.
    Signal,
    /// A file of the configuration is not what it was.
    Files,
    /// A person asked, and waits for the answer.
    Person(ReloadRequest),
}

impl Signals {
    /// Takes the signals over. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub(in crate::cli) fn new(on_hang_up: OnHangUp) -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            on_hang_up,
        })
    }

    /// Waits for the next order. However often a signal came since the last time, it is one order.
    pub(super) async fn next(
        &mut self,
        asked: &mut mpsc::Receiver<ReloadRequest>,
        watcher: &mut Watcher,
    ) -> Order {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.terminate.recv() => Order::Stop,
            _ = self.hang_up.recv() => match self.on_hang_up {
                OnHangUp::Reload => Order::Reload(Cause::Signal),
                OnHangUp::Stop => Order::Stop,
            },
            Some(request) = asked.recv() => Order::Reload(Cause::Person(request)),
            () = watcher.changed() => Order::Reload(Cause::Files),
        }
    }
}
