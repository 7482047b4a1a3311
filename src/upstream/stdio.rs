//! The stdio transport: one JSON-RPC message a line on the pipes of a child (2025-11-25,
//! basic/transports, "stdio").
//!
//! Must never read without a cap (CASES F11), and never let a child that does not read its stdin hold
//! up anything but its own calls. It trusts no byte: log text, invalid UTF-8 and floods are expected.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::exchange::{Exchange, Received, Scope};
use super::failure::{Detail, Failure};
use super::handover::Handover;
use super::layout;
use super::process::{Pipes, Process};
use super::settings::Large;
use crate::spool::{Gatherer, HEAD_BYTES};
use crate::task::Task;
use crate::wire::line;

/// Messages that may wait for a child to read its stdin.
const OUTBOX_MAX: usize = 64;
/// What is read after a child has exited: what it wrote before is still in the pipe, but something it
/// started may hold the pipe open for ever (CASES F25).
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The way to a child.
#[derive(Debug, Clone)]
pub(super) struct Stdio {
    outbox: mpsc::Sender<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    line: Bytes,
    handover: Handover,
}

/// The child and the tasks around it; for the supervisor of the instance.
#[derive(Debug)]
pub(super) struct Attended {
    process: Process,
    reader: Task,
    writer: Task,
    _stderr: Task,
}

impl Stdio {
    /// Queues a request. Its answer comes through the exchange.
    pub(super) async fn send(&self, message: &Bytes, handover: &Handover) -> Result<(), Failure> {
        let outgoing = Outgoing { line: framed(message), handover: handover.clone() };
        let closed = |_| Failure::Unavailable(Detail::new("its stdin is closed"));
        self.outbox.send(outgoing).await.map_err(closed)
    }

    /// Queues a message that needs no answer, if there is room.
    pub(super) fn tell(&self, message: &Bytes, exchange: &Exchange) {
        let outgoing = Outgoing { line: framed(message), handover: Handover::default() };
        if self.outbox.try_send(outgoing).is_err() {
            exchange.counters().replies_dropped.count();
        }
    }
}

/// Attends to `process`: reads, writes, drains. `drain` is the task on its stderr.
pub(super) fn attend(
    process: Process,
    pipes: Pipes,
    exchange: &Arc<Exchange>,
    large: Large,
    drain: impl FnOnce(tokio::process::ChildStderr) -> Task,
) -> (Stdio, Attended) {
    let (outbox, queue) = mpsc::channel(OUTBOX_MAX);
    let link = Stdio { outbox };
    let writer = Task::spawn(write(pipes.stdin, queue));
    // The reader's own way to the writer is weak: the writer ends, and with it the child's stdin, when
    // the instance is gone, although the reader still runs.
    let reply = link.outbox.downgrade();
    let reading = read(pipes.stdout, Arc::clone(exchange), large, move |message, exchange| {
        if let Some(outbox) = reply.upgrade() {
            Stdio { outbox }.tell(&message, exchange);
        }
    });
    let reader = Task::spawn(reading);
    let stderr = drain(pipes.stderr);
    (link, Attended { process, reader, writer, _stderr: stderr })
}

impl Attended {
    /// Waits until the child is gone, or no longer talks. Cancel safe.
    pub(super) async fn ended(&mut self) -> Detail {
        tokio::select! {
            biased;
            status = self.process.exited() => {
                let _ = timeout(LAST_WORDS, self.reader.finished()).await;
                describe(status)
            }
            () = self.reader.finished() => {
                // Most often it has exited, and that says more.
                match timeout(LAST_WORDS, self.process.exited()).await {
                    Ok(status) => describe(status),
                    Err(_) => Detail::new("it closed its stdout"),
                }
            }
        }
    }

    /// Ends the child and everything it started.
    pub(super) async fn stop(mut self) {
        // Ending the writer closes the child's stdin, which asks it to go.
        self.writer.abort();
        self.writer.finished().await;
        self.process.end().await;
    }
}

fn describe(status: std::io::Result<ExitStatus>) -> Detail {
    match status {
        Ok(status) => Detail::new(&format!("it exited: {status}")),
        Err(error) => Detail::of_error(&error),
    }
}

/// `message` as one line with its end.
fn framed(message: &Bytes) -> Bytes {
    let mut line = BytesMut::with_capacity(message.len() + 1);
    match memchr::memchr2(b'\n', b'\r', message) {
        Some(_) => line.extend_from_slice(&layout::one_line(message)),
        None => line.extend_from_slice(message),
    }
    line.extend_from_slice(b"\n");
    line.freeze()
}

async fn write(mut stdin: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = queue.recv().await {
        if outgoing.handover.take().is_none() {
            continue;
        }
        let written = async {
            stdin.write_all(&outgoing.line).await?;
            stdin.flush().await
        };
        if let Err(error) = written.await {
            // The child closed its stdin or is gone; the reader or the supervisor notices which.
            tracing::debug!(%error, "cannot write to a child");
            return;
        }
    }
}

async fn read(
    mut stdout: impl AsyncRead + Unpin,
    exchange: Arc<Exchange>,
    large: Large,
    reply: impl Fn(Bytes, &Exchange),
) {
    let mut lines = line::Decoder::gathering(large.bytes_max, Gatherer::new(large.folder));
    // The beginning of the line, to tell whose answer it was if it is too long.
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read) = stdout.read(&mut chunk).await {
        let chunk = chunk.get(..read).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let room = HEAD_BYTES.saturating_sub(head.len());
            head.extend_from_slice(part.get(..room).unwrap_or(part));
            lines.push(part, |line| match line {
                Ok(line) => match exchange.receive(line, Scope::Whole) {
                    Received::Reply(message) => reply(message, &exchange),
                    Received::Settled | Received::Nothing | Received::Garbage(_) => {}
                },
                Err(_) => exchange.receive_oversize(&head),
            });
            if part.ends_with(b"\n") {
                head.clear();
            }
        }
        // A child that floods its stdout gets no more of this thread than others do (I12).
        tokio::task::coop::consume_budget().await;
    }
}
