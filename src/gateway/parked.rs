//! Calls that wait for their client to come back with input (2026-07-28, basic/patterns/mrtr).
//!
//! A `requestState` is a word that names one of them, once: bound to its caller, its run and its request, and
//! gone with the time it is waited for. Must never tell a caller more than that nothing waits under a word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use tokio::sync::oneshot;

use super::line::Seat;
use super::mirror::Speaker;
use crate::chance;
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::wire::Object;

/// Calls that may wait at once.
const PARKED_MAX: usize = 1024;
/// Calls of one run that may.
const PARKED_PER_RUN_MAX: usize = 16;

/// Every call that waits.
#[derive(Debug, Default)]
pub(super) struct Parked(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<String, Waiting>,
    /// The gateway ends: nobody can come back any more.
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    owner: Owner,
    back: oneshot::Sender<Back>,
}

/// Whose call it is, and which.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) principal: Arc<Principal>,
    pub(super) run: RunId,
    /// Of the method and the parameters.
    pub(super) request: Sha256,
}

/// The client that came back.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) seat: Seat,
    pub(super) speaker: Speaker,
    pub(super) answers: Option<Object>,
}

/// The place of one call. Given up when dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    parked: &'a Parked,
    /// The word that names it.
    pub(super) state: String,
    /// Brings the client.
    pub(super) back: oneshot::Receiver<Back>,
}

impl Parked {
    /// Makes room for a call of `owner`.
    ///
    /// # Errors
    /// `principal_busy` and `gateway_busy`: a full table refuses the new; `draining` where the gateway ends.
    pub(super) fn park(&self, owner: Owner) -> Result<Place<'_>, Reason> {
        let state = BASE64URL_NOPAD.encode(&chance::bytes::<16>().map_err(|_| Reason::Fault)?);
        let (sender, back) = oneshot::channel();
        let mut table = self.lock();
        if table.closed {
            return Err(Reason::Draining);
        }
        if table.waiting.values().filter(|waiting| waiting.owner.run == owner.run).count()
            >= PARKED_PER_RUN_MAX
        {
            return Err(Reason::PrincipalBusy);
        }
        if table.waiting.len() >= PARKED_MAX {
            return Err(Reason::GatewayBusy);
        }
        table.waiting.insert(state.clone(), Waiting { owner, back: sender });
        Ok(Place { parked: self, state, back })
    }

    /// Takes out the call that waits under `state`, if it is that of `owner`.
    pub(super) fn take(&self, state: &str, owner: &Owner) -> Option<oneshot::Sender<Back>> {
        let mut table = self.lock();
        let waiting = table.waiting.get(state)?;
        let is_it = waiting.owner.principal.is_same_caller(&owner.principal)
            && (&waiting.owner.run, waiting.owner.request) == (&owner.run, owner.request);
        // Whoever guesses a word of somebody else takes nothing from them.
        is_it.then(|| table.waiting.remove(state)).flatten().map(|waiting| waiting.back)
    }

    /// Gives up every call that waits, and lets none wait any more.
    pub(super) fn close(&self) {
        let mut table = self.lock();
        table.closed = true;
        table.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.parked.lock().waiting.remove(&self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::principal_of;

    fn owner(subject: &str, run: u8, request: &str) -> Owner {
        let principal = Arc::new(principal_of(subject));
        Owner { principal, run: RunId::of([run; 16]), request: Sha256::of(request.as_bytes()) }
    }

    #[test]
    fn i9_a_word_is_of_one_caller_one_run_and_one_request_and_counts_once() {
        let parked = Parked::default();
        let place = parked.park(owner("user:1", 1, "a")).unwrap();
        for other in [owner("user:2", 1, "a"), owner("user:1", 2, "a"), owner("user:1", 1, "b")] {
            assert!(parked.take(&place.state, &other).is_none());
        }
        assert!(parked.take("another", &owner("user:1", 1, "a")).is_none());
        assert!(parked.take(&place.state, &owner("user:1", 1, "a")).is_some());
        assert!(parked.take(&place.state, &owner("user:1", 1, "a")).is_none());
        let state = parked.park(owner("user:1", 1, "a")).unwrap().state.clone();
        assert!(parked.take(&state, &owner("user:1", 1, "a")).is_none(), "given up");
    }

    #[test]
    fn a_full_table_refuses_the_new() {
        let parked = Parked::default();
        let run = |run: u8| parked.park(owner("user:1", run, "a"));
        let mut places: Vec<_> = (0..PARKED_PER_RUN_MAX).map(|_| run(0).unwrap()).collect();
        assert!(matches!(run(0), Err(Reason::PrincipalBusy)));
        while places.len() < PARKED_MAX {
            let number = u8::try_from(places.len() / PARKED_PER_RUN_MAX).unwrap();
            places.push(run(number).unwrap());
        }
        assert!(matches!(run(200), Err(Reason::GatewayBusy)));
        places.pop();
        assert!(run(200).is_ok());
        parked.close();
        assert!(matches!(run(200), Err(Reason::Draining)));
    }
}
