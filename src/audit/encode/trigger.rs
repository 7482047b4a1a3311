//! How a trigger is written: whole where a run starts and where it is kept, cut in the records of its calls.
//!
//! Must never write more of a trigger into the record of a call than [`TRIGGER_RECORD_BYTES_MAX`]: its
//! space is reserved before anybody knows what the call says.

use super::{Cut, Cuts};
use crate::audit::line::{Flag, Object, text_bytes, whole_value};
use crate::model::claim::Claim;
use crate::model::facts::CLAIM_BYTES_MAX;
use crate::model::name::AttributeName;
use crate::model::principal::{Origin, Principal};
use crate::model::text::Bounded;
use crate::model::trigger::{AttributeValue, Trigger, TriggerEntry};

/// Most bytes of the entries of a trigger in the record of a call. What does not fit is cut.
pub(in crate::audit) const TRIGGER_RECORD_BYTES_MAX: usize = 1024;
/// What the braces, names and signs of one entry take beside its words.
const ENTRY_BYTES: usize = 48;

/// What started a run: whole where tokens claim it, because later ones are held to it.
pub(super) fn started(object: &mut Object<'_>, principal: &Principal, cuts: &mut Cuts) {
    match Claim::of(principal) {
        Some(claim) => self::claim(object, &claim),
        None => cut(object, &principal.trigger, cuts),
    }
}

/// What the tokens of a run settled.
pub(in crate::audit) fn claim(object: &mut Object<'_>, claim: &Claim) {
    object.object("claim", |object| {
        object.text("txn", claim.txn.as_str());
        if let Some(agent) = &claim.agent {
            object.text("agent", agent.as_str());
        }
        object.texts("roles", claim.roles.iter().map(|role| role.as_str()));
        object.object("trigger", |object| {
            entries(object, &claim.trigger.entries);
            goal(object, &claim.trigger);
        });
        if let Some(until) = claim.until {
            object.time("until", until);
        }
    });
}

/// Where the first request of a run came in. The name of the listener is one of the configuration.
pub(in crate::audit) fn origin(object: &mut Object<'_>, origin: &Origin) {
    object.object("origin", |object| {
        object.text("listener", &origin.listener);
        if let Some(uid) = origin.uid {
            object.number("uid", u64::from(uid));
        }
    });
}

/// Entries, whole.
pub(super) fn entries(object: &mut Object<'_>, entries: &[TriggerEntry]) {
    list(object, "entries", entries);
}

fn list(object: &mut Object<'_>, key: &str, entries: &[TriggerEntry]) {
    object.objects(key, entries.iter(), |object, entry| {
        object.text("kind", entry.kind.as_str());
        object.text("source", entry.source.as_str());
        if !entry.attributes.is_empty() {
            object.object("attributes", |object| {
                entry.attributes.iter().for_each(|(name, value)| attribute(object, name, value));
            });
        }
        if !entry.dropped.is_empty() {
            object.texts("dropped", entry.dropped.iter().map(Bounded::as_str));
        }
    });
}

fn goal(object: &mut Object<'_>, trigger: &Trigger) {
    if let Some(goal) = &trigger.goal {
        object.text("goal", goal.as_str());
    }
}

/// A trigger in the record of a call: its entries with their attributes, as far as there is room.
pub(super) fn cut(object: &mut Object<'_>, trigger: &Trigger, cuts: &mut Cuts) {
    if trigger.entries.is_empty() && trigger.goal.is_none() {
        return;
    }
    let mut room = Room { left: TRIGGER_RECORD_BYTES_MAX, is_whole: true };
    let kept: Vec<_> = trigger.entries.iter().filter_map(|entry| room.entry(entry)).collect();
    if !room.is_whole {
        let (bytes, sha256) = whole_value(|object| list(object, "", &trigger.entries));
        cuts.0.push(Cut { member: "trigger.entries", bytes, sha256 });
    }
    object.object("trigger", |object| {
        goal(object, trigger);
        object.objects("entries", kept.iter(), |object, (entry, attributes)| {
            object.text("kind", entry.kind.as_str());
            object.text("source", entry.source.as_str());
            if !attributes.is_empty() {
                object.object("attributes", |object| {
                    for (name, value) in attributes {
                        match value {
                            Kept::Text(text) => object.text(name.as_str(), text.as_str()),
                            Kept::Value(value) => attribute(object, name, value),
                        }
                    }
                });
            }
        });
    });
}

/// What of an attribute stands in the record of a call.
enum Kept<'t> {
    Text(Bounded<CLAIM_BYTES_MAX>),
    Value(&'t AttributeValue),
}

/// The room for entries in one record.
struct Room {
    left: usize,
    is_whole: bool,
}

impl Room {
    fn entry<'t>(
        &mut self,
        entry: &'t TriggerEntry,
    ) -> Option<(&'t TriggerEntry, Vec<(&'t AttributeName, Kept<'t>)>)> {
        let names = text_bytes(entry.kind.as_str()) + text_bytes(entry.source.as_str());
        if !self.take(names + ENTRY_BYTES) {
            return None;
        }
        let mut kept = Vec::new();
        for (name, value) in &entry.attributes {
            let (value, bytes) = match value {
                AttributeValue::Text(text) => {
                    let text = Bounded::new(text);
                    self.is_whole &= text.whole().is_none();
                    let bytes = text_bytes(text.as_str());
                    (Kept::Text(text), bytes)
                }
                AttributeValue::Texts(texts) => {
                    (Kept::Value(value), 2 + texts.iter().map(|text| text_bytes(text) + 1).sum::<usize>())
                }
                // The longest of them is the smallest number of 64 bits.
                AttributeValue::Bool(_) | AttributeValue::Integer(_) => (Kept::Value(value), 20),
            };
            if self.take(text_bytes(name.as_str()) + 2 + bytes) {
                kept.push((name, value));
            }
        }
        Some((entry, kept))
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.is_whole &= left.is_some();
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

fn attribute(object: &mut Object<'_>, name: &AttributeName, value: &AttributeValue) {
    let name = name.as_str();
    match value {
        AttributeValue::Bool(value) => object.flag(name, Flag::from(*value)),
        AttributeValue::Integer(value) => object.signed(name, *value),
        AttributeValue::Text(text) => object.text(name, text),
        AttributeValue::Texts(texts) => object.texts(name, texts.iter().map(AsRef::as_ref)),
    }
}
