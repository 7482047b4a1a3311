//! Issuers of tokens: whose keys count, for which tokens, and what those may say.
//!
//! Must never complete what an issuer may vouch for, nor let keys be fetched over a way on which somebody
//! else could answer.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{self, Issuer, Quantity};
use crate::identity::{
    Algorithm, CLOCK_SKEW_DEFAULT, CLOCK_SKEW_MAX, IssuerSettings, KeysFrom, MayAssert, ResourceUrl,
    check_ca, count_keys,
};
use crate::model::name::EntryPointName;
use crate::model::place::Place;
use crate::model::principal::{RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT};
use crate::model::trigger::Declarations;

use super::entry_point::Labels;
use super::quantity::Quantities;
use super::{Scope, assert, bad_word, refine};

/// The name under which the gateway issues tokens itself.
const OWN_ISSUER: &str = "sluicegate";

/// What issuers are checked against.
pub(super) struct Known<'a> {
    /// `gateway.url`, or what stands in for it.
    pub(super) url: Option<&'a ResourceUrl>,
    /// `gateway.url` as it was written, rightly or not.
    pub(super) written_url: Option<&'a Located<String>>,
    pub(super) attributes: &'a Declarations,
}

/// The issuers, each with its settings.
pub(super) fn check(written: &[Issuer], known: &Known<'_>, labels: &mut Labels<'_>) -> Vec<IssuerSettings> {
    let mut first: BTreeMap<String, Place> = BTreeMap::new();
    let mut issuers = Vec::new();
    for one in written {
        let settings = issuer(one, known, labels);
        let (named, place) = named(one);
        let found = labels.scope.found;
        if [named, one.name.value.as_str()].contains(&OWN_ISSUER) {
            let message = "`sluicegate` names the tokens that the gateway makes itself";
            found.error(Code::BadName, place, message, "choose another name, or write another `issuer`");
        }
        if let Some(other) = first.get(named) {
            let message = format!("the issuer at {other} has the same `issuer`");
            let help = "a token names its issuer by `iss` alone: keep one of the two";
            found.error(Code::Duplicate, place, message, help);
        }
        first.entry(named.to_owned()).or_insert_with(|| place.clone());
        issuers.extend(settings);
    }
    issuers
}

/// What its tokens say in `iss`.
fn named(written: &Issuer) -> (&str, &Place) {
    let named = written.issuer.as_ref().unwrap_or(&written.name);
    (&named.value, &named.place)
}

fn issuer(written: &Issuer, known: &Known<'_>, labels: &mut Labels<'_>) -> Option<IssuerSettings> {
    let scope = labels.scope;
    let name = &written.name;
    labels.check_name(name, "issuer");
    let entry_point = format!("issuers.{}", name.value);
    if named(written).0.is_empty() {
        scope.found.error(Code::BadValue, named(written).1, "`issuer` is empty", "write what `iss` says");
    }
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let title = format!("[auth.issuers.{}]", name.value);
    let algorithms = algorithms(written.algorithms.as_deref(), (name, &title), scope);
    let jwks = keys(written, &algorithms, scope);
    let audience = audience(written, known, scope);
    let source = written.source.as_ref().map(|source| scope.names.sources.take(source, scope.found));
    let may_assert = may_assert(written, scope);
    let refine = refine::refinements(&written.refine, &may_assert, known.attributes, scope);
    let read = Quantities::new(scope.found);
    let token_ttl_max = read.duration(&written.token_ttl_max, "token_ttl_max", TOKEN_TTL_MAX_DEFAULT);
    let clock_skew = clock_skew(&written.clock_skew, scope);
    let runs = labels.run_rule(&entry_point, &written.entry_point, &name.place, RunScope::Claim);
    let runs = RunRule { token_ttl_max, ..runs };
    let source = match source {
        Some(source) => Some(source?),
        None => None,
    };
    Some(IssuerSettings {
        entry_point: EntryPointName::new(&entry_point).ok()?,
        issuer: named(written).0.to_owned(),
        jwks: jwks?,
        audience: audience?,
        algorithms,
        may_assert,
        source,
        token_ttl_max,
        clock_skew,
        runs,
        refine,
    })
}

