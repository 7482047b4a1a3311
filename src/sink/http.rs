//! An HTTP server that takes batches of records, a record a line.
//!
//! What it answers with 2xx it has. What is too large for it is halved, and so is what it calls wrong, until one record
//! is left that it cannot take: that one is set aside. Must never set a record aside for a receiver that takes nothing
//! at all (that is a failure, and waits), nor follow a redirect: records go where the configuration says.

mod client;
mod request;
mod sign;

use std::collections::VecDeque;

use http::StatusCode;

use super::failure::Failure;
use super::parcel::Parcel;
use super::settings::HttpSettings;
use super::target::{Delivered, Refused, Sure};
use crate::clock::Clock;
use client::{Client, Response};
use request::request;

#[derive(Debug)]
pub(super) struct HttpTarget {
    /// The name of the sink.
    sink: String,
    settings: HttpSettings,
    clock: Clock,
    client: Option<Client>,
}

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    /// The receiver has all of it.
    All,
    /// Not for something that is in it.
    Nothing(String),
}

impl HttpTarget {
    pub(super) fn new(sink: &str, settings: HttpSettings, clock: Clock) -> Self {
        Self { sink: sink.to_owned(), settings, clock, client: None }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Delivered, Failure> {
        let mut spans = VecDeque::from([parcels]);
        let (mut at, mut refused) = (0, Vec::new());
        while let Some(span) = spans.pop_front() {
            match self.post(span).await? {
                Taken::All => at += span.len(),
                Taken::Nothing(why) if span.len() <= 1 => {
                    refused.push(Refused { at, why });
                    at += 1;
                }
                Taken::Nothing(_) => {
                    let (first, second) = span.split_at(span.len() / 2);
                    spans.push_front(second);
                    spans.push_front(first);
                }
            }
        }
        match refused.last() {
            Some(last) if refused.len() == parcels.len() => {
                Err(Failure::TakesNone { records: parcels.len(), why: last.why.clone() })
            }
            _ => Ok(Delivered { sure: Sure::Arrived, refused }),
        }
    }

    async fn post(&mut self, parcels: &[Parcel]) -> Result<Taken, Failure> {
        let request = request(&self.sink, &self.settings, self.clock.wall(), parcels).await?;
        let client = match &self.client {
            Some(client) => client,
            // The files are read each time, so that renewed certificates count without a restart.
            None => self.client.insert(Client::new(&self.settings)?),
        };
        taken(client.send(request).await?)
    }

    pub(super) fn reset(&mut self) {
        self.client = None;
    }
}

/// What an answer means (RFC 9110, 15). Only what speaks of the body itself counts against the records in it: a
/// refused credential, a wrong path or a busy server is no record's fault.
fn taken(response: Response) -> Result<Taken, Failure> {
    let Response { status, retry_after } = response;
    match status {
        status if status.is_success() => Ok(Taken::All),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Ok(Taken::Nothing(format!("the receiver answered with {status}")))
        }
        status => Err(Failure::Status { status, retry_after }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_speaks_of_the_body_counts_against_the_records_in_it() {
        let asked = Duration::from_secs(7);
        let retry_after = Some(asked);
        let answered =
            |code: u16| taken(Response { status: StatusCode::from_u16(code).unwrap(), retry_after });
        for code in [200, 201, 202, 204] {
            assert_eq!(answered(code).unwrap(), Taken::All, "{code}");
        }
        for code in [400, 413, 422] {
            assert!(matches!(answered(code), Ok(Taken::Nothing(_))), "{code}");
        }
        for code in [101, 301, 307, 401, 403, 404, 405, 408, 415, 429, 500, 502, 503] {
            let failure = answered(code).unwrap_err();
            assert_eq!(failure.retry_after(), asked, "{code}");
        }
    }
}
