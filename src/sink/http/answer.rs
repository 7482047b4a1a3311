//! What an answer to a batch means.
//!
//! Must never hold against a record what is no record's fault: only what speaks of the body itself counts against what
//! is in it. A refused credential, a wrong path or a busy server does not. What a receiver says is shown and decides
//! nothing.

use http::StatusCode;

use crate::outbound::{self, Response};
use crate::sink::failure::Failure;
use crate::sink::spans::Objection;

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The receiver has all of it.
    All,
    /// The receiver has it, and says later whether it keeps it: it is asked for this number.
    Later(u64),
    /// Not for something that is in it.
    Nothing(Objection),
}

/// What the status of `response` means (RFC 9110, 15); `more` is what its body says, as far as it is understood.
pub(super) fn by_status(response: &Response, more: &str) -> Result<Taken, Failure> {
    match response.status {
        status if status.is_success() => Ok(Taken::All),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Ok(Taken::Nothing(Objection { why: said(response, more, None), at: None }))
        }
        _ => Err(failure(response, more, None)),
    }
}

/// That the receiver does not have what it was given.
pub(super) fn failure(response: &Response, more: &str, remedy: Option<&str>) -> Failure {
    Failure::Answer { answer: said(response, more, remedy), retry_after: response.retry_after }
}

/// `response` as a person reads it: its status, `more` that it says, and how that is mended.
pub(in crate::sink) fn said(response: &Response, more: &str, remedy: Option<&str>) -> String {
    let mut text = response.status.to_string();
    if !more.is_empty() {
        text.push_str(": ");
        text.push_str(&outbound::said(more));
    }
    if let Some(remedy) = remedy {
        text.push_str("; ");
        text.push_str(remedy);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::*;
    use crate::outbound::SAID_BYTES_MAX;

    #[test]
    fn only_what_speaks_of_the_body_counts_against_the_records_in_it() {
        let asked = Duration::from_secs(7);
        let answered = |code: u16| {
            let status = StatusCode::from_u16(code).unwrap();
            by_status(
                &Response { status, retry_after: Some(asked), headers: HeaderMap::new(), body: None },
                "",
            )
        };
        for code in [200, 201, 202, 204] {
            assert_eq!(answered(code).unwrap(), Taken::All, "{code}");
        }
        for code in [400, 413, 422] {
            assert!(matches!(answered(code), Ok(Taken::Nothing(_))), "{code}");
        }
        for code in [101, 301, 307, 401, 403, 404, 405, 408, 415, 429, 500, 502, 503, 504] {
            let failure = answered(code).unwrap_err();
            assert_eq!(failure.retry_after(), asked, "{code}");
        }
    }

    #[test]
    fn what_a_receiver_says_is_shown_in_bounds_and_in_one_line() {
        let response = Response {
            status: StatusCode::IM_A_TEAPOT,
            retry_after: None,
            headers: HeaderMap::new(),
            body: None,
        };
        let shown = failure(&response, &format!("no\n\u{1b}[31m{}", "x".repeat(10_000)), None).to_string();
        assert!(shown.len() < SAID_BYTES_MAX + 100 && !shown.contains(['\n', '\u{1b}']), "{shown}");
        assert!(shown.starts_with("the receiver answered with 418 I'm a teapot: no"), "{shown}");
    }
}
