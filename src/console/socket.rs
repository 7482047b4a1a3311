//! The admin socket: HTTP and JSON over a unix socket that only the gateway's own uid may use.
//!
//! Must never answer another uid, whatever the mode of the socket says by now; must never take a process
//! to start, a policy or a file name (CASES A51, A80): those come from the configuration alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Serialize;

use super::api::{Accept, Administration, AdministrationError, Problem};
use super::approvals::{Answering, PageLink};
use super::door::{CODE_LASTS, Door};
use super::page::PAGE_PATH;
use super::tokens::{self, Minting};
use crate::model::facts::RunId;
use crate::model::reason::Reason;
use crate::model::run::Actor;
use crate::socket::{
    self, BindError, BodyLimits, ConnectionLimits, Drained, HostRule, Listener, Peer, Respond, Server,
    read_body, refusal,
};

/// Connections at once.
pub const CONNECTIONS_MAX: usize = 16;
/// Largest body of a request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
const MODE: u32 = 0o600;
const ROOT: u32 = 0;
const TIMEOUT: Duration = Duration::from_secs(10);

/// The admin socket, being served.
#[derive(Debug)]
pub struct AdminSocket(Server);

impl AdminSocket {
    /// Binds the socket at `path`. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] says why it cannot, and what to do.
    pub fn bind(path: &Path) -> Result<Listener, BindError> {
        socket::bind_unix(path, MODE)
    }

    /// Serves `listener` on behalf of `administration`; whoever asks is let in to the page by its `door`, where there is
    /// one.
    #[must_use]
    pub fn serve<A: Administration + Minting>(
        listener: Listener,
        administration: Arc<A>,
        door: Option<Arc<Door>>,
    ) -> Self {
        let own_uid = rustix::process::geteuid().as_raw();
        let hosts = HostRule::new(listener.place(), &[]);
        let limits = ConnectionLimits { connections_max: CONNECTIONS_MAX, head_timeout: TIMEOUT };
        Self(Server::start(listener, limits, Arc::new(Desk { own_uid, hosts, administration, door })))
    }

    /// Stops accepting and lets answers in flight end within `deadline`.
    pub async fn drain(self, deadline: Duration) -> Drained {
        self.0.drain(deadline).await
    }
}

/// Where requests are taken.
pub(super) struct Desk<A> {
    pub(super) own_uid: u32,
    pub(super) hosts: HostRule,
    pub(super) administration: Arc<A>,
    pub(super) door: Option<Arc<Door>>,
}

impl<A: Administration + Minting> Desk<A> {
    /// Who asks, if they may.
    pub(super) fn operator(&self, head: &Parts, peer: Peer) -> Result<Actor, Refusal> {
        match peer.uid {
            Some(uid) if uid == self.own_uid || uid == ROOT => {}
            _ => return Err(Refusal::Reason(StatusCode::FORBIDDEN, Reason::PeerUnmapped)),
        }
        self.hosts.check(head).map_err(|reason| Refusal::Reason(StatusCode::FORBIDDEN, reason))?;
        Ok(Actor { uid: peer.uid.unwrap_or(self.own_uid) })
    }

    async fn answer(
        &self,
        head: &Parts,
        body: Incoming,
        peer: Peer,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let operator = self.operator(head, peer)?;
        let segments: Vec<&str> = head.uri.path().split('/').skip(1).collect();
        let administration = &*self.administration;
        match segments.as_slice() {
            ["v1", "status"] => {
                require(head, &Method::GET)?;
                json(&administration.status().await)
            }
            ["v1", "runs"] => {
                require(head, &Method::GET)?;
                json(&administration.runs().await)
            }
            ["v1", "runs", id] => {
                require(head, &Method::GET)?;
                let run = run_id(id)?;
                json(&administration.run(&run).await.ok_or_else(|| no_run(id))?)
            }
            ["v1", "runs", id, "end"] => {
                require(head, &Method::POST)?;
                administration.end_run(operator, &run_id(id)?).await?;
                Ok(no_content())
            }
            ["v1", "audit" | "claims" | "revocations" | "sources", ..] | ["v1", "runs", _, "revoke"] => {
                self.custody(operator, head, body, segments.get(1..).unwrap_or_default()).await
            }
            ["v1", "approvals"] => {
                require(head, &Method::GET)?;
                json(&administration.questions().await)
            }
            ["v1", "approvals", id] => {
                require(head, &Method::POST)?;
                let Answering { word } = read_json(head, body).await?;
                administration.answer_question(&operator.into(), id, word).await?;
                Ok(no_content())
            }
            ["v1", "approvals", id, "like"] => {
                require(head, &Method::POST)?;
                let like = read_json(head, body).await?;
                json(&administration.approve_like(&operator.into(), id, like).await?)
            }
            ["v1", "page"] => {
                require(head, &Method::POST)?;
                json(&self.link(operator)?)
            }
            ["v1", "pins"] => {
                require(head, &Method::GET)?;
                json(&administration.pins().await)
            }
            ["v1", "pins", "accept"] => {
                require(head, &Method::POST)?;
                let Accept { accept } = read_json(head, body).await?;
                administration.accept_pins(operator, accept).await?;
                Ok(no_content())
            }
            ["v1", "reload"] => {
                require(head, &Method::POST)?;
                json(&administration.reload(operator).await?)
            }
            ["v1", "token", what @ ..] => tokens::answer(administration, what, operator, head, body).await,
            _ => Err(no_path()),
        }
    }
}

