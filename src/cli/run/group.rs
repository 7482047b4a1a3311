//! Who is in a process group, as the kernel lists it.
//!
//! Must never count its leader, which is the guard, nor what has ended and was not collected yet: a group
//! of those alone has nobody left to be ended.

use std::path::Path;

use rustix::process::Pid;

use super::stat::fields;

const PROC: &str = "/proc";
/// Entries of `/proc` that are looked at: more than a kernel has processes by default.
const ENTRIES_MAX: usize = 128 * 1024;

/// Whether nobody but its leader lives in `group`. Where the kernel does not say, somebody does.
pub(super) fn is_empty(group: Pid) -> bool {
    let leader = group.as_raw_nonzero().get();
    let Ok(entries) = std::fs::read_dir(PROC) else { return false };
    let numbers =
        entries.take(ENTRIES_MAX).flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut others = numbers.filter(|number: &i32| *number != leader);
    !others.any(|number| {
        let stat = std::fs::read(Path::new(PROC).join(number.to_string()).join("stat")).unwrap_or_default();
        lives_in(&String::from_utf8_lossy(&stat), group)
    })
}

/// Whether `stat` is that of a living member.
fn lives_in(stat: &str, group: Pid) -> bool {
    let Some(mut fields) = fields(stat) else { return false };
    let (state, _parent, of) = (fields.next(), fields.next(), fields.next());
    let is_alive = !matches!(state, Some("Z" | "X" | "x") | None);
    is_alive && of.and_then(|of| of.parse().ok()) == Some(group.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_told_by_the_fields_behind_its_name() {
        let group = Pid::from_raw(41).unwrap();
        assert!(lives_in("42 (sh) S 1 41 40 0", group));
        assert!(lives_in("42 (a) Z 1 9) S 1 41 40 0", group));
        for stat in ["", "42 (sh) Z 1 41 40 0", "42 (sh) S 1 42 41 0", "42 (sh", "42 (sh) S"] {
            assert!(!lives_in(stat, group), "{stat}");
        }
    }
}
