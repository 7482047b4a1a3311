//! A session of its own for the command of another user, without the caller's terminal.
//!
//! Must never leave to a user the terminal of another: what it types there (TIOCSTI, ioctl_tty(2)) is read by
//! the caller's shell once `run` has ended, and a shell of root's does what it reads.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::Context as _;
use rustix::process::{Signal, set_parent_process_death_signal, setsid};

use super::child::{self, Reach, Running, Signals};
use super::stat::fields;
use crate::cli::credential::DESCRIPTOR_MIN;

/// Where proc(5) says what this process' terminal is.
const STAT: &str = "/proc/self/stat";
/// The place of `tty_nr` among the fields that follow the name of the program.
const TERMINAL_FIELD: usize = 4;
/// What `tty_nr` is for a process without one.
const NO_TERMINAL: &str = "0";

/// Starts another command of this program in a session of its own.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OwnSession {
    /// Its arguments
    #[arg(last = true, required = true)]
    arguments: Vec<OsString>,
}

/// Becomes that command. It ends when the one that started it does.
pub(in crate::cli) fn begin(command: &OwnSession) -> anyhow::Result<ExitCode> {
    let cannot = "cannot begin a session";
    set_parent_process_death_signal(Some(Signal::TERM)).context(cannot)?;
    setsid().context(cannot)?;
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    Err(std::process::Command::new(own).args(&command.arguments).exec()).context(cannot)
}

/// Starts this very command line once more, in a session of its own, and stays with it to its end.
pub(super) async fn apart() -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = tokio::process::Command::new(&own);
    command.args(["own-session", "--"]).args(std::env::args_os().skip(1));
    let mut running = Running::start(command, own.as_os_str(), Signals::hear()?, Reach::Session)?;
    child::exit_code(running.wait().await.context("cannot wait for the command")?)
}

/// Whether a terminal controls this process. Where the kernel does not say, one does.
pub(super) fn has_terminal() -> bool {
    let stat = std::fs::read(STAT).unwrap_or_default();
    terminal_of(&String::from_utf8_lossy(&stat)) != Some(NO_TERMINAL)
}

fn terminal_of(stat: &str) -> Option<&str> {
    fields(stat)?.nth(TERMINAL_FIELD)
}

/// Lets nothing that this process inherited reach what it starts: the descriptor by which an outer run
/// handed over its token is open in it too.
pub(super) fn keep_descriptors() {
    close_fds::set_fds_cloexec_threadsafe(i32::from(DESCRIPTOR_MIN), &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_by_the_field_behind_the_name() {
        assert_eq!(terminal_of("42 (sh) S 1 42 42 34816 42 0"), Some("34816"));
        assert_eq!(terminal_of("42 (a) S 0) S 1 42 42 0 -1 0"), Some(NO_TERMINAL));
        assert_eq!(terminal_of("42 (sh"), None);
    }
}
