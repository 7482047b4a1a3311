//! One listener's way in: the order in which a request is looked at.
//!
//! Host and Origin, then path and method, then the credential, all on the head alone; only then types and
//! the body. Must never read a byte of a body before its sender is a principal.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
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
use crate::gateway::port::{Accepted, Accepts, Arrival, Reply};
use crate::identity::Presented;
use crate::model::principal::Origin;
use crate::model::reason::Reason;
use crate::socket::{BodyLimits, HostRule, Peer, Place, Respond, Unread, read_body, refusal};

/// What one listener needs to answer.
pub(super) struct Entrance {
    place: Place,
    rules: ArcSwap<Rules>,
    gateway: Arc<Gateway>,
}

/// What the configuration says of it.
struct Rules {
    settings: ListenSettings,
    /// Its name, as every request takes it along.
    listener: Arc<str>,
    hosts: HostRule,
    limits: BodyLimits,
    /// How long a connection of a stream lives that its client can come back to.
    stream_age_max: Duration,
}

impl Rules {
    fn new(settings: ListenSettings, place: &Place, limits: &Limits) -> Self {
        let reach = &settings.reach;
        let hosts = HostRule::named(place, reach.scheme(), &reach.hosts, &settings.origins);
        let body = BodyLimits { bytes_max: limits.body_max, timeout: limits.body_timeout };
        let listener = settings.name.as_str().into();
        Self { settings, listener, hosts, limits: body, stream_age_max: limits.stream_age_max }
    }

    /// Whose refused credentials are counted together. Behind a proxy that is everybody, so nobody's are.
    fn address_of(&self, peer: &Peer) -> Option<IpAddr> {
        peer.address.filter(|_| self.settings.reach.proxies.is_empty())
    }
}

impl Entrance {
    pub(super) fn new(
        settings: ListenSettings,
        place: &Place,
        limits: &Limits,
        gateway: Arc<Gateway>,
    ) -> Self {
        let rules = ArcSwap::from_pointee(Rules::new(settings, place, limits));
        Self { place: place.clone(), rules, gateway }
    }

    /// Goes on with other settings. Requests that were begun keep those that they were begun under.
    pub(super) fn follow(&self, settings: ListenSettings, limits: &Limits) {
        self.rules.store(Arc::new(Rules::new(settings, &self.place, limits)));
    }

    /// Its settings.
    pub(super) fn settings(&self) -> ListenSettings {
        self.rules.load().settings.clone()
    }

    /// Who asks for what, by the head alone.
    async fn admit(&self, rules: &Rules, head: &Parts, peer: &Peer) -> Result<(Verb, Accepted), Refused> {
        rules.hosts.check(head).map_err(Refused::Uncounted)?;
        let verb = guards::verb(head).map_err(Refused::Uncounted)?;
        let credentials = headers::credentials(&head.headers);
        let presented = Presented {
            listener: &rules.settings.vouches,
            authorization: &credentials.authorization,
            txn_token: &credentials.txn_token,
            dpop: &credentials.dpop,
            method: head.method.as_str(),
            peer_uid: peer.uid,
            certificate: peer.certificate.as_deref(),
        };
        let accepted =
            self.gateway.authenticate(&presented, &rules.settings.name, rules.address_of(peer)).await;
        accepted.map(|accepted| (verb, accepted)).map_err(Refused::Counted)
    }

    /// `POST /token`: the same hosts and origins, another kind of caller.
    async fn hand_to_dispatchers(
        &self,
        rules: &Rules,
        head: Parts,
        peer: &Peer,
        incoming: Incoming,
    ) -> Response<ReplyBody> {
        if let Err(reason) = rules.hosts.check(&head) {
            return close(self.refuse(rules, Refused::Uncounted(reason)));
        }
        let (gateway, listener) = (Arc::clone(&self.gateway), rules.settings.name.clone());
        let (address, timeout) = (rules.address_of(peer), rules.limits.timeout);
        match ToEnd::new(token::answer(gateway, listener, address, timeout, head, incoming)).await {
            Answered::Whole(response) => response,
            Answered::Unread(response) => close(response),
        }
    }

    fn refuse(&self, rules: &Rules, refused: Refused) -> Response<ReplyBody> {
        let reason = match refused {
            Refused::Counted(reason) => reason,
            Refused::Uncounted(reason) => {
                self.gateway.count_refusal(&rules.settings.name, reason);
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
        let rules = self.rules.load_full();
        if token::is_asked(&head, &self.gateway) {
            return self.hand_to_dispatchers(&rules, head, &peer, incoming).await;
        }
        let (verb, accepted) = match self.admit(&rules, &head, &peer).await {
            Ok(admitted) => admitted,
            Err(refused) if incoming.is_end_stream() => return self.refuse(&rules, refused),
            // The body stays unread, so nothing behind it can be found.
            Err(refused) => return close(self.refuse(&rules, refused)),
        };
        let origin = Origin { listener: Arc::clone(&rules.listener), uid: peer.uid };
        let readable = readable(verb, &head);
        let accepts = *readable.as_ref().unwrap_or(&Accepts::Both);
        let arrival = Arrival { accepted, origin, headers: headers::protocol(&head.headers), accepts };
        let asked = Asked { verb, arrival, readable: readable.map(drop), incoming };
        let work = ToEnd::new(answer(Arc::clone(&self.gateway), rules.limits, asked));
        let (reply, after) = work.await;
        let response = reply::render(reply, accepts, rules.stream_age_max).await;
        match after {
            After::Keep => response,
            After::Close => close(response),
        }
    }

    fn refused(&self, reason: Reason) {
        self.gateway.count_refusal(&self.rules.load().settings.name, reason);
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
    arrival: Arrival,
    readable: Result<(), Reason>,
    incoming: Incoming,
}

/// What the client can be answered with, if what it sends can be read.
fn readable(verb: Verb, head: &Parts) -> Result<Accepts, Reason> {
    match verb {
        Verb::Post => guards::content_type(&head.headers).and_then(|()| guards::accepts(&head.headers)),
        Verb::Get => guards::accepts_events(&head.headers),
        Verb::Delete => Ok(Accepts::Both),
    }
}

/// Whether the connection can go on.
enum After {
    Keep,
    Close,
}

/// From the principal on: each way through here ends in a reply of the gateway, which records it.
async fn answer(gateway: Arc<Gateway>, limits: BodyLimits, asked: Asked) -> (Reply, After) {
    let Asked { verb, arrival, readable, incoming } = asked;
    let body = match (readable, verb) {
        (Err(reason), _) => Err(Unread { reason, bytes_read: 0 }),
        (Ok(()), Verb::Post) => read_body(incoming, limits).await,
        // A body has no meaning here (RFC 9110, 9.3.1 and 9.3.5) and is not read.
        (Ok(()), Verb::Get | Verb::Delete) => Ok(Bytes::new()),
    };
    match (body, verb) {
        (Err(unread), _) => {
            let reply = gateway.refuse_unread(arrival, unread.reason, unread.bytes_read).await;
            (reply, After::Close)
        }
        (Ok(body), Verb::Post) => (gateway.receive(arrival, body).await, After::Keep),
        (Ok(_), Verb::Get) => (gateway.open_stream(arrival).await, After::Keep),
        (Ok(_), Verb::Delete) => (gateway.end_session(arrival).await, After::Keep),
    }
}

fn close(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
