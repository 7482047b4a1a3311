//! Sinks: each with a name, a type, and what goes with that type.
//!
//! Must never reach one, nor take a key that nothing would come of.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ::http::Uri;

use crate::audit::{NoteError, WitnessKey};
use crate::config::code::Code;
use crate::config::node::{Located, Node};
use crate::config::problem::Sink;
use crate::config::raw::{Secret, SinkRule};
use crate::sink::{
    BEHIND_MAX_DEFAULT, Begin, Destination, Encryption, FACILITY_DEFAULT, FileSettings, Format, HEAVY_TYPES,
    Host, MESSAGE_BYTES_MAX_DEFAULT, Need, OcsfVersion, ROTATE_KEEP_DEFAULT, Settings, SyslogAddress,
    SyslogSettings, WitnessSettings,
};

use super::quantity::Quantities;
use super::typed::{plain_name, refuse_key};
use super::{Scope, bad_word};

mod brokers;
mod http;

const TYPES: [&str; 10] =
    ["checkpoint", "file", "http", "kafka", "nats", "otlp", "splunk_hec", "stdout", "syslog", "witness"];

pub(super) fn check(written: &[SinkRule], scope: Scope<'_>) -> Vec<Settings> {
    let found = scope.found;
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for rule in written {
        let Some(settings) = one(rule, scope) else { continue };
        if !names.insert(settings.name.clone()) {
            let message = format!("two sinks are named `{}`", settings.name);
            found.error(
                Code::Duplicate,
                &rule.place,
                message,
                "give each its own name: its place is kept by it",
            );
        }
        sinks.push(settings);
    }
    let printed = sinks.iter().filter(|sink| sink.destination == Destination::Stdout);
    if let Some(second) = printed.skip(1).last() {
        let help = "one of them is enough";
        found.error(Code::Conflict, &second.place, "two sinks write to standard output", help);
    }
    sinks
}

fn one(rule: &SinkRule, scope: Scope<'_>) -> Option<Settings> {
    let found = scope.found;
    let read = Quantities::new(found);
    let name = name(rule, found);
    let destination = destination(rule, scope);
    let required = rule.required.as_ref().is_some_and(|required| required.value);
    // The newest checkpoint speaks for everything before it.
    let is_witness = rule.kind.as_ref().is_some_and(|kind| kind.value == "witness");
    let begin = if is_witness { Begin::Now } else { Begin::Oldest };
    let begin = rule.begin.as_ref().map_or(begin, |word| match word.value.as_str() {
        "oldest" => Begin::Oldest,
        "now" => Begin::Now,
        _ => {
            bad_word(word, "begin", &["oldest", "now"], found);
            Begin::Oldest
        }
    });
    let format = rule.format.as_ref().map_or(Format::Record, |word| format(word, found));
    Some(Settings {
        format,
        behind_max: read.amount(&rule.behind_max, "behind_max").unwrap_or(BEHIND_MAX_DEFAULT),
        name: name?,
        place: rule.place.clone(),
        destination: destination?,
        need: if required { Need::Required } else { Need::Optional },
        begin,
    })
}

fn format(word: &Located<String>, found: &Sink) -> Format {
    match word.value.as_str() {
        "record" => Format::Record,
        "ocsf" => Format::Ocsf(OcsfVersion::V1_8),
        "ocsf-1.6" => Format::Ocsf(OcsfVersion::V1_6),
        "ecs" => Format::Ecs,
        "otel" => Format::Otel,
        _ => {
            bad_word(word, "format", &["record", "ocsf", "ocsf-1.6", "ecs", "otel"], found);
            Format::Record
        }
    }
}

/// It is a part of a file name, and a label of metrics.
fn name(rule: &SinkRule, found: &Sink) -> Option<String> {
    let Some(written) = &rule.name else {
        if found.lacks(&rule.place, &["name"]) {
            let help = "add `name = \"siem\"`: its place in the journal is kept by it";
            found.error(Code::MissingKey, &rule.place, "this sink has no name", help);
        }
        return None;
    };
    plain_name(written, "a sink", found)
}

