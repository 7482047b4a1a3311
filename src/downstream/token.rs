//! `POST /token`: where dispatchers get run tokens (RFC 8693), beside the one path of agents.
//!
//! The dispatcher may stand in the body (RFC 6749, 2.3.1), so here, and only here, a body is read before
//! its sender is known: a small one, within the limits of every body. Must never answer a browser of
//! another origin, take two ways to authenticate at once, or let an answer be stored.

mod form;
mod grant;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, PRAGMA, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::reply::ReplyBody;
use crate::gateway::Gateway;
use crate::gateway::minting::TokenRefused;
use crate::identity::ClientCredential;
use crate::model::reason::{Reason, Retry};
use crate::socket::{BodyLimits, read_body};

use form::Form;
use grant::{Grant, Misasked};

/// The path where dispatchers ask for run tokens, on every listener for agents.
pub const TOKEN_PATH: &str = "/token";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Largest form, in bytes.
pub const TOKEN_BODY_BYTES_MAX: usize = 64 * 1024;

/// Whether this request is for here. Without dispatchers there is nothing here.
pub(super) fn is_asked(head: &Parts, gateway: &Gateway) -> bool {
    head.uri.path() == TOKEN_PATH && head.uri.query().is_none() && gateway.takes_dispatchers()
}

/// An answer, and whether the connection can go on.
pub(super) enum Answered {
    Whole(Response<ReplyBody>),
    Unread(Response<ReplyBody>),
}

