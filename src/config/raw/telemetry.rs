//! `[telemetry]` as it was written: where traces go.
//!
//! Must never say what a value means: that is for `check`.

use super::{Quantity, Secret, Secrets, section};
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// `[telemetry]`.
#[derive(Debug)]
pub(in crate::config) struct Telemetry {
    pub(in crate::config) place: Place,
    pub(in crate::config) traces: Option<Located<String>>,
    pub(in crate::config) ca: Option<Located<String>>,
    pub(in crate::config) headers: Secrets,
    pub(in crate::config) sample: Quantity,
}

impl Telemetry {
    /// What `root` says of it, if anything.
    pub(super) fn read(root: &Fields<'_>) -> Option<Self> {
        let fields = section(root, "telemetry")?;
        let telemetry = Self {
            place: fields.place().clone(),
            traces: fields.text("traces"),
            ca: fields.text("ca"),
            headers: Secret::read_table(&fields, "headers"),
            sample: fields.quantity("sample"),
        };
        fields.finish(&[]);
        Some(telemetry)
    }
}
