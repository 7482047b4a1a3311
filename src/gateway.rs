//! The path of a call, one function per direction. (Being written: a stand-in that answers everything.)
pub mod port;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::StatusCode;

use crate::identity::{Authenticator, Presented};
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use port::{Arrival, ProtocolHeaders, Reply};

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    authenticator: Authenticator,
    refusals: AtomicU64,
}

impl Gateway {
    /// A gateway that authenticates with `authenticator`.
    #[must_use]
    pub fn new(authenticator: Authenticator) -> Self {
        Self { authenticator, refusals: AtomicU64::new(0) }
    }

    /// Who presents this.
    ///
    /// # Errors
    /// The reason for a 401.
    pub fn authenticate(&self, presented: &Presented<'_>, _listener: &str) -> Result<Arc<Principal>, Reason> {
        self.authenticator.authenticate(presented)
    }

    /// Counts what a guard refused before authentication.
    pub fn count_refusal(&self, _listener: &str, _reason: Reason) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Refuses a request whose body is not usable.
    pub async fn refuse_unread(
        &self,
        _principal: Arc<Principal>,
        _headers: ProtocolHeaders,
        reason: Reason,
        _bytes_read: u64,
    ) -> Reply {
        let status = match reason {
            Reason::ContentTypeForbidden => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        };
        let body =
            crate::wire::encode::error(None, crate::wire::code::INVALID_REQUEST, reason.sentence(), None);
        Reply::Json { status, body, session: None }
    }

    /// POST.
    pub async fn receive(self: &Arc<Self>, _arrival: Arrival) -> Reply {
        let body = Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
        Reply::Json { status: StatusCode::OK, body, session: None }
    }

    /// GET.
    pub async fn open_stream(&self, _principal: Arc<Principal>, _headers: ProtocolHeaders) -> Reply {
        Reply::Empty(StatusCode::METHOD_NOT_ALLOWED)
    }

    /// DELETE.
    pub async fn end_session(&self, _principal: Arc<Principal>, _headers: ProtocolHeaders) -> Reply {
        Reply::Empty(StatusCode::NO_CONTENT)
    }
}
