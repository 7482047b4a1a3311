//! What Splunk answers, to events and to the question what of them is indexed.
//!
//! Follows "Possible error codes" of "Troubleshoot HTTP Event Collector". Must never take for indexed what is not
//! answered with true, nor hold against a record what the configuration has to mend.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::outbound::Response;
use crate::sink::failure::Failure;
use crate::sink::http::answer::{Taken, by_status, failure, said};
use crate::sink::settings::Ack;
use crate::sink::spans::Objection;

/// How long nothing is sent where what is sent is taken and never acknowledged, which somebody has to mend: it would
/// only come again and again.
const NEVER_ACKNOWLEDGED_PAUSE: Duration = Duration::from_secs(5 * 60);

const ACK_HELP: &str = "enable indexer acknowledgment for the token, or write `ack = \"off\"`";

/// An answer.
#[derive(Debug, Default, Deserialize)]
struct Reply {
    #[serde(default)]
    text: String,
    code: Option<u64>,
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
    #[serde(rename = "invalid-event-number")]
    invalid: Option<usize>,
    acks: Option<BTreeMap<u64, bool>>,
}

/// What has been indexed of what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Indexed {
    /// These numbers.
    These(Vec<u64>),
    /// It says so later, and not before this time is over.
    Busy(Duration),
}

impl Reply {
    /// What it says, as a person reads it.
    fn said(&self) -> String {
        self.code.map_or_else(|| self.text.clone(), |code| format!("{} ({code})", self.text))
    }

    /// What somebody has to mend, where it says so.
    fn remedy(&self) -> Option<&'static str> {
        match self.code? {
            // The token is disabled, lacking, not in its form, unknown; 21 and 22 are newer numbers for the same.
            1..=4 | 21 | 22 => Some("write the token of an enabled HTTP Event Collector input into `token`"),
            7 => Some("name an index in `index` that exists and that the token may write to"),
            10 | 11 => Some("let `X-Splunk-Request-Channel` pass to Splunk unchanged"),
            14 => Some(ACK_HELP),
            _ => None,
        }
    }
}

/// What became of events that were answered with `response`.
pub(super) fn taken(response: &Response, ack: Ack) -> Result<Taken, Failure> {
    let is_success = response.status.is_success();
    // What is not of Splunk's form has only its status.
    let reply: Reply = response.json().unwrap_or_default();
    match (reply.code, reply.ack_id, ack) {
        // Success; 24 and 25 say that a queue will soon be full.
        (None | Some(0 | 24 | 25), ack_id, ack) if is_success => match (ack_id, ack) {
            (_, Ack::Off) => Ok(Taken::All),
            (Some(number), Ack::Wait(_)) => Ok(Taken::Later(number)),
            (None, Ack::Wait(_)) => {
                let answer = said(response, "no `ackId`", Some(ACK_HELP));
                Err(Failure::Answer { answer, retry_after: Some(NEVER_ACKNOWLEDGED_PAUSE) })
            }
        },
        // No data, wrong data, no event, an empty event, wrong fields.
        (Some(5 | 6 | 12 | 13 | 15), ..) => {
            Ok(Taken::Nothing(Objection { why: said(response, &reply.said(), None), at: reply.invalid }))
        }
        _ if is_success || reply.remedy().is_some() => Err(failure(response, &reply.said(), reply.remedy())),
        _ => by_status(response, &reply.said()),
    }
}