/// The algorithms that `title` names, all where it names none.
pub(super) fn algorithms(
    written: Option<&[Located<String>]>,
    (name, title): (&Located<String>, &str),
    scope: Scope<'_>,
) -> BTreeSet<Algorithm> {
    let Some(words) = written else { return Algorithm::ALL.into() };
    if words.is_empty() {
        let message = format!("`{title}` accepts no algorithm");
        scope.found.error(Code::BadValue, &name.place, message, "name one, or remove `algorithms`");
    }
    let one = |word: &Located<String>| {
        let algorithm = Algorithm::of(&word.value);
        if algorithm.is_none() && (word.value.starts_with("HS") || word.value.eq_ignore_ascii_case("none")) {
            let message = format!("`{}` is no signature that only its issuer can make", word.value);
            let help = "tokens are verified by public keys: RS256, PS256, ES256 or EdDSA";
            scope.found.error(Code::BadValue, &word.place, message, help);
        } else if algorithm.is_none() {
            bad_word(word, "algorithms", &Algorithm::ALL.map(Algorithm::as_str), scope.found);
        }
        algorithm
    };
    words.iter().filter_map(one).collect()
}

/// How far the clock of an issuer may be off.
pub(super) fn clock_skew(written: &Quantity, scope: Scope<'_>) -> Duration {
    let skew = Quantities::new(scope.found).duration(written, "clock_skew", CLOCK_SKEW_DEFAULT);
    if let Some(place) = written.as_ref().map(|skew| &skew.place).filter(|_| skew > CLOCK_SKEW_MAX) {
        let message = "`clock_skew` is longer than 5m";
        scope.found.error(Code::OutOfRange, place, message, "set the clocks right, and write at most \"5m\"");
    }
    skew
}

fn audience(written: &Issuer, known: &Known<'_>, scope: Scope<'_>) -> Option<String> {
    match (&written.audience, known.url) {
        (Some(audience), _) if !audience.value.is_empty() => Some(audience.value.clone()),
        (Some(audience), _) => {
            scope.found.error(Code::BadValue, &audience.place, "`audience` is empty", AUDIENCE_HELP);
            None
        }
        (None, Some(url)) => Some(url.as_str().to_owned()),
        (None, None) => {
            // A `url` that is written and wrong was reported, and so was an `audience`.
            if scope.found.lacks(&written.name.place, &["audience"]) && known.written_url.is_none() {
                let message = format!(
                    "nothing says for whom the tokens of `[auth.issuers.{}]` have to be made",
                    written.name.value
                );
                scope.found.error(Code::MissingKey, &written.name.place, message, AUDIENCE_HELP);
            }
            None
        }
    }
}

fn may_assert(written: &Issuer, scope: Scope<'_>) -> MayAssert {
    let name = &written.name;
    if written.may_assert.is_none() && scope.found.lacks(&name.place, &["may_assert"]) {
        let message = format!("`[auth.issuers.{}]` does not say what its tokens may say", name.value);
        scope.found.error(Code::MissingKey, &name.place, message, MAY_ASSERT_HELP);
    }
    let may = assert::may_assert(written.may_assert.as_ref(), scope);
    let Some(raw::MayAssert { place, sources, subjects, roles, .. }) = &written.may_assert else {
        return may;
    };
    let lacks = [
        (subjects.is_empty(), "no subject: add `subjects = [\"user:*\"]`"),
        (sources.is_empty() && written.source.is_none(), "no source: add `sources = [\"…\"]`"),
    ];
    for (_, what) in lacks.into_iter().filter(|(is_empty, _)| *is_empty) {
        let (what, help) = what.split_once(": ").unwrap_or((what, ""));
        let message = format!("`issuers.{}` may assert {what}, so each of its tokens is refused", name.value);
        scope.found.warn(Code::AssertsNothing, place, message, help);
    }
    if roles.is_empty() {
        let message =
            format!("`issuers.{}` may assert no role, so its callers may see and call nothing", name.value);
        scope.found.warn(Code::NoRole, place, message, "add `roles = [\"…\"]`");
    }
    for glob in &may.agents {
        scope.names.agents.mark_used(|agent| glob.matches(agent));
    }
    may
}

fn keys(written: &Issuer, algorithms: &BTreeSet<Algorithm>, scope: Scope<'_>) -> Option<KeysFrom> {
    let (found, name) = (scope.found, &written.name);
    let Some(jwks) = &written.jwks else {
        if found.lacks(&name.place, &["jwks"]) {
            let message = format!("`[auth.issuers.{}]` does not say where its keys are", name.value);
            found.error(Code::MissingKey, &name.place, message, JWKS_HELP);
        }
        return None;
    };
    let from = keys_from(jwks, written.ca.as_ref(), scope);
    if let Some(KeysFrom::File(path)) = &from {
        warn_of_file(path, algorithms, &jwks.place, scope);
    }
    from
}

