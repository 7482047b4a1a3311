//! `[upstreams.x] user`: under whom a tool server runs.
//!
//! Must never let one run as somebody else than was written: a user that is not there, or that the
//! gateway may not become, refuses the configuration.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::code::Code;
use crate::config::node::{Located, Node, suggestion};
use crate::config::raw::Upstream;
use crate::config::system::Switching;
use crate::model::place::Place;
use crate::upstream::Account;

use super::Scope;

/// The user of `written`, if one was written that is not the gateway's own.
pub(super) fn check(written: &Upstream, scope: Scope<'_>) -> Option<Account> {
    let Located { value, place } = written.user.as_ref()?;
    let found = scope.found;
    let name = match value {
        Node::Text(name) => name.clone(),
        Node::Integer(uid) => uid.to_string(),
        other => {
            let message = format!("`user` takes a name or a uid, and {} was written", other.kind());
            found.error(Code::WrongType, place, message, "write the name of a user of this machine");
            return None;
        }
    };
    let system = &scope.machine.system;
    let Some(user) = system.user(&name) else {
        let known: Vec<&str> = system.users.iter().map(|user| user.name.as_str()).collect();
        let message = format!("there is no user `{name}` in /etc/passwd");
        let help = format!(
            "make one by `useradd --system`; a number needs a line there too, for its group. {}",
            suggestion(&name, &known)
        );
        found.error(Code::UnknownUser, place, message, help);
        return None;
    };
    if user.uid == scope.machine.uid {
        return None;
    }
    if let Switching::Forbidden(why) = system.switching {
        let message =
            format!("the gateway may not start `[upstreams.{}]` as `{name}`: {why}", written.name.value);
        let help = "start the gateway so that it may; or run the server under that user yourself, and reach it \
                    by `url`";
        found.error(Code::UserForbidden, place, message, help);
    }
    Some(user.clone())
}

/// Warns where `user` cannot enter `cwd`, as far as modes tell: the server would not start.
pub(super) fn warn_shut(user: &Account, cwd: &Path, place: &Place, scope: Scope<'_>) {
    let is_open = |folder: &&Path| {
        let Ok(facts) = folder.metadata() else { return true };
        let may = if facts.uid() == user.uid {
            facts.mode() & 0o100
        } else if facts.gid() == user.gid {
            facts.mode() & 0o010
        } else {
            facts.mode() & 0o001
        };
        may != 0
    };
    if let Some(shut) = cwd.ancestors().find(|folder| !is_open(folder)) {
        let message =
            format!("the user `{}` may not enter `{}`, and would start there", user.name, shut.display());
        let help = "name a `cwd` that this user can enter, or open the way to it";
        scope.found.warn(Code::CwdShut, place, message, help);
    }
}

/// Whether `written` runs under the gateway's own uid.
pub(super) fn is_own(written: &Upstream, scope: Scope<'_>) -> bool {
    let name = match written.user.as_ref().map(|user| &user.value) {
        Some(Node::Text(name)) => name.clone(),
        Some(Node::Integer(uid)) => uid.to_string(),
        _ => return true,
    };
    scope.machine.system.user(&name).is_none_or(|user| user.uid == scope.machine.uid)
}
