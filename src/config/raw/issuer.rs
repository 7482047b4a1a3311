//! `[auth.issuers.*]` as they were written: who signs tokens, and what they may say.
//!
//! Must never complete what was not written.

use super::{EntryPoint, MayAssert, Quantity};
use crate::config::code::Code;
use crate::config::node::{Entry, Fields, Located, Node};
use crate::model::place::Place;

/// `[auth.issuers.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Issuer {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) issuer: Option<Located<String>>,
    pub(in crate::config) jwks: Option<Jwks>,
    pub(in crate::config) ca: Option<Located<String>>,
    pub(in crate::config) audience: Option<Located<String>>,
    pub(in crate::config) algorithms: Option<Vec<Located<String>>>,
    pub(in crate::config) may_assert: Option<MayAssert>,
    pub(in crate::config) source: Option<Located<String>>,
    pub(in crate::config) token_ttl_max: Quantity,
    pub(in crate::config) clock_skew: Quantity,
    /// What a run is; it vouches for nothing by itself.
    pub(in crate::config) entry_point: EntryPoint,
    pub(in crate::config) refine: Vec<Refine>,
}

/// `jwks = { file = "…" }` or `jwks = { url = "…" }`.
#[derive(Debug)]
pub(in crate::config) struct Jwks {
    pub(in crate::config) place: Place,
    pub(in crate::config) file: Option<Located<String>>,
    pub(in crate::config) url: Option<Located<String>>,
}

/// `[auth.issuers.NAME.refine.SOURCE]`.
#[derive(Debug)]
pub(in crate::config) struct Refine {
    pub(in crate::config) kind: Located<String>,
    pub(in crate::config) default: Option<Located<String>>,
    pub(in crate::config) rules: Vec<RefineRule>,
}

/// `{ when = { auth = "dkim-pass" }, source = "email.colleague" }`.
#[derive(Debug)]
pub(in crate::config) struct RefineRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) when: Vec<(Located<String>, Located<Node>)>,
    pub(in crate::config) source: Option<Located<String>>,
}

impl Issuer {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let issuer = Self {
            issuer: fields.text("issuer"),
            jwks: Jwks::read(&fields),
            ca: fields.text("ca"),
            audience: fields.text("audience"),
            algorithms: fields.texts("algorithms"),
            may_assert: MayAssert::read(&fields),
            source: fields.text("source"),
            token_ttl_max: fields.quantity("token_ttl_max"),
            clock_skew: fields.quantity("clock_skew"),
            entry_point: EntryPoint {
                vouches: None,
                run: fields.text("run"),
                run_idle: fields.quantity("run_idle"),
                run_max: fields.quantity("run_max"),
            },
            refine: refinements(&fields, &format!("[auth.issuers.{}.refine.", name.value)),
            name,
        };
        fields.finish(&[("oauth", "OAuth"), ("introspection", "opaque tokens")]);
        issuer
    }
}

impl Jwks {
    /// `jwks` in `fields`, if it was written.
    pub(in crate::config) fn read(fields: &Fields<'_>) -> Option<Self> {
        let entry = fields.node("jwks")?;
        let inner = Fields::of(&entry.value, format!("`jwks` of {}", fields.title()), fields.found())?;
        let jwks = Self { place: inner.place().clone(), file: inner.text("file"), url: inner.text("url") };
        inner.finish(&[]);
        Some(jwks)
    }
}

/// What `refine` makes of the sources of an entry point; `head` begins the name of its tables.
pub(super) fn refinements(fields: &Fields<'_>, head: &str) -> Vec<Refine> {
    super::each(fields, "refine", head, |kind, fields| {
        let refine = Refine { kind, default: fields.text("default"), rules: rules(&fields) };
        fields.finish(&[]);
        refine
    })
}

fn rules(fields: &Fields<'_>) -> Vec<RefineRule> {
    let Some(entry) = fields.node("rules") else { return Vec::new() };
    let found = fields.found();
    let Node::List(items) = &entry.value.value else {
        let message =
            format!("`rules` takes an array of tables, and {} was written", entry.value.value.kind());
        let help = "write `rules = [{ when = { auth = \"dkim-pass\" }, source = \"email.colleague\" }]`";
        found.error(Code::WrongType, &entry.value.place, message, help);
        return Vec::new();
    };
    let rule = |item| {
        let fields = Fields::of(item, format!("an entry of `rules` of {}", fields.title()), found)?;
        let one = |(name, entry): (&str, &Entry)| {
            (Located::new(name.to_owned(), &entry.key_place), entry.value.clone())
        };
        let when = fields.table("when", "a table of attributes").into_iter().map(one).collect();
        let rule = RefineRule { place: fields.place().clone(), when, source: fields.text("source") };
        fields.finish(&[]);
        Some(rule)
    };
    items.iter().filter_map(rule).collect()
}
