//! A listener that vouches for everyone who reaches it (`insecure_local = true`).
//!
//! Must never answer for a request that presents a credential: `identity` asks here last.

use std::sync::Arc;

use super::{ListenerVouches, Outcome, Presented};

/// The principal of everyone on this listener, if it has one.
pub(super) fn authenticate(presented: &Presented<'_>) -> Outcome {
    match presented.listener {
        ListenerVouches::Everyone(principal) => Outcome::Known(Arc::clone(principal)),
        ListenerVouches::Nothing | ListenerVouches::Peers(_) => Outcome::NotMine,
    }
}
