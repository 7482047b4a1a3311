//! What a child writes to stderr: always drained, shown at a bounded rate (CASES F21).
//!
//! Must never let a full pipe block the child, nor pass on what a terminal would obey (CASES A61).

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::clock::Clock;
use crate::model::name::UpstreamName;
use crate::model::text::{Bounded, printable};
use crate::upstream::notice::{Notice, Notices, STDERR_LINE_BYTES_MAX};
use crate::upstream::rate::Bucket;

/// Lines that are shown at once after a quiet time.
const STDERR_BURST_LINES: u64 = 50;
/// Time after which one more line may be shown.
const STDERR_LINE_INTERVAL: Duration = Duration::from_millis(100);
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// Reads `stderr` until it ends, or the task is aborted.
pub(in crate::upstream) async fn drain(
    mut stderr: impl AsyncRead + Unpin,
    upstream: UpstreamName,
    clock: Clock,
    notices: Notices,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    let bucket = Bucket::full(clock, STDERR_BURST_LINES, STDERR_LINE_INTERVAL);
    let mut lines = Lines { upstream, notices, bucket, line: Vec::new(), suppressed: 0 };
    while let Ok(read) = stderr.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        lines.push(chunk.get(..read).unwrap_or_default());
    }
    lines.finish();
}

struct Lines {
    upstream: UpstreamName,
    notices: Notices,
    bucket: Bucket,
    /// The beginning of the line that is being read: never more than is shown of it.
    line: Vec<u8>,
    suppressed: u64,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            // One byte more than is shown, so that a cut line is marked as cut.
            let room = (STDERR_LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(part.get(..room).unwrap_or(part));
            if parts.peek().is_some() {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        if self.bucket.take().is_none() {
            self.suppressed += 1;
        } else {
            self.report();
            let text = String::from_utf8_lossy(&self.line);
            let line = Bounded::new(printable(text.trim_end_matches('\r')).as_str());
            self.notices.tell(Notice::Stderr { upstream: self.upstream.clone(), line });
        }
        self.line.clear();
    }

    fn report(&mut self) {
        let lines = std::mem::take(&mut self.suppressed);
        if lines > 0 {
            self.notices.tell(Notice::StderrSuppressed { upstream: self.upstream.clone(), lines });
        }
    }

    fn finish(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.report();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn f21_a_flood_is_drained_tagged_and_cut_to_the_rate() {
        let (sender, mut receiver) = mpsc::channel(1024);
        let flood = "noise \u{1b}[2J\n".repeat(100_000) + &"x".repeat(1 << 20);
        let upstream = UpstreamName::new("mail").unwrap();
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        drain(flood.as_bytes(), upstream.clone(), clock, Notices::new(sender)).await;
        for _ in 0..STDERR_BURST_LINES {
            let line = Bounded::new("noise \\u{1b}[2J");
            assert_eq!(receiver.try_recv(), Ok(Notice::Stderr { upstream: upstream.clone(), line }));
        }
        let lines = 100_001 - STDERR_BURST_LINES;
        assert_eq!(receiver.try_recv(), Ok(Notice::StderrSuppressed { upstream, lines }));
    }
}
