//! A batch as a record a line, for whoever takes that.
//!
//! Must never hold a secret (the connection sends those along), nor change a record.

use bytes::Bytes;
use http::Request;
use jiff::Timestamp;

use crate::outbound::post;
use crate::sink::failure::Failure;
use crate::sink::parcel::{Parcel, lines};
use crate::sink::settings::HttpSettings;
use crate::webhook::SigningKey;

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
        let seal = key.seal(&id(sink, parcels), now, request.body());
        let bad = || Failure::Request("the name of the sink cannot stand in a header".to_owned());
        request.headers_mut().extend(seal.ok_or_else(bad)?);
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
