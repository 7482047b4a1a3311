//! HTTP for the processes of the benchmark: accept on loopback until standard input ends; read a body.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::process::LISTENING;

const CONNECTIONS_MAX: usize = 512;

/// Answers every request with `answer`, on a port of the system's choice that is said on standard output.
pub(crate) async fn serve<F, R, B>(answer: F) -> anyhow::Result<()>
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    B::Data: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{LISTENING}{}", listener.local_addr()?)?;
    let accepting = tokio::spawn(accept(listener, answer));
    let (mut input, mut scrap) = (tokio::io::stdin(), [0; 64]);
    while !matches!(input.read(&mut scrap).await, Ok(0) | Err(_)) {}
    accepting.abort();
    Ok(())
}

/// A whole body, of at most `bytes_max` bytes.
#[expect(clippy::disallowed_methods, reason = "the body is limited here, by what every caller names")]
pub(crate) async fn whole(body: Incoming, bytes_max: usize) -> anyhow::Result<Bytes> {
    let whole = Limited::new(body, bytes_max).collect().await;
    Ok(whole.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
}

async fn accept<F, R, B>(listener: TcpListener, answer: F)
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    B::Data: Send,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _delayed = stream.set_nodelay(true);
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _ended = connection.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}
