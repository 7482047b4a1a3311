//! Run tokens that the gateway makes: what they may say, for how long, and who may ask for them.
//!
//! Must never name the digest of a key in a message, nor let a dispatcher stand without a ceiling.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{self, Document};
use crate::identity::{
    Algorithm, CLOCK_SKEW_DEFAULT, DispatcherKey, DispatcherSettings, ISSUER, IssuerSettings, JWKS_FILE,
    KEYS_DIR, KeySettings, KeysFrom, MINT_ENTRY_POINT, MINT_KEY_MAX_AGE_DEFAULT, MINT_TTL_DEFAULT,
    MINT_TTL_MAX_DEFAULT, MayAssert, MintSettings, ResourceUrl,
};
use crate::model::digest::Sha256;
use crate::model::name::{EntryPointName, SourceName};
use crate::model::place::Place;
use crate::model::principal::{RunRule, RunScope};
use crate::model::trigger::Declarations;

use super::entry_point::{Labels, checked_hash};
use super::quantity::Quantities;
use super::{Scope, assert, issuer, refine};

/// Shortest lifetime of a token: it counts in whole seconds.
const TOKEN_TTL_MIN: Duration = Duration::from_secs(1);
/// Shortest age at which a key is replaced, so that few keys overlap.
const KEY_MAX_AGE_MIN: Duration = Duration::from_secs(60 * 60);

/// What the rest of the configuration gives to minting.
pub(super) struct Around<'a> {
    pub(super) state_dir: &'a Path,
    /// `gateway.url`, or what stands in for it.
    pub(super) url: Option<&'a ResourceUrl>,
    /// `gateway.url` as it was written, rightly or not.
    pub(super) written_url: Option<&'a Located<String>>,
    pub(super) attributes: &'a Declarations,
    pub(super) keys: &'a [KeySettings],
}

/// The settings of minting, where `[auth.mint]` was written.
pub(super) fn check(document: &Document, around: &Around<'_>, labels: &Labels<'_>) -> Option<MintSettings> {
    let scope = labels.scope;
    let Some(mint) = &document.mint else {
        if let Some(dispatcher) = document.dispatchers.first() {
            let message = "dispatchers ask for run tokens, and nothing makes any";
            let help = "add `[auth.mint]` with `may_assert`, or remove the dispatchers";
            scope.found.error(Code::Conflict, &dispatcher.name.place, message, help);
        }
        return None;
    };
    let may_assert = ceiling("[auth.mint]", mint.may_assert.as_ref(), &mint.place, scope);
    let dispatchers = dispatchers(&document.dispatchers, around.keys, scope);
    let (token_ttl, token_ttl_max, key_max_age) = lifetimes(mint, scope);
    let runs = labels.run_rule("auth.mint", &mint.entry_point, &mint.place, RunScope::Claim);
    let runs = RunRule { token_ttl_max, ..runs };
    let audience = audience(mint, around, scope);
    let may = may_assert.clone().unwrap_or_default();
    let refine = refine::refinements(&mint.refine, &may, around.attributes, scope);
    Some(MintSettings {
        audience: audience?,
        keys_dir: around.state_dir.join(KEYS_DIR),
        may_assert: may_assert?,
        token_ttl,
        token_ttl_max,
        key_max_age,
        runs,
        declarations: around.attributes.clone(),
        refine,
        dispatchers,
    })
}

/// The issuer that verifies what the gateway made itself: an ordinary one, with its keys in a file.
pub(super) fn own_issuer(mint: &MintSettings) -> Option<IssuerSettings> {
    Some(IssuerSettings {
        entry_point: EntryPointName::new(MINT_ENTRY_POINT).ok()?,
        issuer: ISSUER.to_owned(),
        jwks: KeysFrom::File(mint.keys_dir.join(JWKS_FILE)),
        audience: mint.audience.to_string(),
        algorithms: [Algorithm::Es256].into(),
        may_assert: mint.may_assert.clone(),
        source: None,
        token_ttl_max: mint.token_ttl_max,
        clock_skew: CLOCK_SKEW_DEFAULT,
        runs: mint.runs,
        refine: mint.refine.clone(),
    })
}

fn ceiling(
    title: &str,
    written: Option<&raw::MayAssert>,
    place: &Place,
    scope: Scope<'_>,
) -> Option<MayAssert> {
    if written.is_none() && scope.found.lacks(place, &["may_assert"]) {
        let message = format!("`{title}` does not say what may be asserted");
        let help = "write `may_assert = { sources = [\"…\"], subjects = [\"user:*\"], roles = [\"…\"] }`; \
                    nothing is assumed";
        scope.found.error(Code::MissingKey, place, message, help);
    }
    let may = written.map(|written| assert::may_assert(Some(written), scope))?;
    for glob in &may.agents {
        scope.names.agents.mark_used(|agent| glob.matches(agent));
    }
    Some(may)
}

