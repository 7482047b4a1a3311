//! Sinks that take batches over HTTP: where, with which headers, how written and signed, and what is spoken.
//!
//! Must never reach one, nor repeat a value that may be a secret (I10).

use ::http::{HeaderName, HeaderValue, Uri, header};

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::problem::Sink;
use crate::config::raw::SinkRule;
use crate::model::secret::Secret;
use crate::sink::{
    ACK_TIMEOUT_DEFAULT, Ack, Compression, HecLabels, HecSettings, HttpProtocol, HttpSettings, WITNESS_PATH,
};

use super::super::quantity::Quantities;
use super::super::{Scope, bad_word, endpoint, secret};
use super::url;

/// `type = "http"`.
pub(super) fn lines(rule: &SinkRule, scope: Scope<'_>) -> Option<HttpSettings> {
    let headers = endpoint::headers(&rule.headers, endpoint::is_of_signed_requests, scope);
    let sign = rule.sign.as_ref().and_then(|written| secret::signing_key("sign", written, scope));
    let url = receiver(rule, LINES_HELP, scope);
    settings(rule, url, Some(headers), Some(HttpProtocol::Lines { sign }), scope)
}

/// Where the witness of `type = "witness"` takes checkpoints.
pub(super) fn witness_url(rule: &SinkRule, scope: Scope<'_>) -> Option<Uri> {
    let base = below(rule, WITNESS_PATH, WITNESS_HELP, scope)?;
    uri(&base, WITNESS_PATH)
}

/// What goes along to it.
pub(super) fn witness_headers(rule: &SinkRule, scope: Scope<'_>) -> Vec<(HeaderName, Secret)> {
    endpoint::headers(&rule.headers, endpoint::is_of_signed_requests, scope)
}

/// `type = "otlp"`.
pub(super) fn otlp(rule: &SinkRule, scope: Scope<'_>) -> Option<HttpSettings> {
    let headers = endpoint::headers(&rule.headers, endpoint::is_of_signed_requests, scope);
    let url = below(rule, OTLP_PATH, OTLP_HELP, scope).and_then(|base| uri(&base, OTLP_PATH));
    settings(rule, url, Some(headers), Some(HttpProtocol::Otlp), scope)
}

/// `type = "splunk_hec"`.
pub(super) fn hec(rule: &SinkRule, scope: Scope<'_>) -> Option<HttpSettings> {
    let token = token(rule, scope);
    let ack = ack(rule, scope.found);
    let label = |key: &str, written: &Option<Located<String>>| label(key, written.as_ref()?, scope.found);
    let labels = HecLabels {
        host: label("host", &rule.host),
        source: label("source", &rule.source),
        sourcetype: label("sourcetype", &rule.sourcetype),
        index: label("index", &rule.index),
    };
    let base = below(rule, HEC_PATH, HEC_HELP, scope);
    let at = |path: &str| uri(base.as_deref()?, path);
    let headers = token.map(|token| vec![(header::AUTHORIZATION, token)]);
    let protocol =
        at(HEC_ACK_PATH).map(|acks| HttpProtocol::SplunkHec(Box::new(HecSettings { acks, ack, labels })));
    settings(rule, at(HEC_EVENT_PATH), headers, protocol, scope)
}

/// All of it, where nothing of it is wrong.
fn settings(
    rule: &SinkRule,
    url: Option<Uri>,
    headers: Option<Vec<(HeaderName, Secret)>>,
    protocol: Option<HttpProtocol>,
    scope: Scope<'_>,
) -> Option<HttpSettings> {
    let ca = rule.ca.as_ref().map(|ca| scope.path(&ca.value));
    let compression = rule.compress.as_ref().map_or(Compression::None, |word| match word.value.as_str() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        _ => {
            bad_word(word, "compress", &["gzip", "none"], scope.found);
            Compression::None
        }
    });
    Some(HttpSettings { url: url?, headers: headers?, ca, compression, protocol: protocol? })
}

/// Where the receiver is; `help` says what to write.
fn receiver(rule: &SinkRule, help: &str, scope: Scope<'_>) -> Option<Uri> {
    let url = url(rule, help, scope.found)?;
    let what = "records and headers of this sink travel";
    endpoint::receiver(("url", url), rule.ca.as_ref(), what, help, scope)
}

/// What stands before the path `own`, which is added; `help` says what to write.
fn below(rule: &SinkRule, own: &str, help: &str, scope: Scope<'_>) -> Option<String> {
    let uri = receiver(rule, help, scope)?;
    endpoint::before(("url", rule.url.as_ref()?), &uri, own, help, scope)
}

fn uri(base: &str, path: &str) -> Option<Uri> {
    format!("{base}{path}").parse().ok()
}

fn token(rule: &SinkRule, scope: Scope<'_>) -> Option<Secret> {
    let found = scope.found;
    let Some(written) = &rule.token else {
        if found.lacks(&rule.place, &["token"]) {
            found.error(Code::MissingKey, &rule.place, "this sink has no token", TOKEN_HELP);
        }
        return None;
    };
    secret::warn_literal("token", written, scope);
    let value = secret::resolve(written, "token", scope)?;
    // The scheme stands before it anyway, and a token is a GUID: nobody means a blank.
    let is_token = !value.is_empty() && !value.contains(char::is_whitespace);
    let value = format!("Splunk {value}");
    if !is_token || HeaderValue::from_str(&value).is_err() {
        let message = "the value of `token` is no token";
        found.error(Code::BadValue, &written.place, message, TOKEN_HELP);
        return None;
    }
    Some(Secret::new(value))
}

fn ack(rule: &SinkRule, found: &Sink) -> Ack {
    let within = Quantities::new(found).duration(&rule.ack_timeout, "ack_timeout", ACK_TIMEOUT_DEFAULT);
    let Some(word) = &rule.ack else { return Ack::Wait(within) };
    match word.value.as_str() {
        "wait" => Ack::Wait(within),
        "off" => {
            if let Some(written) = &rule.ack_timeout {
                let message = "`ack_timeout` means nothing for `ack = \"off\"`";
                found.error(Code::Conflict, &written.place, message, "remove it");
            }
            Ack::Off
        }
        _ => {
            bad_word(word, "ack", &["off", "wait"], found);
            Ack::Wait(within)
        }
    }
}

fn label(key: &str, written: &Located<String>, found: &Sink) -> Option<String> {
    if written.value.is_empty() {
        let help = "remove it, and Splunk says it, or write what it is";
        found.error(Code::BadValue, &written.place, format!("`{key}` is empty"), help);
    }
    Some(written.value.clone())
}

const LINES_HELP: &str = "write an `http` or `https` URL: `url = \"https://siem.example/ingest\"`";
/// Where logs go (OTLP, "OTLP/HTTP Request").
const OTLP_PATH: &str = "/v1/logs";
const OTLP_HELP: &str = "write what stands before `/v1/logs`: `url = \"https://otel.example:4318\"`";
const WITNESS_HELP: &str =
    "write what stands before `/add-checkpoint`: `url = \"https://witness.example/submission\"`";
const HEC_PATH: &str = "/services/collector";
const HEC_EVENT_PATH: &str = "/services/collector/event";
const HEC_ACK_PATH: &str = "/services/collector/ack";
const HEC_HELP: &str =
    "write what stands before `/services/collector`: `url = \"https://splunk.example:8088\"`";
const TOKEN_HELP: &str = "write the token of an HTTP Event Collector input: `token = { file = \"token\" }`";
