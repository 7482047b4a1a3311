//! Every entry point of a configuration, to tell what a later one still vouches for, and what it widens.
//!
//! Must never take a caller whom an earlier configuration accepted for one of this: an entry point that
//! changed in any way vouches for nobody who was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ListenerVouches, Settings};
use crate::model::change::Changes;
use crate::model::decision::PolicyEpoch;
use crate::model::digest::Sha256;
use crate::model::name::EntryPointName;
use crate::model::principal::{Principal, RunRule, RunScope};

/// The entry points of a configuration.
#[derive(Debug, Default)]
pub struct Standing(BTreeMap<EntryPointName, Entry>);

#[derive(Debug)]
struct Entry {
    vouched: Vouched,
    /// The first configuration that said it exactly so.
    since: PolicyEpoch,
}

/// What an entry point vouches for, and for whom.
#[derive(Debug, PartialEq, Eq)]
enum Vouched {
    /// One label, for whoever holds the key of this digest, or, without one, for the peer.
    Label(Arc<Principal>, Option<Sha256>),
}

impl Standing {
    /// The entry points of `settings` and of the listeners that vouch by themselves.
    #[must_use]
    pub fn of<'a>(settings: &Settings, listeners: impl Iterator<Item = &'a ListenerVouches>) -> Self {
        let keys = settings.keys.iter().map(|key| Vouched::Label(Arc::clone(&key.principal), Some(key.hash)));
        let peers = listeners.flat_map(|listener| match listener {
            ListenerVouches::Nothing => Vec::new(),
            ListenerVouches::Everyone(principal) => vec![Arc::clone(principal)],
            ListenerVouches::Peers(peers) => peers.iter().map(|(_, peer)| Arc::clone(peer)).collect(),
        });
        let all = keys.chain(peers.map(|principal| Vouched::Label(principal, None)));
        let entry = |vouched| Entry { vouched, since: PolicyEpoch::default() };
        Self(all.map(|vouched| (vouched.name().clone(), entry(vouched))).collect())
    }

    /// These entry points as they follow `before` in the configuration of `epoch`.
    #[must_use]
    pub fn following(mut self, before: &Self, epoch: PolicyEpoch) -> Self {
        for (name, entry) in &mut self.0 {
            let same = before.0.get(name).filter(|known| known.vouched.is_same_caller(&entry.vouched));
            entry.since = same.map_or(epoch, |known| known.since);
        }
        self
    }

    /// Whether a caller whom the configuration of `under` accepted would be accepted as the same now.
    #[must_use]
    pub fn holds(&self, principal: &Principal, under: PolicyEpoch) -> bool {
        self.0.get(&principal.entry_point).is_some_and(|entry| entry.since <= under)
    }

    /// The entry points of `before` that are gone, or are not what they were.
    #[must_use]
    pub fn ended(&self, before: &Self) -> BTreeSet<EntryPointName> {
        let is_same =
            |name: &EntryPointName, old: &Entry| self.0.get(name).is_some_and(|new| new.since == old.since);
        before.0.iter().filter(|(name, old)| !is_same(name, old)).map(|(name, _)| name.clone()).collect()
    }

    /// What a run is at an entry point.
    #[must_use]
    pub fn rule_of(&self, entry_point: &EntryPointName) -> Option<RunRule> {
        self.0.get(entry_point).map(|Entry { vouched: Vouched::Label(principal, _), .. }| principal.runs)
    }

    /// What is different from `before`, and which of it lets somebody do more.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        for name in before.0.keys().filter(|name| !self.0.contains_key(*name)) {
            changes.change(format!("entry point {name} is gone"));
        }
        for (name, entry) in &self.0 {
            match before.0.get(name) {
                None => changes.widen(format!("entry point {name} is new: {}", entry.vouched.label())),
                Some(old) if old.vouched == entry.vouched => {}
                Some(old) => {
                    changes.change(format!("entry point {name} changed: {}", entry.vouched.label()));
                    for how in entry.vouched.wider_than(&old.vouched) {
                        changes.widen(format!("entry point {name}: {how}"));
                    }
                }
            }
        }
        changes
    }
}

impl Vouched {
    fn name(&self) -> &EntryPointName {
        let Self::Label(principal, _) = self;
        &principal.entry_point
    }

    /// Whether this is the same label for the same holder. How long its runs last may differ: that
    /// follows without a new caller.
    fn is_same_caller(&self, other: &Self) -> bool {
        let (Self::Label(one, one_key), Self::Label(other, other_key)) = (self, other);
        let runs = RunRule { scope: one.runs.scope, ..other.runs };
        *one_key == *other_key && Principal { runs, ..Principal::clone(one) } == **other
    }

    fn label(&self) -> String {
        let Self::Label(principal, _) = self;
        let roles: Vec<_> = principal.roles.iter().map(ToString::to_string).collect();
        let sources: Vec<_> = principal.sources.iter().map(ToString::to_string).collect();
        format!("{} as {} with {}", principal.subject, words(&sources), words(&roles))
    }

