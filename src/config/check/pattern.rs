//! Patterns over names that several tables take: of tools, of subjects, of whatever else is matched by its text.
//!
//! Must never let a pattern pass that can match nothing without a word: whoever wrote it relies on it.

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::problem::Sink;
use crate::model::glob::{GLOB_BYTES_MAX, Glob, reaches};

use super::Scope;

/// A list that may be absent.
pub(super) type Written = Option<Located<Vec<Located<String>>>>;

/// What `one` makes of each word of a list. An empty list would let everything count, which nobody means.
pub(super) fn each<T>(
    written: &Written,
    key: &str,
    found: &Sink,
    one: impl Fn(&Located<String>) -> Option<T>,
) -> Vec<T> {
    let Some(list) = written else { return Vec::new() };
    if list.value.is_empty() {
        let help = "leave it out where everything counts";
        found.error(Code::BadValue, &list.place, format!("`{key}` names nothing"), help);
    }
    list.value.iter().filter_map(one).collect()
}

pub(super) fn glob(written: &Located<String>, found: &Sink) -> Option<Glob> {
    let glob = Glob::new(&written.value);
    if glob.is_none() {
        let help =
            format!("write at most {GLOB_BYTES_MAX} visible ASCII characters, `*` for any run of them");
        found.error(Code::BadPermission, &written.place, format!("`{}` is no pattern", written.value), help);
    }
    glob
}

/// `upstream.tool`, as a permission names it.
pub(super) fn tool_glob(written: &Located<String>, scope: Scope<'_>) -> Option<Glob> {
    let found = scope.found;
    let glob = glob(written, found)?;
    let value = &written.value;
    let of_tools = |c: char| c.is_ascii_alphanumeric() || "_-.*".contains(c);
    let names_tool = match value.split_once('.') {
        Some((_, tool)) => !tool.is_empty(),
        None => value.contains('*'),
    };
    if !value.chars().all(of_tools) || !names_tool {
        let help = "write `upstream.tool`; `*` stands for any run of letters, digits, `_`, `-` and `.`";
        found.error(Code::BadPermission, &written.place, format!("`{value}` names no tool"), help);
        return None;
    }
    let upstreams = &scope.names.upstreams;
    let upstream = value.split_once('.').map(|(upstream, _)| upstream).filter(|name| !name.contains('*'));
    if let Some(upstream) = upstream.filter(|upstream| upstreams.get(upstream).is_none()) {
        let message = format!("the upstream `{upstream}` is not declared");
        found.error(Code::UnknownUpstream, &written.place, message, upstreams.advice(upstream));
        return None;
    }
    if !upstreams.texts().iter().any(|upstream| reaches(value, &format!("{upstream}."))) {
        let message = format!("`{value}` matches no tool of any declared upstream");
        found.warn(Code::MatchesNothing, &written.place, message, "correct the entry, or remove it");
    }
    Some(glob)
}
