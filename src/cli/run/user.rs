//! The user that a command is started as, from `/etc/passwd`.
//!
//! Must never guess: a name or number without an entry there is refused, and so is everyone but root.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::process::{Gid, Uid};

const PASSWD: &str = "/etc/passwd";
/// Largest `/etc/passwd` that is read, in bytes.
const PASSWD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
}

impl User {
    /// The user of this name or number, for root to become.
    pub(super) fn find(name: &str) -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("--user needs root: only root can start a command as somebody else");
        }
        let cannot = || format!("cannot read {PASSWD}");
        let mut text = Vec::new();
        let file = std::fs::File::open(PASSWD).with_context(cannot)?;
        file.take(PASSWD_BYTES_MAX).read_to_end(&mut text).with_context(cannot)?;
        let text = String::from_utf8_lossy(&text);
        Self::among(&text, name).with_context(|| format!("there is no user `{name}` in {PASSWD}"))
    }

    fn among(passwd: &str, name: &str) -> Option<Self> {
        passwd
            .lines()
            .filter_map(Self::of_line)
            .find(|user| user.name == name || user.uid.to_string() == name)
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let (_comment, home, shell) = (fields.next()?, fields.next()?, fields.next()?);
        let path = |text: &str| Path::new(text).to_owned();
        Some(Self { name: name.to_owned(), uid, gid, home: path(home), shell: path(shell) })
    }

    /// As the kernel knows them.
    pub(super) fn ids(&self) -> (Uid, Gid) {
        (Uid::from_raw(self.uid), Gid::from_raw(self.gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_number_and_never_guessed() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# note\nagent:x:1001:1002:An Agent:/srv/agent:/bin/bash\nbad:x:y:1\n";
        let agent = User::among(passwd, "agent").unwrap();
        assert_eq!((agent.uid, agent.gid, agent.home.to_str()), (1001, 1002, Some("/srv/agent")));
        assert_eq!(User::among(passwd, "1001"), Some(agent));
        for name in ["", "agen", "1002", "bad", "agent:x"] {
            assert_eq!(User::among(passwd, name), None, "{name}");
        }
    }
}
