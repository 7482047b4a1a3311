//! What a configuration may ask of the system beside its environment: the time, its users, and whether
//! this process may start another under one of them.
//!
//! Must never ask a directory service: `check` starts and reaches nothing, and a name that a network
//! answers for is not a name of this machine.

use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::upstream::Account;

/// The system as a configuration sees it.
#[derive(Debug, Clone)]
pub struct System {
    /// By which certificates are valid.
    pub clock: Clock,
    /// Its users.
    pub users: Vec<Account>,
    /// Whether a process may be started under another user.
    pub switching: Switching,
}

/// Whether this process may start another under another user, and signal it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switching {
    /// It may.
    Allowed,
    /// It may not; says what is in the way.
    Forbidden(&'static str),
}

impl System {
    /// This system, as this process sees it.
    #[must_use]
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            clock: Clock::system(),
            users: read(Path::new(USERS)).lines().filter_map(account).collect(),
            switching: Switching::of_status(&read(Path::new(STATUS))),
        }
    }

    /// The user of this name or uid.
    pub(super) fn user(&self, name: &str) -> Option<&Account> {
        let uid = name.parse::<u32>().ok();
        self.users
            .iter()
            .find(|user| user.name == name)
            .or_else(|| self.users.iter().find(|user| Some(user.uid) == uid))
    }
}

impl Switching {
    /// From `/proc/self/status` (proc(5)). Without root, the gateway's own groups and ambient capabilities
    /// would go over to the child: std can drop the first only as root, and exec keeps the second.
    fn of_status(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim()
        };
        let capabilities = |name: &str| u64::from_str_radix(field(name), 16).unwrap_or(0);
        let effective = capabilities("CapEff");
        let has = |capability: u32| (effective >> capability) & 1 == 1;
        let is_root = field("Uid").split_whitespace().next() == Some("0");
        if ![CAP_KILL, CAP_SETGID, CAP_SETUID].into_iter().all(has) {
            Self::Forbidden("it has to be root, or to have CAP_SETUID, CAP_SETGID and CAP_KILL")
        } else if !is_root && !field("Groups").is_empty() {
            Self::Forbidden("without root it may be in no supplementary group, which the process would keep")
        } else if !is_root && capabilities("CapAmb") != 0 {
            Self::Forbidden(
                "without root its capabilities may not be ambient, or the process would have them",
            )
        } else {
            Self::Allowed
        }
    }
}

/// One line of passwd(5).
fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, _] = fields.as_slice() else { return None };
    Some(Account {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: PathBuf::from(home),
    })
}

const USERS: &str = "/etc/passwd";
const STATUS: &str = "/proc/self/status";
// capabilities(7), by their numbers in `linux/capability.h`.
const CAP_KILL: u32 = 5;
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn status(uid: u32, effective: &str, ambient: &str, groups: &str) -> Switching {
        let text = format!(
            "Name:\tsluicegate\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGroups:\t{groups}\nCapEff:\t{effective}\nCapAmb:\t{ambient}\n"
        );
        Switching::of_status(&text)
    }

    #[test]
    fn only_who_can_switch_users_wholly_may() {
        let is_allowed = |switching| switching == Switching::Allowed;
        assert!(is_allowed(status(0, "000001ffffffffff", "0000000000000000", "0 1 2 ")));
        assert!(is_allowed(status(1000, "00000000000000e0", "0000000000000000", " ")));
        for (uid, effective, ambient, groups) in [
            (0, "0000000000000000", "0", ""),
            (1000, "0000000000000000", "0", ""),
            (1000, "00000000000000c0", "0", ""),
            (1000, "00000000000000e0", "00000000000000e0", ""),
            (1000, "00000000000000e0", "0", "1000 27 "),
        ] {
            assert!(
                !is_allowed(status(uid, effective, ambient, groups)),
                "{uid} {effective} {ambient} {groups}"
            );
        }
        assert!(!is_allowed(Switching::of_status("")));
    }

    #[test]
    fn users_are_found_by_name_and_by_number_and_a_name_goes_before() {
        let lines = ["root:x:0:0:root:/root:/bin/sh", "mail:x:8:12::/var/mail:", "8:x:9:9::/:", "broken:x"];
        let users = lines.into_iter().filter_map(account).collect();
        let system = System { clock: Clock::system(), users, switching: Switching::Allowed };
        assert_eq!(system.user("mail").map(|user| (user.uid, user.gid)), Some((8, 12)));
        assert_eq!(system.user("0").map(|user| user.name.as_str()), Some("root"));
        assert_eq!(system.user("8").map(|user| user.uid), Some(9));
        assert!(system.user("broken").is_none() && system.user("").is_none());
    }
}
