//! Capabilities that a service manager gave the gateway, for tool servers that run as other users.
//!
//! Must never let a tool server inherit one: ambient capabilities survive a change of user and every exec,
//! so a server with CAP_SETUID could become the gateway, or root. The gateway keeps them as its own, which
//! nobody it starts gets.

use anyhow::Context as _;
use rustix::thread::{
    CapabilitySet, capability_is_in_ambient_set, clear_ambient_capability_set, set_thread_groups,
};

/// Takes what is ambient out of what children inherit, and with CAP_SETGID the supplementary groups too:
/// std lets a child keep those. Has to be called before there is a second thread, because each has its own.
pub(super) fn keep() -> anyhow::Result<()> {
    // A kernel that knows no ambient capabilities has none to give away.
    if capability_is_in_ambient_set(CapabilitySet::SETGID).unwrap_or(false) {
        set_thread_groups(&[]).context("cannot leave the supplementary groups")?;
    }
    match clear_ambient_capability_set() {
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(error) => Err(error).context("cannot give up the ambient capabilities"),
    }
}