fn destination(rule: &SinkRule, scope: Scope<'_>) -> Option<Destination> {
    let found = scope.found;
    let Some(kind) = &rule.kind else {
        if found.lacks(&rule.place, &["type"]) {
            let help = format!("add `type`, one of `{}`", TYPES.join("`, `"));
            found.error(Code::MissingKey, &rule.place, "this sink does not say what it is", help);
        }
        return None;
    };
    let takes: &[&str] = match kind.value.as_str() {
        "stdout" => &[],
        "checkpoint" => &["path"],
        "file" => &["path", "rotate_bytes", "rotate_keep"],
        "http" => &["url", "ca", "headers", "compress", "sign"],
        "kafka" => &["url", "ca", "topic", "partition", "user", "password"],
        "nats" => &["url", "ca", "subject", "token", "user", "password"],
        "otlp" => &["url", "ca", "headers", "compress"],
        "splunk_hec" => {
            &["url", "ca", "compress", "token", "index", "source", "sourcetype", "host", "ack", "ack_timeout"]
        }
        "syslog" => &["url", "ca", "facility", "message_max"],
        "witness" => &["url", "ca", "headers", "key", "path"],
        _ => {
            bad_word(kind, "type", &TYPES, found);
            return None;
        }
    };
    refuse_others(rule, &kind.value, takes, found);
    refuse_unbuilt(kind, scope);
    match kind.value.as_str() {
        "checkpoint" => checkpoint(rule, scope).map(Destination::Checkpoint),
        "file" => file(rule, scope).map(Destination::File),
        "http" => http::lines(rule, scope).map(Destination::Http),
        "kafka" => brokers::kafka(rule, scope).map(Destination::Kafka),
        "nats" => brokers::nats(rule, scope).map(Destination::Nats),
        "otlp" => http::otlp(rule, scope).map(Destination::Http),
        "splunk_hec" => http::hec(rule, scope).map(Destination::Http),
        "syslog" => syslog(rule, scope).map(Destination::Syslog),
        "witness" => witness(rule, scope).map(|settings| Destination::Witness(Box::new(settings))),
        _ => Some(Destination::Stdout),
    }
}

/// A type that this program was built without.
fn refuse_unbuilt(kind: &Located<String>, scope: Scope<'_>) {
    let name = kind.value.as_str();
    if HEAVY_TYPES.contains(&name) && !scope.machine.sinks.contains(&name) {
        let message = format!("this program was built without sinks of `type = \"{name}\"`");
        let help = format!("build it with `cargo build --release --features {name}`");
        scope.found.error(Code::FeatureMissing, &kind.place, message, help);
    }
}

/// A key of another type is a mistake that nothing else would tell.
fn refuse_others(rule: &SinkRule, kind: &str, takes: &[&str], found: &Sink) {
    let text = |written: &Option<Located<String>>| written.as_ref().map(|written| written.place.clone());
    let number = |written: &Option<Located<Node>>| written.as_ref().map(|written| written.place.clone());
    let secret = |written: &Option<Located<Secret>>| written.as_ref().map(|written| written.place.clone());
    let all = [
        ("path", text(&rule.path)),
        ("rotate_bytes", number(&rule.rotate_bytes)),
        ("rotate_keep", number(&rule.rotate_keep)),
        ("url", text(&rule.url)),
        ("ca", text(&rule.ca)),
        ("key", text(&rule.key)),
        ("headers", rule.headers.first().map(|(name, _)| name.place.clone())),
        ("compress", text(&rule.compress)),
        ("sign", secret(&rule.sign)),
        ("token", secret(&rule.token)),
        ("index", text(&rule.index)),
        ("source", text(&rule.source)),
        ("sourcetype", text(&rule.sourcetype)),
        ("host", text(&rule.host)),
        ("ack", text(&rule.ack)),
        ("ack_timeout", number(&rule.ack_timeout)),
        ("facility", number(&rule.facility)),
        ("message_max", number(&rule.message_max)),
        ("subject", text(&rule.subject)),
        ("topic", text(&rule.topic)),
        ("partition", number(&rule.partition)),
        ("user", text(&rule.user)),
        ("password", secret(&rule.password)),
    ];
    for (key, place) in all {
        if let Some(place) = place.filter(|_| !takes.contains(&key)) {
            refuse_key(key, &place, kind, found);
        }
    }
}

fn checkpoint(rule: &SinkRule, scope: Scope<'_>) -> Option<PathBuf> {
    refuse_format(rule, "checkpoint", scope.found);
    path(rule, "add `path = \"/mnt/elsewhere/gateway.checkpoint\"`, where the journal is not", scope)
}

fn witness(rule: &SinkRule, scope: Scope<'_>) -> Option<WitnessSettings> {
    refuse_format(rule, "witness", scope.found);
    let (url, headers, ca) = (http::witness_url(rule, scope), http::witness_headers(rule, scope), &rule.ca);
    let key = witness_key(rule, scope.found);
    let path = path(
        rule,
        "add `path = \"/var/lib/sluicegate/witnessed.note\"`: what it signed is kept there",
        scope,
    );
    Some(WitnessSettings {
        url: url?,
        headers,
        ca: ca.as_ref().map(|ca| scope.path(&ca.value)),
        key: key?,
        path: path?,
    })
}

fn witness_key(rule: &SinkRule, found: &Sink) -> Option<WitnessKey> {
    let help = "write `name+hash+key`, as the witness publishes it";
    let Some(written) = &rule.key else {
        if found.lacks(&rule.place, &["key"]) {
            found.error(
                Code::MissingKey,
                &rule.place,
                "this sink does not say by which key the witness signs",
                help,
            );
        }
        return None;
    };
    let bad = |error: NoteError| found.error(Code::BadValue, &written.place, error.to_string(), help);
    written.value.parse().map_err(bad).ok()
}

/// A checkpoint has one form.
fn refuse_format(rule: &SinkRule, kind: &str, found: &Sink) {
    if let Some(format) = &rule.format {
        let message = format!("`format` means nothing for `type = \"{kind}\"`");
        found.error(Code::Conflict, &format.place, message, "remove it: the file holds a signed note");
    }
}

