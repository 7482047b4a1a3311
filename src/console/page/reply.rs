//! What the page answers with: a status, a body, and the headers that keep a browser from doing more with it.
//!
//! Must never leave a header out of an answer, whatever it says.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use maud::Markup;

use super::{PAGE_PATH, html};
use crate::console::api::AdministrationError;
use crate::console::door::{SIGN_IN_LASTS, VISIT_LASTS};
use crate::model::reason::{Group, Reason};
use crate::socket::Scheme;

/// On every answer. No script runs, nothing is loaded but the own style, nobody frames it or keeps it. `same-origin`
/// because a form of a page that tells no referrer is sent with `Origin: null` (Fetch, "append a request `Origin` header").
const GUARDS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
const STYLE: &str = include_str!("style.css");
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What is answered.
pub(super) enum Yes {
    /// A page.
    Page(Markup),
    /// The style of all pages.
    Style,
    /// The whole arguments of a call, as text to keep.
    Arguments(String),
    /// The browser goes to this path.
    See(String),
    /// Somebody came in.
    In { page: Markup, place: String, cookie: String, scheme: Scheme },
    /// The browser goes to where somebody signs in.
    ToProvider { url: String, path: String, cookie: String, scheme: Scheme },
    /// Somebody left.
    Gone { place: String, scheme: Scheme },
}

/// What is refused.
pub(super) enum No {
    Reason(Reason),
    /// The method is not served at this path.
    Method,
    /// What was sent is no form of this page.
    NotAForm,
    /// There is no such question, for this person.
    Missing(&'static str),
    /// What the gateway says to an answer.
    Administration(AdministrationError),
}

impl From<Reason> for No {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

impl From<AdministrationError> for No {
    fn from(error: AdministrationError) -> Self {
        Self::Administration(error)
    }
}

/// The name of the cookie of a session. With the prefix no browser takes it over plain HTTP (RFC 6265bis, 4.1.3.1).
pub(super) const fn cookie_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "sluicegate",
        Scheme::Https => "__Secure-sluicegate",
    }
}

/// The name of the cookie of a sign-in on its way.
pub(super) const fn sign_in_cookie_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "sluicegate-sign-in",
        Scheme::Https => "__Secure-sluicegate-sign-in",
    }
}

impl Yes {
    pub(super) const fn page(page: Markup) -> Self {
        Self::Page(page)
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        match self {
            Self::Page(page) => respond(StatusCode::OK, HTML, page.into_string()),
            Self::Style => respond(StatusCode::OK, "text/css; charset=utf-8", STYLE),
            Self::Arguments(arguments) => {
                let mut response = respond(StatusCode::OK, TEXT, arguments);
                let kept = HeaderValue::from_static("attachment; filename=\"arguments.json.txt\"");
                response.headers_mut().insert(CONTENT_DISPOSITION, kept);
                response
            }
            Self::See(path) => with(respond(StatusCode::SEE_OTHER, TEXT, ""), LOCATION, &path),
            Self::In { page, place, cookie, scheme } => {
                let response = respond(StatusCode::OK, HTML, page.into_string());
                with(response, SET_COOKIE, &set_cookie(&place, &cookie, VISIT_LASTS.as_secs(), scheme))
            }
            Self::ToProvider { url, path, cookie, scheme } => {
                let response = with(respond(StatusCode::SEE_OTHER, TEXT, ""), LOCATION, &url);
                with(response, SET_COOKIE, &set_sign_in_cookie(&path, &cookie, scheme))
            }
            Self::Gone { place, scheme } => {
                let response = respond(StatusCode::OK, HTML, html::gone().into_string());
                with(response, SET_COOKIE, &set_cookie(&place, "", 0, scheme))
            }
        }
    }
}

impl No {
    pub(super) const fn no_question() -> Self {
        Self::Missing("No question of this id waits for you.")
    }

    pub(super) const fn no_arguments() -> Self {
        Self::Missing("The arguments of this call are not known any more: the gateway started since.")
    }

    /// Why, as refusals are counted.
    pub(super) const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Reason(reason) | Self::Administration(AdministrationError::Refused { reason, .. }) => {
                Some(*reason)
            }
            Self::Method => Some(Reason::HttpMethodForbidden),
            Self::NotAForm => Some(Reason::ContentTypeForbidden),
            Self::Missing(_) | Self::Administration(_) => None,
        }
    }

    /// The status, and what is said to whoever asked.
    pub(super) fn told(&self) -> (StatusCode, String) {
        match self {
            Self::Reason(reason) => (status_of(*reason), reason.sentence().to_owned()),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, Reason::HttpMethodForbidden.sentence().to_owned())
            }
            Self::NotAForm => (StatusCode::BAD_REQUEST, "This is no form of this page.".to_owned()),
            Self::Missing(message) => (StatusCode::NOT_FOUND, (*message).to_owned()),
            Self::Administration(error) => (status_of_error(error), error.to_string()),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let (status, message) = self.told();
        let response = respond(status, HTML, html::refused(&message, self.reason()).into_string());
        match self {
            Self::Method => with(response, ALLOW, "GET, POST"),
            _ => response,
        }
    }
}

fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::SignedOut | Reason::WebhookInvalid => StatusCode::UNAUTHORIZED,
        Reason::NotAnApprover => StatusCode::FORBIDDEN,
        Reason::WebhookMalformed => StatusCode::BAD_REQUEST,
        Reason::WebhookRepeated => StatusCode::CONFLICT,
        Reason::PathUnknown => StatusCode::NOT_FOUND,
        Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::BodyIncomplete => StatusCode::BAD_REQUEST,
        Reason::VisitsFull | Reason::WebhooksFull | Reason::ProviderUnavailable | Reason::KeysUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ if matches!(reason.group(), Group::Guard | Group::Identity) => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const fn status_of_error(error: &AdministrationError) -> StatusCode {
    match error {
        AdministrationError::Missing(_) => StatusCode::NOT_FOUND,
        AdministrationError::Stale(_) | AdministrationError::Impossible(_) => StatusCode::CONFLICT,
        AdministrationError::Refused { .. } => StatusCode::FORBIDDEN,
        AdministrationError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// `Path` ends where the session does: no other page of this host is sent it.
fn set_cookie(place: &str, value: &str, seconds: u64, scheme: Scheme) -> String {
    let (name, secure) = (cookie_name(scheme), secure(scheme));
    format!(
        "{name}={value}; Path={PAGE_PATH}/in/{place}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    )
}

/// `Lax`, because the provider's site sends the browser back, and this cookie with it.
fn set_sign_in_cookie(path: &str, value: &str, scheme: Scheme) -> String {
    let (name, seconds, secure) = (sign_in_cookie_name(scheme), SIGN_IN_LASTS.as_secs(), secure(scheme));
    format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

const fn secure(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "",
        Scheme::Https => "; Secure",
    }
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `response` with one header more. Everything that is put there was made here, of characters that a header may hold.
fn with(mut response: Response<Full<Bytes>>, name: HeaderName, value: &str) -> Response<Full<Bytes>> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
