//! The peer of a unix socket: its uid, as the kernel reports it, says who it is.
//!
//! Must never map a uid by a default: one that is not in the socket's table is refused.

use std::sync::Arc;

use crate::model::reason::Reason;

use super::{ListenerVouches, Outcome, Presented};

/// Who the peer is, on a socket that has a table of uids.
pub(super) fn authenticate(presented: &Presented<'_>) -> Outcome {
    let ListenerVouches::Peers(table) = presented.listener else { return Outcome::NotMine };
    // A socket whose peer cannot be told is treated like a peer that is not in the table.
    let Some(uid) = presented.peer_uid else { return Outcome::Refused(Reason::PeerUnmapped) };
    match table.iter().find(|(mapped, _)| *mapped == uid) {
        Some((_, principal)) => Outcome::Known(Arc::clone(principal)),
        None => Outcome::Refused(Reason::PeerUnmapped),
    }
}
