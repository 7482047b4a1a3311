//! `[auth.mint]` and `[auth.dispatchers.*]` as they were written: run tokens that the gateway makes.
//!
//! Must never complete what may be asserted: absent means nothing.

use super::issuer::refinements;
use super::{EntryPoint, Jwks, MayAssert, Quantity, Refine, Secret};
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
    pub(in crate::config) entry_point: EntryPoint,
    pub(in crate::config) refine: Vec<Refine>,
}

/// `[auth.dispatchers.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Dispatcher {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) hash: Option<Located<Secret>>,
    pub(in crate::config) jwks: Option<Jwks>,
    pub(in crate::config) ca: Option<Located<String>>,
    pub(in crate::config) issuer: Option<Located<String>>,
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
            entry_point: EntryPoint {
                vouches: None,
                run: None,
                run_idle: fields.quantity("run_idle"),
                run_max: fields.quantity("run_max"),
            },
            refine: refinements(&fields, "[auth.mint.refine."),
        };
        fields.finish(&[]);
        Some(mint)
    }
}

impl Dispatcher {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let dispatcher = Self {
            name,
            hash: Secret::read(&fields, "hash"),
            jwks: Jwks::read(&fields),
            ca: fields.text("ca"),
            issuer: fields.text("issuer"),
            may_assert: MayAssert::read(&fields),
        };
        fields.finish(&[]);
        dispatcher
    }
}
