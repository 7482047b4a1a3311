//! Entry points: what each key, listener and peer vouches for, as a principal.
//!
//! Must never complete a label by a default (I3), nor name the digest of a key in a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{self, EntryPoint, Vouches};
use crate::identity::{KEY_PREFIX, KeySettings, parse_hash};
use crate::model::digest::Sha256;
use crate::model::name::{AgentName, EntryPointName, NameError, SourceName, Subject};
use crate::model::place::Place;
use crate::model::principal::{
    Label, Principal, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT,
};
use crate::model::provenance::Provenance;

use super::names::with_article;
use super::quantity::Quantities;
use super::{Scope, bad_word, secret};

/// Makes principals, and keeps them for what has to be said about all of them.
pub(super) struct Labels<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) made: Vec<(Arc<Principal>, Place)>,
}

pub(super) fn keys(written: &[raw::Key], labels: &mut Labels<'_>) -> Vec<KeySettings> {
    let mut first: BTreeMap<Sha256, Place> = BTreeMap::new();
    let mut keys = Vec::new();
    for key in written {
        labels.check_name(&key.name, "key");
        let principal =
            labels.principal(&format!("keys.{}", key.name.value), &key.entry_point, &key.name.place);
        let title = format!("[auth.keys.{}]", key.name.value);
        let hash = checked_hash(&title, key.hash.as_ref(), &key.name.place, labels.scope);
        let Some(hash) = hash else { continue };
        let place = key.hash.as_ref().map_or(&key.name.place, |hash| &hash.place);
        if let Some(other) = first.get(&hash) {
            let help = "make a key for each entry point: `sluicegate key new`";
            let message = format!("the key at {other} has the same hash");
            labels.scope.found.error(Code::DuplicateHash, place, message, help);
        }
        first.entry(hash).or_insert_with(|| place.clone());
        keys.extend(principal.map(|principal| KeySettings { hash, principal }));
    }
    keys
}

/// The digest that `written` is, of a key of the table `title`.
pub(super) fn checked_hash(
    title: &str,
    written: Option<&Located<raw::Secret>>,
    place: &Place,
    scope: Scope<'_>,
) -> Option<Sha256> {
    let help = "make a key by `sluicegate key new` and write the `hash` that it prints";
    let Some(written) = written else {
        if scope.found.lacks(place, &["hash"]) {
            let message = format!("`{title}` has no `hash`");
            scope.found.error(Code::MissingKey, place, message, help);
        }
        return None;
    };
    let text = secret::resolve(written, "hash", scope)?;
    let hash = parse_hash(&text);
    if hash.is_none() {
        // The value is not repeated: it may be the key itself (I10).
        if text.starts_with(KEY_PREFIX) {
            let message = "`hash` holds a key itself, which is now to be taken as known to others";
            scope.found.error(Code::BadHash, &written.place, message, help);
        } else {
            let message = "`hash` is not `sha256:` and 64 lower-case hexadecimal digits";
            scope.found.error(Code::BadHash, &written.place, message, help);
        }
    }
    hash
}

impl<'a> Labels<'a> {
    pub(super) fn new(scope: Scope<'a>) -> Self {
        Self { scope, made: Vec::new() }
    }

    /// Names of keys and listeners have the alphabet of sources: what joins them to an entry point's
    /// name (`/`) cannot stand inside.
    pub(super) fn check_name(&self, name: &Located<String>, word: &str) {
        if let Err(error) = SourceName::new(&name.value) {
            let message = format!("`{}` does not name {}: {error}", name.value, with_article(word));
            self.scope.found.error(Code::BadName, &name.place, message, "choose another name");
        }
    }

    /// The principal that `entry_point` vouches for.
    pub(super) fn principal(
        &mut self,
        name: &str,
        entry_point: &EntryPoint,
        place: &Place,
    ) -> Option<Arc<Principal>> {
        let found = self.scope.found;
        let runs = self.run_rule(name, entry_point, place, RunScope::Subject);
        let Some(vouches) = &entry_point.vouches else {
            if found.lacks(place, &["vouches"]) {
                let message = format!("`{name}` does not say what it vouches for");
                found.error(Code::MissingKey, place, message, VOUCHES_HELP);
            }
            return None;
        };
        let sources = self.sources(name, vouches);
        let subject = self.subject(name, vouches);
        let written_roles = vouches.roles.as_deref().unwrap_or_default();
        let roles =
            written_roles.iter().filter_map(|role| self.scope.names.roles.take(role, found)).collect();
        let says_none = vouches.roles.is_some() || found.lacks(&vouches.place, &["roles"]);
        if written_roles.is_empty() && says_none {
            let message = format!("`{name}` vouches for no role, so it may see and call nothing");
            found.warn(Code::NoRole, &vouches.place, message, "add `roles = [\"…\"]`");
        }
        let agents = self.agents(name, vouches);
        let principal = Arc::new(Principal::configured(
            Label {
                entry_point: EntryPointName::new(name).ok()?,
                subject: subject?,
                sources: sources?,
                roles,
                agents,
            },
            runs,
        ));
        self.made.push((Arc::clone(&principal), vouches.place.clone()));
        Some(principal)
    }

