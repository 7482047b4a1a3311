//! The one way out: a call that was decided, admitted and recorded, on its way to its upstream.
//!
//! Must never send anything else. What it takes apart cannot be put together again.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Answer, CancelSignal, Failure, Route, Timings, Upstreams};
use crate::audit::{Intent, OpenIntent};
use crate::limit::{Admission, InFlight};
use crate::policy::Permit;

/// What became of a forwarded call, and what is owed for it.
#[derive(Debug)]
#[must_use = "the outcome has to be recorded"]
pub struct Forwarded {
    /// The record that waits for its outcome.
    pub open: OpenIntent,
    /// The call's place among those in flight, kept until the outcome is written.
    pub in_flight: InFlight,
    /// The answer, or why there is none that may be handed on.
    pub outcome: Result<Answer, Failure>,
    /// Where the time went.
    pub timings: Timings,
}

impl Upstreams {
    /// Sends the call that `intent` proves, on behalf of `route`. Raw `params` of progress notifications
    /// go into `relay` while it lasts; `cancel` gives it up. Ends within the call's deadline.
    pub async fn forward(
        &self,
        intent: Intent<Admission<Permit>>,
        route: &Route,
        relay: mpsc::Sender<Bytes>,
        cancel: CancelSignal,
    ) -> Forwarded {
        let (admission, open) = intent.begin();
        let (permit, in_flight) = admission.into_parts();
        let call = permit.into_call();
        let (outcome, timings) = self.deliver(&call, route, relay, cancel).await;
        Forwarded { open, in_flight, outcome, timings }
    }
}
