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
    DispatcherSettings, KEYS_DIR, KeySettings, MINT_KEY_MAX_AGE_DEFAULT, MINT_TTL_DEFAULT,
    MINT_TTL_MAX_DEFAULT, MayAssert, MintSettings,
};
use crate::model::digest::Sha256;
use crate::model::name::{EntryPointName, SourceName};
use crate::model::place::Place;
use crate::model::principal::{RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope};
use crate::model::trigger::Declarations;

use super::entry_point::checked_hash;
use super::quantity::Quantities;
use super::{Scope, assert};

/// Shortest lifetime of a token: it counts in whole seconds.
const TOKEN_TTL_MIN: Duration = Duration::from_secs(1);
/// Shortest age at which a key is replaced, so that few keys overlap.
const KEY_MAX_AGE_MIN: Duration = Duration::from_secs(60 * 60);

/// What the rest of the configuration gives to minting.
pub(super) struct Around<'a> {
    pub(super) state_dir: &'a Path,
    /// The gateway's own URL, where it is known without being written.
    pub(super) url: Option<String>,
    pub(super) declarations: Declarations,
    pub(super) keys: &'a [KeySettings],
}

/// The settings of minting, where `[auth.mint]` was written.
pub(super) fn check(document: &Document, around: Around<'_>, scope: Scope<'_>) -> Option<MintSettings> {
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
    let runs = runs(mint, scope);
    let audience = audience(mint, around.url, scope);
    Some(MintSettings {
        audience: audience?,
        keys_dir: around.state_dir.join(KEYS_DIR),
        may_assert: may_assert?,
        token_ttl,
        token_ttl_max,
        key_max_age,
        runs,
        declarations: around.declarations,
        dispatchers,
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
    written.map(|written| assert::may_assert(Some(written), scope))
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

fn runs(mint: &raw::Mint, scope: Scope<'_>) -> RunRule {
    let read = Quantities::new(scope.found);
    let idle = read.duration(&mint.run_idle, "run_idle", RUN_IDLE_DEFAULT);
    let max = read.duration(&mint.run_max, "run_max", RUN_MAX_DEFAULT);
    RunRule { scope: RunScope::Claim, idle, max }
}

/// The URL that tokens are for: as it was written, or the gateway's own.
fn audience(mint: &raw::Mint, url: Option<String>, scope: Scope<'_>) -> Option<Arc<str>> {
    match &mint.audience {
        Some(Located { value, place }) => {
            let is_url = value.starts_with("http://") || value.starts_with("https://");
            if !is_url || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                let help = "write the gateway's own URL: \"https://mcp.acme.example/mcp\"";
                scope.found.error(Code::BadValue, place, format!("`{value}` is not a URL"), help);
            }
            Some(value.as_str().into())
        }
        None => {
            if url.is_none() && scope.found.lacks(&mint.place, &["audience"]) {
                let message = "the URL that run tokens are for is not known";
                let help = "write `audience = \"http://127.0.0.1:7400/mcp\"`: without it, the address of the \
                            only TCP listener is taken, if there is exactly one and its port is not 0";
                scope.found.error(Code::MissingKey, &mint.place, message, help);
            }
            url.map(Into::into)
        }
    }
}

fn dispatchers(
    written: &[raw::Dispatcher],
    keys: &[KeySettings],
    scope: Scope<'_>,
) -> Vec<DispatcherSettings> {
    let mut first: BTreeMap<Sha256, Option<Place>> = keys.iter().map(|key| (key.hash, None)).collect();
    let mut dispatchers = Vec::new();
    for dispatcher in written {
        let name = &dispatcher.name;
        if let Err(error) = SourceName::new(&name.value) {
            let message = format!("`{}` does not name a dispatcher: {error}", name.value);
            scope.found.error(Code::BadName, &name.place, message, "choose another name");
        }
        let title = format!("[auth.dispatchers.{}]", name.value);
        let may_assert = ceiling(&title, dispatcher.may_assert.as_ref(), &name.place, scope);
        let Some(hash) = checked_hash(&title, dispatcher.hash.as_ref(), &name.place, scope) else { continue };
        let place = dispatcher.hash.as_ref().map_or(&name.place, |hash| &hash.place);
        if let Some(other) = first.get(&hash) {
            let other = other
                .as_ref()
                .map_or("a key of `[auth.keys]`".to_owned(), |other| format!("the dispatcher at {other}"));
            let message = format!("{other} has the same hash");
            let help = "make a key for each: `sluicegate key new`";
            scope.found.error(Code::DuplicateHash, place, message, help);
        }
        first.entry(hash).or_insert_with(|| Some(place.clone()));
        let entry_point = EntryPointName::new(&format!("dispatchers.{}", name.value)).ok();
        if let (Some(may_assert), Some(entry_point)) = (may_assert, entry_point) {
            let id = name.value.as_str().into();
            dispatchers.push(DispatcherSettings { id, entry_point, hash, may_assert });
        }
    }
    dispatchers
}
