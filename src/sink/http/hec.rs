//! Splunk's HTTP Event Collector, with the acknowledgement of its indexers.
//!
//! Follows "HTTP Event Collector REST API endpoints" and "About HTTP Event Collector Indexer Acknowledgment" of Splunk
//! Enterprise. Must never call delivered what is not acknowledged as indexed, where that is waited for, nor take the
//! acknowledgement of one attempt for that of another: each has a channel of its own.

mod event;
mod reply;

use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderName, HeaderValue, Request, Uri};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::answer::Taken;
use crate::chance;
use crate::outbound::{Client, Response, post};
use crate::sink::failure::Failure;
use crate::sink::parcel::Parcel;
use crate::sink::settings::{Ack, Compression, HecSettings, HttpSettings};
use reply::{Indexed, indexed, taken};

/// What tells the acknowledgements of one sender from those of others.
const CHANNEL_HEADER: HeaderName = HeaderName::from_static("x-splunk-request-channel");
/// What both kinds of requests are.
const MEDIA: &str = "application/json";
/// How long it takes until it is asked first what has been indexed.
const ASK_FIRST: Duration = Duration::from_millis(200);
/// The longest wait until it is asked again: what Splunk advises ("Indexer acknowledgment client behavior").
const ASK_LONGEST: Duration = Duration::from_secs(10);

/// One channel.
#[derive(Debug)]
pub(super) struct Hec {
    settings: HecSettings,
    channel: HeaderValue,
    /// Where it is asked what of this channel has been indexed.
    acks: Uri,
}

/// What is asked.
#[derive(Serialize)]
struct Question<'a> {
    acks: &'a [u64],
}

impl Hec {
    /// A new channel.
    pub(super) fn new(settings: HecSettings) -> Result<Self, Failure> {
        let bad = |error: &dyn std::fmt::Display| Failure::Request(error.to_string());
        let channel = guid(chance::bytes().map_err(|error| bad(&error))?);
        let acks = format!("{}?channel={channel}", settings.acks).parse().map_err(|error| bad(&error))?;
        let channel = HeaderValue::try_from(channel).map_err(|error| bad(&error))?;
        Ok(Self { settings, channel, acks })
    }

    pub(super) async fn request(
        &self,
        settings: &HttpSettings,
        parcels: &[Parcel],
    ) -> Result<Request<Bytes>, Failure> {
        let text = event::events(&self.settings.labels, parcels)?;
        Ok(self.on_channel(post(&settings.url, MEDIA, settings.compression, text).await?))
    }

    pub(super) fn taken(&self, response: &Response) -> Result<Taken, Failure> {
        taken(response, self.settings.ack)
    }

    /// Returns when all that was taken with the numbers `awaited` is indexed.
    pub(super) async fn wait_for(&self, client: &Client, mut awaited: Vec<u64>) -> Result<(), Failure> {
        let Ack::Wait(within) = self.settings.ack else { return Ok(()) };
        let (requests, until) = (awaited.len(), Instant::now() + within);
        let mut wait = ASK_FIRST;
        while !awaited.is_empty() {
            if Instant::now() >= until {
                let (missing, seconds) = (awaited.len(), within.as_secs());
                return Err(Failure::Unacknowledged { missing, requests, seconds });
            }
            sleep_until(until.min(Instant::now() + wait)).await;
            wait = wait.saturating_mul(2).min(ASK_LONGEST);
            match self.ask(client, &awaited).await? {
                Indexed::These(these) => awaited.retain(|number| !these.contains(number)),
                Indexed::Busy(pause) => wait = wait.max(pause),
            }
        }
        Ok(())
    }

    async fn ask(&self, client: &Client, acks: &[u64]) -> Result<Indexed, Failure> {
        let question = serde_json::to_vec(&Question { acks });
        let question = question.map_err(|error| Failure::Request(error.to_string()))?;
        let request = self.on_channel(post(&self.acks, MEDIA, Compression::None, question).await?);
        indexed(&client.send(request).await?)
    }

    fn on_channel(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        request.headers_mut().insert(CHANNEL_HEADER, self.channel.clone());
        request
    }
}

/// A random UUID (RFC 9562, 5.4) of `bytes`.
fn guid(mut bytes: [u8; 16]) -> String {
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_a_random_uuid() {
        assert_eq!(guid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(guid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
