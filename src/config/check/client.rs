//! `[auth.clients.*]`: which client certificate is whose.
//!
//! Must never let two tables claim one certificate, nor take a pattern for a name.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::raw::{Client, Listen};
use crate::identity::{ClientSettings, Shows};
use crate::model::certificate::AltName;
use crate::model::digest::Sha256;
use crate::model::place::Place;

use super::Scope;
use super::entry_point::Labels;

pub(super) fn check(written: &[Client], listen: &[Listen], labels: &mut Labels<'_>) -> Vec<ClientSettings> {
    let mut first: BTreeMap<String, Place> = BTreeMap::new();
    let mut clients = Vec::new();
    for client in written {
        labels.check_name(&client.name, "client");
        let name = format!("clients.{}", client.name.value);
        let principal = labels.principal(&name, &client.entry_point, &client.name.place);
        let Some((shows, place)) = shows(client, labels.scope) else { continue };
        let text = format!("{shows:?}");
        if let Some(other) = first.get(&text) {
            let message = format!("the client at {other} has the same certificate");
            let help = "name each certificate once: two tables cannot both say who it is";
            labels.scope.found.error(Code::DuplicateClient, place, message, help);
        }
        first.entry(text).or_insert_with(|| place.clone());
        clients.extend(principal.map(|principal| ClientSettings { shows, principal }));
    }
    let is_asked_for = |listen: &Listen| listen.reach.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if let Some(client) = written.first().filter(|_| !listen.iter().any(is_asked_for)) {
        let message = "no listener asks for a client certificate, so nobody can show one";
        let help = "add `client_ca` to the `tls` of a listener";
        labels.scope.found.warn(Code::Unused, &client.name.place, message, help);
    }
    clients
}

/// By what the certificate is known, and where that stands.
fn shows<'a>(client: &'a Client, scope: Scope<'_>) -> Option<(Shows, &'a Place)> {
    let found = scope.found;
    match (&client.san, &client.sha256) {
        (Some(san), None) => {
            let name = AltName::parse(&san.value);
            if name.is_none() {
                let message = format!("`{}` is neither a DNS name nor a URI", san.value);
                let help = "write one name exactly as the certificate has it: \"spiffe://acme/buildbot\" or \
                            \"build.acme.example\"; there is no wildcard";
                found.error(Code::BadValue, &san.place, message, help);
            }
            Some((Shows::Name(name?), &san.place))
        }
        (None, Some(sha256)) => {
            let plain: String = sha256.value.chars().filter(|c| *c != ':').collect();
            let digest = Sha256::from_hex(&plain.to_ascii_lowercase());
            if digest.is_none() {
                let message = "`sha256` is not a SHA-256 in hexadecimal";
                let help = "write what `openssl x509 -in client.pem -noout -fingerprint -sha256` shows";
                found.error(Code::BadValue, &sha256.place, message, help);
            }
            Some((Shows::Digest(digest?), &sha256.place))
        }
        (Some(_), Some(sha256)) => {
            let message = format!("`[auth.clients.{}]` has both `san` and `sha256`", client.name.value);
            found.error(Code::Conflict, &sha256.place, message, "keep one of them");
            None
        }
        (None, None) => {
            if found.lacks(&client.name.place, &["san", "sha256"]) {
                let message =
                    format!("`[auth.clients.{}]` does not say which certificate it is", client.name.value);
                let help = "write `san = \"spiffe://…\"`, or `sha256 = \"…\"` of the certificate";
                found.error(Code::MissingKey, &client.name.place, message, help);
            }
            None
        }
    }
}