/// Where `jwks` says that keys are.
pub(super) fn keys_from(
    jwks: &raw::Jwks,
    ca: Option<&Located<String>>,
    scope: Scope<'_>,
) -> Option<KeysFrom> {
    let found = scope.found;
    match (&jwks.file, &jwks.url) {
        (Some(file), None) => {
            if let Some(ca) = ca {
                let message = "`ca` is for keys at a `url`, and these are in a file";
                found.error(Code::Conflict, &ca.place, message, "remove `ca`");
            }
            Some(KeysFrom::File(scope.path(&file.value)))
        }
        (None, Some(url)) => {
            let ca = ca.map(|ca| certificates(ca, scope));
            let url = key_url(url, scope)?;
            Some(KeysFrom::Url { url, ca })
        }
        (Some(_), Some(url)) => {
            found.error(Code::Conflict, &url.place, "`jwks` has both `file` and `url`", "keep one of them");
            None
        }
        (None, None) => {
            if found.lacks(&jwks.place, &["file", "url"]) {
                found.error(Code::MissingKey, &jwks.place, "`jwks` has neither `file` nor `url`", JWKS_HELP);
            }
            None
        }
    }
}

/// The file of certificates that `ca` names.
pub(super) fn certificates(ca: &Located<String>, scope: Scope<'_>) -> std::path::PathBuf {
    let path = scope.path(&ca.value);
    if let Err(why) = check_ca(&path) {
        let message = format!("the certificates in `{}` cannot be used: {why}", ca.value);
        let help = "name a PEM file of the certificates that sign the issuer's";
        scope.found.error(Code::CaUnreadable, &ca.place, message, help);
    }
    path
}

/// Whoever can answer in the issuer's place makes its keys: `https`, or this machine.
fn key_url(written: &Located<String>, scope: Scope<'_>) -> Option<http::Uri> {
    let bad = |message: &str, help: &str| {
        // The URL is not repeated: it may hold a password (I10).
        scope.found.error(Code::BadValue, &written.place, message, help);
        None
    };
    let example = "write an `https` URL: \"https://idp.acme.example/jwks\"";
    let Ok(uri) = written.value.parse::<http::Uri>() else { return bad("`url` is not a URL", example) };
    let url = ResourceUrl::new(uri.to_string().split('?').next().unwrap_or_default());
    match url {
        None => bad("`url` is not an `http` or `https` URL without user", example),
        Some(_) if written.value.contains('#') => {
            bad("`url` holds a fragment", "remove `#` and what follows")
        }
        Some(url) if !url.is_confidential() => bad(
            "keys that come unencrypted from another machine are anybody's",
            "write an `https` URL; `http` is for 127.0.0.1, [::1] and localhost",
        ),
        Some(_) => Some(uri),
    }
}

/// What a key file looks like now. It may be written later, so this refuses nothing.
fn warn_of_file(path: &Path, algorithms: &BTreeSet<Algorithm>, place: &Place, scope: Scope<'_>) {
    let shown = path.display();
    let cannot = match count_keys(path, algorithms) {
        Err(why) => Some(why),
        Ok(0) => Some("it holds no key for `algorithms`".to_owned()),
        Ok(_) => None,
    };
    if let Some(why) = cannot {
        let message = format!("the key set `{shown}` cannot be used now: {why}");
        let help = "tokens are refused until it holds a usable key; the file is looked at again by itself";
        scope.found.warn(Code::KeysUnreadable, place, message, help);
    }
    if path.metadata().is_ok_and(|facts| facts.mode() & OTHERS_WRITE != 0) {
        let message = format!("others may write the key set `{shown}`: who can, can make tokens");
        scope.found.warn(Code::KeysFileOpen, place, message, format!("run `chmod go-w {shown}`"));
    }
}

/// The modes by which group and others may write.
const OTHERS_WRITE: u32 = 0o022;
const AUDIENCE_HELP: &str = "write `url` in `[gateway]`, or `audience` here: what the tokens say in `aud`";
const JWKS_HELP: &str = "write `jwks = { file = \"keys.jwks.json\" }` or `jwks = { url = \"https://…\" }`";
const MAY_ASSERT_HELP: &str = "write `may_assert = { sources = [\"…\"], subjects = [\"user:*\"], roles = [\"…\"] }`; nothing is assumed";
