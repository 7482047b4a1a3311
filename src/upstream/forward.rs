//! The one way out: a call that was decided, admitted and recorded, on its way to its upstream.
//!
//! Must never send anything else, nor anything twice. What it takes apart cannot be put together again,
//! and the bytes that leave come out of the permit (DESIGN §6).

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::instance::deadline_in;
use super::pool::{Lease, Pool};
use super::{Answer, Aside, CancelSignal, Detail, Executed, Failure, Fleet, Route, Timings};
use crate::audit::{Intent, OpenIntent};
use crate::clock::Clock;
use crate::limit::{Admission, InFlight};
use crate::model::call::Call;
use crate::model::target::Target;
use crate::policy::Permit;
use crate::wire::LogLevel;

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

/// An instance that is ready for one call, and until when.
#[derive(Debug)]
pub(super) struct Ready {
    lease: Lease,
    deadline: Instant,
    clock: Clock,
}

impl Fleet {
    /// Sends the call that `intent` proves, once, on behalf of `route`. What the upstream says to it goes
    /// into `relay` while it lasts, tokens still ours; what finds `relay` full is dropped. `cancel` gives the call up. Ends within the call's deadline.
    pub async fn forward(
        &self,
        intent: Intent<Admission<Permit>>,
        route: &Route,
        relay: mpsc::Sender<Aside>,
        mut cancel: CancelSignal,
    ) -> Forwarded {
        let mut timings = Timings::default();
        let call = intent.proven().permit().call();
        let ready = self.ready(call, route, &mut cancel, &mut timings).await;
        // Until here not a byte was sent. From here on only an outcome says how it ended.
        let (admission, open) = intent.begin();
        let (permit, in_flight) = admission.into_parts();
        let call = permit.into_call();
        let outcome = match ready {
            Ok(ready) => ready.send(&call, route.level, relay, &mut cancel, &mut timings).await,
            Err(failure) => Err(failure),
        };
        Forwarded { open, in_flight, outcome, timings }
    }

    /// Finds or starts the instance for a call, and checks that it offers what was decided on.
    pub(super) async fn ready(
        &self,
        call: &Call,
        route: &Route,
        cancel: &mut CancelSignal,
        timings: &mut Timings,
    ) -> Result<Ready, Failure> {
        let pool = self.pool(call.target.upstream());
        let pool = pool.ok_or_else(|| Failure::Unavailable(Detail::new("no such upstream")))?;
        // One deadline for everything: waiting for an instance, the call, its whole answer (F01, F02).
        let deadline = deadline_in(pool.parts().settings.call_timeout);
        let clock = &pool.parts().clock;
        let begun = clock.monotonic();
        let lease = lease(pool, route, deadline, cancel).await;
        timings.instance = clock.monotonic().saturating_sub(begun);
        let lease = lease?;
        // What was decided on is what is called (CASES A29), also where this very instance is the
        // first to say that it offers something else.
        if let (Target::Tool(id), Some(pin)) = (&call.target, call.pin) {
            lease.check(&id.tool, pin.accepted())?;
        }
        Ok(Ready { lease, deadline, clock: clock.clone() })
    }
}

impl Ready {
    pub(super) async fn send(
        &self,
        call: &Call,
        level: Option<LogLevel>,
        relay: mpsc::Sender<Aside>,
        cancel: &mut CancelSignal,
        timings: &mut Timings,
    ) -> Result<Answer, Failure> {
        let sent = self.clock.monotonic();
        let outcome = self.lease.call(&call.payload, level, relay, self.deadline, cancel).await;
        timings.upstream = self.clock.monotonic().saturating_sub(sent);
        outcome
    }
}

async fn lease(
    pool: &Pool,
    route: &Route,
    deadline: Instant,
    cancel: &mut CancelSignal,
) -> Result<Lease, Failure> {
    let key = pool.key(&route.subject, &route.run);
    tokio::select! {
        biased;
        lease = timeout_at(deadline, pool.acquire(&key)) => {
            lease.unwrap_or(Err(Failure::Timeout(Executed::No)))
        }
        () = cancel.given_up() => Err(Failure::Cancelled(Executed::No)),
    }
}