impl<A> Desk<A> {
    /// A link that lets `operator` in to the page, once.
    fn link(&self, operator: Actor) -> Result<PageLink, Refusal> {
        let no_page = || Refusal::Missing("there is no page: `[admin]` names no `address`".to_owned());
        let door = self.door.as_ref().ok_or_else(no_page)?;
        let invited = door.invite(operator.into());
        let code = invited.map_err(|reason| Refusal::Reason(StatusCode::SERVICE_UNAVAILABLE, reason))?;
        Ok(PageLink {
            url: format!("{}{PAGE_PATH}/enter/{code}", door.base()),
            lasts_s: CODE_LASTS.as_secs(),
        })
    }
}

impl<A: Administration + Minting> Respond for Desk<A> {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Incoming>, peer: Peer) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        self.answer(&head, body, peer).await.unwrap_or_else(Refusal::into_response)
    }

    fn refused(&self, reason: Reason) {
        tracing::warn!(%reason, "the admin socket refused a connection");
    }
}

/// Why a request was not answered.
#[derive(Debug)]
pub(super) enum Refusal {
    Reason(StatusCode, Reason),
    Method(&'static str),
    Body(String),
    Missing(String),
    Administration(AdministrationError),
}

impl From<AdministrationError> for Refusal {
    fn from(error: AdministrationError) -> Self {
        Self::Administration(error)
    }
}

impl Refusal {
    fn into_response(self) -> Response<Full<Bytes>> {
        let (status, reason, message) = match self {
            Self::Reason(status, reason) => return refusal(status, reason),
            Self::Method(allow) => {
                let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, Reason::HttpMethodForbidden);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
                return response;
            }
            Self::Body(message) => (StatusCode::BAD_REQUEST, Reason::ParamsInvalid.code(), message),
            Self::Missing(message) | Self::Administration(AdministrationError::Missing(message)) => {
                (StatusCode::NOT_FOUND, "missing", message)
            }
            Self::Administration(AdministrationError::Stale(message)) => {
                (StatusCode::CONFLICT, "stale", message)
            }
            Self::Administration(AdministrationError::Impossible(message)) => {
                (StatusCode::CONFLICT, "impossible", message)
            }
            Self::Administration(AdministrationError::Refused { reason, message }) => {
                (StatusCode::UNPROCESSABLE_ENTITY, reason.code(), message)
            }
            Self::Administration(AdministrationError::Unavailable { reason, message }) => {
                (StatusCode::SERVICE_UNAVAILABLE, reason.code(), message)
            }
        };
        let problem = Problem { reason: reason.to_owned(), message };
        let mut response =
            json(&problem).unwrap_or_else(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, Reason::Fault));
        *response.status_mut() = status;
        response
    }
}

pub(super) fn no_path() -> Refusal {
    Refusal::Reason(StatusCode::NOT_FOUND, Reason::PathUnknown)
}

pub(super) fn require(head: &Parts, method: &Method) -> Result<(), Refusal> {
    if head.method == *method {
        return Ok(());
    }
    Err(Refusal::Method(if method == Method::GET { "GET" } else { "POST" }))
}

pub(super) fn run_id(text: &str) -> Result<RunId, Refusal> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| no_run(text))?;
    Ok(RunId::of(bytes.try_into().map_err(|_| no_run(text))?))
}

fn no_run(id: &str) -> Refusal {
    let id = crate::model::text::printable(id);
    Refusal::Missing(format!("there is no open run `{id}`; `sluicegate runs list` shows those that are"))
}

pub(super) async fn read_json<T: serde::de::DeserializeOwned>(
    head: &Parts,
    body: Incoming,
) -> Result<T, Refusal> {
    if head.headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal::Reason(status, Reason::ContentTypeForbidden));
    }
    let limits = BodyLimits { bytes_max: REQUEST_BYTES_MAX, timeout: TIMEOUT };
    let body = read_body(body, limits)
        .await
        .map_err(|unread| Refusal::Reason(StatusCode::PAYLOAD_TOO_LARGE, unread.reason))?;
    serde_json::from_slice(&body)
        .map_err(|error| Refusal::Body(format!("the body is not what this takes: {error}")))
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<Response<Full<Bytes>>, Refusal> {
    let body = serde_json::to_vec(value)
        .map_err(|_| Refusal::Reason(StatusCode::INTERNAL_SERVER_ERROR, Reason::Fault))?;
    let mut response = Response::new(Full::new(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

pub(super) fn no_content() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
