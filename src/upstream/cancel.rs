//! The caller's way to give a call up.
//!
//! Must never cancel by accident: a canceller that is dropped cancels nothing.

use tokio::sync::oneshot;

/// Gives a call up.
#[derive(Debug)]
pub struct Canceller(oneshot::Sender<()>);

/// Tells a call that it was given up.
#[derive(Debug)]
pub struct CancelSignal(Option<oneshot::Receiver<()>>);

/// Both ends for one call.
#[must_use]
pub fn cancel() -> (Canceller, CancelSignal) {
    let (sender, receiver) = oneshot::channel();
    (Canceller(sender), CancelSignal(Some(receiver)))
}

impl Canceller {
    /// Gives the call up.
    pub fn cancel(self) {
        // The call may have ended; then there is nothing to give up.
        let _ = self.0.send(());
    }
}

impl CancelSignal {
    /// A signal that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// Waits until the call was given up. Cancel safe; once it came, it comes at once.
    pub(super) async fn given_up(&mut self) {
        if let Some(receiver) = &mut self.0 {
            match receiver.await {
                Ok(()) => {
                    let (sender, receiver) = oneshot::channel();
                    let _ = sender.send(());
                    self.0 = Some(receiver);
                    return;
                }
                Err(_) => self.0 = None,
            }
        }
        std::future::pending().await
    }
}
