//! How an upstream is reached: a program with its environment, or a URL with its headers.
//!
//! Must never start or reach anything: `check` looks, and `upstream` acts.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::machine::{OWN_PROGRAM, is_program};
use crate::config::node::Located;
use crate::config::raw::{Secret as Written, Upstream};
use crate::model::place::Place;
use crate::upstream::{Launch, Secret, Transport};

use super::{Scope, bad_word, secret, user};

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
        warn_literal(&name.value, value, scope);
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
    let headers: Vec<_> =
        written.headers.iter().filter_map(|(name, value)| header(name, value, scope)).collect();
    let uri = uri(url, scope)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if uri.scheme_str() == Some("http") && !is_local {
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

fn uri(url: &Located<String>, scope: Scope<'_>) -> Option<http::Uri> {
    let bad = |message: &str, help: &str| {
        // The URL is not repeated: it may hold a password or a token (I10).
        scope.found.error(Code::BadValue, &url.place, message, help);
        None
    };
    let example = "write an `http` or `https` URL: \"http://127.0.0.1:9100/mcp\"";
    let Ok(uri) = url.value.parse::<http::Uri>() else { return bad("`url` is not a URL", example) };
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return bad("`url` is not an `http` or `https` URL", example);
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return bad(
            "`url` holds a user or password",
            "put the credential into `headers`, from `env` or `file`",
        );
    }
    if url.value.contains('#') {
        return bad("`url` holds a fragment", "remove `#` and what follows");
    }
    Some(uri)
}

fn header(
    name: &Located<String>,
    value: &Located<Written>,
    scope: Scope<'_>,
) -> Option<(http::HeaderName, Secret)> {
    let found = scope.found;
    let Ok(header) = http::HeaderName::from_bytes(name.value.as_bytes()) else {
        let message = format!("`{}` is not the name of a header", name.value);
        found.error(Code::BadName, &name.place, message, "write a header name like `Authorization`");
        return None;
    };
    if OWN_HEADERS.contains(&header.as_str()) || header.as_str().starts_with("mcp-") {
        let message = format!("the gateway sets `{}` itself", name.value);
        found.error(Code::Conflict, &name.place, message, "remove it");
        return None;
    }
    warn_literal(&name.value, value, scope);
    let resolved = secret::resolve(value, &name.value, scope)?;
    if http::HeaderValue::from_str(&resolved).is_err() {
        let message = format!("the value of `{}` cannot stand in a header", name.value);
        found.error(
            Code::BadValue,
            &value.place,
            message,
            "remove line breaks and control characters from it",
        );
        return None;
    }
    Some((header, Secret::new(resolved)))
}

/// Warns of what looks like a secret and stands in the configuration itself.
fn warn_literal(name: &str, value: &Located<Written>, scope: Scope<'_>) {
    let lower = name.to_ascii_lowercase();
    let is_suspect = SECRET_WORDS.iter().any(|word| lower.contains(word));
    if is_suspect && matches!(value.value, Written::Literal(_)) {
        let message = format!("the value of `{name}` stands in the configuration itself");
        let help = "keep secrets outside: `{ env = \"NAME\" }` or `{ file = \"path\" }`";
        scope.found.warn(Code::SecretInFile, &value.place, message, help);
    }
}

/// What the name of a secret usually contains.
const SECRET_WORDS: &[&str] = &["authorization", "cookie", "key", "passwd", "password", "secret", "token"];

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
