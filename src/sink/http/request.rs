//! A batch as a request.
//!
//! Must never hold a secret (the connection sends those along), nor change a record.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{Method, Request, header};
use http_body_util::Full;
use jiff::Timestamp;

use super::sign::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use crate::sink::failure::Failure;
use crate::sink::parcel::{Parcel, lines};
use crate::sink::settings::{Compression, HttpSettings};

/// What the sink `sink` sends at `now` for `parcels`.
pub(super) async fn request(
    sink: &str,
    settings: &HttpSettings,
    now: Timestamp,
    parcels: &[Parcel],
) -> Result<Request<Full<Bytes>>, Failure> {
    let body = body(settings.compression, lines(parcels)).await?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(settings.url.clone())
        .header(header::USER_AGENT, concat!("sluicegate/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/x-ndjson");
    if settings.compression == Compression::Gzip {
        request = request.header(header::CONTENT_ENCODING, "gzip");
    }
    if let Some(key) = &settings.sign {
        let (id, timestamp) = (id(sink, parcels), now.as_second().to_string());
        let signature = sign(key, &id, &timestamp, &body);
        let said = [(ID_HEADER, id), (TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, signature)];
        for (name, value) in said {
            request = request.header(name, value);
        }
    }
    request.body(Full::new(body.into())).map_err(|error| Failure::Request(error.to_string()))
}

/// The same for the same records, so that a receiver can tell what comes again.
fn id(sink: &str, parcels: &[Parcel]) -> String {
    let (first, last) = (parcels.first(), parcels.last());
    let digest = last.map_or("-", |last| last.digest.as_str());
    let seq = |parcel: Option<&Parcel>| parcel.map_or(0, |parcel| parcel.seq.0);
    format!("{sink}-{}-{}-{digest}", seq(first), seq(last))
}

async fn body(compression: Compression, text: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match compression {
        Compression::None => Ok(text),
        Compression::Gzip => {
            // A megabyte takes longer than a call should wait for.
            let packed = tokio::task::spawn_blocking(move || gzip(&text)).await;
            let packed = packed.map_err(std::io::Error::other).and_then(|packed| packed);
            packed.map_err(Failure::doing("compressing"))
        }
    }
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text)?;
    packer.finish()
}