/// One request, its `Host` and `Origin` checked already.
pub(super) async fn answer(
    gateway: Arc<Gateway>,
    listener: String,
    address: Option<IpAddr>,
    timeout: Duration,
    head: Parts,
    incoming: Incoming,
) -> Answered {
    let count = |reason| gateway.count_refusal(&listener, reason);
    if head.method != Method::POST {
        count(Reason::HttpMethodForbidden);
        let message = Reason::HttpMethodForbidden.sentence();
        let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", message);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Answered::Unread(response);
    }
    if !is_form(&head.headers) {
        count(Reason::ContentTypeForbidden);
        let message = "The Content-Type has to be application/x-www-form-urlencoded.";
        return Answered::Unread(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", message));
    }
    let limits = BodyLimits { bytes_max: TOKEN_BODY_BYTES_MAX, timeout };
    let body = match read_body(incoming, limits).await {
        Ok(body) => body,
        Err(unread) => {
            count(unread.reason);
            let status = crate::gateway::reply::status(unread.reason, None);
            return Answered::Unread(error(status, "invalid_request", unread.reason.sentence()));
        }
    };
    Answered::Whole(exchange(&gateway, &listener, address, &head.headers, &body).await)
}

/// From the form on: who asks, then what for.
async fn exchange(
    gateway: &Gateway,
    listener: &str,
    address: Option<IpAddr>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<ReplyBody> {
    let form = match Form::of(body) {
        Ok(form) => form,
        Err(message) => {
            gateway.count_refusal(listener, Reason::ParamsInvalid);
            return error(StatusCode::BAD_REQUEST, "invalid_request", message);
        }
    };
    let presented = match presented(headers, &form) {
        Ok(presented) => presented,
        Err(reason) => {
            gateway.count_refusal(listener, reason);
            return match reason {
                Reason::CredentialAmbiguous => {
                    error(StatusCode::BAD_REQUEST, "invalid_request", reason.sentence())
                }
                _ => unknown_client(reason),
            };
        }
    };
    let dispatcher = match gateway.dispatcher(presented.credential(), listener, address).await {
        Ok(dispatcher) => dispatcher,
        Err(reason @ Reason::KeysUnavailable) => {
            return error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", reason.sentence());
        }
        Err(reason @ Reason::AuthenticationsExceeded) => return slow_down(reason.sentence()),
        Err(reason) => return unknown_client(reason),
    };
    let asked = grant::read(&form, &gateway.token_audience());
    let (order, issued_type, misasked) = match asked {
        Ok(Grant { order, issued_type }) => (Ok(order), issued_type, None),
        Err(Misasked { error, reason, message }) => (Err(TokenRefused { reason, message }), "", Some(error)),
    };
    match gateway.token_for(dispatcher, order).await {
        Ok(minted) => {
            // A token that travels in `Txn-Token` is no bearer token of RFC 6750 (draft, "Txn-Token Response").
            let token_type = if issued_type.ends_with(":txn_token") { "N_A" } else { "Bearer" };
            let body = json!({
                "access_token": minted.token,
                "issued_token_type": issued_type,
                "token_type": token_type,
                "expires_in": minted.expires_in,
                "scope": "mcp",
                "txn": minted.txn,
            });
            response(StatusCode::OK, &body)
        }
        // It went out of the configuration while its keys were waited for.
        Err(TokenRefused { reason: reason @ Reason::CredentialUnknown, .. }) => unknown_client(reason),
        Err(TokenRefused { reason, message }) => match status_of(reason, misasked) {
            (StatusCode::TOO_MANY_REQUESTS, _) => slow_down(&message),
            (status, word) => error(status, word, &message),
        },
    }
}

/// Whatever is counted in a minute begins anew in one.
fn slow_down(message: &str) -> Response<ReplyBody> {
    let mut refused = error(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", message);
    refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    refused
}

/// What a refusal is called (RFC 6749, 5.2; RFC 8693, 2.2.2: what is not acceptable of a subject token is
/// an `invalid_request`).
fn status_of(reason: Reason, misasked: Option<&'static str>) -> (StatusCode, &'static str) {
    match reason {
        Reason::MintRateExceeded => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        Reason::Fault => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        _ if misasked.is_none() && reason.retry() == Retry::Later => {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        }
        _ => (StatusCode::BAD_REQUEST, misasked.unwrap_or("invalid_request")),
    }
}

/// How a dispatcher presents itself.
enum PresentedBy {
    Key(String),
    Secret { id: String, secret: String },
    Assertion { assertion: String, id: Option<String> },
}

impl PresentedBy {
    fn credential(&self) -> ClientCredential<'_> {
        match self {
            Self::Key(key) => ClientCredential::Key(key),
            Self::Secret { id, secret } => ClientCredential::Secret { id, secret },
            Self::Assertion { assertion, id } => ClientCredential::Assertion { assertion, id: id.as_deref() },
        }
    }
}

/// The one credential that is presented: `Authorization` with `Bearer` or `Basic`, `client_secret`, or
/// `client_assertion`.
fn presented(headers: &HeaderMap, form: &Form) -> Result<PresentedBy, Reason> {
    let mut authorization = headers.get_all(AUTHORIZATION).iter();
    let in_body = form.get("client_secret");
    if let Some(assertion) = form.get("client_assertion") {
        if in_body.is_some() || authorization.next().is_some() {
            return Err(Reason::CredentialAmbiguous);
        }
        if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(Reason::CredentialUnknown);
        }
        let id = form.get("client_id").map(str::to_owned);
        return Ok(PresentedBy::Assertion { assertion: assertion.to_owned(), id });
    }
    match (authorization.next(), authorization.next(), in_body) {
        (None, None, None) => Err(Reason::CredentialMissing),
        (None, None, Some(secret)) => {
            let id = form.get("client_id").ok_or(Reason::CredentialUnknown)?.to_owned();
            Ok(PresentedBy::Secret { id, secret: secret.to_owned() })
        }
        (Some(only), None, None) => {
            let presented = in_header(only).ok_or(Reason::CredentialUnknown)?;
            match (&presented, form.get("client_id")) {
                // Named twice, it has to be the same (RFC 6749, 2.3.1).
                (PresentedBy::Secret { id, .. }, Some(named)) if id != named => {
                    Err(Reason::CredentialAmbiguous)
                }
                _ => Ok(presented),
            }
        }
        _ => Err(Reason::CredentialAmbiguous),
    }
}

fn in_header(value: &HeaderValue) -> Option<PresentedBy> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(PresentedBy::Key(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = BASE64.decode(rest.as_bytes()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (id, secret) = pair.split_at_checked(colon)?;
    Some(PresentedBy::Secret { id: form::decode(id)?, secret: form::decode(secret.get(1..)?)? })
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(declared), None) = (types.next(), types.next()) else { return false };
    let kind = declared.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_encoded = headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity");
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") && !is_encoded
}

fn unknown_client(reason: Reason) -> Response<ReplyBody> {
    let mut response = error(StatusCode::UNAUTHORIZED, "invalid_client", reason.sentence());
    let challenge = HeaderValue::from_static("Basic realm=\"token\", charset=\"UTF-8\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// The description holds no character that RFC 6749, 5.2 does not let stand there.
fn error(status: StatusCode, word: &str, message: &str) -> Response<ReplyBody> {
    let is_plain = |c: &char| matches!(c, '\u{20}' | '\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'..='\u{7e}');
    let message: String = message.chars().map(|c| if c == '"' { '\'' } else { c }).filter(is_plain).collect();
    response(status, &json!({ "error": word, "error_description": message }))
}

fn response(status: StatusCode, body: &serde_json::Value) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::from(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
