//! Finding out which era a server belongs to, and meeting one of 2026-07-28 (2026-07-28, "Backward
//! Compatibility" of both transports; server/discover).
//!
//! Must never wait without bound for a server that ignores the question, nor shake hands with one that
//! said that it speaks no revision with a handshake. It trusts nothing of the answer.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::handshake::{Introduced, StartError, capable_of};
use super::{Asking, GivingUp, Instance};
use crate::upstream::cancel::CancelSignal;
use crate::upstream::era::Era;
use crate::upstream::failure::{Answer, AnswerKind, Detail, Failure};
use crate::wire::{Method, Revision, code, result, stateless};

/// How long an answer to the first question is waited for before the handshake is tried; less where
/// `start_timeout` is short.
const PROBE_WAIT_MAX: Duration = Duration::from_secs(3);

/// What a server said when it was asked what it is.
enum Heard {
    /// It speaks 2026-07-28.
    Stateless(Introduced),
    /// It does not, and may shake hands.
    Handshake,
}

/// How long to wait for the answer to the probe where a start may take `start_timeout`.
pub(super) fn probe_wait(start_timeout: Duration) -> Duration {
    (start_timeout / 4).min(PROBE_WAIT_MAX)
}

impl Instance {
    /// Meets a server of 2026-07-28.
    pub(super) async fn discover(&self, deadline: Instant) -> Result<Introduced, StartError> {
        match self.probe(deadline).await? {
            Heard::Stateless(introduced) => Ok(introduced),
            Heard::Handshake => Err(StartError::NotStateless),
        }
    }

    /// Meets a server of either era.
    pub(super) async fn detect(&self, wait: Duration, deadline: Instant) -> Result<Introduced, StartError> {
        let mut probing = pin!(self.probe(deadline));
        match timeout(wait, &mut probing).await {
            Ok(heard) => match heard? {
                Heard::Stateless(introduced) => Ok(introduced),
                Heard::Handshake => self.initialize(Revision::V2025_11_25, deadline).await,
            },
            Err(_) => self.detect_late(probing, wait, deadline).await,
        }
    }

    /// Meets a server that has not answered the probe so far: it ignores it, or it is slow to start. It is
    /// offered a handshake as well; one that takes it is held to that, for then it has begun a session.
    async fn detect_late(
        &self,
        mut probing: Pin<&mut impl Future<Output = Result<Heard, StartError>>>,
        wait: Duration,
        deadline: Instant,
    ) -> Result<Introduced, StartError> {
        let mut greeting = pin!(self.initialize(Revision::V2025_11_25, deadline));
        tokio::select! {
            biased;
            greeted = &mut greeting => match greeted {
                Ok(introduced) => Ok(introduced),
                Err(refused) => match timeout(wait, probing).await {
                    Ok(Ok(Heard::Stateless(introduced))) => Ok(introduced),
                    _ => Err(refused),
                },
            },
            heard = &mut probing => match heard {
                Ok(Heard::Stateless(introduced)) => match timeout(wait, greeting).await {
                    Ok(Ok(greeted)) => Ok(greeted),
                    _ => Ok(introduced),
                },
                _ => greeting.await,
            },
        }
    }

    /// Asks `server/discover`. Given up in silence: a server that does not know it knows no cancellation
    /// of it either.
    async fn probe(&self, deadline: Instant) -> Result<Heard, StartError> {
        let asking = Asking {
            message: Box::new(|id| Era::Stateless.request(id, &Method::Discover, None)),
            relay: None,
            deadline,
            giving_up: GivingUp::Silently,
        };
        heard(self.ask(asking, &mut CancelSignal::never()).await)
    }
}

