//! Every entry point of a configuration, to tell what a later one still vouches for, and what it widens.
//!
//! Must never take a caller whom an earlier configuration accepted for one of this: an entry point that
//! changed in any way vouches for nobody who was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{IssuerSettings, ListenerVouches, Settings, Shows};
use crate::model::change::Changes;
use crate::model::decision::PolicyEpoch;
use crate::model::digest::Sha256;
use crate::model::name::EntryPointName;
use crate::model::principal::{Principal, RunRule, RunScope};

/// The entry points of a configuration.
#[derive(Debug, Default)]
pub struct EntryPoints(BTreeMap<EntryPointName, Entry>);

#[derive(Debug)]
struct Entry {
    vouched: Vouched,
    /// The first configuration that said it exactly so.
    since: PolicyEpoch,
}

/// What an entry point vouches for, and for whom.
#[derive(Debug, PartialEq, Eq)]
enum Vouched {
    /// One label, for whoever shows this.
    Label(Arc<Principal>, Shown),
    /// What its tokens say, within these bounds.
    Tokens(Box<IssuerSettings>),
}

/// What a caller shows to be taken for an entry point's.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// The key of this digest.
    Key(Sha256),
    /// This client certificate.
    Certificate(Shows),
    /// Nothing: it is at the other end of the listener.
    Peer,
}

impl EntryPoints {
    /// The entry points of `settings` and of the listeners that vouch by themselves.
    #[must_use]
    pub fn of<'a>(settings: &Settings, listeners: impl Iterator<Item = &'a ListenerVouches>) -> Self {
        let keys =
            settings.keys.iter().map(|key| Vouched::Label(Arc::clone(&key.principal), Shown::Key(key.hash)));
        let clients = settings.clients.iter().map(|client| {
            Vouched::Label(Arc::clone(&client.principal), Shown::Certificate(client.shows.clone()))
        });
        let issuers = settings.issuers.iter().map(|issuer| Vouched::Tokens(Box::new(issuer.clone())));
        let peers = listeners.flat_map(|listener| match listener {
            ListenerVouches::Nothing => Vec::new(),
            ListenerVouches::Everyone(principal) => vec![Arc::clone(principal)],
            ListenerVouches::Peers(peers) => peers.iter().map(|(_, peer)| Arc::clone(peer)).collect(),
        });
        let peers = peers.map(|principal| Vouched::Label(principal, Shown::Peer));
        let all = keys.chain(clients).chain(issuers).chain(peers);
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
        let stands = |name: &EntryPointName| self.0.get(name).is_some_and(|entry| entry.since <= under);
        principal.vouchers().all(stands)
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
        self.0.get(entry_point).map(|entry| entry.vouched.runs())
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
        match self {
            Self::Label(principal, _) => &principal.entry_point,
            Self::Tokens(issuer) => &issuer.entry_point,
        }
    }

    fn runs(&self) -> RunRule {
        match self {
            Self::Label(principal, _) => principal.runs,
            Self::Tokens(issuer) => issuer.runs,
        }
    }

    /// Whether this is the same label for the same holder. How long its runs last may differ: that
    /// follows without a new caller.
    fn is_same_caller(&self, other: &Self) -> bool {
        let runs = RunRule { scope: self.runs().scope, ..other.runs() };
        match (self, other) {
            (Self::Label(one, shown), Self::Label(other, other_shown)) => {
                shown == other_shown && Principal { runs, ..Principal::clone(one) } == **other
            }
            (Self::Tokens(one), Self::Tokens(other)) => {
                IssuerSettings { runs, ..IssuerSettings::clone(one) } == **other
            }
            (Self::Label(..), Self::Tokens(_)) | (Self::Tokens(_), Self::Label(..)) => false,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Label(principal, _) => {
                format!(
                    "{} as {} with {}",
                    principal.subject,
                    words(principal.sources.iter()),
                    words(&principal.roles)
                )
            }
            Self::Tokens(issuer) => {
                let may = &issuer.may_assert;
                format!(
                    "tokens of {} for {} with {}",
                    words(&may.sources),
                    words(&may.subjects),
                    words(&may.roles)
                )
            }
        }
    }

    /// How this lets somebody do more than `before`. Silence means that it does not.
    fn wider_than(&self, before: &Self) -> Vec<String> {
        let mut how = match (self, before) {
            (Self::Label(new, shown), Self::Label(old, old_shown)) => {
                let mut how = Vec::new();
                match shown {
                    Shown::Key(_) if shown != old_shown => how.push("another key".to_owned()),
                    Shown::Certificate(_) if shown != old_shown => how.push("another certificate".to_owned()),
                    Shown::Key(_) | Shown::Certificate(_) | Shown::Peer => {}
                }
                how.extend(wider_label(new, old));
                how
            }
            (Self::Tokens(new), Self::Tokens(old)) => wider_tokens(new, old),
            (Self::Label(..), Self::Tokens(_)) | (Self::Tokens(_), Self::Label(..)) => {
                vec!["another kind of credential".to_owned()]
            }
        };
        how.extend(forgets_sooner(self.runs(), before.runs()).map(str::to_owned));
        how
    }
}

