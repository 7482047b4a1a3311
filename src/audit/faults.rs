//! Faults of a disk, planned by a test: which call fails, how often, and how.

use std::io;
use std::sync::{Arc, Mutex};

use super::disk::Op;

/// The faults that are planned. Clones share the plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Vec<Fault>>>);

#[derive(Debug, Clone, Copy)]
struct Fault {
    op: Op,
    /// Calls that still succeed.
    after: u32,
    /// Calls that then fail.
    times: u32,
    error: rustix::io::Errno,
    /// Bytes that a failing write still writes.
    written: usize,
}

impl Faults {
    /// Lets `op` succeed `after` times and then fail `times` times with `error`.
    pub(super) fn plan(&self, op: Op, after: u32, times: u32, error: rustix::io::Errno) {
        self.0.lock().unwrap().push(Fault { op, after, times, error, written: 0 });
    }

    /// Lets the next write stop after `written` bytes with `error`.
    pub(super) fn plan_short_write(&self, written: usize, error: rustix::io::Errno) {
        self.0.lock().unwrap().push(Fault { op: Op::Write, after: 0, times: 1, error, written });
    }

    /// The disk is well again.
    pub(super) fn mend(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(super) fn pass(&self, op: Op) -> io::Result<()> {
        let mut plan = self.0.lock().unwrap();
        let Some(fault) = plan.iter_mut().find(|fault| fault.op == op && fault.times > 0) else {
            return Ok(());
        };
        if fault.after > 0 {
            fault.after -= 1;
            return Ok(());
        }
        fault.times -= 1;
        Err(fault.error.into())
    }

    pub(super) fn shorten<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let plan = self.0.lock().unwrap();
        let fault = plan.iter().find(|fault| fault.op == Op::Write && fault.times > 0 && fault.after == 0);
        fault.map_or(bytes, |fault| bytes.get(..fault.written).unwrap_or(bytes))
    }
}
