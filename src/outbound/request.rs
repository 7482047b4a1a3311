//! What every request has, whatever is spoken.
//!
//! Must never hold a secret: the connection sends those along.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{Method, Request, Uri, header};

use super::fault::Fault;

/// How bodies are written (`compress`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// `Content-Encoding: gzip` (RFC 9110, 8.4.1.3).
    Gzip,
}

/// A request to `uri` whose body is `text`, which is of the type `media`, written as `compression` says.
///
/// # Errors
/// Why there is none.
pub async fn post(
    uri: &Uri,
    media: &'static str,
    compression: Compression,
    text: Vec<u8>,
) -> Result<Request<Bytes>, Fault> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri.clone())
        .header(header::USER_AGENT, concat!("sluicegate/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, media);
    if compression == Compression::Gzip {
        request = request.header(header::CONTENT_ENCODING, "gzip");
    }
    let body = body(compression, text).await?;
    request.body(body.into()).map_err(|error| Fault::Request(error.to_string()))
}

async fn body(compression: Compression, text: Vec<u8>) -> Result<Vec<u8>, Fault> {
    match compression {
        Compression::None => Ok(text),
        Compression::Gzip => {
            // A megabyte takes longer than a call should wait for.
            let packed = tokio::task::spawn_blocking(move || gzip(&text)).await;
            let packed = packed.map_err(std::io::Error::other).and_then(|packed| packed);
            packed.map_err(Fault::Packing)
        }
    }
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text)?;
    packer.finish()
}