    fn sources(&self, name: &str, vouches: &Vouches) -> Option<Provenance> {
        let found = self.scope.found;
        let written = vouches.sources.as_deref().unwrap_or_default();
        if written.is_empty() {
            if vouches.sources.is_some() || found.lacks(&vouches.place, &["source"]) {
                let message = format!("`{name}` vouches for no source");
                found.error(Code::MissingKey, &vouches.place, message, VOUCHES_HELP);
            }
            return None;
        }
        let each = written.iter().map(|source| self.scope.names.sources.take(source, found));
        let names: Vec<Option<SourceName>> = each.collect();
        names.into_iter().collect::<Option<Vec<_>>>().map(Provenance::of)
    }

    fn subject(&self, name: &str, vouches: &Vouches) -> Option<Subject> {
        let Some(written) = &vouches.subject else {
            if self.scope.found.lacks(&vouches.place, &["subject"]) {
                let message = format!("`{name}` vouches for no subject");
                self.scope.found.error(Code::MissingKey, &vouches.place, message, VOUCHES_HELP);
            }
            return None;
        };
        self.named(written, "subject", Subject::new)
    }

    fn agents(&self, name: &str, vouches: &Vouches) -> Vec<AgentName> {
        let Scope { names, found, .. } = self.scope;
        match &vouches.agent {
            Some(agent) if names.agents.is_empty() => {
                self.named(agent, "agent", AgentName::new).into_iter().collect()
            }
            Some(agent) => names.agents.take(agent, found).into_iter().collect(),
            None => {
                if !names.agents.is_empty() && found.lacks(&vouches.place, &["agent"]) {
                    let message = format!("`{name}` names no agent, so it may see and call nothing");
                    let help =
                        "add `agent = \"…\"`: where `[agents.*]` are configured, each caller needs one";
                    found.warn(Code::NoAgent, &vouches.place, message, help);
                }
                Vec::new()
            }
        }
    }

    fn named<T>(
        &self,
        written: &Located<String>,
        word: &str,
        make: impl Fn(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        match make(&written.value) {
            Ok(name) => Some(name),
            Err(error) => {
                let message = format!("`{}` does not name {}: {error}", written.value, with_article(word));
                self.scope.found.error(Code::BadName, &written.place, message, "choose another name");
                None
            }
        }
    }

    /// What a run is there. `default` is what it is where nothing is written; claimed runs are for issuers,
    /// whose default they are.
    pub(super) fn run_rule(
        &self,
        name: &str,
        written: &EntryPoint,
        place: &Place,
        default: RunScope,
    ) -> RunRule {
        let found = self.scope.found;
        let read = Quantities::new(found);
        let idle = read.duration(&written.run_idle, "run_idle", RUN_IDLE_DEFAULT);
        let max = read.duration(&written.run_max, "run_max", RUN_MAX_DEFAULT);
        if idle > max {
            let place =
                written.run_idle.as_ref().or(written.run_max.as_ref()).map_or(place, |node| &node.place);
            let message =
                format!("the runs of `{name}` end by `run_max` before they can be idle for `run_idle`");
            found.warn(Code::IdleBeyondMax, place, message, "write a `run_idle` below `run_max`");
        }
        let scope = written.run.as_ref().map_or(default, |run| self.run_scope(name, run, default));
        RunRule { scope, idle, max, token_ttl_max: TOKEN_TTL_MAX_DEFAULT }
    }

    fn run_scope(&self, name: &str, written: &Located<String>, default: RunScope) -> RunScope {
        let found = self.scope.found;
        match written.value.as_str() {
            "subject" => RunScope::Subject,
            "session" => {
                let message = format!(
                    "a client of `{name}` starts a fresh run, free of what the last one read, by a new session"
                );
                let help =
                    "right for a person in front of their own client; elsewhere write `run = \"subject\"`";
                found.warn(Code::SessionRun, &written.place, message, help);
                RunScope::Session
            }
            "claim" if default == RunScope::Claim => RunScope::Claim,
            "claim" => {
                let message = format!("`{name}` presents no token that could claim a run");
                let help = "write `subject` or `session`; `claim` is for `[auth.issuers.*]`";
                found.error(Code::Conflict, &written.place, message, help);
                RunScope::Subject
            }
            _ => {
                let known: &[&str] = match default {
                    RunScope::Claim => &["claim", "subject", "session"],
                    RunScope::Subject | RunScope::Session => &["subject", "session"],
                };
                bad_word(written, "run", known, found);
                RunScope::Subject
            }
        }
    }
}

const VOUCHES_HELP: &str =
    "write `vouches = { source = \"…\", subject = \"user:…\", roles = [\"…\"] }`; nothing is assumed";
