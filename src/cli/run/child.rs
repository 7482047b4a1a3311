//! The command of a run: started, signalled, waited for, and ended with everything it started.
//!
//! Must never hand on a token of an outer run, nor, to another user, the environment of who called.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

use super::TXN_VARIABLE;
use super::client::{CONNECT_VARIABLE, MCP_CONFIG_VARIABLE, Plan};
use super::group;
use super::session;
use super::user::User;
use crate::cli::credential::{
    SOCKET_VARIABLE, TOKEN_FD_VARIABLE, TOKEN_FILE_VARIABLE, TOKEN_SOCKET_VARIABLE, TOKEN_VARIABLE,
    URL_VARIABLE,
};
use crate::cli::exit;

/// How long what the command started may take to end after SIGTERM, before SIGKILL.
pub(super) const TERM_GRACE: Duration = Duration::from_secs(2);
/// How often to look whether a group is gone.
const GROUP_POLL: Duration = Duration::from_millis(20);
/// What a run says to its command, and an outer one must not.
const OF_RUNS: [&str; 9] = [
    TOKEN_VARIABLE,
    TOKEN_FILE_VARIABLE,
    TOKEN_SOCKET_VARIABLE,
    TOKEN_FD_VARIABLE,
    URL_VARIABLE,
    SOCKET_VARIABLE,
    CONNECT_VARIABLE,
    MCP_CONFIG_VARIABLE,
    TXN_VARIABLE,
];
/// What of the caller's environment another user gets. All else may hold secrets that are not for them.
const INHERITED: [&str; 6] = ["PATH", "LANG", "LC_ALL", "TERM", "TZ", "SLUICEGATE_LOG"];
/// What a shell adds to the number of the signal that ended a command.
const SIGNAL_BASE: i32 = 128;
/// The codes by which a shell says that there is no such command, or that it cannot be started.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// Which processes a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The guard's group, which the command is started in: it is known before the command is.
    Group(Pid),
    /// The command alone: it stays in our group, because the terminal is ours.
    Process(Pid),
    /// The command alone, in a session of its own: no key of a terminal reaches it.
    Session(Pid),
}

impl Reach {
    /// Signals it; one that is gone is no error. The guard hears what is passed on, and does nothing.
    pub(super) fn signal(self, signal: Signal) {
        let _gone = match self {
            Self::Group(pid) => kill_process_group(pid, signal),
            Self::Process(pid) | Self::Session(pid) => kill_process(pid, signal),
        };
    }

    /// Ends a group, by force where it does not go by itself. Whoever calls may be a member of it, and
    /// does not come back then. `before_force` is what has to be done before that.
    pub(super) async fn end(self, before_force: impl FnOnce()) {
        let Self::Group(group) = self else { return before_force() };
        if group::is_empty(group) {
            return before_force();
        }
        self.signal(Signal::TERM);
        let gone = async {
            while !group::is_empty(group) {
                tokio::time::sleep(GROUP_POLL).await;
            }
        };
        let is_gone = tokio::time::timeout(TERM_GRACE, gone).await.is_ok();
        before_force();
        if !is_gone {
            self.signal(Signal::KILL);
        }
    }
}

/// A command that is to be started.
pub(super) struct Command {
    inner: tokio::process::Command,
    program: OsString,
    signals: Signals,
}

impl Command {
    pub(super) fn new(plan: &Plan, user: Option<&User>, env: &[String]) -> anyhow::Result<Self> {
        let (program, arguments) = plan.command.split_first().context("there is no command")?;
        let mut inner = tokio::process::Command::new(program);
        inner.args(arguments);
        for name in OF_RUNS {
            inner.env_remove(name);
        }
        if let Some(user) = user {
            inner.env_clear();
            let passed = INHERITED.into_iter().chain(env.iter().map(String::as_str));
            inner.envs(passed.filter_map(|name| Some((name, std::env::var_os(name)?))));
            inner.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
            inner.env("SHELL", &user.shell);
            // As root this drops every supplementary group too.
            inner.uid(user.uid).gid(user.gid);
        }
        let mut command = Self { inner, program: program.clone(), signals: Signals::hear()? };
        command.variables(plan.variables.clone());
        Ok(command)
    }

    pub(super) fn variables(&mut self, variables: Vec<(&'static str, OsString)>) {
        self.inner.envs(variables);
    }

    pub(super) fn variable(&mut self, name: &'static str, value: impl AsRef<OsStr>) {
        self.inner.env(name, value);
    }

    /// Starts it: in the group of the guard, unless a terminal is attached, whose keys then reach it
    /// directly.
    pub(super) fn spawn(mut self, group: Pid) -> anyhow::Result<Running> {
        if std::io::stdin().is_terminal() && session::has_terminal() {
            return Running::start(self.inner, &self.program, self.signals, Reach::Process);
        }
        self.inner.process_group(group.as_raw_nonzero().get());
        Running::start(self.inner, &self.program, self.signals, |_| Reach::Group(group))
    }
}

/// The command, running.
pub(super) struct Running {
    child: tokio::process::Child,
    reach: Reach,
    signals: Signals,
}

impl Running {
    /// Starts `command`, which is `program`. `reach` says of its process id what signals are for.
    pub(super) fn start(
        mut command: tokio::process::Command,
        program: &OsStr,
        signals: Signals,
        reach: impl FnOnce(Pid) -> Reach,
    ) -> anyhow::Result<Self> {
        // Whoever cannot wait for it any more does not leave it behind.
        command.kill_on_drop(true);
        let child = command.spawn().map_err(|error| {
            let code = if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
            exit::coded(code, format!("cannot start `{}`: {error}", program.display()))
        })?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.context("the command has no process id")?;
        Ok(Self { child, reach: reach(pid), signals })
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Waits for its end and passes signals on meanwhile.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status,
                signal = self.signals.next() => match (self.reach, signal) {
                    // The terminal sent these to the command too.
                    (Reach::Process(_), Signal::INT | Signal::QUIT) => {}
                    (reach, signal) => reach.signal(signal),
                },
            }
        }
    }
}

/// The signals that are passed on.
pub(super) struct Signals(Vec<(tokio::signal::unix::Signal, Signal)>);

impl Signals {
    pub(super) fn hear() -> anyhow::Result<Self> {
        let kinds = [
            (SignalKind::terminate(), Signal::TERM),
            (SignalKind::interrupt(), Signal::INT),
            (SignalKind::hangup(), Signal::HUP),
            (SignalKind::quit(), Signal::QUIT),
            (SignalKind::user_defined1(), Signal::USR1),
            (SignalKind::user_defined2(), Signal::USR2),
        ];
        let mut heard = Vec::new();
        for (kind, name) in kinds {
            heard.push((signal(kind).context("cannot wait for signals")?, name));
        }
        Ok(Self(heard))
    }

    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (stream, name) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// The exit code of the command, as a shell would give it.
pub(super) fn exit_code(status: ExitStatus) -> anyhow::Result<ExitCode> {
    let code = status.code().or_else(|| Some(SIGNAL_BASE.saturating_add(status.signal()?)));
    let code = code.context("the command ended without a code")?;
    Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX)))
}
