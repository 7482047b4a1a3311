//! A batch as a request.
//!
//! Must never put a secret anywhere but into its header, nor change a record.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;

use super::sign::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use crate::clock::Clock;
use crate::sink::failure::Failure;
use crate::sink::parcel::{Parcel, lines};
use crate::sink::settings::{Compression, HttpSettings};

/// What makes requests.
#[derive(Debug)]
pub(super) struct Writer {
    sink: String,
    settings: HttpSettings,
    clock: Clock,
}

impl Writer {
    pub(super) fn new(sink: &str, settings: &HttpSettings, clock: Clock) -> Self {
        Self { sink: sink.to_owned(), settings: settings.clone(), clock }
    }

    pub(super) async fn request(&self, parcels: &[Parcel]) -> Result<Request<Full<Bytes>>, Failure> {
        let body = self.body(lines(parcels)).await?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.settings.url.clone())
            .header(header::USER_AGENT, concat!("sluicegate/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/x-ndjson");
        if self.settings.compression == Compression::Gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        if let Some(key) = &self.settings.sign {
            let id = self.id(parcels);
            let timestamp = self.clock.wall().as_second().to_string();
            let signature = sign(key, &id, &timestamp, &body);
            let said = [(ID_HEADER, id), (TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, signature)];
            for (name, value) in said {
                request = request.header(name, value);
            }
        }
        for (name, value) in &self.settings.headers {
            request = request.header(name, sensitive(name, value.reveal())?);
        }
        request.body(Full::new(body.into())).map_err(|error| Failure::Request(error.to_string()))
    }

    /// The same for the same records, so that a receiver can tell what comes again.
    fn id(&self, parcels: &[Parcel]) -> String {
        let (first, last) = (parcels.first(), parcels.last());
        let digest = last.map_or("-", |last| last.digest.as_str());
        let seq = |parcel: Option<&Parcel>| parcel.map_or(0, |parcel| parcel.seq.0);
        format!("{}-{}-{}-{digest}", self.sink, seq(first), seq(last))
    }

    async fn body(&self, text: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match self.settings.compression {
            Compression::None => Ok(text),
            Compression::Gzip => {
                // A megabyte takes longer than a call should wait for.
                let packed = tokio::task::spawn_blocking(move || gzip(&text)).await;
                let packed = packed.map_err(std::io::Error::other).and_then(|packed| packed);
                packed.map_err(Failure::doing("compressing"))
            }
        }
    }
}

fn sensitive(name: &HeaderName, value: &str) -> Result<HeaderValue, Failure> {
    let bad = |_| Failure::Request(format!("the value of `{name}` cannot stand in a header"));
    let mut value = HeaderValue::from_str(value).map_err(bad)?;
    value.set_sensitive(true);
    Ok(value)
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text)?;
    packer.finish()
}
