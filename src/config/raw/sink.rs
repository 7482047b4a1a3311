//! `[[audit.sinks]]` as it was written: where records go beside the journal.
//!
//! Must never say which keys go with which type: that is for `check`.

use super::upstream::rules as entries;
use super::{Quantity, Secret, Secrets};
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// One sink.
#[derive(Debug)]
pub(in crate::config) struct SinkRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) kind: Option<Located<String>>,
    pub(in crate::config) format: Option<Located<String>>,
    pub(in crate::config) required: Option<Located<bool>>,
    pub(in crate::config) behind_max: Quantity,
    pub(in crate::config) begin: Option<Located<String>>,
    pub(in crate::config) path: Option<Located<String>>,
    pub(in crate::config) rotate_bytes: Quantity,
    pub(in crate::config) rotate_keep: Quantity,
    pub(in crate::config) url: Option<Located<String>>,
    pub(in crate::config) ca: Option<Located<String>>,
    pub(in crate::config) key: Option<Located<String>>,
    pub(in crate::config) headers: Secrets,
    pub(in crate::config) compress: Option<Located<String>>,
    pub(in crate::config) sign: Option<Located<Secret>>,
    pub(in crate::config) token: Option<Located<Secret>>,
    pub(in crate::config) index: Option<Located<String>>,
    pub(in crate::config) source: Option<Located<String>>,
    pub(in crate::config) sourcetype: Option<Located<String>>,
    pub(in crate::config) host: Option<Located<String>>,
    pub(in crate::config) ack: Option<Located<String>>,
    pub(in crate::config) ack_timeout: Quantity,
    pub(in crate::config) facility: Quantity,
    pub(in crate::config) message_max: Quantity,
    pub(in crate::config) subject: Option<Located<String>>,
    pub(in crate::config) topic: Option<Located<String>>,
    pub(in crate::config) partition: Quantity,
    pub(in crate::config) user: Option<Located<String>>,
    pub(in crate::config) password: Option<Located<Secret>>,
}

/// Every sink of `audit`.
pub(super) fn read(audit: &Fields<'_>) -> Vec<SinkRule> {
    let example = "write `[[audit.sinks]]`, and under it `name` and `type`";
    entries(audit, "sinks", example, |fields| {
        let sink = SinkRule {
            place: fields.place().clone(),
            name: fields.text("name"),
            kind: fields.text("type"),
            format: fields.text("format"),
            required: fields.boolean("required"),
            behind_max: fields.quantity("behind_max"),
            begin: fields.text("begin"),
            path: fields.text("path"),
            rotate_bytes: fields.quantity("rotate_bytes"),
            rotate_keep: fields.quantity("rotate_keep"),
            url: fields.text("url"),
            ca: fields.text("ca"),
            key: fields.text("key"),
            headers: Secret::read_table(fields, "headers"),
            compress: fields.text("compress"),
            sign: Secret::read(fields, "sign"),
            token: Secret::read(fields, "token"),
            index: fields.text("index"),
            source: fields.text("source"),
            sourcetype: fields.text("sourcetype"),
            host: fields.text("host"),
            ack: fields.text("ack"),
            ack_timeout: fields.quantity("ack_timeout"),
            facility: fields.quantity("facility"),
            message_max: fields.quantity("message_max"),
            subject: fields.text("subject"),
            topic: fields.text("topic"),
            partition: fields.quantity("partition"),
            user: fields.text("user"),
            password: Secret::read(fields, "password"),
        };
        (sink, &[])
    })
}
