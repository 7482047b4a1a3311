//! `strace` as the hand that kills a gateway right before the system call that is named, or has that call fail, or only
//! notes it.
//!
//! It counts the calls of each thread by themselves. What it kills has not done the call that it was killed before, and
//! has done everything before that.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::Site;
use super::gateway::Gateway;

const MISSING: &str =
    "this test needs strace (Debian: apt-get install strace), and a kernel that lets it trace";

/// Which system call is met.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    pub syscall: &'a str,
    /// Which of those calls of a thread it is; the first is 1.
    pub when: usize,
    /// Only calls on these files of the site count, on any where none is named.
    pub paths: &'a [&'a str],
}

impl Point<'_> {
    /// What `strace` is told to kill before it.
    fn kill(&self, site: &Site) -> Vec<String> {
        let Self { syscall, when, .. } = self;
        let mut args = vec!["-o".to_owned(), "/dev/null".to_owned()];
        args.extend(["-e".to_owned(), format!("trace={syscall}")]);
        args.extend(["-e".to_owned(), format!("inject={syscall}:signal=SIGKILL:when={when}")]);
        for path in self.paths {
            args.extend(["-P".to_owned(), site.path(path).display().to_string()]);
        }
        args
    }
}

/// Starts the gateway under it: met is what the first thread does, which is what a start is. Gives what the gateway
/// said if it did not come to listen.
pub fn start_killed(site: &Site, point: &Point<'_>) -> Result<Gateway, String> {
    let mut command = Command::new("strace");
    // The gateway stays a child of the test, and `strace` is what nobody waits for.
    command.arg("-D").args(point.kill(site)).arg(env!("CARGO_BIN_EXE_sluicegate"));
    command.args(["serve", "--config", "gateway.toml"]).current_dir(site.path(""));
    site.try_start_by(command)
}

/// Starts the gateway under it: noted in `to` is every call of these `syscalls`, and the names of the files.
pub fn start_noted(site: &Site, syscalls: &str, to: &std::path::Path) -> Gateway {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-y", "-o"]).arg(to).args(["-e", &format!("trace={syscalls}")]);
    command.arg(env!("CARGO_BIN_EXE_sluicegate"));
    command.args(["serve", "--config", "gateway.toml"]).current_dir(site.path(""));
    site.try_start_by(command).unwrap_or_else(|said| panic!("{MISSING}: {said}"))
}

/// What of a gateway is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The one that writes the journal.
    Journal,
    All,
}

/// A tracer of a running gateway, which ends with it or when it is dropped.
pub struct Tracer(Child);

impl Tracer {
    /// Kills `gateway` before `point`.
    pub fn kill(site: &Site, gateway: &Gateway, threads: Threads, point: &Point<'_>) -> Self {
        Self::attach(gateway, threads, &point.kill(site))
    }

    /// Has every call of these `syscalls` of the journal fail with `error`, until it is dropped.
    pub fn fail(gateway: &Gateway, syscalls: &str, error: &str) -> Self {
        let args = ["-o", "/dev/null", "-e"].map(str::to_owned);
        let what = [format!("trace={syscalls}"), "-e".to_owned(), format!("inject={syscalls}:error={error}")];
        Self::attach(gateway, Threads::Journal, &[args, what].concat())
    }

    /// Notes every call of these `syscalls`, of all threads, and the names of the files, in `to`, until it is dropped.
    pub fn note(gateway: &Gateway, syscalls: &str, to: &std::path::Path) -> Self {
        let what = ["-y".to_owned(), "-o".to_owned(), to.display().to_string()];
        let which = ["-e".to_owned(), format!("trace={syscalls}")];
        Self::attach(gateway, Threads::All, &[what.as_slice(), &which].concat())
    }

    fn attach(gateway: &Gateway, threads: Threads, args: &[String]) -> Self {
        let mut command = Command::new("strace");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        match threads {
            Threads::Journal => command.args(["-p", &journal_thread(gateway)]),
            Threads::All => command.args(["-f", "-p", &gateway.pid().to_string()]),
        };
        let mut child = command.spawn().expect(MISSING);
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{MISSING}: {said}");
        Self(child)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It lets go of what it traces.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _already_gone = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _status = self.0.wait();
    }
}

fn journal_thread(gateway: &Gateway) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    let named = |path: &std::path::Path| std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    let mut paths = tasks.map(|task| task.unwrap().path());
    let journal =
        paths.find(|path| named(path).trim_end() == "journal").expect("a thread that writes the journal");
    journal.file_name().unwrap().to_str().unwrap().to_owned()
}
