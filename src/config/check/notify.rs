//! `[[notify]]`: who is told of what, where, and how often.
//!
//! Must never reach anybody, nor take a key that nothing would come of, nor repeat a value that may be a secret (I10).

use std::collections::BTreeSet;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::NotifyRule;
use crate::model::place::Place;
use crate::notify::{
    Channel, DENIALS_COUNT_DEFAULT, DENIALS_COUNT_MAX, DENIALS_WITHIN_DEFAULT, NOTIFIERS_MAX,
    PER_HOUR_DEFAULT, Settings, Spike, Topic,
};

use super::quantity::Quantities;
use super::typed::{plain_name, refuse_key};
use super::{Scope, bad_word, endpoint, secret};

/// Everybody who is told.
pub(super) fn check(written: &[NotifyRule], scope: Scope<'_>) -> Vec<Settings> {
    if let Some(one) = written.get(NOTIFIERS_MAX) {
        let message = format!("more than {NOTIFIERS_MAX} entries of `[[notify]]`");
        scope.found.error(Code::OutOfRange, &one.place, message, "let one receiver tell several people");
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for rule in written {
        let Some(settings) = one(rule, scope) else { continue };
        if !names.insert(settings.name.clone()) {
            let message = format!("two entries of `[[notify]]` are named `{}`", settings.name);
            scope.found.error(
                Code::Duplicate,
                &rule.place,
                message,
                "give each its own name: metrics have it",
            );
        }
        all.push(settings);
    }
    all
}

fn one(rule: &NotifyRule, scope: Scope<'_>) -> Option<Settings> {
    let read = Quantities::new(scope.found);
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let name = name(rule, scope);
    let on = topics(rule, scope);
    let per_hour = read.count(&rule.per_hour, "per_hour", PER_HOUR_DEFAULT);
    let spike = Spike {
        count: read.count(&rule.denials_count, "count", DENIALS_COUNT_DEFAULT),
        within: read.duration(&rule.denials_within, "within", DENIALS_WITHIN_DEFAULT),
    };
    if let Some(place) =
        rule.denials_count.as_ref().map(|count| &count.place).filter(|_| spike.count > DENIALS_COUNT_MAX)
    {
        let message = format!("`count` of `denials` is more than {DENIALS_COUNT_MAX}");
        scope.found.error(Code::OutOfRange, place, message, "write a smaller number, within a shorter time");
    }
    let channel = channel(rule, scope);
    Some(Settings { name: name?, on: on?, channel: channel?, per_hour, spike, place: rule.place.clone() })
}

fn missing(rule: &NotifyRule, key: &'static str, help: &str, scope: Scope<'_>) {
    if scope.found.lacks(&rule.place, &[key]) {
        scope.found.error(Code::MissingKey, &rule.place, format!("this entry has no `{key}`"), help);
    }
}

fn not_empty(key: &str, written: &Located<Vec<Located<String>>>, help: &str, scope: Scope<'_>) {
    if written.value.is_empty() {
        scope.found.error(Code::BadValue, &written.place, format!("`{key}` is empty"), help);
    }
}

/// It is a label of metrics.
fn name(rule: &NotifyRule, scope: Scope<'_>) -> Option<String> {
    let Some(written) = &rule.name else {
        missing(rule, "name", "add `name = \"chat\"`: metrics and logs have it", scope);
        return None;
    };
    plain_name(written, "a notifier", scope.found)
}

fn topics(rule: &NotifyRule, scope: Scope<'_>) -> Option<BTreeSet<Topic>> {
    let Some(on) = &rule.on else {
        missing(rule, "on", ON_HELP, scope);
        return None;
    };
    not_empty("on", on, ON_HELP, scope);
    let one = |word: &Located<String>| {
        let known = Topic::ALL.into_iter().find(|topic| topic.as_str() == word.value);
        if known.is_none() {
            bad_word(word, "on", &Topic::ALL.map(Topic::as_str), scope.found);
        }
        known
    };
    Some(on.value.iter().filter_map(one).collect())
}

fn channel(rule: &NotifyRule, scope: Scope<'_>) -> Option<Channel> {
    let Some(kind) = &rule.kind else {
        missing(rule, "type", "write `type = \"webhook\"` or `type = \"mail\"`", scope);
        return None;
    };
    let of_webhook = [
        (rule.url.as_ref().map(|it| &it.place), "url"),
        (rule.sign.as_ref().map(|it| &it.place), "sign"),
        (rule.ca.as_ref().map(|it| &it.place), "ca"),
        (rule.headers.first().map(|(name, _)| &name.place), "headers"),
    ];
    let of_mail = [
        (rule.command.as_ref().and_then(|all| all.first()).map(|it| &it.place), "command"),
        (rule.from.as_ref().map(|it| &it.place), "from"),
        (rule.to.as_ref().map(|it| &it.place), "to"),
    ];
    match kind.value.as_str() {
        "webhook" => {
            strangers(&of_mail, "webhook", scope);
            webhook(rule, scope)
        }
        "mail" => {
            strangers(&of_webhook, "mail", scope);
            mail(rule, scope)
        }
        _ => {
            bad_word(kind, "type", &["mail", "webhook"], scope.found);
            None
        }
    }
}

/// Keys of the other type: nothing would come of them.
fn strangers(keys: &[(Option<&Place>, &str)], kind: &str, scope: Scope<'_>) {
    for (place, key) in keys {
        if let Some(place) = place {
            refuse_key(key, place, kind, scope.found);
        }
    }
}

fn webhook(rule: &NotifyRule, scope: Scope<'_>) -> Option<Channel> {
    let headers = endpoint::headers(&rule.headers, endpoint::is_of_signed_requests, scope);
    let key = match &rule.sign {
        Some(sign) => secret::signing_key("sign", sign, scope),
        None => {
            missing(rule, "sign", "messages are signed: write `sign = { file = \"notify.key\" }`", scope);
            None
        }
    };
    let Some(url) = &rule.url else {
        missing(rule, "url", URL_HELP, scope);
        return None;
    };
    let what = "what people are told travels";
    let uri = endpoint::receiver(("url", url), rule.ca.as_ref(), what, URL_HELP, scope)?;
    let ca = rule.ca.as_ref().map(|ca| scope.path(&ca.value));
    Some(Channel::Webhook { url: uri, key: key?, headers, ca })
}

fn mail(rule: &NotifyRule, scope: Scope<'_>) -> Option<Channel> {
    let address = |written: &Located<String>| address(written, scope);
    let from = match &rule.from {
        Some(from) => address(from),
        None => {
            missing(rule, "from", "write `from = \"sluicegate@acme.example\"`", scope);
            None
        }
    };
    let Some(to) = &rule.to else {
        missing(rule, "to", TO_HELP, scope);
        return None;
    };
    not_empty("to", to, TO_HELP, scope);
    let to: Vec<_> = to.value.iter().filter_map(address).collect();
    let written = rule.command.iter().flatten().map(|part| part.value.clone());
    let mut command: Vec<String> = written.collect();
    if command.is_empty() {
        command.push(SENDMAIL.to_owned());
    }
    Some(Channel::Mail { command, from: from?, to })
}

/// An address as it stands in the arguments of a program and in a header: nothing of it can mean anything else there.
fn address(written: &Located<String>, scope: Scope<'_>) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-=".contains(c);
    let is_address = written.value.rsplit_once('@').is_some_and(|(local, host)| {
        !local.is_empty()
            && !host.is_empty()
            && !local.starts_with('-')
            && local.chars().chain(host.chars()).all(is_plain)
    });
    if !is_address || written.value.len() > ADDRESS_BYTES_MAX {
        let message = format!("`{}` is not an address that mail can be sent to", written.value);
        let help = "write it as `ops@acme.example`, without a name";
        scope.found.error(Code::BadValue, &written.place, message, help);
        return None;
    }
    Some(written.value.clone())
}

/// Longest address (RFC 5321, 4.5.3.1.3), in bytes.
const ADDRESS_BYTES_MAX: usize = 254;
const SENDMAIL: &str = "/usr/sbin/sendmail";
const ON_HELP: &str = "say of what: `on = [\"question\", \"definition\", \"denials\", \"halted\"]`";
const TO_HELP: &str = "write `to = [\"ops@acme.example\"]`";
const URL_HELP: &str = "write an `http` or `https` URL: `url = \"https://hooks.example/sluicegate\"`";
