//! The load generator: so many connections, each with one call in flight, and how long each call took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sluicegate::clock::Clock;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cpu::cpu_us;
use crate::histogram::Histogram;
use crate::serve::whole;
use crate::upstream::MARK;

/// Longest time for one call, connection included.
const CALL_WAIT: Duration = Duration::from_secs(10);
const RESULT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The call that is made again and again: stateless (2026-07-28), byte for byte the same on every path.
#[derive(Clone)]
pub(crate) struct Load {
    body: Bytes,
    authorization: String,
    clock: Clock,
}

/// What one measurement gave.
pub(crate) struct Sample {
    pub(crate) latencies: Histogram,
    pub(crate) seconds: f64,
    /// CPU time of the process in the middle, in microseconds.
    pub(crate) middle_cpu_us: Option<f64>,
    /// CPU time of the upstream, in microseconds.
    pub(crate) upstream_cpu_us: f64,
}

impl Load {
    /// A call of `bench__echo` with `bytes` bytes of argument.
    pub(crate) fn new(bytes: u32, key: &str) -> Self {
        let text = "a".repeat(bytes as usize);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"bench__echo","arguments":{{"text":"{text}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1"}}}}}}}}"#
        );
        Self { body: body.into(), authorization: format!("Bearer {key}"), clock: Clock::system() }
    }

    /// Runs for `time`, and says what it cost the processes (`middle`, upstream).
    pub(crate) async fn sample(
        &self,
        addr: SocketAddr,
        connections: u16,
        time: Duration,
        (middle, upstream): (Option<u32>, u32),
    ) -> anyhow::Result<Sample> {
        let before = (middle.map(cpu_us).transpose()?, cpu_us(upstream)?);
        let start = self.clock.monotonic();
        let latencies = self.run(addr, connections, time).await?;
        let seconds = (self.clock.monotonic() - start).as_secs_f64();
        let after = (middle.map(cpu_us).transpose()?, cpu_us(upstream)?);
        let middle_cpu_us = after.0.zip(before.0).map(|(after, before)| after - before);
        Ok(Sample { latencies, seconds, middle_cpu_us, upstream_cpu_us: after.1 - before.1 })
    }

    /// Calls on `connections` connections for `time`.
    pub(crate) async fn run(
        &self,
        addr: SocketAddr,
        connections: u16,
        time: Duration,
    ) -> anyhow::Result<Histogram> {
        let end = self.clock.monotonic() + time;
        let mut callers = JoinSet::new();
        for _ in 0..connections {
            let load = Arc::new(self.clone());
            callers.spawn(async move { load.caller(addr, end).await });
        }
        let mut all = Histogram::new();
        while let Some(one) = callers.join_next().await {
            all.merge(&one??);
        }
        Ok(all)
    }

    async fn caller(&self, addr: SocketAddr, end: Duration) -> anyhow::Result<Histogram> {
        let mut connection = connect(addr).await?;
        let mut latencies = Histogram::new();
        while self.clock.monotonic() < end {
            let start = self.clock.monotonic();
            tokio::time::timeout(CALL_WAIT, self.call(&mut connection, addr))
                .await
                .context("a call hangs")??;
            latencies.add(self.clock.monotonic() - start);
        }
        Ok(latencies)
    }

    /// One call on a connection of its own.
    pub(crate) async fn once(&self, addr: SocketAddr) -> anyhow::Result<()> {
        let mut connection = connect(addr).await?;
        tokio::time::timeout(CALL_WAIT, self.call(&mut connection, addr)).await.context("the call hangs")?
    }

    async fn call(&self, connection: &mut SendRequest<Full<Bytes>>, addr: SocketAddr) -> anyhow::Result<()> {
        let request = Request::post("/mcp")
            .header(header::HOST, addr.to_string())
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "bench__echo")
            .body(Full::new(self.body.clone()))?;
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = whole(response.into_body(), RESULT_BYTES_MAX).await?;
        if status != StatusCode::OK || memchr::memmem::find(&body, MARK.as_bytes()).is_none() {
            let start =
                String::from_utf8_lossy(body.get(..body.len().min(500)).unwrap_or_default()).into_owned();
            bail!("the answer is {status}: {start}");
        }
        Ok(())
    }
}

async fn connect(addr: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
