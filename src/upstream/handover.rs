//! Whether a request may have reached the upstream: the line between "not executed" and "unknown".
//!
//! Must never say *no* once a byte may be out. Taken before the first byte is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::failure::Executed;

const QUEUED: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// The state of one request between its caller and whoever writes it. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub(super) struct Handover(Arc<AtomicU8>);

impl Handover {
    /// For whoever is about to write: from here on the request may be executed. `None` where its
    /// caller gave up before; then it must not be written.
    pub(super) fn take(&self) -> Option<()> {
        self.0.compare_exchange(QUEUED, TAKEN, Ordering::AcqRel, Ordering::Acquire).ok().map(drop)
    }

    /// For whoever gives up: prevents the request from being written, if that is still possible, and
    /// says whether the upstream may have executed it.
    pub(super) fn withdraw(&self) -> Executed {
        match self.0.compare_exchange(QUEUED, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(WITHDRAWN) => Executed::No,
            Err(_) => Executed::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_either_written_or_withdrawn() {
        let handover = Handover::default();
        assert_eq!(handover.withdraw(), Executed::No);
        assert_eq!(handover.take(), None);
        assert_eq!(handover.withdraw(), Executed::No);
        let handover = Handover::default();
        assert_eq!(handover.take(), Some(()));
        assert_eq!(handover.withdraw(), Executed::Unknown);
    }
}
