//! A server that takes batches of records over HTTP: as lines, as logs of OpenTelemetry, or as Splunk takes them.
//!
//! What it says it has it has; what it refuses is asked about in parts. Must never set a record aside for what is said of
//! others beside it, nor follow a redirect: records go where the configuration says.

mod answer;
mod hec;
mod lines;
mod otlp;

use super::failure::Failure;
use super::parcel::Parcel;
use super::settings::{HecSettings, HttpProtocol, HttpSettings};
use super::spans::Spans;
use super::target::{Delivered, Sure};
use crate::clock::Clock;
use crate::outbound::Client;
use crate::webhook::SigningKey;
pub(super) use answer::said;
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
        let (mut spans, mut awaited) = (Spans::of(parcels), Vec::new());
        while let Some(span) = spans.next() {
            match self.post(span).await? {
                Taken::All => spans.taken(span),
                Taken::Later(number) => {
                    awaited.push(number);
                    spans.taken(span);
                }
                Taken::Nothing(objection) => spans.objected(span, objection),
            }
        }
        let refused = spans.end()?;
        self.wait_for(awaited).await?;
        Ok(Delivered { sure: Sure::Arrived, refused })
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
