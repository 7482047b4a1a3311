//! Faults of a disk, planned by a test: which call fails, how often, and how, and which write takes its time.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use super::disk::Op;

/// The faults that are planned. Clones share the plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Vec<Fault>>>, Arc<Gate>);

/// What holds a write up.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    opened: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum GateState {
    #[default]
    Open,
    /// The next write stops here.
    Closed,
    /// One has.
    Reached,
}

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

    /// Has the next write take until [`Faults::let_go`].
    pub(super) fn hold(&self) {
        *self.1.state.lock().unwrap() = GateState::Closed;
    }

    /// Whether a write is held up.
    pub(super) fn holds(&self) -> bool {
        *self.1.state.lock().unwrap() == GateState::Reached
    }

    /// Lets writes go on.
    pub(super) fn let_go(&self) {
        *self.1.state.lock().unwrap() = GateState::Open;
        self.1.opened.notify_all();
    }

    pub(super) fn pass(&self, op: Op) -> io::Result<()> {
        if op == Op::Write {
            self.1.pass();
        }
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

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if *state == GateState::Closed {
            *state = GateState::Reached;
        }
        drop(self.opened.wait_while(state, |state| *state == GateState::Reached).unwrap());
    }
}