/// What the answer to the question says.
pub(super) fn indexed(response: &Response) -> Result<Indexed, Failure> {
    let reply: Reply = response.json().unwrap_or_default();
    match (response.status, &reply.acks) {
        (status, Some(acks)) if status.is_success() => {
            Ok(Indexed::These(acks.iter().filter(|(_, is_so)| **is_so).map(|(ack, _)| *ack).collect()))
        }
        // A server that is busy or restarts; what it has taken it may still index.
        (
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT,
            _,
        ) => Ok(Indexed::Busy(response.retry_after.unwrap_or_default())),
        _ => Err(failure(response, &reply.said(), reply.remedy())),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answered(status: u16, body: &str) -> Response {
        let status = StatusCode::from_u16(status).unwrap();
        Response {
            status,
            retry_after: None,
            headers: HeaderMap::new(),
            body: Some(body.as_bytes().to_vec()),
        }
    }

    /// The table of "Possible error codes".
    #[test]
    fn every_code_means_what_splunk_says_it_means() {
        let ack = Ack::Wait(Duration::from_secs(1));
        let of = |status: u16, code: u64| {
            taken(&answered(status, &format!(r#"{{"text":"T","code":{code},"ackId":7}}"#)), ack)
        };
        for code in [0, 24, 25] {
            assert_eq!(of(200, code).unwrap(), Taken::Later(7), "{code}");
        }
        for code in [5, 6, 12, 13, 15] {
            assert!(matches!(of(400, code), Ok(Taken::Nothing(_))), "{code}");
        }
        for (status, code) in [(403, 1), (401, 2), (401, 3), (403, 4), (400, 21), (400, 22)] {
            assert!(of(status, code).unwrap_err().to_string().contains("into `token`"), "{code}");
        }
        for (code, part) in [(7, "`index`"), (10, "Channel"), (11, "Channel"), (14, "ack = \"off\"")] {
            assert!(of(400, code).unwrap_err().to_string().contains(part), "{code}");
        }
        for (status, code) in [(500, 8), (503, 9), (503, 18), (503, 23), (429, 26), (429, 27), (200, 9)] {
            assert!(of(status, code).unwrap_err().to_string().ends_with(&format!("T ({code})")), "{code}");
        }
        assert!(matches!(of(413, 99), Ok(Taken::Nothing(_))));
    }

    #[test]
    fn what_is_wrong_is_named_and_what_is_not_understood_is_no_acknowledgement() {
        let (wait, off) = (Ack::Wait(Duration::from_secs(1)), Ack::Off);
        let named = answered(400, r#"{"text":"Invalid data format","code":6,"invalid-event-number":3}"#);
        let Taken::Nothing(objection) = taken(&named, wait).unwrap() else { panic!("{named:?}") };
        assert_eq!(objection.at, Some(3));
        assert_eq!(objection.why, "400 Bad Request: Invalid data format (6)");
        for body in ["", "<html>", r#"{"text":"Success","code":0}"#, r#"{"ackId":-1}"#] {
            let failure = taken(&answered(200, body), wait).unwrap_err();
            assert!(failure.to_string().contains("enable indexer acknowledgment"), "{failure}");
            assert_eq!(failure.retry_after(), NEVER_ACKNOWLEDGED_PAUSE);
            assert_eq!(taken(&answered(200, body), off).unwrap(), Taken::All);
        }
        assert!(matches!(taken(&answered(400, "<html>"), off), Ok(Taken::Nothing(_))));
        assert!(taken(&answered(404, "<html>"), off).is_err());
    }

    #[test]
    fn only_true_is_indexed() {
        let of = |status: u16, body: &str| indexed(&answered(status, body));
        let some = of(200, r#"{"acks":{"0":true,"1":false,"12":true}}"#).unwrap();
        assert_eq!(some, Indexed::These(vec![0, 12]));
        for status in [429, 500, 502, 503, 504] {
            assert_eq!(of(status, "").unwrap(), Indexed::Busy(Duration::ZERO), "{status}");
        }
        for body in ["", r#"{"acks":{"0":"true"}}"#, r#"{"acks":[0]}"#, r#"{"text":"Success","code":0}"#] {
            assert!(of(200, body).is_err(), "{body}");
        }
        let disabled = of(400, r#"{"text":"ACK is disabled","code":14}"#).unwrap_err().to_string();
        assert!(disabled.contains("ACK is disabled (14); enable"), "{disabled}");
    }
}
