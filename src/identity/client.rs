//! A client certificate: what it is named, or its digest, says who shows it.
//!
//! Must never ask whether a certificate is valid: the socket verified it before it got here. Must never
//! map one by a default, a pattern or a part of a name: one that the configuration does not know is
//! refused, and so is one by which it knows two.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::certificate::{AltName, ClientCertificate};
use crate::model::digest::Sha256;
use crate::model::principal::Principal;
use crate::model::reason::Reason;

use super::{ClientSettings, Outcome, Presented, Shows};

/// The client certificates of the configuration.
#[derive(Debug)]
pub(super) struct Clients {
    by_digest: HashMap<Sha256, Arc<Principal>>,
    by_name: HashMap<AltName, Arc<Principal>>,
}

impl Clients {
    pub(super) fn new(settings: Vec<ClientSettings>) -> Self {
        let (mut by_digest, mut by_name) = (HashMap::new(), HashMap::new());
        for ClientSettings { shows, principal } in settings {
            match shows {
                Shows::Digest(digest) => by_digest.insert(digest, principal),
                Shows::Name(name) => by_name.insert(name, principal),
            };
        }
        Self { by_digest, by_name }
    }

    /// Who shows the certificate of the connection, if there is one.
    pub(super) fn authenticate(&self, presented: &Presented<'_>) -> Outcome {
        let Some(certificate) = presented.certificate else { return Outcome::NotMine };
        match self.find(certificate) {
            // What the certificate vouches for ends with it.
            Ok(principal) => {
                let until = Some(certificate.until);
                Outcome::Known(Arc::new(Principal { until, ..principal.clone() }))
            }
            Err(reason) => Outcome::Refused(reason),
        }
    }

