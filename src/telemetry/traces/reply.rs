//! What the answer to a batch of spans means ("OTLP/HTTP Response").
//!
//! Must never have a batch sent again that the receiver took, or will never take.

use std::time::Duration;

use http::StatusCode;

use crate::outbound::otlp::{PartialSuccess, Reply};
use crate::outbound::{Response, said};

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All of it was taken.
    All,
    /// So many of its spans were rejected, or none where it is only a warning; why, in the receiver's words.
    But(usize, String),
    /// Nothing was, and will not be.
    Never(String),
    /// Nothing was; the receiver may be asked again after this long.
    Later(String, Duration),
}

/// What `response` to a batch of `spans` means.
pub(super) fn taken(response: &Response, spans: usize) -> Taken {
    let reply = Reply::of(response);
    let status = response.status;
    if !status.is_success() {
        let why = said(&format!("{status}: {}", reply.unwrap_or_default().message));
        return match status {
            // "Retryable Response Codes".
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Taken::Later(why, response.retry_after.unwrap_or_default()),
            _ => Taken::Never(why),
        };
    }
    match reply.map(|reply| reply.partial_success) {
        // Whoever answers like this may have taken nothing.
        None => Taken::Never(format!("{status}, which is no answer of OTLP over HTTP")),
        Some(Some(PartialSuccess { rejected, error_message })) => {
            let rejected = match rejected.map(|count| count.number()) {
                None => 0,
                // What cannot be read may be all of them.
                Some(number) => number.and_then(|number| usize::try_from(number).ok()).unwrap_or(spans),
            };
            match rejected.min(spans) {
                0 if error_message.is_empty() => Taken::All,
                rejected => Taken::But(rejected, said(&error_message)),
            }
        }
        Some(None) => Taken::All,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answered(status: u16, body: &str) -> Taken {
        let status = StatusCode::from_u16(status).unwrap();
        let retry_after = Some(Duration::from_secs(7));
        taken(
            &Response {
                status,
                retry_after,
                headers: HeaderMap::new(),
                body: Some(body.as_bytes().to_vec()),
            },
            3,
        )
    }

    #[test]
    fn what_is_rejected_in_part_is_counted_and_a_warning_is_no_rejection() {
        for body in ["", "{}", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":{"rejectedSpans":"0"}}"#] {
            assert_eq!(answered(200, body), Taken::All, "{body}");
        }
        let partly = |rejected: &str| {
            answered(
                200,
                &format!(r#"{{"partialSuccess":{{"rejectedSpans":{rejected},"errorMessage":"old"}}}}"#),
            )
        };
        assert_eq!(partly("\"2\""), Taken::But(2, "old".to_owned()));
        assert_eq!(partly("0"), Taken::But(0, "old".to_owned()));
        for all in ["99", "-1", "\"x\""] {
            assert_eq!(partly(all), Taken::But(3, "old".to_owned()), "{all}");
        }
    }

    #[test]
    fn only_what_may_be_tried_again_is() {
        for status in [429, 502, 503, 504] {
            let Taken::Later(why, after) = answered(status, r#"{"message":"full\n"}"#) else {
                panic!("{status}")
            };
            assert!(why.ends_with(": full\\u{a}") && after == Duration::from_secs(7), "{why}");
        }
        for (status, body) in [(200, "<html>"), (400, ""), (401, "{}"), (404, ""), (500, ""), (302, "")] {
            assert!(matches!(answered(status, body), Taken::Never(_)), "{status}");
        }
    }
}