fn wider_label(new: &Principal, old: &Principal) -> Vec<String> {
    let mut how = Vec::new();
    if new.subject != old.subject {
        how.push(format!("another subject, {}", new.subject));
    }
    let mut lost = old.sources.iter().filter(|source| !new.sources.contains(source)).peekable();
    if lost.peek().is_some() {
        how.push(format!("no longer {}", words(lost)));
    }
    let mut roles = new.roles.difference(&old.roles).peekable();
    if roles.peek().is_some() {
        how.push(format!("the role {}", words(roles)));
    }
    // Of a chain the strictest agent answers, so that only a longer one narrows. None at all is
    // denied where agents are configured, and is no dimension where they are not.
    if !old.agents.iter().all(|agent| new.agents.contains(agent))
        || old.agents.is_empty() != new.agents.is_empty()
    {
        how.push("other agents".to_owned());
    }
    how
}

/// How the tokens of an issuer may say more. Where that cannot be told from the two alone (other keys,
/// other rules for finer sources), it is called wider.
fn wider_tokens(new: &IssuerSettings, old: &IssuerSettings) -> Vec<String> {
    let mut how = new.may_assert.wider_than(&old.may_assert);
    let mut tell = |is_wider: bool, what: &str| {
        if is_wider {
            how.push(what.to_owned());
        }
    };
    tell(new.jwks != old.jwks, "other keys");
    tell(new.issuer != old.issuer, "another `iss`");
    tell(new.audience != old.audience, "another audience");
    tell(!new.algorithms.is_subset(&old.algorithms), "more algorithms");
    tell(new.source.is_some() && new.source != old.source, "another source of tokens without a trigger");
    tell(new.refine != old.refine, "other finer sources");
    tell(new.token_ttl_max > old.token_ttl_max, "tokens that last longer");
    tell(new.clock_skew > old.clock_skew, "a wider clock skew");
    how
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

fn words<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::KeySettings;
    use crate::model::name::{RoleName, SourceName, Subject};
    use crate::model::principal::{Label, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, TOKEN_TTL_MAX_DEFAULT};
    use crate::model::provenance::Provenance;

    fn principal(sources: &[&str], roles: &[&str]) -> Principal {
        let rule = RunRule {
            scope: RunScope::Subject,
            idle: RUN_IDLE_DEFAULT,
            max: RUN_MAX_DEFAULT,
            token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
        };
        let label = Label {
            entry_point: EntryPointName::new("keys.mail").unwrap(),
            subject: Subject::new("user:1").unwrap(),
            roles: roles.iter().map(|role| RoleName::new(role).unwrap()).collect(),
            agents: Vec::new(),
            sources: Provenance::of(sources.iter().map(|source| SourceName::new(source).unwrap())),
        };
        Principal::configured(label, rule)
    }

    fn entry_points(principal: Principal, key: &[u8]) -> EntryPoints {
        let keys = vec![KeySettings { hash: Sha256::of(key), principal: Arc::new(principal) }];
        EntryPoints::of(&Settings { keys, ..Settings::default() }, std::iter::empty())
    }

    fn widened(old: Principal, new: Principal) -> Vec<String> {
        let (old, new) = (entry_points(old, b"key"), entry_points(new, b"key"));
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
        let other_key = entry_points(old(), b"other").changes(&entry_points(old(), b"key"));
        assert_eq!(other_key.widened(), ["entry point keys.mail: another key"]);
        let fresh = entry_points(old(), b"key").changes(&EntryPoints::default());
        assert!(fresh.widened()[0].starts_with("entry point keys.mail is new"), "{fresh:?}");
        let gone = EntryPoints::default().changes(&entry_points(old(), b"key"));
        assert_eq!(gone.widened(), Vec::<String>::new());
    }

    #[test]
    fn what_changed_in_any_way_no_longer_holds_for_who_was_there_before() {
        let caller = principal(&["email"], &["reader"]);
        let first = entry_points(caller.clone(), b"key").following(&EntryPoints::default(), PolicyEpoch(1));
        let same = entry_points(caller.clone(), b"key").following(&first, PolicyEpoch(2));
        assert!(same.holds(&caller, PolicyEpoch(1)) && same.ended(&first).is_empty());
        let rule = RunRule { idle: RUN_IDLE_DEFAULT / 2, ..caller.runs };
        let sooner = Principal { runs: rule, ..caller.clone() };
        let sooner = entry_points(sooner, b"key").following(&first, PolicyEpoch(2));
        assert!(sooner.holds(&caller, PolicyEpoch(1)), "nobody is hung up on because runs end sooner");
        assert_eq!(sooner.rule_of(&caller.entry_point), Some(rule));
        let other_key = entry_points(caller.clone(), b"other").following(&same, PolicyEpoch(3));
        assert!(!other_key.holds(&caller, PolicyEpoch(2)) && other_key.holds(&caller, PolicyEpoch(3)));
        assert!(other_key.ended(&same).contains(&caller.entry_point));
        assert!(!EntryPoints::default().holds(&caller, PolicyEpoch(9)));
    }
}
