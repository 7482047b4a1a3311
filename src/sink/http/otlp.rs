//! Logs of OpenTelemetry over HTTP, in JSON (OTLP 1.9.0, opentelemetry.io/docs/specs/otlp).
//!
//! Must never let a record go that was rejected beside others that were not: all of them are asked about again, in
//! parts, until it is clear which one it is. Must never wait for ever for what is never taken: only what speaks of the
//! records themselves counts against them.

mod export;

use bytes::Bytes;
use http::Request;

use super::answer::{Taken, by_status, failure, said};
use crate::outbound::otlp::{MEDIA, PartialSuccess, Reply};
use crate::outbound::{Response, post};
use crate::sink::failure::Failure;
use crate::sink::parcel::Parcel;
use crate::sink::settings::HttpSettings;
use crate::sink::spans::Objection;

pub(super) async fn request(settings: &HttpSettings, parcels: &[Parcel]) -> Result<Request<Bytes>, Failure> {
    let text = export::logs(parcels).map_err(|error| Failure::Request(error.to_string()))?;
    Ok(post(&settings.url, MEDIA, settings.compression, text).await?)
}

/// What became of logs that were answered with `response` ("OTLP/HTTP Response").
pub(super) fn taken(response: &Response) -> Result<Taken, Failure> {
    let Some(reply) = Reply::of(response) else {
        return match by_status(response, "")? {
            // Whoever answers like this may have taken nothing.
            Taken::All => Err(failure(response, "", Some("name a receiver of OTLP over HTTP in `url`"))),
            taken => Ok(taken),
        };
    };
    match (by_status(response, &reply.message)?, reply.partial_success) {
        (Taken::All, Some(PartialSuccess { rejected: Some(rejected), error_message }))
            if !rejected.is_zero() =>
        {
            let why = if error_message.is_empty() { "rejected" } else { &error_message };
            Ok(Taken::Nothing(Objection { why: said(response, why, None), at: None }))
        }
        (taken, _) => Ok(taken),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn answered(status: u16, body: &str) -> Result<Taken, Failure> {
        let status = StatusCode::from_u16(status).unwrap();
        taken(&Response {
            status,
            retry_after: None,
            headers: HeaderMap::new(),
            body: Some(body.as_bytes().to_vec()),
        })
    }

    #[test]
    fn what_is_rejected_in_part_is_not_taken_and_a_warning_is_no_rejection() {
        for body in ["", "{}", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":null}"#] {
            assert_eq!(answered(200, body).unwrap(), Taken::All, "{body}");
        }
        for rejected in ["0", "\"0\""] {
            let body =
                format!(r#"{{"partialSuccess":{{"rejectedLogRecords":{rejected},"errorMessage":"slow"}}}}"#);
            assert_eq!(answered(200, &body).unwrap(), Taken::All, "{body}");
        }
        for rejected in ["1", "\"2\"", "-1", "\"\""] {
            let body =
                format!(r#"{{"partialSuccess":{{"rejectedLogRecords":{rejected},"errorMessage":"old"}}}}"#);
            let Ok(Taken::Nothing(objection)) = answered(200, &body) else { panic!("{body}") };
            assert_eq!(objection.why, "200 OK: old");
        }
    }

    #[test]
    fn what_is_no_answer_of_otlp_takes_nothing() {
        for body in ["<html>", "\u{1}", "7", r#"{"partialSuccess":7}"#] {
            assert!(answered(200, body).unwrap_err().to_string().contains("in `url`"), "{body}");
        }
        assert!(matches!(answered(400, "\u{a}"), Ok(Taken::Nothing(_))));
        let failure = answered(503, r#"{"code":14,"message":"full"}"#).unwrap_err().to_string();
        assert_eq!(failure, "the receiver answered with 503 Service Unavailable: full");
    }
}
