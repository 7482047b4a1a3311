//! The fields of `/proc/PID/stat` (proc(5)).
//!
//! Must never trust the name of a program, which can hold anything: what follows its last parenthesis counts.

/// The fields behind the name: the state, the parent, the group and so on. `None` where there is no name.
pub(super) fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}
