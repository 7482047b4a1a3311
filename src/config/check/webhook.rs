//! `[auth.webhooks.*]`: which services bring the word of people, signed with what, and of whom.
//!
//! Must never let one speak for everybody because nothing was said, nor be an entry point of runs.

use crate::config::code::Code;
use crate::config::raw;
use crate::identity::WebhookSettings;
use crate::model::name::EntryPointName;

use super::entry_point::Labels;
use super::pattern::glob;
use super::secret;

/// Most services that bring the word of people.
pub(super) const WEBHOOKS_MAX: usize = 16;

/// The services, each with its settings.
pub(super) fn check(written: &[raw::Webhook], labels: &Labels<'_>) -> Vec<WebhookSettings> {
    if let Some(one) = written.get(WEBHOOKS_MAX) {
        let message = format!("more than {WEBHOOKS_MAX} services bring the word of people");
        labels.scope.found.error(Code::OutOfRange, &one.name.place, message, "keep those that are used");
    }
    written.iter().filter_map(|one| webhook(one, labels)).collect()
}

fn webhook(written: &raw::Webhook, labels: &Labels<'_>) -> Option<WebhookSettings> {
    let raw::Webhook { name, sign, subjects } = written;
    let (scope, found) = (labels.scope, labels.scope.found);
    labels.check_name(name, "entry point of people");
    // Every part is checked before the first `?`, so that all problems are reported at once.
    for (key, is_missing, help) in
        [("sign", sign.is_none(), SIGN_HELP), ("subjects", subjects.is_none(), SUBJECTS_HELP)]
    {
        if is_missing && found.lacks(&name.place, &[key]) {
            let message = format!("`[auth.webhooks.{}]` has no `{key}`", name.value);
            found.error(Code::MissingKey, &name.place, message, help);
        }
    }
    let key = sign.as_ref().and_then(|sign| secret::signing_key("sign", sign, scope));
    let subjects = subjects.as_ref().map(|list| {
        if list.value.is_empty() {
            found.error(Code::BadValue, &list.place, "`subjects` names nobody", SUBJECTS_HELP);
        }
        list.value.iter().filter_map(|subject| glob(subject, found)).collect()
    });
    Some(WebhookSettings {
        entry_point: EntryPointName::new(&format!("webhooks.{}", name.value)).ok()?,
        key: key?,
        subjects: subjects?,
    })
}

const SIGN_HELP: &str =
    "add `sign = { file = \"chat.key\" }`: what its messages are signed with (Standard Webhooks)";
const SUBJECTS_HELP: &str = "write `subjects = [\"user:*\"]`: for whom it speaks";
