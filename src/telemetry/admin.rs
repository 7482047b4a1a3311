//! The admin listener: `/healthz`, `/readyz`, `/metrics`, on loopback, for probes and scrapers.
//!
//! Must never change anything, and never say more than figures and findings: any process of this machine
//! can read it. A page in a browser cannot (CASES A48, A49): Host and Origin are checked first.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;

use super::{Metrics, Observed};
use crate::model::reason::Reason;
use crate::socket::{HostRule, Peer, Place, Respond, refusal};

/// The name under which refusals of this listener are counted.
const LISTENER: &str = "admin";

/// Answers probes and scrapers.
pub struct AdminResponder<O> {
    hosts: HostRule,
    metrics: Arc<Metrics>,
    observed: Arc<O>,
}

impl<O: Observed> AdminResponder<O> {
    /// What answers at `place`.
    #[must_use]
    pub fn new(place: &Place, metrics: Arc<Metrics>, observed: Arc<O>) -> Self {
        Self { hosts: HostRule::new(place, &[]), metrics, observed }
    }

    fn answer(&self, head: &Parts) -> Result<Response<Full<Bytes>>, (StatusCode, Reason)> {
        self.hosts.check(head).map_err(|reason| (StatusCode::FORBIDDEN, reason))?;
        let answer: fn(&Self) -> Response<Full<Bytes>> = match head.uri.path() {
            "/healthz" => |_| json_response(StatusCode::OK, &json!({"alive": true})),
            "/readyz" => Self::ready,
            "/metrics" => Self::metrics,
            _ => return Err((StatusCode::NOT_FOUND, Reason::PathUnknown)),
        };
        if head.method != Method::GET {
            return Err((StatusCode::METHOD_NOT_ALLOWED, Reason::HttpMethodForbidden));
        }
        Ok(answer(self))
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let readiness = self.observed.readiness();
        let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = json!({
            "ready": readiness.is_ready(),
            "unready": readiness.unready,
            "halted": readiness.halted,
            "findings": readiness.findings,
        });
        json_response(status, &body)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let text = self.metrics.text(&self.observed.figures(), &self.observed.readiness());
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response(StatusCode::OK, kind, text.into())
    }
}

impl<O: Observed> Respond for AdminResponder<O> {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Incoming>, _peer: Peer) -> Response<Full<Bytes>> {
        let (head, _) = request.into_parts();
        self.answer(&head).unwrap_or_else(|(status, reason)| {
            self.refused(reason);
            let mut response = refusal(status, reason);
            if status == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            }
            response
        })
    }

    fn refused(&self, reason: Reason) {
        self.metrics.refusal(LISTENER, reason);
    }
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    response(status, "application/json", format!("{body}\n").into())
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
