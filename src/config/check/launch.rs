//! How an upstream is reached: a program with its environment, or a URL with its headers.
//!
//! Must never start or reach anything: `check` looks, and `upstream` acts.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::machine::{OWN_PROGRAM, is_program};
use crate::config::node::Located;
use crate::config::raw::Upstream;
use crate::model::place::Place;
use crate::model::secret::Secret;
use crate::upstream::{Launch, Transport};

use super::{Scope, bad_word, endpoint, secret, user};

pub(super) fn check(written: &Upstream, scope: Scope<'_>) -> Option<Launch> {
    let (found, name) = (scope.found, &written.name);
    match (&written.command, &written.url) {
        (Some(command), None) => {
            for (header, _) in &written.headers {
                let help = "remove it; a process gets its secrets by `env`";
                found.error(
                    Code::Conflict,
                    &header.place,
                    "`headers` are for a `url`, not for a `command`",
                    help,
                );
            }
            if let Some(transport) = &written.transport {
                let message = "`transport` is for a `url`, not for a `command`";
                found.error(Code::Conflict, &transport.place, message, "remove it");
            }
            process(written, command, scope)
        }
        (None, Some(url)) => {
            let cwd = written.cwd.iter().map(|cwd| &cwd.place);
            let cwd = cwd.chain(written.user.iter().map(|user| &user.place));
            for place in written.env.iter().map(|(name, _)| &name.place).chain(cwd) {
                let message = "`env`, `cwd` and `user` are for a `command`, not for a `url`";
                found.error(Code::Conflict, place, message, "remove it; secrets go into `headers`");
            }
            http(written, url, scope)
        }
        (Some(_), Some(url)) => {
            let message = format!("`[upstreams.{}]` has both `command` and `url`", name.value);
            found.error(Code::Conflict, &url.place, message, "keep one of them");
            None
        }
        (None, None) if !found.lacks(&name.place, &["command", "url"]) => None,
        (None, None) => {
            let message = format!("`[upstreams.{}]` has neither `command` nor `url`", name.value);
            let help =
                "write `command = [\"program\", \"argument\"]` or `url = \"http://127.0.0.1:9100/mcp\"`";
            found.error(Code::MissingKey, &name.place, message, help);
            None
        }
    }
}

fn process(written: &Upstream, command: &Located<Vec<Located<String>>>, scope: Scope<'_>) -> Option<Launch> {
    let found = scope.found;
    let mut env = BTreeMap::new();
    for (name, value) in &written.env {
        if name.value.is_empty() || name.value.contains(['=', '\0']) {
            let message = format!("`{}` is not the name of an environment variable", name.value);
            found.error(Code::BadName, &name.place, message, "names are not empty and hold no `=`");
        }
        secret::warn_suspect(&name.value, value, scope);
        if let Some(value) = secret::resolve(value, &name.value, scope) {
            env.insert(name.value.clone(), Secret::new(value));
        }
    }
    // What a program names relative to itself is relative to the configuration, wherever the gateway
    // was started.
    let cwd = scope.path(written.cwd.as_ref().map_or("", |cwd| cwd.value.as_str()));
    if let Some(place) = written.cwd.as_ref().map(|cwd| &cwd.place).filter(|_| !cwd.is_dir()) {
        let message = format!("`{}` is not a directory", cwd.display());
        let help = "name an existing directory; a relative path begins at the configuration";
        found.error(Code::BadValue, place, message, help);
    }
    let user = user::check(written, scope);
    if let Some((user, place)) = user.as_ref().zip(written.user.as_ref().map(|user| &user.place)) {
        user::warn_shut(user, &cwd, place, scope);
    }
    let words: Vec<String> = command.value.iter().map(|word| word.value.clone()).collect();
    if words.iter().any(|word| word.contains('\0')) {
        found.error(Code::BadValue, &command.place, "`command` holds a NUL character", "remove it");
        return None;
    }
    let Some((program, arguments)) = words.split_first().filter(|(program, _)| !program.is_empty()) else {
        let help = "write `command = [\"program\", \"argument\"]`";
        found.error(Code::BadValue, &command.place, "`command` names no program", help);
        return None;
    };
    let program = program_path(program, &command.place, scope);
    let command = std::iter::once(program).chain(arguments.iter().cloned()).collect();
    Some(Launch::Process { command, env, cwd: Some(cwd), user })
}

/// The program to start: the running binary for `sluicegate`, a path relative to the configuration, or
/// a name that is looked up on `PATH`.
fn program_path(written: &str, place: &Place, scope: Scope<'_>) -> String {
    if let Some(own) = scope.machine.program.as_ref().filter(|_| written == OWN_PROGRAM) {
        return own.display().to_string();
    }
    let (path, is_there) = if written.contains('/') {
        let path = scope.path(written);
        let is_there = is_program(&path);
        (path.display().to_string(), is_there)
    } else {
        (written.to_owned(), scope.machine.finds(written))
    };
    if !is_there {
        let message = format!("the program `{path}` cannot be found");
        let help = "install it, or write its path; until then its tools are unavailable";
        scope.found.warn(Code::CommandNotFound, place, message, help);
    }
    path
}

fn http(written: &Upstream, url: &Located<String>, scope: Scope<'_>) -> Option<Launch> {
    let is_own = |header: &str| OWN_HEADERS.contains(&header) || header.starts_with("mcp-");
    let headers = endpoint::headers(&written.headers, is_own, scope);
    let uri = endpoint::uri(url, "write an `http` or `https` URL: \"http://127.0.0.1:9100/mcp\"", scope)?;
    if endpoint::is_open(&uri) {
        let message = format!("calls and headers of `[upstreams.{}]` travel unencrypted", written.name.value);
        scope.found.warn(Code::PlainHttp, &url.place, message, "write an `https` URL");
    }
    Some(Launch::Http { url: uri, transport: transport(written, scope), headers })
}

fn transport(written: &Upstream, scope: Scope<'_>) -> Transport {
    let Some(word) = &written.transport else { return Transport::Detected };
    match word.value.as_str() {
        "auto" => Transport::Detected,
        "http" => Transport::Streamable,
        "sse" => Transport::EventStream,
        _ => {
            bad_word(word, "transport", &["auto", "http", "sse"], scope.found);
            Transport::Detected
        }
    }
}

/// Headers that belong to the hop or the protocol.
const OWN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
