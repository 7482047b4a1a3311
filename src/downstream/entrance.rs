//! One listener's way in: the order in which a request is looked at.
//!
//! Host and Origin, then path and method, then the credential, all on the head alone; only then types and
//! the body. Must never read a byte of a body before its sender is a principal.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION};
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};

use super::guards::{self, Verb};
use super::reply::{self, ReplyBody};
use super::to_end::ToEnd;
use super::token::{self, Answered};
use super::{Limits, ListenSettings, challenge, headers};
use crate::gateway::Gateway;
use crate::gateway::port::{Arrival, Reply};
use crate::identity::Presented;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::socket::{BodyLimits, HostRule, Peer, Place, Respond, Unread, read_body, refusal};

/// What one listener needs to answer.
pub(super) struct Entrance {
    settings: ListenSettings,
    hosts: HostRule,
    limits: BodyLimits,
    gateway: Arc<Gateway>,
}

impl Entrance {
    pub(super) fn new(
        settings: ListenSettings,
        place: &Place,
        limits: &Limits,
        gateway: Arc<Gateway>,
    ) -> Self {
        let hosts = HostRule::new(place, &settings.origins);
        let limits = BodyLimits { bytes_max: limits.body_max, timeout: limits.body_timeout };
        Self { settings, hosts, limits, gateway }
    }

    /// Who asks for what, by the head alone.
    async fn admit(&self, head: &Parts, peer: Peer) -> Result<(Verb, Arc<Principal>), Refused> {
        self.hosts.check(head).map_err(Refused::Uncounted)?;
        let verb = guards::verb(head).map_err(Refused::Uncounted)?;
        let credentials = headers::credentials(&head.headers);
        let presented = Presented {
            listener: &self.settings.vouches,
            authorization: &credentials.authorization,
            txn_token: &credentials.txn_token,
            dpop: &credentials.dpop,
            method: head.method.as_str(),
            certificate_sha256: None,
            peer_uid: peer.uid,
        };
        let known = self.gateway.authenticate(&presented, &self.settings.name).await;
        known.map(|principal| (verb, principal)).map_err(Refused::Counted)
    }

    /// `POST /token`: the same hosts and origins, another kind of caller.
    async fn hand_to_dispatchers(&self, head: Parts, incoming: Incoming) -> Response<ReplyBody> {
        if let Err(reason) = self.hosts.check(&head) {
            return close(self.refuse(Refused::Uncounted(reason)));
        }
        let (gateway, listener) = (Arc::clone(&self.gateway), self.settings.name.clone());
        match ToEnd::new(token::answer(gateway, listener, self.limits.timeout, head, incoming)).await {
            Answered::Whole(response) => response,
            Answered::Unread(response) => close(response),
        }
    }

    fn refuse(&self, refused: Refused) -> Response<ReplyBody> {
        let reason = match refused {
            Refused::Counted(reason) => reason,
            Refused::Uncounted(reason) => {
                self.gateway.count_refusal(&self.settings.name, reason);
                reason
            }
        };
        let mut response = refusal(guards::status_of(reason), reason);
        match refused {
            Refused::Counted(reason) => challenge::add(reason, response.headers_mut()),
            Refused::Uncounted(Reason::HttpMethodForbidden) => {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(guards::VERBS));
            }
            Refused::Uncounted(_) => {}
        }
        response
    }
}

impl Respond for Entrance {
    type Body = ReplyBody;

    async fn respond(&self, request: Request<Incoming>, peer: Peer) -> Response<ReplyBody> {
        let (head, incoming) = request.into_parts();
        if token::is_asked(&head, &self.gateway) {
            return self.hand_to_dispatchers(head, incoming).await;
        }
        let (verb, principal) = match self.admit(&head, peer).await {
            Ok(admitted) => admitted,
            Err(refused) if incoming.is_end_stream() => return self.refuse(refused),
            // The body stays unread, so nothing behind it can be found.
            Err(refused) => return close(self.refuse(refused)),
        };
        let asked = Asked { verb, principal, head, incoming };
        let work = ToEnd::new(answer(Arc::clone(&self.gateway), self.limits, asked));
        let (reply, after) = work.await;
        let response = reply::render(reply).await;
        match after {
            After::Keep => response,
            After::Close => close(response),
        }
    }

    fn refused(&self, reason: Reason) {
        self.gateway.count_refusal(&self.settings.name, reason);
    }
}

/// A refusal before there is a principal.
#[derive(Debug, Clone, Copy)]
enum Refused {
    /// By the guards: to be counted here.
    Uncounted(Reason),
    /// By the authentication, which counted it.
    Counted(Reason),
}

/// What a principal asks for.
struct Asked {
    verb: Verb,
    principal: Arc<Principal>,
    head: Parts,
    incoming: Incoming,
}

/// Whether the connection can go on.
enum After {
    Keep,
    Close,
}

/// From the principal on: each way through here ends in a reply of the gateway, which records it.
async fn answer(gateway: Arc<Gateway>, limits: BodyLimits, asked: Asked) -> (Reply, After) {
    let Asked { verb, principal, head, incoming } = asked;
    let headers = headers::protocol(&head.headers);
    let readable = match verb {
        Verb::Post => guards::content_type(&head.headers)
            .and_then(|()| guards::accepts(&head.headers, &["application/json", "text/event-stream"])),
        Verb::Get => guards::accepts(&head.headers, &["text/event-stream"]),
        Verb::Delete => Ok(()),
    };
    let body = match (readable, verb) {
        (Err(reason), _) => Err(Unread { reason, bytes_read: 0 }),
        (Ok(()), Verb::Post) => read_body(incoming, limits).await,
        // A body has no meaning here (RFC 9110, 9.3.1 and 9.3.5) and is not read.
        (Ok(()), Verb::Get | Verb::Delete) => Ok(Bytes::new()),
    };
    match (body, verb) {
        (Err(unread), _) => {
            let reply = gateway.refuse_unread(principal, headers, unread.reason, unread.bytes_read).await;
            (reply, After::Close)
        }
        (Ok(body), Verb::Post) => (gateway.receive(Arrival { principal, headers, body }).await, After::Keep),
        (Ok(_), Verb::Get) => (gateway.open_stream(principal, headers).await, After::Keep),
        (Ok(_), Verb::Delete) => (gateway.end_session(principal, headers).await, After::Keep),
    }
}

fn close(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
