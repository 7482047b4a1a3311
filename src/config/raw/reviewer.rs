//! `[reviewer]` as it was written: who outside is asked about plans.
//!
//! Must never say what a value means: that is for `check`.

use super::{Quantity, Secret, Secrets, section};
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// `[reviewer]`.
#[derive(Debug)]
pub(in crate::config) struct Reviewer {
    pub(in crate::config) place: Place,
    pub(in crate::config) url: Option<Located<String>>,
    pub(in crate::config) timeout: Quantity,
    pub(in crate::config) sign: Option<Located<Secret>>,
    pub(in crate::config) headers: Secrets,
    pub(in crate::config) ca: Option<Located<String>>,
    pub(in crate::config) known_domains: Option<Vec<Located<String>>>,
}

impl Reviewer {
    /// What `root` says of it, if anything.
    pub(super) fn read(root: &Fields<'_>) -> Option<Self> {
        let fields = section(root, "reviewer")?;
        let reviewer = Self {
            place: fields.place().clone(),
            url: fields.text("url"),
            timeout: fields.quantity("timeout"),
            sign: Secret::read(&fields, "sign"),
            headers: Secret::read_table(&fields, "headers"),
            ca: fields.text("ca"),
            known_domains: fields.texts("known_domains"),
        };
        fields.finish(&[]);
        Some(reviewer)
    }
}
