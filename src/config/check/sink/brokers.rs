//! Sinks of clusters: where those are, as whom, and to which topic or subject.
//!
//! Must never reach one, nor repeat a URL or a value that may be a secret (I10).

use ::http::uri::Authority;

use crate::config::code::Code;
use crate::config::node::{Located, Node};
use crate::config::problem::Sink;
use crate::config::raw::{Secret as Written, SinkRule};
use crate::model::secret::Secret;
use crate::sink::{Encryption, Host, KafkaSettings, Login, NatsLogin, NatsSettings, Servers};

use super::super::{Scope, endpoint, secret};
use super::url;

/// `type = "kafka"`.
pub(super) fn kafka(rule: &SinkRule, scope: Scope<'_>) -> Option<KafkaSettings> {
    let found = scope.found;
    let login = login(rule, scope);
    let servers = servers(rule, &KAFKA, scope);
    let topic = name(rule, "topic", &rule.topic, is_topic, TOPIC_HELP, found);
    let partition = match &rule.partition {
        None => Some(0),
        Some(Located { value: Node::Integer(number), .. }) if *number >= 0 => i32::try_from(*number).ok(),
        Some(_) => None,
    };
    if let (Some(written), None) = (&rule.partition, partition) {
        let help = "write the number of a partition of the topic, from 0; without the key it is 0";
        found.error(Code::OutOfRange, &written.place, "this is no partition", help);
    }
    Some(KafkaSettings { servers: servers?, topic: topic?, partition: partition?, login })
}

/// `type = "nats"`.
pub(super) fn nats(rule: &SinkRule, scope: Scope<'_>) -> Option<NatsSettings> {
    let found = scope.found;
    let user = login(rule, scope).map(NatsLogin::User);
    let token = rule.token.as_ref().and_then(|token| resolved("token", token, scope)).map(NatsLogin::Token);
    if let (Some(token), true) = (&rule.token, rule.user.is_some() || rule.password.is_some()) {
        let message = "`token` excludes `user` and `password`";
        found.error(Code::Conflict, &token.place, message, "write what the server asks for");
    }
    let servers = servers(rule, &NATS, scope);
    let subject = name(rule, "subject", &rule.subject, is_subject, SUBJECT_HELP, found);
    Some(NatsSettings { servers: servers?, subject: subject?, login: token.or(user) })
}

/// What is particular to the URLs of one kind of cluster.
struct Kind {
    /// The scheme of connections that are not encrypted.
    plain: &'static str,
    port: u16,
    help: &'static str,
}

fn servers(rule: &SinkRule, kind: &Kind, scope: Scope<'_>) -> Option<Servers> {
    let found = scope.found;
    let url = url(rule, kind.help, found)?;
    // The URL is not repeated: it may hold a password (I10).
    let bad = |message: &str, help: &str| {
        found.error(Code::BadValue, &url.place, message, help);
        None
    };
    if url.value.contains('@') {
        return bad("`url` holds a user or password", "write `user` and `password`, from `env` or `file`");
    }
    let (scheme, rest) = url.value.split_once("://").unwrap_or_default();
    if scheme != "tls" && scheme != kind.plain {
        return bad("`url` names no servers", kind.help);
    }
    let hosts: Option<Vec<Host>> = rest.split(',').map(|one| host(one, kind.port)).collect();
    let Some(hosts) = hosts.filter(|hosts| hosts.len() <= HOSTS_MAX) else {
        return bad("`url` names no servers", kind.help);
    };
    if scheme == "tls" {
        let ca = rule.ca.as_ref().map(|ca| scope.path(&ca.value));
        return Some(Servers { hosts, encryption: Encryption::Tls { ca } });
    }
    if let Some(ca) = &rule.ca {
        found.error(Code::Conflict, &ca.place, "`ca` is for `tls://`", "remove it, or write `tls://`");
    }
    let has_secret = rule.password.is_some() || rule.token.is_some();
    if has_secret && !hosts.iter().all(|host| endpoint::is_local(&host.name)) {
        let message = "the secret of this sink travels unencrypted";
        found.warn(Code::PlainHttp, &url.place, message, "write a `tls` URL");
    }
    Some(Servers { hosts, encryption: Encryption::None })
}

fn host(written: &str, port: u16) -> Option<Host> {
    let authority: Authority = written.parse().ok()?;
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let has_port = authority.as_str().len() > authority.host().len();
    let port = if has_port { authority.port_u16()? } else { port };
    (!name.is_empty()).then_some(Host { name, port })
}

fn login(rule: &SinkRule, scope: Scope<'_>) -> Option<Login> {
    let found = scope.found;
    let (user, password) = match (&rule.user, &rule.password) {
        (Some(user), Some(password)) => (user, password),
        (None, None) => return None,
        (Some(Located { place, .. }), None) | (None, Some(Located { place, .. })) => {
            let help = "write both: `user = \"audit\"` and `password = { file = \"password\" }`";
            found.error(Code::Conflict, place, "`user` and `password` go together", help);
            return None;
        }
    };
    if user.value.is_empty() || user.value.chars().any(char::is_control) {
        found.error(Code::BadValue, &user.place, "the value of `user` is no user", "write who it is");
        return None;
    }
    Some(Login { user: user.value.clone(), password: resolved("password", password, scope)? })
}

fn resolved(key: &str, written: &Located<Written>, scope: Scope<'_>) -> Option<Secret> {
    secret::warn_literal(key, written, scope);
    secret::resolve(written, key, scope).map(Secret::new)
}

/// The name of where records go, which stands under `key`.
fn name(
    rule: &SinkRule,
    key: &'static str,
    written: &Option<Located<String>>,
    is_name: impl Fn(&str) -> bool,
    help: &str,
    found: &Sink,
) -> Option<String> {
    let Some(name) = written else {
        if found.lacks(&rule.place, &[key]) {
            found.error(Code::MissingKey, &rule.place, format!("this sink has no `{key}`"), help);
        }
        return None;
    };
    if !is_name(&name.value) {
        found.error(Code::BadName, &name.place, format!("`{}` is no {key}", name.value), help);
        return None;
    }
    Some(name.value.clone())
}

/// What Kafka takes for the name of a topic (`Topic.validate`).
fn is_topic(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=TOPIC_BYTES_MAX).contains(&name.len()) && name.chars().all(is_plain) && name != "." && name != ".."
}

/// Words with dots between them, none of which means all of them or is the server's own ("Subject-Based Messaging").
fn is_subject(name: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic() && c != '*' && c != '>');
    name.len() <= SUBJECT_BYTES_MAX && name.split('.').all(is_word) && !name.starts_with('$')
}

const KAFKA: Kind = Kind {
    plain: "kafka",
    port: 9092,
    help: "write brokers to ask first: `url = \"tls://kafka-1.example:9093,kafka-2.example:9093\"`, or `kafka://` without TLS",
};
const NATS: Kind = Kind {
    plain: "nats",
    port: 4222,
    help: "write servers to ask first: `url = \"tls://nats-1.example:4222,nats-2.example:4222\"`, or `nats://` without TLS",
};
const TOPIC_HELP: &str = "write `topic = \"audit\"`: up to 249 letters, digits, `.`, `_` and `-`";
const SUBJECT_HELP: &str =
    "write `subject = \"audit.gateway\"`, without wildcards and blanks, that a stream takes";
/// Most servers that `url` names.
const HOSTS_MAX: usize = 16;
/// Longest name of a topic, in bytes: what Kafka takes.
const TOPIC_BYTES_MAX: usize = 249;
/// Longest subject, in bytes: what NATS advises.
const SUBJECT_BYTES_MAX: usize = 256;