    /// How this lets somebody do more than `before`. Silence means that it does not.
    fn wider_than(&self, before: &Self) -> Vec<String> {
        let (Self::Label(new, key), Self::Label(old, old_key)) = (self, before);
        let mut how = Vec::new();
        if key.is_some() && key != old_key {
            how.push("another key".to_owned());
        }
        if new.subject != old.subject {
            how.push(format!("another subject, {}", new.subject));
        }
        let lost: Vec<_> = old.sources.iter().filter(|source| !new.sources.contains(source)).collect();
        if !lost.is_empty() {
            how.push(format!(
                "no longer {}",
                words(&lost.iter().map(ToString::to_string).collect::<Vec<_>>())
            ));
        }
        let roles: Vec<_> = new.roles.difference(&old.roles).map(ToString::to_string).collect();
        if !roles.is_empty() {
            how.push(format!("the role {}", words(&roles)));
        }
        // Of a chain the strictest agent answers, so that only a longer one narrows. None at all is
        // denied where agents are configured, and is no dimension where they are not.
        if !old.agents.iter().all(|agent| new.agents.contains(agent))
            || old.agents.is_empty() != new.agents.is_empty()
        {
            how.push("other agents".to_owned());
        }
        how.extend(forgets_sooner(new.runs, old.runs).map(str::to_owned));
        how
    }
}

/// A run that ends sooner forgets sooner what it has read.
fn forgets_sooner(new: RunRule, old: RunRule) -> Option<&'static str> {
    if new.scope != old.scope && new.scope != RunScope::Subject {
        Some("another `run`: its caller can start a fresh one")
    } else if new.idle < old.idle || new.max < old.max {
        Some("its runs end sooner, and with them what they have read")
    } else {
        None
    }
}

fn words(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::KeySettings;
    use crate::model::name::{RoleName, SourceName, Subject};
    use crate::model::principal::{Label, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT};
    use crate::model::provenance::Provenance;

    fn principal(sources: &[&str], roles: &[&str]) -> Principal {
        let rule = RunRule { scope: RunScope::Subject, idle: RUN_IDLE_DEFAULT, max: RUN_MAX_DEFAULT };
        let label = Label {
            entry_point: EntryPointName::new("keys.mail").unwrap(),
            subject: Subject::new("user:1").unwrap(),
            roles: roles.iter().map(|role| RoleName::new(role).unwrap()).collect(),
            agents: Vec::new(),
            sources: Provenance::of(sources.iter().map(|source| SourceName::new(source).unwrap())),
        };
        Principal::configured(label, rule)
    }

    fn standing(principal: Principal, key: &[u8]) -> Standing {
        let keys = vec![KeySettings { hash: Sha256::of(key), principal: Arc::new(principal) }];
        Standing::of(&Settings { keys }, std::iter::empty())
    }

    fn widened(old: Principal, new: Principal) -> Vec<String> {
        let (old, new) = (standing(old, b"key"), standing(new, b"key"));
        new.changes(&old).widened().to_vec()
    }

    #[test]
    fn a_label_that_narrows_widens_nothing() {
        let old = || principal(&["email"], &["reader", "writer"]);
        assert_eq!(widened(old(), old()), Vec::<String>::new());
        assert_eq!(widened(old(), principal(&["email", "web"], &["reader"])), Vec::<String>::new());
        let longer = RunRule { max: RUN_MAX_DEFAULT * 2, ..old().runs };
        assert_eq!(widened(old(), Principal { runs: longer, ..old() }), Vec::<String>::new());
    }

    #[test]
    fn a_label_that_widens_is_never_silent() {
        let old = || principal(&["email"], &["reader"]);
        let subject = Subject::new("user:2").unwrap();
        let session = RunRule { scope: RunScope::Session, ..old().runs };
        let sooner = RunRule { idle: RUN_IDLE_DEFAULT / 2, ..old().runs };
        let wider = [
            principal(&["chat"], &["reader"]),
            principal(&["email"], &["reader", "writer"]),
            Principal { subject, ..old() },
            Principal { runs: session, ..old() },
            Principal { runs: sooner, ..old() },
        ];
        for new in wider {
            assert_eq!(widened(old(), new.clone()).len(), 1, "{new:?}");
        }
        let other_key = standing(old(), b"other").changes(&standing(old(), b"key"));
        assert_eq!(other_key.widened(), ["entry point keys.mail: another key"]);
        let fresh = standing(old(), b"key").changes(&Standing::default());
        assert!(fresh.widened()[0].starts_with("entry point keys.mail is new"), "{fresh:?}");
        let gone = Standing::default().changes(&standing(old(), b"key"));
        assert_eq!(gone.widened(), Vec::<String>::new());
    }

    #[test]
    fn what_changed_in_any_way_no_longer_holds_for_who_was_there_before() {
        let caller = principal(&["email"], &["reader"]);
        let first = standing(caller.clone(), b"key").following(&Standing::default(), PolicyEpoch(1));
        let same = standing(caller.clone(), b"key").following(&first, PolicyEpoch(2));
        assert!(same.holds(&caller, PolicyEpoch(1)) && same.ended(&first).is_empty());
        let rule = RunRule { idle: RUN_IDLE_DEFAULT / 2, ..caller.runs };
        let sooner = Principal { runs: rule, ..caller.clone() };
        let sooner = standing(sooner, b"key").following(&first, PolicyEpoch(2));
        assert!(sooner.holds(&caller, PolicyEpoch(1)), "nobody is hung up on because runs end sooner");
        assert_eq!(sooner.rule_of(&caller.entry_point), Some(rule));
        let other_key = standing(caller.clone(), b"other").following(&same, PolicyEpoch(3));
        assert!(!other_key.holds(&caller, PolicyEpoch(2)) && other_key.holds(&caller, PolicyEpoch(3)));
        assert!(other_key.ended(&same).contains(&caller.entry_point));
        assert!(!Standing::default().holds(&caller, PolicyEpoch(9)));
    }
}
