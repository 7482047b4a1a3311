//! What a configuration may ask of the machine: its environment, the running program, its uid.
//!
//! Must never change anything. Tests bring their own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::system::System;
use crate::sink;

/// The machine as a configuration sees it.
#[derive(Clone)]
pub struct Machine {
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The running binary, which `command = ["sluicegate", …]` means.
    pub program: Option<PathBuf>,
    /// The uid of the gateway, which `peers.self` means.
    pub uid: u32,
    /// Its clock and its users.
    pub system: System,
    /// The types of sinks, of those that are cargo features, that the running binary was built with.
    pub sinks: Vec<&'static str>,
}

/// The word in `command` that means the running binary.
pub(super) const OWN_PROGRAM: &str = "sluicegate";

impl Machine {
    /// This machine, as this process sees it.
    #[must_use]
    pub fn this() -> Self {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let is_own = |path: &PathBuf| path.file_name().is_some_and(|name| name == OWN_PROGRAM);
        Self {
            env: std::env::vars_os().filter_map(text).collect(),
            program: std::env::current_exe().ok().filter(is_own),
            uid: rustix::process::geteuid().as_raw(),
            system: System::this(),
            sinks: sink::heavy_types_built(),
        }
    }

    /// Whether a process of this machine would find `program` on its `PATH`.
    pub(super) fn finds(&self, program: &str) -> bool {
        let path = self.env.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
        std::env::split_paths(path).any(|folder| is_program(&folder.join(program)))
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment holds secrets (I10).
        out.debug_struct("Machine")
            .field("program", &self.program)
            .field("uid", &self.uid)
            .finish_non_exhaustive()
    }
}

/// Whether `path` is a file that may be executed.
pub(super) fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
