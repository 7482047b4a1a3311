//! How an instance is opened: in which order the eras and transports are tried, and what is remembered of
//! it (2026-07-28, "Backward Compatibility").
//!
//! Pure. Must never try what the settings exclude, nor go on to another way after a failure that says
//! nothing about the way.

use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use crate::upstream::features::Features;
use crate::upstream::settings::{Launch, Settings, Speaks, Transport};
use crate::wire::Revision;

/// One way to open an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Ask `server/discover`, and go on with what the answer says.
    Probe,
    /// Speak 2026-07-28.
    Stateless,
    /// Shake hands.
    Handshake,
    /// Shake hands over the HTTP+SSE transport.
    EventStream,
}

/// What a failure says of the way in which an instance was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The child ended.
    Ended,
    /// The handshake was answered with this status and no message.
    Declined(StatusCode),
    /// It did not end in time.
    Late,
    /// Nothing.
    Nothing,
}

/// What is known of an upstream from its last instance: how that was opened ("clients SHOULD cache the
/// result"), and what it said that it has.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Known {
    opening: Mutex<Option<Opening>>,
    features: Mutex<Option<Features>>,
}

impl Known {
    pub(super) fn get(&self) -> Option<Opening> {
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its last instance said that it has; `None` where there was none.
    pub(in crate::upstream) fn features(&self) -> Option<Features> {
        *self.features.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_features(&self, features: Features) {
        *self.features.lock().unwrap_or_else(PoisonError::into_inner) = Some(features);
    }

    pub(super) fn set(&self, opening: Option<Opening>) {
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = opening;
    }
}

impl Opening {
    /// The first way to try where none is known.
    pub(super) fn first(settings: &Settings) -> Self {
        let is_stream = matches!(settings.launch, Launch::Http { transport: Transport::EventStream, .. });
        match settings.revision {
            _ if is_stream => Self::EventStream,
            Speaks::Newest => Self::Probe,
            Speaks::Only(revision) if revision.is_modern() => Self::Stateless,
            Speaks::Only(_) => Self::Handshake,
        }
    }

    /// The way to try after this one failed, and said so.
    pub(super) fn after(self, said: Said, settings: &Settings) -> Option<Self> {
        let may_be_old = matches!(settings.launch, Launch::Http { transport: Transport::Detected, .. });
        match (self, said) {
            // Some servers end when their first message is not `initialize`.
            (Self::Probe, Said::Ended) => Some(Self::Handshake),
            // "400 Bad Request, 404 Not Found, or 405 Method Not Allowed" (2026-07-28, "HTTP+SSE
            // Transport").
            (Self::Probe | Self::Handshake, Said::Declined(status)) if may_be_old => {
                matches!(status.as_u16(), 400 | 404 | 405).then_some(Self::EventStream)
            }
            _ => None,
        }
    }

    /// What to try first next time, after this way failed for good. One that was never answered may be at
    /// a server that a probe has put out of step.
    pub(super) fn next_time(self, said: Said) -> Option<Self> {
        (self == Self::Probe && said == Said::Late).then_some(Self::Handshake)
    }

    /// What is remembered where this way led to an instance of `revision`.
    pub(super) fn led_to(self, revision: Revision) -> Self {
        match self {
            Self::EventStream => Self::EventStream,
            _ if revision.is_modern() => Self::Stateless,
            _ => Self::Handshake,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::bench::{at, child};

    #[test]
    fn what_is_tried_after_what() {
        let process = child("a", &[]);
        assert_eq!(Opening::first(&process), Opening::Probe);
        assert_eq!(Opening::Probe.after(Said::Ended, &process), Some(Opening::Handshake));
        assert_eq!(Opening::Handshake.after(Said::Ended, &process), None);
        assert_eq!(Opening::Probe.after(Said::Nothing, &process), None);
        let declined = Said::Declined(StatusCode::METHOD_NOT_ALLOWED);
        let mut web = at("a", "http://127.0.0.1:1/mcp");
        assert_eq!(Opening::Probe.after(declined, &web), Some(Opening::EventStream));
        assert_eq!(Opening::Probe.after(Said::Declined(StatusCode::UNAUTHORIZED), &web), None);
        assert_eq!(Opening::EventStream.after(declined, &web), None);
        web.revision = Speaks::Only(Revision::V2026_07_28);
        assert_eq!(Opening::first(&web), Opening::Stateless);
        assert_eq!(Opening::Stateless.after(declined, &web), None);
        web.revision = Speaks::Only(Revision::V2025_06_18);
        assert_eq!(Opening::first(&web), Opening::Handshake);
        if let Launch::Http { transport, .. } = &mut web.launch {
            *transport = Transport::Streamable;
        }
        assert_eq!(Opening::Handshake.after(declined, &web), None);
        if let Launch::Http { transport, .. } = &mut web.launch {
            *transport = Transport::EventStream;
        }
        assert_eq!(Opening::first(&web), Opening::EventStream);
    }

    #[test]
    fn what_is_remembered() {
        assert_eq!(Opening::Probe.led_to(Revision::V2026_07_28), Opening::Stateless);
        assert_eq!(Opening::Probe.led_to(Revision::V2024_11_05), Opening::Handshake);
        assert_eq!(Opening::EventStream.led_to(Revision::V2025_11_25), Opening::EventStream);
        assert_eq!(Opening::Probe.next_time(Said::Late), Some(Opening::Handshake));
        assert_eq!(Opening::Handshake.next_time(Said::Late), None);
    }
}
