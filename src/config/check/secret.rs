//! Secrets, fetched from where the configuration says they are.
//!
//! Must never repeat a value in a message, nor take an empty one for a secret (I10).

use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::Secret;
use crate::model::place::Place;
use crate::socket::is_open_to_others;
use crate::webhook::SigningKey;

use super::Scope;

/// What users beside owner and group may do with a file, and whether the group may change it.
const EVERYBODY_OR_CHANGE_MODE: u32 = 0o027;
/// What the name of a secret usually contains.
const SECRET_WORDS: &[&str] = &["authorization", "cookie", "key", "passwd", "password", "secret", "token"];
/// Largest secret, in bytes.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The value of `written`; `what` names it in messages.
pub(super) fn resolve(written: &Located<Secret>, what: &str, scope: Scope<'_>) -> Option<String> {
    let missing = |message: String, help: String| {
        scope.found.error(Code::SecretMissing, &written.place, message, help);
        None
    };
    let value = match &written.value {
        Secret::Literal(text) => Some(text.clone()),
        Secret::Env(name) => match scope.machine.env.get(name) {
            Some(value) if !value.is_empty() => Some(value.clone()),
            Some(_) => missing(
                format!("the environment variable `{name}` for `{what}` is empty"),
                "set it before the gateway starts".to_owned(),
            ),
            None => missing(
                format!("the environment variable `{name}` for `{what}` is not set"),
                "set it before the gateway starts".to_owned(),
            ),
        },
        Secret::File(path) => match read(path, written, scope) {
            Ok(value) => Some(value),
            Err(why) => missing(
                format!("the file `{path}` for `{what}` gives no value: {why}"),
                "name a file that the gateway's user may read; a relative path begins at the configuration"
                    .to_owned(),
            ),
        },
    }?;
    if value.contains('\0') {
        let message = format!("the value of `{what}` holds a NUL character");
        scope.found.error(Code::BadValue, &written.place, message, "remove it");
        return None;
    }
    Some(value)
}

/// Warns of what looks like a secret, by its name, and stands in the configuration itself.
pub(super) fn warn_suspect(name: &str, value: &Located<Secret>, scope: Scope<'_>) {
    let lower = name.to_ascii_lowercase();
    if SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        warn_literal(name, value, scope);
    }
}

/// Warns where a secret stands in the configuration itself.
pub(super) fn warn_literal(name: &str, value: &Located<Secret>, scope: Scope<'_>) {
    if matches!(value.value, Secret::Literal(_)) {
        let message = format!("the value of `{name}` stands in the configuration itself");
        let help = "keep secrets outside: `{ env = \"NAME\" }` or `{ file = \"path\" }`";
        scope.found.warn(Code::SecretInFile, &value.place, message, help);
    }
}

/// The key in `written`, by the scheme of Standard Webhooks, which stands under `key`.
pub(super) fn signing_key(key: &str, written: &Located<Secret>, scope: Scope<'_>) -> Option<SigningKey> {
    warn_literal(key, written, scope);
    let signing = SigningKey::of(&resolve(written, key, scope)?);
    if signing.is_none() {
        let message = format!("the value of `{key}` is no signing key");
        let help = "write `whsec_` and base64 of 24 to 64 bytes: `echo whsec_$(openssl rand -base64 32)`";
        scope.found.error(Code::BadValue, &written.place, message, help);
    }
    signing
}

/// A secret that everybody may read, or another may change, is none. One that a group may read is how some
/// systems hand it over.
fn say_open(path: &Path, facts: &Metadata, place: &Place, scope: Scope<'_>) {
    let help = format!("run `chmod 600 {}`", path.display());
    if facts.mode() & EVERYBODY_OR_CHANGE_MODE != 0 {
        let message = format!(
            "every user of this machine may use the secret file `{}`, or another change it",
            path.display()
        );
        scope.found.error(Code::SecretFileOpen, place, message, help);
    } else if is_open_to_others(facts) {
        let message = format!("others than its owner may use the secret file `{}`", path.display());
        scope.found.warn(Code::SecretFileOpen, place, message, help);
    }
}

fn read(path: &str, written: &Located<Secret>, scope: Scope<'_>) -> Result<String, String> {
    let path = scope.path(path);
    scope.found.note_file(&path);
    let facts = path.metadata().map_err(|error| error.to_string())?;
    if !facts.is_file() {
        return Err("it is not a file".to_owned());
    }
    say_open(&path, &facts, &written.place, scope);
    let mut bytes = Vec::new();
    let limit = u64::try_from(SECRET_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let opened = std::fs::File::open(&path).map_err(|error| error.to_string())?;
    opened.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(format!("it is larger than {SECRET_BYTES_MAX} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    // Editors and `echo` end a file with one line break; it is not part of the secret.
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() { Err("it is empty".to_owned()) } else { Ok(value.to_owned()) }
}
