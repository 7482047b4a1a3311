//! Messages to standard output, one a line.
//!
//! The only place that writes there. Must never write anything else.

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// Writes messages until there are no more or nobody reads them.
pub(super) async fn write(mut waiting: mpsc::Receiver<Bytes>, mut output: impl AsyncWrite + Unpin) {
    while let Some(message) = waiting.recv().await {
        let mut line = message.to_vec();
        for byte in &mut line {
            // MCP, "stdio": messages MUST NOT contain embedded newlines. In valid JSON one stands only
            // between tokens, where a space means the same.
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        line.push(b'\n');
        if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}
