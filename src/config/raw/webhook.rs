//! `[auth.webhooks.*]` as they were written: who brings the word of people in signed messages.
//!
//! Must never complete what was not written.

use super::Secret;
use crate::config::node::{Fields, Located};

/// `[auth.webhooks.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Webhook {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) sign: Option<Located<Secret>>,
    pub(in crate::config) subjects: Written,
}

/// Patterns of subjects, as they stand there.
type Written = Option<Located<Vec<Located<String>>>>;

impl Webhook {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let webhook =
            Self { name, sign: Secret::read(&fields, "sign"), subjects: fields.one_or_more("subjects") };
        fields.finish(&[]);
        webhook
    }
}
