//! What a certificate says of its lifetime, and what it is named (RFC 5280, 4.1).
//!
//! Must never judge a chain: rustls verified it before. It reads what nobody else hands out, the two
//! dates, and refuses whatever is not DER.

use jiff::Timestamp;
use jiff::civil::DateTime;
use rustls::pki_types::CertificateDer;

use crate::model::certificate::{AltName, ClientCertificate, NAME_BYTES_MAX, NAMES_MAX};
use crate::model::digest::Sha256;

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// The lifetime of a certificate.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let certificate = read(der, SEQUENCE)?.value;
    let mut rest = read(certificate, SEQUENCE)?.value;
    if let Some(version) = read(rest, VERSION) {
        rest = version.rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = read(rest, tag)?.rest;
    }
    let (from, rest) = time(read(rest, SEQUENCE)?.value)?;
    let (until, _) = time(rest)?;
    Some(Validity { from, until })
}

/// A certificate that rustls verified as a client's.
pub(super) fn client(der: &CertificateDer<'_>) -> Option<ClientCertificate> {
    let until = validity(der)?.until;
    let parsed = webpki::EndEntityCert::try_from(der).ok()?;
    let uris = parsed.valid_uri_names().map(|name| AltName::Uri(name.to_owned()));
    let dns = parsed.valid_dns_names().map(AltName::dns);
    let is_short = |name: &AltName| match name {
        AltName::Dns(name) | AltName::Uri(name) => name.len() <= NAME_BYTES_MAX,
    };
    let names = uris.chain(dns).filter(is_short).take(NAMES_MAX).collect();
    Some(ClientCertificate { sha256: Sha256::of(der), names, until })
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;

struct Element<'a> {
    value: &'a [u8],
    rest: &'a [u8],
}

/// The first element of `der`, if it has this tag (X.690, 8.1; lengths in the definite form alone).
fn read(der: &[u8], tag: u8) -> Option<Element<'_>> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    (found == tag).then_some(Element { value, rest })
}

/// The time at the beginning of `der`, and what follows it (RFC 5280, 4.1.2.5: UTC, with seconds).
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest) = match (read(der, UTC_TIME), read(der, GENERALIZED_TIME)) {
        (Some(Element { value, rest }), _) => {
            let text = std::str::from_utf8(value).ok()?;
            // "Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY".
            let century = if text.starts_with(['5', '6', '7', '8', '9']) { "19" } else { "20" };
            (format!("{century}{text}"), rest)
        }
        (None, Some(Element { value, rest })) => (std::str::from_utf8(value).ok()?.to_owned(), rest),
        (None, None) => return None,
    };
    let is_plain = text.len() == "YYYYMMDDhhmmssZ".len() && text.ends_with('Z');
    let at = DateTime::strptime("%Y%m%d%H%M%SZ", is_plain.then_some(text)?).ok()?;
    Some((at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        params.subject_alt_names.push(rcgen::SanType::URI("spiffe://acme/a".try_into().unwrap()));
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_lifetime_is_read_in_both_forms_of_time() {
        let read = validity(&made((1999, 12, 31), (2049, 1, 2))).unwrap();
        assert_eq!(read.from.to_string(), "1999-12-31T00:00:00Z");
        assert_eq!(read.until.to_string(), "2049-01-02T00:00:00Z");
        let read = validity(&made((2020, 1, 1), (2130, 3, 4))).unwrap();
        assert_eq!(read.until.to_string(), "2130-03-04T00:00:00Z");
    }

    #[test]
    fn what_is_cut_anywhere_is_none_or_the_same_and_never_a_panic() {
        let der = made((2020, 1, 1), (2130, 3, 4));
        for end in 0..der.len() {
            assert_eq!(validity(der.get(..end).unwrap()), None, "{end}");
        }
        for at in 0..der.len() {
            let mut bent = der.clone();
            bent[at] ^= 0x80;
            let _may_be_read_or_not = validity(&bent);
        }
    }

    #[test]
    fn names_are_taken_by_kind() {
        let der = made((2020, 1, 1), (2130, 3, 4));
        let client = client(&CertificateDer::from(der.clone())).unwrap();
        assert_eq!(client.sha256, Sha256::of(&der));
        let uri = AltName::Uri("spiffe://acme/a".to_owned());
        assert_eq!(client.names, [uri, AltName::dns("a.example")]);
    }
}
