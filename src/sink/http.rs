//! A server that takes batches of records over HTTP: as lines, as logs of OpenTelemetry, or as Splunk takes them.
//!
//! What it says it has it has. What is too large for it is halved, and so is what it calls wrong, until one record is
//! left that it cannot take: that one is set aside. Where it says which record is wrong, that one is asked about first.
//! Must never set a record aside for a receiver that takes nothing at all (that is a failure, and waits), nor for what
//! is said of others beside it, nor follow a redirect: records go where the configuration says.

mod answer;
mod hec;
mod lines;
mod otlp;

use std::collections::VecDeque;

use super::failure::Failure;
use super::parcel::Parcel;
use super::settings::{HecSettings, HttpProtocol, HttpSettings, SigningKey};
use super::target::{Delivered, Refused, Sure};
use crate::clock::Clock;
use crate::outbound::Client;
use answer::{Taken, by_status};
use hec::Hec;

#[derive(Debug)]
pub(super) struct HttpTarget {
    /// The name of the sink.
    sink: String,
    settings: HttpSettings,
    clock: Clock,
    open: Option<Open>,
}

/// What holds until something fails.
#[derive(Debug)]
struct Open {
    client: Client,
    protocol: Protocol,
}

/// What is spoken.
#[derive(Debug)]
enum Protocol {
    Lines { sign: Option<SigningKey> },
    Otlp,
    Hec(Box<Hec>),
}

impl Open {
    fn new(settings: &HttpSettings) -> Result<Self, Failure> {
        let protocol = match &settings.protocol {
            HttpProtocol::Lines { sign } => Protocol::Lines { sign: sign.clone() },
            HttpProtocol::Otlp => Protocol::Otlp,
            HttpProtocol::SplunkHec(hec) => Protocol::Hec(Box::new(Hec::new(HecSettings::clone(hec))?)),
        };
        Ok(Self { client: Client::new(&settings.url, &settings.headers, settings.ca.as_deref())?, protocol })
    }
}

impl HttpTarget {
    pub(super) fn new(sink: &str, settings: HttpSettings, clock: Clock) -> Self {
        Self { sink: sink.to_owned(), settings, clock, open: None }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Delivered, Failure> {
        let mut spans = VecDeque::from([parcels]);
        let (mut at, mut refused, mut awaited) = (0, Vec::new(), Vec::new());
        while let Some(span) = spans.pop_front() {
            match self.post(span).await? {
                Taken::All => at += span.len(),
                Taken::Later(number) => {
                    awaited.push(number);
                    at += span.len();
                }
                Taken::Nothing(objection) if span.len() <= 1 => {
                    refused.push(Refused { at, why: objection.why });
                    at += 1;
                }
                Taken::Nothing(objection) => {
                    for part in parts(span, objection.at).into_iter().rev().filter(|part| !part.is_empty()) {
                        spans.push_front(part);
                    }
                }
            }
        }
        match refused.last() {
            Some(last) if refused.len() == parcels.len() => {
                Err(Failure::TakesNone { records: parcels.len(), why: last.why.clone() })
            }
            _ => {
                self.wait_for(awaited).await?;
                Ok(Delivered { sure: Sure::Arrived, refused })
            }
        }
    }

    async fn post(&mut self, parcels: &[Parcel]) -> Result<Taken, Failure> {
        let (settings, now) = (&self.settings, self.clock.wall());
        let open = match &self.open {
            Some(open) => open,
            // The files are read each time, so that renewed certificates count without a restart.
            None => self.open.insert(Open::new(settings)?),
        };
        let request = match &open.protocol {
            Protocol::Lines { sign } => {
                lines::request(&self.sink, settings, sign.as_ref(), now, parcels).await?
            }
            Protocol::Otlp => otlp::request(settings, parcels).await?,
            Protocol::Hec(hec) => hec.request(settings, parcels).await?,
        };
        let response = open.client.send(request).await?;
        match &open.protocol {
            Protocol::Lines { .. } => by_status(&response, ""),
            Protocol::Otlp => otlp::taken(&response),
            Protocol::Hec(hec) => hec.taken(&response),
        }
    }

    /// Returns when the receiver keeps what it took with the numbers `awaited`.
    async fn wait_for(&self, awaited: Vec<u64>) -> Result<(), Failure> {
        match &self.open {
            Some(Open { client, protocol: Protocol::Hec(hec) }) => hec.wait_for(client, awaited).await,
            _ => Ok(()),
        }
    }

    pub(super) fn reset(&mut self) {
        self.open = None;
    }
}

/// What is asked about next: what is said to be wrong, by itself; else the two halves.
fn parts(span: &[Parcel], wrong: Option<usize>) -> [&[Parcel]; 3] {
    match wrong.filter(|at| *at < span.len()) {
        Some(at) => {
            let (before, rest) = span.split_at(at);
            let (one, behind) = rest.split_at(1);
            [before, one, behind]
        }
        None => {
            let (first, second) = span.split_at(span.len() / 2);
            [first, second, &[]]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kind, Seq};

    #[test]
    fn what_is_named_is_asked_about_by_itself_and_every_part_is_smaller() {
        let parcel = |seq| {
            let (time, digest, text) = (String::new(), String::new(), String::new());
            Parcel { seq: Seq(seq), kind: Kind::Start, time, digest, text }
        };
        let span: Vec<Parcel> = (0..4).map(parcel).collect();
        let lengths = |wrong| {
            let parts = parts(&span, wrong);
            assert_eq!(parts.concat(), span, "in order, and nothing left out");
            parts.map(<[Parcel]>::len)
        };
        assert_eq!([lengths(Some(0)), lengths(Some(2)), lengths(Some(3))], [[0, 1, 3], [2, 1, 1], [3, 1, 0]]);
        assert_eq!([lengths(None), lengths(Some(4)), lengths(Some(usize::MAX))], [[2, 2, 0]; 3]);
    }
}
