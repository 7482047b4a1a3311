//! Which children run, on disk: a gateway that was killed ends at its next start what it left behind.
//!
//! A child normally sees the end of its stdin when the gateway dies, however it dies, and exits. This
//! is for those that do not. (The kernel's parent-death signal would need code between fork and exec,
//! which cannot be written without `unsafe`, and fires when the *thread* that forked ends.)
//!
//! Must never kill anything that an earlier gateway on this state directory did not start: process id,
//! start time and boot have to agree. It trusts the state directory to be the gateway's alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::upstream::notice::{Notice, Notices};

/// Directory inside `state_dir`.
const DIRECTORY: &str = "children";
/// Records that are looked at; more than any gateway has children.
const RECORDS_MAX: usize = 16 * 1024;
/// Largest record that is read, in bytes.
const RECORD_BYTES_MAX: u64 = 1024;

/// The records of running children.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Leftovers {
    directory: PathBuf,
    boot: String,
}

/// The record of one child; removed when dropped.
#[derive(Debug)]
pub(super) struct Remembered(PathBuf);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    boot: String,
    leader: i32,
    session: i32,
    started_ticks: u64,
}

impl Leftovers {
    /// Opens the records in `state_dir`, which this process must hold alone, and kills what they name.
    pub(in crate::upstream) fn reap(state_dir: &Path, notices: &Notices) -> std::io::Result<Self> {
        let directory = state_dir.join(DIRECTORY);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let leftovers = Self { directory, boot: boot.trim().to_owned() };
        for entry in fs::read_dir(&leftovers.directory)?.take(RECORDS_MAX) {
            let path = entry?.path();
            if let Some(killed) = read(&path).and_then(|record| leftovers.kill(&record)) {
                notices.tell(Notice::LeftoverKilled { pid: killed });
            }
            fs::remove_file(&path)?;
        }
        Ok(leftovers)
    }

    /// Writes down that `leader` runs. `None` where the system does not tell start times, or the
    /// record cannot be written: the child then has only the end of its stdin to go by.
    pub(super) fn remember(&self, leader: Pid) -> Option<Remembered> {
        let pid = leader.as_raw_nonzero().get();
        // The child stays in the session that it was started in. That is 0 where the session's leader is
        // outside this PID namespace (a container that was entered, a sandbox): no pid, so not a `Pid`.
        let Stat { session, started_ticks, .. } = Stat::of(pid)?;
        let record = Record { boot: self.boot.clone(), leader: pid, session, started_ticks };
        let path = self.directory.join(pid.to_string());
        let written = serde_json::to_vec(&record).map_err(Into::into).and_then(|text| write(&path, &text));
        match written {
            Ok(()) => Some(Remembered(path)),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "cannot remember a child process");
                None
            }
        }
    }

    fn kill(&self, record: &Record) -> Option<i32> {
        if record.boot != self.boot || record.boot.is_empty() {
            return None;
        }
        let is_ours = match Stat::of(record.leader) {
            Some(stat) => stat.started_ticks == record.started_ticks && stat.group == record.leader,
            // The leader is gone; what it started keeps the group's number taken.
            None => members(record).next().is_some(),
        };
        let group = Pid::from_raw(record.leader).filter(|_| is_ours)?;
        kill_process_group(group, Signal::KILL).ok().map(|()| record.leader)
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "cannot forget a child process");
        }
    }
}

fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text)
}

fn read(path: &Path) -> Option<Record> {
    let is_small =
        fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= RECORD_BYTES_MAX);
    serde_json::from_slice(&fs::read(path).ok().filter(|_| is_small)?).ok()
}

fn members(record: &Record) -> impl Iterator<Item = Stat> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = pids.filter_map(|entry| Stat::of(entry.file_name().to_str()?.parse().ok()?));
    stats.filter(|stat| {
        stat.group == record.leader
            && stat.session == record.session
            && stat.started_ticks >= record.started_ticks
    })
}

/// What `/proc/PID/stat` says (proc(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    group: i32,
    session: i32,
    started_ticks: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the command in parentheses and may itself hold `)` and spaces.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let group = fields.nth(2)?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let started_ticks = fields.nth(15)?.parse().ok()?;
        Some(Self { group, session, started_ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_shift_the_fields() {
        let text = "42 (a) b ( 7) S 1 41 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0";
        assert_eq!(Stat::parse(text), Some(Stat { group: 41, session: 40, started_ticks: 987_654 }));
    }

    #[test]
    fn a_session_whose_leader_is_in_another_pid_namespace_is_zero() {
        let text = "42 (a) S 1 41 0 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0";
        assert_eq!(Stat::parse(text).map(|stat| stat.session), Some(0));
    }
}
