//! Sinks that take batches over HTTP: where, with which headers, how written and signed.
//!
//! Must never reach one, nor repeat a value that may be a secret (I10).

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{Secret, SinkRule};
use crate::sink::{Compression, HttpSettings, SigningKey};

use super::super::{Scope, bad_word, endpoint, secret};
use super::url;

pub(super) fn check(rule: &SinkRule, scope: Scope<'_>) -> Option<HttpSettings> {
    let found = scope.found;
    let headers = endpoint::headers(&rule.headers, is_own, scope);
    let compression = rule.compress.as_ref().map_or(Compression::None, |word| match word.value.as_str() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        _ => {
            bad_word(word, "compress", &["gzip", "none"], found);
            Compression::None
        }
    });
    let sign = rule.sign.as_ref().and_then(|written| signing_key(written, scope));
    let url = url(rule, URL_HELP, found)?;
    let uri = endpoint::uri(url, URL_HELP, scope)?;
    if endpoint::is_open(&uri) {
        let message = "records and headers of this sink travel unencrypted";
        found.warn(Code::PlainHttp, &url.place, message, "write an `https` URL");
    }
    if let Some(ca) = rule.ca.as_ref().filter(|_| uri.scheme_str() != Some("https")) {
        found.error(Code::Conflict, &ca.place, "`ca` is for `https://`", "remove it, or write `https://`");
    }
    let ca = rule.ca.as_ref().map(|ca| scope.path(&ca.value));
    Some(HttpSettings { url: uri, headers, ca, compression, sign })
}

fn signing_key(written: &Located<Secret>, scope: Scope<'_>) -> Option<SigningKey> {
    secret::warn_literal("sign", written, scope);
    let value = secret::resolve(written, "sign", scope)?;
    let key = SigningKey::of(&value);
    if key.is_none() {
        let help = "write `whsec_` and base64 of 24 to 64 bytes: `echo whsec_$(openssl rand -base64 32)`";
        scope.found.error(Code::BadValue, &written.place, "the value of `sign` is no signing key", help);
    }
    key
}

/// What each request says anyway.
fn is_own(header: &str) -> bool {
    header.starts_with("webhook-")
        || [
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "host",
            "transfer-encoding",
            "user-agent",
        ]
        .contains(&header)
}

const URL_HELP: &str = "write an `http` or `https` URL: `url = \"https://siem.example/ingest\"`";
