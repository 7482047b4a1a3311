//! `may_assert`: names that have to be declared, and patterns.
//!
//! Must never complete what was not written: absent means that nothing may be asserted.

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw;
use crate::identity::MayAssert;
use crate::model::glob::Glob;

use super::Scope;

/// What may be asserted; nothing where it was not written.
pub(super) fn may_assert(written: Option<&raw::MayAssert>, scope: Scope<'_>) -> MayAssert {
    let Some(written) = written else { return MayAssert::default() };
    let Scope { names, found, .. } = scope;
    let globs =
        |written: &[Located<String>], key| written.iter().filter_map(|text| glob(text, key, scope)).collect();
    MayAssert {
        sources: written.sources.iter().filter_map(|source| names.sources.take(source, found)).collect(),
        subjects: globs(&written.subjects, "subjects"),
        roles: written.roles.iter().filter_map(|role| names.roles.take(role, found)).collect(),
        agents: globs(&written.agents, "agents"),
        goals: globs(&written.goals, "goals"),
    }
}

fn glob(written: &Located<String>, key: &str, scope: Scope<'_>) -> Option<Glob> {
    let glob = Glob::new(&written.value);
    if glob.is_none() {
        let message = format!("`{}` is not a pattern of `{key}`", written.value);
        let help = "write visible ASCII, where `*` stands for any run of characters: \"user:*\"";
        scope.found.error(Code::BadValue, &written.place, message, help);
    }
    glob
}