fn path(rule: &SinkRule, help: &str, scope: Scope<'_>) -> Option<PathBuf> {
    if rule.path.is_none() && scope.found.lacks(&rule.place, &["path"]) {
        scope.found.error(Code::MissingKey, &rule.place, "this sink does not say which file", help);
    }
    rule.path.as_ref().map(|path| scope.path(&path.value))
}

fn file(rule: &SinkRule, scope: Scope<'_>) -> Option<FileSettings> {
    let found = scope.found;
    let read = Quantities::new(found);
    let path = path(rule, "add `path = \"/var/log/sluicegate/audit.jsonl\"`", scope)?;
    let rotate = &rule.rotate_bytes;
    let rotate_bytes =
        rotate.is_some().then(|| read.bytes(rotate, "rotate_bytes", ROTATE_EXAMPLE, ROTATE_BYTES_MIN));
    let rotate_keep = read.count(&rule.rotate_keep, "rotate_keep", ROTATE_KEEP_DEFAULT);
    if let Some(keep) = rule.rotate_keep.as_ref().filter(|_| rotate_keep > ROTATE_KEEP_MAX) {
        let help = format!("write a number up to {ROTATE_KEEP_MAX}");
        found.error(Code::OutOfRange, &keep.place, format!("`rotate_keep` cannot be {rotate_keep}"), help);
    }
    Some(FileSettings { path, rotate_bytes, rotate_keep })
}

fn syslog(rule: &SinkRule, scope: Scope<'_>) -> Option<SyslogSettings> {
    let found = scope.found;
    let read = Quantities::new(found);
    let url = url(rule, URL_HELP, found)?;
    let to = address(url, rule, scope);
    if to.is_none() {
        found.error(Code::BadValue, &url.place, format!("`{}` is no syslog receiver", url.value), URL_HELP);
    }
    if let (Some(ca), false) =
        (&rule.ca, matches!(to, Some(SyslogAddress::Connection { encryption: Encryption::Tls { .. }, .. })))
    {
        found.error(Code::Conflict, &ca.place, "`ca` is for `tls://`", "remove it, or write `tls://`");
    }
    let facility = match &rule.facility {
        None => FACILITY_DEFAULT,
        Some(Located { value: Node::Integer(number @ 0..=23), .. }) => {
            u8::try_from(*number).unwrap_or_default()
        }
        Some(Located { place, .. }) => {
            let help = "write a number from 0 to 23 (RFC 5424, 6.2.1); without the key it is 13, log audit";
            found.error(Code::OutOfRange, place, "this is no facility", help);
            FACILITY_DEFAULT
        }
    };
    let most = &rule.message_max;
    let message_max = read.bytes_in_memory(most, "message_max", MESSAGE_BYTES_MAX_DEFAULT);
    if let Some(written) = most.as_ref().filter(|_| message_max > MESSAGE_BYTES_MAX) {
        let help = "write a size up to 1 MiB, no more than the receiver takes";
        found.error(Code::OutOfRange, &written.place, "`message_max` is too large", help);
    }
    Some(SyslogSettings { to: to?, facility, message_max })
}

/// Where the receiver is; `help` says what to write.
fn url<'a>(rule: &'a SinkRule, help: &str, found: &Sink) -> Option<&'a Located<String>> {
    if rule.url.is_none() && found.lacks(&rule.place, &["url"]) {
        found.error(Code::MissingKey, &rule.place, "this sink does not say where the receiver is", help);
    }
    rule.url.as_ref()
}

fn address(url: &Located<String>, rule: &SinkRule, scope: Scope<'_>) -> Option<SyslogAddress> {
    if let Some(path) = url.value.strip_prefix("unix:") {
        return (!path.is_empty()).then(|| SyslogAddress::Unix(scope.path(path)));
    }
    let uri: Uri = url.value.parse().ok()?;
    let name = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    if uri.path_and_query().is_some_and(|rest| !matches!(rest.as_str(), "" | "/")) {
        return None;
    }
    let (port, encryption) = match uri.scheme_str()? {
        // IANA: syslog-conn, which receivers listen on for RFC 6587, and syslog-tls (RFC 5425, 4.1).
        "tcp" => (601, Encryption::None),
        "tls" => (6514, Encryption::Tls { ca: rule.ca.as_ref().map(|ca| scope.path(&ca.value)) }),
        _ => return None,
    };
    let host = Host { name, port: uri.port_u16().unwrap_or(port) };
    Some(SyslogAddress::Connection { host, encryption })
}

const URL_HELP: &str =
    "write `url = \"tcp://siem.example:601\"`, `\"tls://siem.example:6514\"` or `\"unix:/dev/log\"`";
/// Largest `message_max`, in bytes: twice the longest record.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Smallest `rotate_bytes`.
const ROTATE_BYTES_MIN: u64 = 64 * 1024;
/// What advice says of it.
const ROTATE_EXAMPLE: u64 = 64 * 1024 * 1024;
/// Most files that are kept.
const ROTATE_KEEP_MAX: usize = 1000;
