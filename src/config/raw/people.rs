//! `[auth.people.*]` as they were written: where people sign in.
//!
//! Must never complete what was not written.

use super::{Quantity, Secret};
use crate::config::node::{Fields, Located};

/// `[auth.people.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct People {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) issuer: Option<Located<String>>,
    pub(in crate::config) client_id: Option<Located<String>>,
    pub(in crate::config) client_secret: Option<Located<Secret>>,
    pub(in crate::config) subject: Option<Located<String>>,
    pub(in crate::config) scopes: Option<Vec<Located<String>>>,
    pub(in crate::config) algorithms: Option<Vec<Located<String>>>,
    pub(in crate::config) ca: Option<Located<String>>,
    pub(in crate::config) clock_skew: Quantity,
}

impl People {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let people = Self {
            name,
            issuer: fields.text("issuer"),
            client_id: fields.text("client_id"),
            client_secret: Secret::read(&fields, "client_secret"),
            subject: fields.text("subject"),
            scopes: fields.texts("scopes"),
            algorithms: fields.texts("algorithms"),
            ca: fields.text("ca"),
            clock_skew: fields.quantity("clock_skew"),
        };
        fields.finish(&[]);
        people
    }
}
