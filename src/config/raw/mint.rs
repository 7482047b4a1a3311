//! `[auth.mint]` and `[auth.dispatchers.*]` as they were written: run tokens that the gateway makes.
//!
//! Must never complete what may be asserted: absent means nothing.

use super::{MayAssert, Quantity, Secret};
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// `[auth.mint]`.
#[derive(Debug)]
pub(in crate::config) struct Mint {
    pub(in crate::config) place: Place,
    pub(in crate::config) audience: Option<Located<String>>,
    pub(in crate::config) may_assert: Option<MayAssert>,
    pub(in crate::config) token_ttl: Quantity,
    pub(in crate::config) token_ttl_max: Quantity,
    pub(in crate::config) key_max_age: Quantity,
    pub(in crate::config) run_idle: Quantity,
    pub(in crate::config) run_max: Quantity,
}

/// `[auth.dispatchers.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Dispatcher {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) hash: Option<Located<Secret>>,
    pub(in crate::config) may_assert: Option<MayAssert>,
}

impl Mint {
    /// `[auth.mint]`, if it was written.
    pub(super) fn read(auth: &Fields<'_>) -> Option<Self> {
        let entry = auth.node("mint")?;
        let fields = Fields::of(&entry.value, "`[auth.mint]`", auth.found())?;
        let mint = Self {
            place: entry.key_place.clone(),
            audience: fields.text("audience"),
            may_assert: MayAssert::read(&fields),
            token_ttl: fields.quantity("token_ttl"),
            token_ttl_max: fields.quantity("token_ttl_max"),
            key_max_age: fields.quantity("key_max_age"),
            run_idle: fields.quantity("run_idle"),
            run_max: fields.quantity("run_max"),
        };
        fields.finish(&[]);
        Some(mint)
    }
}

impl Dispatcher {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let hash = Secret::read(&fields, "hash");
        let dispatcher = Self { name, hash, may_assert: MayAssert::read(&fields) };
        fields.finish(&[("jwks", "signed client assertions"), ("issuer", "signed client assertions")]);
        dispatcher
    }
}