/// What an answer to the probe says. "The fallback MUST NOT be keyed to one specific error code."
fn heard(outcome: Result<Answer, Failure>) -> Result<Heard, StartError> {
    match outcome {
        Ok(answer) if answer.kind == AnswerKind::Error => refused(&answer.raw),
        Ok(answer) => match stateless::discovered(&answer.raw) {
            Ok(discovered) => Ok(match choose(&discovered.supported)? {
                Era::Stateless => {
                    let instructions = discovered.instructions.as_ref();
                    let capabilities = &discovered.capabilities;
                    Heard::Stateless(capable_of(Revision::V2026_07_28, capabilities, instructions))
                }
                Era::Handshake => Heard::Handshake,
            }),
            Err(_) => Ok(Heard::Handshake),
        },
        Err(failure @ Failure::Unavailable(_)) => Err(StartError::Initialize(failure)),
        Err(_) => Ok(Heard::Handshake),
    }
}

fn refused(raw: &bytes::Bytes) -> Result<Heard, StartError> {
    let text = || Detail::new(&String::from_utf8_lossy(raw));
    match result::error_code(raw) {
        Some(code::UNSUPPORTED_PROTOCOL_VERSION) => {
            let supported = stateless::supported_in_error(raw).unwrap_or_default();
            match choose(&supported)? {
                Era::Handshake => Ok(Heard::Handshake),
                Era::Stateless => Err(StartError::Refused(text())),
            }
        }
        // Only a server of 2026-07-28 knows these, so that a handshake would lead nowhere.
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY) => Err(StartError::Refused(text())),
        _ => Ok(Heard::Handshake),
    }
}

/// The era of the newest revision that both speak.
fn choose(supported: &[String]) -> Result<Era, StartError> {
    let spoken = supported.iter().filter_map(|text| Revision::parse(text)).max();
    spoken.map(Era::of).ok_or_else(|| StartError::Revision(Detail::new(&supported.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: AnswerKind, raw: &'static str) -> Result<Heard, StartError> {
        let raw = bytes::Bytes::from_static(raw.as_bytes());
        heard(Ok(Answer { kind, raw, rest: crate::spool::Rest::default() }))
    }

    #[test]
    fn the_newest_revision_that_both_speak_is_chosen() {
        let result = |raw| said(AnswerKind::Result, raw);
        let modern = r#"{"supportedVersions":["2025-11-25","2026-07-28","2027-01-01"],"capabilities":{}}"#;
        assert!(matches!(result(modern), Ok(Heard::Stateless(_))));
        let old = r#"{"supportedVersions":["2025-11-25","1.0"],"capabilities":{}}"#;
        assert!(matches!(result(old), Ok(Heard::Handshake)));
        let other = r#"{"supportedVersions":["2027-01-01"],"capabilities":{}}"#;
        assert!(matches!(result(other), Err(StartError::Revision(_))));
        for odd in ["{}", "null", r#"{"tools":[]}"#] {
            assert!(matches!(result(odd), Ok(Heard::Handshake)), "{odd}");
        }
    }

    #[test]
    fn only_errors_that_an_old_server_cannot_know_forbid_the_handshake() {
        let error = |raw| said(AnswerKind::Error, raw);
        for code in [
            r#"{"code":-32601,"message":"m"}"#,
            r#"{"code":-32602,"message":"m"}"#,
            r#"{"code":-32000,"message":"m"}"#,
            r#"{"code":-32022,"message":"m","data":{"supported":["2025-06-18"]}}"#,
            r#"{"message":"m"}"#,
        ] {
            assert!(matches!(error(code), Ok(Heard::Handshake)), "{code}");
        }
        assert!(matches!(
            error(r#"{"code":-32022,"data":{"supported":["2027-01-01"]}}"#),
            Err(StartError::Revision(_))
        ));
        assert!(matches!(error(r#"{"code":-32021}"#), Err(StartError::Refused(_))));
        assert!(matches!(error(r#"{"code":-32020}"#), Err(StartError::Refused(_))));
        assert!(matches!(heard(Err(Failure::TooLarge)), Ok(Heard::Handshake)));
        let gone = Failure::Unavailable(Detail::new("no route"));
        assert!(matches!(heard(Err(gone)), Err(StartError::Initialize(_))));
    }
}
