//! `[auth.keys.*]`, `[listen.*]` and `[listen.*.peers.*]` as they were written: what vouches, and for what.
//!
//! Must never complete a label: what is not written is vouched for by nobody.

use super::{Quantity, Reach, Secret, each};
use crate::config::node::{Fields, Later, Located};

/// `[auth.keys.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Key {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) hash: Option<Located<Secret>>,
    pub(in crate::config) entry_point: EntryPoint,
}

/// `[listen.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Listen {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) address: Option<Located<String>>,
    pub(in crate::config) socket: Option<Located<String>>,
    pub(in crate::config) mode: Option<Located<String>>,
    pub(in crate::config) systemd: Option<Located<String>>,
    pub(in crate::config) origins: Vec<Located<String>>,
    pub(in crate::config) insecure_local: Option<Located<bool>>,
    pub(in crate::config) reach: Reach,
    pub(in crate::config) entry_point: EntryPoint,
    /// `[listen.NAME.peers.UID]`, by what stands for the uid.
    pub(in crate::config) peers: Vec<(Located<String>, EntryPoint)>,
}

/// What a key, a listener or a peer vouches for, and what a run is there.
#[derive(Debug)]
pub(in crate::config) struct EntryPoint {
    pub(in crate::config) vouches: Option<Vouches>,
    pub(in crate::config) run: Option<Located<String>>,
    pub(in crate::config) run_idle: Quantity,
    pub(in crate::config) run_max: Quantity,
}

/// `vouches = { source = "chat", subject = "user:1", roles = ["assistant"], agent = "inbox" }`.
#[derive(Debug)]
pub(in crate::config) struct Vouches {
    pub(in crate::config) place: crate::model::place::Place,
    pub(in crate::config) sources: Option<Vec<Located<String>>>,
    pub(in crate::config) subject: Option<Located<String>>,
    pub(in crate::config) roles: Option<Vec<Located<String>>>,
    pub(in crate::config) agent: Option<Located<String>>,
}

const LATER: &[Later] =
    &[("may_assert", "labels in tokens"), ("oauth", "OAuth"), ("expires", "expiry of keys")];

impl Key {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let key = Self { name, hash: Secret::read(&fields, "hash"), entry_point: EntryPoint::read(&fields) };
        fields.finish(LATER);
        key
    }
}

impl Listen {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let head = format!("[listen.{}.peers.", name.value);
        let listen = Self {
            address: fields.text("address"),
            socket: fields.text("socket"),
            mode: fields.text("mode"),
            systemd: fields.text("systemd"),
            origins: fields.texts("origins").unwrap_or_default(),
            insecure_local: fields.boolean("insecure_local"),
            reach: Reach::read(&fields),
            entry_point: EntryPoint::read(&fields),
            peers: each(&fields, "peers", &head, |uid, fields| {
                let entry_point = EntryPoint::read(&fields);
                fields.finish(LATER);
                (uid, entry_point)
            }),
            name,
        };
        fields.finish(LATER);
        listen
    }
}

impl EntryPoint {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let vouches = fields.node("vouches").and_then(|entry| {
            let title = format!("`vouches` of {}", fields.title());
            Fields::of(&entry.value, title, fields.found()).map(Vouches::read)
        });
        Self {
            vouches,
            run: fields.text("run"),
            run_idle: fields.quantity("run_idle"),
            run_max: fields.quantity("run_max"),
        }
    }
}

impl Vouches {
    fn read(fields: Fields<'_>) -> Self {
        let vouches = Self {
            place: fields.place().clone(),
            sources: fields.one_or_more("source").map(|names| names.value),
            subject: fields.text("subject"),
            roles: fields.texts("roles"),
            agent: fields.text("agent"),
        };
        fields.finish(&[("goals", "goals"), ("goal", "goals")]);
        vouches
    }
}
