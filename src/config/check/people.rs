//! `[auth.people.*]`: at which providers people sign in, and which subjects they are then.
//!
//! Must never let a provider be one that somebody else could answer for, nor be an entry point of runs.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw;
use crate::identity::{PeopleSettings, ResourceUrl, SubjectForm};
use crate::model::name::EntryPointName;
use crate::model::place::Place;
use crate::model::secret::Secret;

use super::entry_point::Labels;
use super::{Scope, issuer, secret};

/// Most entry points of people.
pub(super) const PEOPLE_MAX: usize = 16;
/// Asked for everywhere: without it a provider gives no ID token.
const OPENID: &str = "openid";

/// The entry points of people, each with its settings.
pub(super) fn check(written: &[raw::People], labels: &mut Labels<'_>) -> Vec<PeopleSettings> {
    let found = labels.scope.found;
    if let Some(one) = written.get(PEOPLE_MAX) {
        let message = format!("people sign in at more than {PEOPLE_MAX} providers");
        found.error(Code::OutOfRange, &one.name.place, message, "keep those that are used");
    }
    let mut first: BTreeMap<(&str, &str), &Place> = BTreeMap::new();
    for one in written {
        let (Some(issuer), Some(client)) = (&one.issuer, &one.client_id) else { continue };
        if let Some(other) = first.insert((&issuer.value, &client.value), &issuer.place) {
            let message = format!("the provider at {other} has the same `issuer` and `client_id`");
            let help = "the same person would be two: keep one of the two";
            found.error(Code::Duplicate, &issuer.place, message, help);
        }
    }
    written.iter().filter_map(|one| people(one, labels)).collect()
}

fn people(written: &raw::People, labels: &mut Labels<'_>) -> Option<PeopleSettings> {
    let scope = labels.scope;
    let raw::People {
        name,
        issuer: provider,
        client_id,
        client_secret,
        subject,
        scopes,
        algorithms,
        ca,
        clock_skew,
    } = written;
    labels.check_name(name, "entry point of people");
    let title = format!("[auth.people.{}]", name.value);
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let provider = required(provider.as_ref(), (name, &title, "issuer", ISSUER_HELP), scope);
    let provider = provider.and_then(|provider| confidential(provider, scope));
    let client_id = required(client_id.as_ref(), (name, &title, "client_id", CLIENT_HELP), scope);
    let form = required(subject.as_ref(), (name, &title, "subject", SUBJECT_HELP), scope);
    let form = form.and_then(|written| {
        let form = SubjectForm::parse(&written.value);
        if form.is_none() {
            let message = format!("`{}` does not say which subject a person is", written.value);
            scope.found.error(Code::BadValue, &written.place, message, SUBJECT_HELP);
        }
        form
    });
    let client_secret = client_secret.as_ref().map(|written| {
        secret::warn_literal("client_secret", written, scope);
        secret::resolve(written, &format!("client_secret` of `{title}"), scope).map(Secret::new)
    });
    let algorithms = issuer::algorithms(algorithms.as_deref(), (name, &title), scope);
    let ca = ca.as_ref().map(|ca| issuer::certificates(ca, scope));
    let clock_skew = issuer::clock_skew(clock_skew, scope);
    Some(PeopleSettings {
        entry_point: EntryPointName::new(&format!("people.{}", name.value)).ok()?,
        issuer: provider?.value.clone(),
        client_id: client_id?.value.clone(),
        client_secret: match client_secret {
            Some(secret) => Some(secret?),
            None => None,
        },
        subject: form?,
        scopes: all_scopes(scopes.as_deref().unwrap_or_default(), scope),
        algorithms,
        ca,
        clock_skew,
    })
}

fn required<'a>(
    written: Option<&'a Located<String>>,
    (name, title, key, help): (&Located<String>, &str, &'static str, &str),
    scope: Scope<'_>,
) -> Option<&'a Located<String>> {
    match written {
        None if scope.found.lacks(&name.place, &[key]) => {
            scope.found.error(Code::MissingKey, &name.place, format!("`{title}` has no `{key}`"), help);
        }
        Some(written) if written.value.is_empty() => {
            scope.found.error(Code::BadValue, &written.place, format!("`{key}` is empty"), help);
        }
        _ => {}
    }
    written.filter(|written| !written.value.is_empty())
}

/// Whoever can answer in the provider's place can be anybody: `https`, or this machine.
fn confidential<'a>(issuer: &'a Located<String>, scope: Scope<'_>) -> Option<&'a Located<String>> {
    let message = match ResourceUrl::new(&issuer.value) {
        Some(url) if url.is_confidential() => return Some(issuer),
        Some(_) => "whoever is on the way could answer for a provider at this `issuer`",
        None => "`issuer` is not the URL of a provider",
    };
    scope.found.error(Code::BadValue, &issuer.place, message, ISSUER_HELP);
    None
}

/// What is asked for, `openid` first.
fn all_scopes(written: &[Located<String>], scope: Scope<'_>) -> Vec<String> {
    // RFC 6749, 3.3 `scope-token`.
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    for one in written.iter().filter(|one| !is_token(&one.value)) {
        let message = format!("`{}` is no scope", one.value);
        scope.found.error(Code::BadValue, &one.place, message, "write words like \"email\"");
    }
    let more = written.iter().map(|one| one.value.as_str()).filter(|one| *one != OPENID);
    std::iter::once(OPENID).chain(more).map(str::to_owned).collect()
}

const ISSUER_HELP: &str =
    "write the provider's issuer, as its metadata says it: \"https://login.acme.example\"";
const CLIENT_HELP: &str = "write the id under which the provider knows the gateway";
const SUBJECT_HELP: &str = "write `subject = \"user:{sub}\"`: text, and one claim of the ID token in braces";
