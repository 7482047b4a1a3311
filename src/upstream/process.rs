//! Child processes: started in a group of their own, ended with everything they started.
//!
//! Must never hand a child the gateway's environment, nor leave a group alive behind it. It trusts
//! nothing a child does: not to exit when asked, not to reap what it started, not to close its pipes.

mod leftover;
mod stderr;

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::account::Account;
use crate::model::secret::Secret;

pub(super) use leftover::Leftovers;
use leftover::Remembered;
pub(super) use stderr::drain as drain_stderr;

/// How long a child may take to exit after its stdin was closed (2025-11-25, basic/lifecycle,
/// "Shutdown", stdio: close the input, wait, SIGTERM, wait, SIGKILL).
const CLOSE_GRACE: Duration = Duration::from_millis(500);
/// How long a group may take to exit after SIGTERM, before SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long to wait for the kernel to report a killed child.
const KILL_WAIT: Duration = Duration::from_secs(1);
/// How often to look whether a group is gone.
const GROUP_POLL: Duration = Duration::from_millis(20);
/// What of the gateway's environment a child gets. All else may hold secrets that are not for it (I10).
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "USER"];

/// What to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) command: &'a [String],
    pub(super) env: &'a std::collections::BTreeMap<String, Secret>,
    pub(super) cwd: Option<&'a Path>,
    pub(super) user: Option<&'a Account>,
}

/// A running child. Dropping it kills its group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    // Before `remembered`: the group is gone before it is forgotten.
    group: Group,
    _remembered: Option<Remembered>,
}

/// The pipes of a child.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Process {
    /// Starts what `plan` says and remembers it in `leftovers`, so that a gateway that is killed does
    /// not leave it behind for good.
    pub(super) fn spawn(plan: Plan<'_>, leftovers: &Leftovers) -> std::io::Result<(Self, Pipes)> {
        let invalid = |text| std::io::Error::new(std::io::ErrorKind::InvalidInput, text);
        let (program, arguments) = plan.command.split_first().ok_or_else(|| invalid("no command"))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(inherited());
        if let Some(user) = plan.user {
            become_user(&mut command, user);
        }
        command.envs(plan.env.iter().map(|(name, value)| (name, value.reveal())));
        if let Some(cwd) = plan.cwd {
            command.current_dir(cwd);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: whatever the child starts is ended with it, and a signal to the
        // gateway's group (Ctrl-C in a terminal) does not reach it before its calls are drained.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        let group = Group::of(&child).ok_or_else(|| invalid("the child has no process id"))?;
        let remembered = leftovers.remember(group.leader);
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let ((stdin, stdout), stderr) = pipes.ok_or_else(|| invalid("the child has no pipes"))?;
        Ok((Self { child, group, _remembered: remembered }, Pipes { stdin, stdout, stderr }))
    }

    /// Waits until the child itself has exited. What it started may still run: [`Process::end`] it.
    pub(super) async fn exited(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the whole group, by force where it does not go by itself. Close the child's stdin first.
    pub(super) async fn end(mut self) {
        let _ = timeout(CLOSE_GRACE, self.gone()).await;
        self.group.signal(Signal::TERM);
        // The result does not matter: whoever is left is killed.
        let _ = timeout(TERM_GRACE, self.gone()).await;
        self.group.signal(Signal::KILL);
        let _ = timeout(KILL_WAIT, self.child.wait()).await;
        self.group.disarm();
    }

    async fn gone(&mut self) {
        // An error says that there is nothing to wait for.
        let _ = self.child.wait().await;
        self.group.gone().await;
    }
}

/// Its own uid, the primary group of it, and none of the gateway's further groups: std drops those where
/// it sets a uid as root, and `config` lets nobody else get here who has any. What of the environment is
/// about the gateway's own user becomes what it is for this one.
fn become_user(command: &mut Command, user: &Account) {
    command.uid(user.uid).gid(user.gid);
    command.env("HOME", &user.home).env("USER", &user.name).env_remove("TMPDIR");
}

fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// A process group, killed when dropped.
#[derive(Debug)]
struct Group {
    leader: Pid,
    armed: Armed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Armed {
    Yes,
    No,
}

impl Group {
    fn of(child: &Child) -> Option<Self> {
        let leader = Pid::from_raw(i32::try_from(child.id()?).ok()?)?;
        Some(Self { leader, armed: Armed::Yes })
    }

    /// Signals every member. A group that is gone already is no error. The number cannot belong to
    /// another group while a member lives; once the last one is gone, another could only have got it
    /// in the microseconds since the child was reaped, because numbers are handed out in turn.
    fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.leader, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, group = self.leader.as_raw_nonzero(), "cannot signal a process group");
        }
    }

    fn is_alive(&self) -> bool {
        test_kill_process_group(self.leader).is_ok()
    }

    async fn gone(&self) {
        while self.is_alive() {
            sleep(GROUP_POLL).await;
        }
    }

    fn disarm(&mut self) {
        self.armed = Armed::No;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.armed == Armed::Yes {
            self.signal(Signal::KILL);
        }
    }
}
