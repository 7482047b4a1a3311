//! Answers that a service brings for people, in signed messages: `POST /approvals/webhooks/NAME`.
//!
//! Must never take anything but the signature for who sent a message. Trusts whoever answers [`SignIns`] on that, and
//! whoever answers [`Approvals`] on whether the answer counts.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;

use super::reply::No;
use super::{FORM_BYTES_MAX, FORM_TIMEOUT, PAGE_PATH, Page};
use crate::console::approvals::{Approvals, SignIns};
use crate::model::approval::Word;
use crate::socket::{BodyLimits, read_body};

/// The entry point that a request to `path` is for, where it is for one of these.
pub(super) fn entry_point(path: &str) -> Option<&str> {
    let name = path.strip_prefix(PAGE_PATH)?.strip_prefix("/webhooks/")?;
    (!name.contains('/')).then_some(name)
}

impl<A: Approvals + SignIns, P> Page<A, P> {
    /// Takes the answer that the message of `head` and `body` brings for the entry point `by`.
    pub(super) async fn bring(&self, head: &Parts, body: Incoming, by: &str) -> Result<Word, No> {
        self.check_names(head)?;
        if head.method != Method::POST {
            return Err(No::Method);
        }
        let limits = BodyLimits { bytes_max: FORM_BYTES_MAX, timeout: FORM_TIMEOUT };
        let body = read_body(body, limits).await.map_err(|unread| unread.reason)?;
        let said = self.approvals.brought(by, &head.headers, &body)?;
        self.approvals.answer_question(&said.person, &said.question, said.word).await?;
        Ok(said.word)
    }
}

/// As a program reads it.
pub(super) fn into_response(brought: Result<Word, No>) -> Response<Full<bytes::Bytes>> {
    let (status, said) = match &brought {
        Ok(word) => (StatusCode::OK, json!({ "answered": word })),
        Err(no) => {
            let (status, message) = no.told();
            (status, json!({ "reason": no.reason().map(|reason| reason.code()), "message": message }))
        }
    };
    let mut response = Response::new(Full::new(format!("{said}\n").into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}
