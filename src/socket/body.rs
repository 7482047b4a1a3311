//! Reading one body within its limits.
//!
//! Must never hold more of it than the limit, nor wait longer than the limit for all of it: a body that
//! drips in is cut off by the deadline, however lively it drips (CASES F02, F49).

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

use crate::model::reason::Reason;

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Most bytes.
    pub bytes_max: usize,
    /// Longest time for all of it.
    pub timeout: Duration,
}

/// A body that was not read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// Why.
    pub reason: Reason,
    /// How many of its bytes were read.
    pub bytes_read: u64,
}

/// The whole body.
///
/// # Errors
/// [`Unread`] where it is too large, too slow, or ends early.
pub async fn read_body<B: Body<Data = Bytes>>(body: B, limits: BodyLimits) -> Result<Bytes, Unread> {
    let max = limits.bytes_max as u64;
    // The declared length, where there is one: what says that it is too long is not waited for.
    if body.size_hint().lower() > max {
        return Err(Unread { reason: Reason::BodyTooLarge, bytes_read: 0 });
    }
    let mut bytes_read = 0;
    let whole = tokio::time::timeout(limits.timeout, gather(body, max, &mut bytes_read)).await;
    whole.unwrap_or(Err(Reason::BodyTimeout)).map_err(|reason| Unread { reason, bytes_read })
}

async fn gather<B: Body<Data = Bytes>>(body: B, max: u64, bytes_read: &mut u64) -> Result<Bytes, Reason> {
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.as_mut().frame().await {
        // Trailers are not looked at: nothing in them means anything here.
        let Ok(data) = frame.map_err(|_| Reason::BodyIncomplete)?.into_data() else {
            continue;
        };
        *bytes_read = bytes_read.saturating_add(data.len() as u64);
        if *bytes_read > max {
            return Err(Reason::BodyTooLarge);
        }
        if first.is_empty() {
            // Most bodies come in one piece, and are not copied.
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

#[cfg(test)]
mod tests;
