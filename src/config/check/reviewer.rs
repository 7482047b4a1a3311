//! `[reviewer]`: who outside is asked about plans, and which domains it is told are known.
//!
//! Must never reach it, nor repeat a value that may be a secret (I10).

use http::Uri;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::Reviewer;
use crate::plan::{Domains, KNOWN_DOMAINS_MAX, Outside};
use crate::reviewer::{Settings, TIMEOUT_DEFAULT, TIMEOUT_MAX};

use super::quantity::Quantities;
use super::{Scope, endpoint, secret};

/// How it is reached, and what reviews know of it.
pub(super) fn check(written: Option<&Reviewer>, scope: Scope<'_>) -> Option<(Settings, Outside)> {
    let written = written?;
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let headers = endpoint::headers(&written.headers, endpoint::is_of_signed_requests, scope);
    let timeout = timeout(written, scope);
    let known_domains = domains(written.known_domains.as_deref().unwrap_or_default(), scope);
    let key = written.sign.as_ref().and_then(|sign| secret::signing_key("sign", sign, scope));
    for (key, is_missing) in [("url", written.url.is_none()), ("sign", written.sign.is_none())] {
        if is_missing && scope.found.lacks(&written.place, &[key]) {
            let message = format!("`[reviewer]` has no `{key}`");
            let help = if key == "url" { URL_HELP } else { SIGN_HELP };
            scope.found.error(Code::MissingKey, &written.place, message, help);
        }
    }
    let url = url(written, scope);
    let ca = written.ca.as_ref().map(|ca| scope.path(&ca.value));
    let (url, place) = (url?, written.place.clone());
    let outside = Outside { url: url.to_string(), known_domains, place };
    Some((Settings { url, timeout, key: key?, headers, ca }, outside))
}

fn url(written: &Reviewer, scope: Scope<'_>) -> Option<Uri> {
    let what = "what the reviewer is asked travels";
    endpoint::receiver(("url", written.url.as_ref()?), written.ca.as_ref(), what, URL_HELP, scope)
}

fn timeout(written: &Reviewer, scope: Scope<'_>) -> std::time::Duration {
    let timeout = Quantities::new(scope.found).duration(&written.timeout, "timeout", TIMEOUT_DEFAULT);
    if let Some(place) =
        written.timeout.as_ref().map(|timeout| &timeout.place).filter(|_| timeout > TIMEOUT_MAX)
    {
        let message = format!("`timeout` of the reviewer is more than {} s", TIMEOUT_MAX.as_secs());
        let help = "whoever submits a plan waits for it: write a shorter one";
        scope.found.error(Code::OutOfRange, place, message, help);
    }
    timeout
}

/// In lower case, as addresses are compared.
fn domains(written: &[Located<String>], scope: Scope<'_>) -> Domains {
    if let Some(one) = written.get(KNOWN_DOMAINS_MAX) {
        let message = format!("more than {KNOWN_DOMAINS_MAX} domains are named");
        scope.found.error(Code::OutOfRange, &one.place, message, "name those that plans often write to");
    }
    let one = |domain: &Located<String>| {
        let is_domain = |text: &str| {
            let is_label = |label: &str| {
                !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            };
            text.len() <= DOMAIN_BYTES_MAX && text.split('.').all(is_label)
        };
        if !is_domain(&domain.value) {
            let message = format!("`{}` is not a domain", domain.value);
            let help = "write what stands behind the `@` of an address, like `acme.example`";
            scope.found.error(Code::BadValue, &domain.place, message, help);
        }
        domain.value.to_ascii_lowercase()
    };
    written.iter().map(one).collect()
}

/// Longest name of a domain (RFC 1035, 2.3.4), in bytes.
const DOMAIN_BYTES_MAX: usize = 253;
const URL_HELP: &str = "write an `http` or `https` URL: `url = \"https://reviewer.example/plans\"`";
const SIGN_HELP: &str = "requests and answers are signed: write `sign = { file = \"reviewer.key\" }`";
