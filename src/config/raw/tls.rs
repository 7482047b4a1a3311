//! What protects a listener and who may reach it, and `[auth.clients.*]`, as they were written.
//!
//! Must never open a file: where one is kept is all that stands here.

use super::EntryPoint;
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// `tls`, `hosts` and `behind_proxy` of a listener.
#[derive(Debug, Default)]
pub(in crate::config) struct Reach {
    pub(in crate::config) tls: Option<Tls>,
    pub(in crate::config) hosts: Vec<Located<String>>,
    pub(in crate::config) behind_proxy: Option<Located<Vec<Located<String>>>>,
}

/// `tls = { cert = "cert.pem", key = "key.pem", client_ca = "ca.pem" }`.
#[derive(Debug)]
pub(in crate::config) struct Tls {
    pub(in crate::config) place: Place,
    pub(in crate::config) cert: Option<Located<String>>,
    pub(in crate::config) key: Option<Located<String>>,
    pub(in crate::config) client_ca: Option<Located<String>>,
}

/// `[auth.clients.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Client {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) san: Option<Located<String>>,
    pub(in crate::config) sha256: Option<Located<String>>,
    pub(in crate::config) entry_point: EntryPoint,
}

impl Reach {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        Self {
            tls: Tls::read(fields),
            hosts: fields.texts("hosts").unwrap_or_default(),
            behind_proxy: fields.one_or_more("behind_proxy"),
        }
    }
}

impl Tls {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let entry = fields.node("tls")?;
        let inner = Fields::of(&entry.value, format!("`tls` of {}", fields.title()), fields.found())?;
        let tls = Self {
            place: inner.place().clone(),
            cert: inner.text("cert"),
            key: inner.text("key"),
            client_ca: inner.text("client_ca"),
        };
        inner.finish(&[("crl", "revocation lists")]);
        Some(tls)
    }
}

impl Client {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let client = Self {
            name,
            san: fields.text("san"),
            sha256: fields.text("sha256"),
            entry_point: EntryPoint::read(&fields),
        };
        fields.finish(&[]);
        client
    }
}
