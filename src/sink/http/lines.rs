//! A batch as a record a line, for whoever takes that.
//!
//! Must never hold a secret (the connection sends those along), nor change a record.

mod sign;

use bytes::Bytes;
use http::{HeaderValue, Request};
use jiff::Timestamp;

use crate::outbound::post;
use crate::sink::failure::Failure;
use crate::sink::parcel::{Parcel, lines};
use crate::sink::settings::{HttpSettings, SigningKey};
use sign::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

/// What the sink `sink` sends at `now` for `parcels`.
pub(super) async fn request(
    sink: &str,
    settings: &HttpSettings,
    key: Option<&SigningKey>,
    now: Timestamp,
    parcels: &[Parcel],
) -> Result<Request<Bytes>, Failure> {
    let mut request =
        post(&settings.url, "application/x-ndjson", settings.compression, lines(parcels)).await?;
    if let Some(key) = key {
        let (id, timestamp) = (id(sink, parcels), now.as_second().to_string());
        let signature = sign(key, &id, &timestamp, request.body());
        for (name, value) in [(ID_HEADER, id), (TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, signature)] {
            let value = HeaderValue::try_from(value).map_err(|error| Failure::Request(error.to_string()))?;
            request.headers_mut().insert(name, value);
        }
    }
    Ok(request)
}

/// The same for the same records, so that a receiver can tell what comes again.
fn id(sink: &str, parcels: &[Parcel]) -> String {
    let (first, last) = (parcels.first(), parcels.last());
    let digest = last.map_or("-", |last| last.digest.as_str());
    let seq = |parcel: Option<&Parcel>| parcel.map_or(0, |parcel| parcel.seq.0);
    format!("{sink}-{}-{}-{digest}", seq(first), seq(last))
}