    fn find(&self, certificate: &ClientCertificate) -> Result<&Principal, Reason> {
        // The very certificate is more than a name that several can have.
        if let Some(principal) = self.by_digest.get(&certificate.sha256) {
            return Ok(principal);
        }
        let mut known = certificate.names.iter().filter_map(|name| self.by_name.get(name));
        let first = known.next().ok_or(Reason::CertificateUnknown)?;
        if known.all(|other| other.entry_point == first.entry_point) {
            Ok(first)
        } else {
            Err(Reason::CredentialAmbiguous)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::identity::tests::{nothing, principal};
    use crate::identity::{Authenticator, ListenerVouches, Settings, hash_text, mint};

    fn room() -> (Authenticator, String) {
        let key = mint().unwrap();
        let client = |shows, name: &str| ClientSettings { shows, principal: principal(name) };
        let clients = vec![
            client(named("spiffe://acme/buildbot"), "clients.buildbot"),
            client(named("build.acme.example"), "clients.builder"),
            client(Shows::Digest(Sha256::of(b"pinned")), "clients.pinned"),
        ];
        let keys = vec![crate::identity::KeySettings { hash: key.hash, principal: principal("keys.laptop") }];
        assert_ne!(hash_text(key.hash), key.reveal());
        let settings = Settings { keys, clients, ..Settings::default() };
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        (Authenticator::new(settings, clock), format!("Bearer {}", key.reveal()))
    }

    fn named(name: &str) -> Shows {
        Shows::Name(AltName::parse(name).unwrap())
    }

    fn shown(der: &[u8], names: &[&str]) -> ClientCertificate {
        let alt = |name: &&str| match name.contains(':') {
            true => AltName::Uri((*name).to_owned()),
            false => AltName::dns(name),
        };
        let until = "2035-01-01T00:00:00Z".parse().unwrap();
        ClientCertificate { sha256: Sha256::of(der), names: names.iter().map(alt).collect(), until }
    }

    async fn ask(
        room: &Authenticator,
        listener: &ListenerVouches,
        certificate: &ClientCertificate,
        header: Option<&str>,
    ) -> Result<String, Reason> {
        let headers: Vec<&[u8]> = header.iter().map(|header| header.as_bytes()).collect();
        let certificate = Some(certificate);
        let presented = Presented { authorization: &headers, certificate, ..nothing(listener) };
        room.authenticate(&presented).await.map(|principal| principal.entry_point.to_string())
    }

    #[tokio::test]
    async fn a_certificate_is_known_by_one_of_its_names_or_by_its_digest_and_until_it_ends() {
        let (room, _) = room();
        let (room, listener) = (&room, ListenerVouches::Nothing);
        let is = async |der: &[u8], names: &[&str]| ask(room, &listener, &shown(der, names), None).await;
        assert_eq!(is(b"1", &["spiffe://acme/buildbot"]).await.unwrap(), "clients.buildbot");
        assert_eq!(is(b"1", &["other.example", "BUILD.acme.example"]).await.unwrap(), "clients.builder");
        assert_eq!(is(b"pinned", &[]).await.unwrap(), "clients.pinned");
        assert_eq!(is(b"pinned", &["build.acme.example"]).await.unwrap(), "clients.pinned");
        let certificate = shown(b"1", &["build.acme.example"]);
        let presented = Presented { certificate: Some(&certificate), ..nothing(&listener) };
        assert_eq!(room.authenticate(&presented).await.unwrap().until, Some(certificate.until));
    }

    #[tokio::test]
    async fn a_certificate_that_the_configuration_does_not_know_is_nobody() {
        let (room, _) = room();
        for names in [
            &[][..],
            &["spiffe://acme/buildbot/"],
            &["spiffe://acme/Buildbot"],
            &["SPIFFE://acme/buildbot"],
            &["spiffe://acme"],
            &["*.acme.example"],
            &["x.build.acme.example"],
            &["build.acme.example."],
        ] {
            let got = ask(&room, &ListenerVouches::Nothing, &shown(b"1", names), None).await;
            assert_eq!(got, Err(Reason::CertificateUnknown), "{names:?}");
        }
    }

    #[tokio::test]
    async fn a_dns_name_is_never_taken_for_a_uri() {
        let (room, _) = room();
        let mut certificate = shown(b"1", &[]);
        certificate.names = vec![
            AltName::Dns("spiffe://acme/buildbot".to_owned()),
            AltName::Uri("build.acme.example".to_owned()),
        ];
        let got = ask(&room, &ListenerVouches::Nothing, &certificate, None).await;
        assert_eq!(got, Err(Reason::CertificateUnknown));
    }

    #[tokio::test]
    async fn a_certificate_with_the_names_of_two_is_ambiguous() {
        let (room, _) = room();
        let both = shown(b"1", &["spiffe://acme/buildbot", "build.acme.example"]);
        assert_eq!(
            ask(&room, &ListenerVouches::Nothing, &both, None).await,
            Err(Reason::CredentialAmbiguous)
        );
        let twice = shown(b"1", &["build.acme.example", "Build.acme.example"]);
        assert_eq!(ask(&room, &ListenerVouches::Nothing, &twice, None).await.unwrap(), "clients.builder");
    }

    #[tokio::test]
    async fn a_key_counts_before_the_certificate_and_a_wrong_key_is_not_passed_over_for_it() {
        let (room, key) = room();
        let (known, unknown) = (shown(b"1", &["build.acme.example"]), shown(b"1", &["other.example"]));
        for certificate in [&known, &unknown] {
            let got = ask(&room, &ListenerVouches::Nothing, certificate, Some(&key)).await;
            assert_eq!(got.unwrap(), "keys.laptop");
            let got = ask(&room, &ListenerVouches::Nothing, certificate, Some("Bearer sg_wrong")).await;
            assert_eq!(got, Err(Reason::CredentialUnknown));
        }
    }

    #[tokio::test]
    async fn an_unknown_certificate_is_not_passed_over_for_what_the_listener_vouches_for() {
        let (room, _) = room();
        let everyone = ListenerVouches::Everyone(principal("listen.main"));
        let got = ask(&room, &everyone, &shown(b"1", &["other.example"]), None).await;
        assert_eq!(got, Err(Reason::CertificateUnknown));
    }
}
