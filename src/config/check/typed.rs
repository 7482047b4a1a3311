//! Tables whose `type` says which keys they take, and whose `name` stands in metrics.
//!
//! Must never let a key pass that nothing would come of: nothing else would tell.

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::problem::Sink;
use crate::model::place::Place;

/// Longest name of such a table, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// The name of `what`, which is a part of file names, or a label.
pub(super) fn plain_name(written: &Located<String>, what: &str, found: &Sink) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let is_name = (1..=NAME_BYTES_MAX).contains(&written.value.len()) && written.value.chars().all(is_plain);
    if !is_name {
        let message = format!("`{}` cannot be the name of {what}", written.value);
        let help = format!("write 1 to {NAME_BYTES_MAX} of `a-z`, `0-9`, `-` and `_`");
        found.error(Code::BadName, &written.place, message, help);
    }
    is_name.then(|| written.value.clone())
}

/// A key that a table of the type `kind` does not take is a mistake. `place` is where it stands.
pub(super) fn refuse_key(key: &str, place: &Place, kind: &str, found: &Sink) {
    let message = format!("`{key}` means nothing for `type = \"{kind}\"`");
    found.error(Code::Conflict, place, message, "remove it");
}