fn lifetimes(mint: &raw::Mint, scope: Scope<'_>) -> (Duration, Duration, Duration) {
    let read = Quantities::new(scope.found);
    let ttl_max = read.duration(&mint.token_ttl_max, "token_ttl_max", MINT_TTL_MAX_DEFAULT);
    let ttl = read.duration(&mint.token_ttl, "token_ttl", MINT_TTL_DEFAULT.min(ttl_max));
    let key_max_age = read.duration(&mint.key_max_age, "key_max_age", MINT_KEY_MAX_AGE_DEFAULT.max(ttl_max));
    let refuse = |written: &raw::Quantity, message: &str, help: &str| {
        let place = written.as_ref().map_or(&mint.place, |written| &written.place);
        scope.found.error(Code::OutOfRange, place, message, help);
    };
    if ttl_max < TOKEN_TTL_MIN {
        refuse(&mint.token_ttl_max, "a token lives for at least a second", "write \"1h\", for instance");
    }
    if ttl < TOKEN_TTL_MIN || ttl > ttl_max {
        let help = "write a `token_ttl` from one second up to `token_ttl_max`";
        refuse(&mint.token_ttl, "`token_ttl` is not within `token_ttl_max`", help);
    }
    if key_max_age < KEY_MAX_AGE_MIN.max(ttl_max) {
        let help = "write at least an hour, and at least `token_ttl_max`, so that few keys overlap";
        refuse(&mint.key_max_age, "`key_max_age` is too short", help);
    }
    (ttl, ttl_max, key_max_age)
}

/// The URL that tokens are for: as it was written, or the gateway's own.
fn audience(mint: &raw::Mint, around: &Around<'_>, scope: Scope<'_>) -> Option<Arc<str>> {
    let found = scope.found;
    match (&mint.audience, around.url) {
        (Some(Located { value, place }), _) => {
            if ResourceUrl::new(value).is_none() {
                let help = "write the gateway's own URL: \"https://mcp.acme.example/mcp\"";
                found.error(Code::BadValue, place, "`audience` is not the URL of a resource", help);
            }
            Some(value.as_str().into())
        }
        (None, Some(url)) => Some(url.as_str().into()),
        (None, None) => {
            // A `url` that is written and wrong was reported, and so was an `audience`.
            if found.lacks(&mint.place, &["audience"]) && around.written_url.is_none() {
                let message = "nothing says which URL the gateway's own tokens are for";
                let help = "write `url` in `[gateway]`: without it, the address of the only TCP listener is \
                            taken, if there is exactly one and its port is not 0";
                found.error(Code::MissingKey, &mint.place, message, help);
            }
            None
        }
    }
}

fn dispatchers(
    written: &[raw::Dispatcher],
    keys: &[KeySettings],
    scope: Scope<'_>,
) -> Vec<DispatcherSettings> {
    let mut hashes: BTreeMap<Sha256, Option<Place>> = keys.iter().map(|key| (key.hash, None)).collect();
    let mut issuers: BTreeMap<String, Place> = BTreeMap::new();
    let mut dispatchers = Vec::new();
    for dispatcher in written {
        let name = &dispatcher.name;
        if let Err(error) = SourceName::new(&name.value) {
            let message = format!("`{}` does not name a dispatcher: {error}", name.value);
            scope.found.error(Code::BadName, &name.place, message, "choose another name");
        }
        let title = format!("[auth.dispatchers.{}]", name.value);
        let may_assert = ceiling(&title, dispatcher.may_assert.as_ref(), &name.place, scope);
        let key = key(dispatcher, &title, scope);
        let place = dispatcher.hash.as_ref().map_or(&name.place, |hash| &hash.place);
        match &key {
            Some(DispatcherKey::Hash(hash)) => refuse_twice(*hash, place, &mut hashes, scope),
            Some(DispatcherKey::Jwks { issuer, .. }) => {
                if let Some(other) = issuers.get(issuer) {
                    let message = format!("the dispatcher at {other} has the same `issuer`");
                    scope.found.error(Code::Duplicate, &name.place, message, "write another `issuer`");
                }
                issuers.entry(issuer.clone()).or_insert_with(|| name.place.clone());
            }
            None => {}
        }
        let entry_point = EntryPointName::new(&format!("dispatchers.{}", name.value)).ok();
        if let (Some(may_assert), Some(entry_point), Some(key)) = (may_assert, entry_point, key) {
            let id = name.value.as_str().into();
            dispatchers.push(DispatcherSettings { id, entry_point, key, may_assert });
        }
    }
    dispatchers
}

fn refuse_twice(hash: Sha256, place: &Place, first: &mut BTreeMap<Sha256, Option<Place>>, scope: Scope<'_>) {
    if let Some(other) = first.get(&hash) {
        let other = match other {
            Some(other) => format!("the dispatcher at {other}"),
            None => "a key of `[auth.keys]`".to_owned(),
        };
        let help = "make a key for each: `sluicegate key new`";
        scope.found.error(Code::DuplicateHash, place, format!("{other} has the same hash"), help);
    }
    first.entry(hash).or_insert_with(|| Some(place.clone()));
}

/// How a dispatcher shows who it is: by one of the two ways.
fn key(written: &raw::Dispatcher, title: &str, scope: Scope<'_>) -> Option<DispatcherKey> {
    let found = scope.found;
    match (&written.hash, &written.jwks) {
        (Some(_), Some(jwks)) => {
            let message = format!("`{title}` has both `hash` and `jwks`");
            found.error(Code::Conflict, &jwks.place, message, "keep one of them");
            None
        }
        (None, Some(jwks)) => {
            let from = issuer::keys_from(jwks, written.ca.as_ref(), scope)?;
            let issuer = written.issuer.as_ref().unwrap_or(&written.name).value.clone();
            Some(DispatcherKey::Jwks { from, issuer })
        }
        (hash, None) => {
            for unused in [&written.ca, &written.issuer].into_iter().flatten() {
                let message = "this is for `jwks`, and there is none";
                found.error(Code::Conflict, &unused.place, message, "remove it, or write `jwks`");
            }
            checked_hash(title, hash.as_ref(), &written.name.place, scope).map(DispatcherKey::Hash)
        }
    }
}
