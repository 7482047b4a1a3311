//! The page: questions and the answers to them, for people with a browser; below `/approvals` of the admin listener.
//!
//! Must never take what an agent may hold (a key, a token, a certificate) for a sign-in, nor a request that another
//! site or another name of this host made. Must never show less of a call than what a yes would let go on, or say that
//! it was cut. Trusts `door` on who somebody is, and whoever answers [`Approvals`] on what they may see and answer.

mod form;
mod hook;
mod html;
mod quoted;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use super::approvals::{Approvals, QuestionEntry, SignIns};
use super::door::{Admitted, Begun, Door, Visitor};
use crate::model::approval::{QuestionId, Word};
use crate::model::name::EntryPointName;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::socket::{HostRule, Peer, Place, Respond, Scheme};

use form::{Form, Query};
use html::Seen;
use reply::{No, Yes};

pub use quoted::ARGUMENTS_SHOWN_BYTES_MAX;

/// Where the page is.
pub const PAGE_PATH: &str = "/approvals";
/// Largest body of a form, or of a message that brings an answer, in bytes.
pub const FORM_BYTES_MAX: usize = 4 * 1024;
/// Longest time for one to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers browsers, and hands everything else on to what answers probes.
pub struct Page<A, P> {
    /// By which names, and from which origins, it may be used: on this machine, and by its public URL.
    hosts: Vec<(HostRule, Scheme)>,
    door: Arc<Door>,
    approvals: Arc<A>,
    probes: P,
}

/// A session that a request belongs to.
struct Inside<'a> {
    place: &'a str,
    visitor: Visitor,
}

impl<A: Approvals + SignIns, P> Page<A, P> {
    /// The page at `place`, which people reach by the `door`'s base too, in front of `probes`.
    #[must_use]
    pub fn new(place: &Place, door: Arc<Door>, approvals: Arc<A>, probes: P) -> Self {
        let own = HostRule::new(place, &[]);
        let public = door.base().split_once("://").map(|(word, host)| {
            let scheme = if word == Scheme::Https.word() { Scheme::Https } else { Scheme::Http };
            (HostRule::named(place, scheme, &[host.to_owned()], &[]), scheme)
        });
        let hosts = std::iter::once((own, Scheme::Http)).chain(public).collect();
        Self { hosts, door, approvals, probes }
    }

    async fn answer(&self, head: &Parts, body: Incoming) -> Result<Yes, No> {
        let scheme = self.check_names(head)?;
        let path = head.uri.path().strip_prefix(PAGE_PATH).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let is_post = match head.method {
            Method::GET => false,
            Method::POST => true,
            _ => return Err(No::Method),
        };
        match (segments.as_slice(), is_post) {
            ([], false) => {
                let question = Query::of(head).question();
                let ways = self.approvals.ways();
                Ok(Yes::page(html::front(self.door.base(), &ways, question.as_ref())))
            }
            (["style.css"], false) => Ok(Yes::Style),
            (["enter", code], false) => {
                let person = self.door.invited(code).ok_or(Reason::SignInInvalid)?;
                Ok(Yes::page(html::enter(&person, code)))
            }
            (["enter", code], true) => {
                form::check_origin(head)?;
                Ok(let_in(self.door.enter(code)?, None, scheme))
            }
            (["sign-in", by], false) => self.begin(head, by, scheme).await,
            (["callback", by], false) => self.finish(head, by, scheme).await,
            (["in", place], false) => {
                let inside = self.inside(head, place, scheme)?;
                let questions = self.approvals.questions_of(&inside.visitor.person).await;
                Ok(Yes::page(html::list(&inside.seen(), &questions)))
            }
            (["in", place, "out"], true) => {
                let inside = self.inside(head, place, scheme)?;
                self.form(head, body, &inside).await?;
                self.door.leave(place);
                Ok(Yes::Gone { place: (*place).to_owned(), scheme })
            }
            (["in", place, id], false) => {
                let inside = self.inside(head, place, scheme)?;
                let (question, others) = self.question(&inside.visitor.person, id).await?;
                Ok(Yes::page(html::question(&inside.seen(), &question, &others)))
            }
            (["in", place, id, "arguments"], false) => {
                let inside = self.inside(head, place, scheme)?;
                let (question, _) = self.question(&inside.visitor.person, id).await?;
                Ok(Yes::Arguments(question.arguments.ok_or_else(No::no_arguments)?))
            }
            (["in", place, id], true) => {
                let inside = self.inside(head, place, scheme)?;
                let form = self.form(head, body, &inside).await?;
                self.say(&inside, id, form.word()?).await
            }
            (known, _) if is_known(known) => Err(No::Method),
            _ => Err(Reason::PathUnknown.into()),
        }
    }

    /// Whether the request names this page and comes from nowhere that may not use it; by which scheme it came.
    fn check_names(&self, head: &Parts) -> Result<Scheme, Reason> {
        let mut why = Reason::HostForbidden;
        for (rule, scheme) in &self.hosts {
            match rule.check(head) {
                Ok(()) => return Ok(*scheme),
                // Its name is one of the rule's, so that this is the rule that it has to meet.
                Err(Reason::OriginForbidden) => why = Reason::OriginForbidden,
                Err(_) => {}
            }
        }
        Err(why)
    }

    /// The session that the request brings the cookie of.
    fn inside<'a>(&self, head: &Parts, place: &'a str, scheme: Scheme) -> Result<Inside<'a>, Reason> {
        let cookie = form::cookie(head, reply::cookie_name(scheme)).ok_or(Reason::SignedOut)?;
        let visitor = self.door.visitor(place, cookie).ok_or(Reason::SignedOut)?;
        Ok(Inside { place, visitor })
    }

    /// The form that was sent, which this session made.
    async fn form(&self, head: &Parts, body: Incoming, inside: &Inside<'_>) -> Result<Form, No> {
        form::check_origin(head)?;
        let form = Form::read(head, body).await?;
        if form.is_of(&inside.visitor.form_token) { Ok(form) } else { Err(Reason::FormForged.into()) }
    }

    /// Sends a browser to the provider of the entry point `by`.
    async fn begin(&self, head: &Parts, by: &str, scheme: Scheme) -> Result<Yes, No> {
        let by = self.way(by)?;
        let redirect = format!("{}{}", self.door.base(), callback_path(&by));
        let (begun, cookie) = self.door.begin(by, redirect, Query::of(head).question())?;
        let url = self.approvals.begin_sign_in(&begun.by, &begun.sign_in).await?;
        Ok(Yes::ToProvider { url, path: callback_path(&begun.by), cookie, scheme })
    }

    /// Lets in whom the provider signed in. What comes back counts in the browser that began, once.
    async fn finish(&self, head: &Parts, by: &str, scheme: Scheme) -> Result<Yes, No> {
        let (by, query) = (self.way(by)?, Query::of(head));
        let cookie = form::cookie(head, reply::sign_in_cookie_name(scheme)).ok_or(Reason::SignInInvalid)?;
        let state = query.only("state").ok_or(Reason::SignInInvalid)?;
        let begun = self.door.take_up(&by, state, cookie).ok_or(Reason::SignInInvalid)?;
        let returned = query.returned()?;
        let Begun { by, sign_in, question } = begun;
        let person = self.approvals.finish_sign_in(&by, &sign_in, &returned).await?;
        Ok(let_in(self.door.admit(person)?, question.as_ref(), scheme))
    }

    fn way(&self, name: &str) -> Result<EntryPointName, Reason> {
        self.approvals.ways().into_iter().find(|way| way.as_str() == name).ok_or(Reason::PathUnknown)
    }

    /// The question `id`, if `person` may answer it, and the others of its run.
    async fn question(&self, person: &Person, id: &str) -> Result<(QuestionEntry, Vec<QuestionEntry>), No> {
        let mut all = self.approvals.questions_of(person).await;
        let at = all.iter().position(|question| question.id == id).ok_or_else(No::no_question)?;
        let question = all.swap_remove(at);
        all.retain(|other| other.run == question.run);
        Ok((question, all))
    }

    async fn say(&self, inside: &Inside<'_>, id: &str, word: Word) -> Result<Yes, No> {
        let id = QuestionId::parse(id).ok_or_else(No::no_question)?;
        self.approvals.answer_question(&inside.visitor.person, id.as_str(), word).await?;
        Ok(Yes::See(format!("{PAGE_PATH}/in/{}", inside.place)))
    }
}

impl Inside<'_> {
    fn seen(&self) -> Seen<'_> {
        Seen { place: self.place, person: &self.visitor.person, form_token: &self.visitor.form_token }
    }
}

fn let_in(admitted: Admitted, question: Option<&QuestionId>, scheme: Scheme) -> Yes {
    let Admitted { place, cookie } = admitted;
    Yes::In { page: html::welcome(&place, question), place, cookie, scheme }
}

/// Where the provider of the entry point `by` sends browsers back to: to each its own (RFC 9700, 4.4.2.2).
fn callback_path(by: &EntryPointName) -> String {
    format!("{PAGE_PATH}/callback/{by}")
}

/// Whether there is something at this path, by whichever method.
fn is_known(segments: &[&str]) -> bool {
    matches!(
        segments,
        [] | ["style.css"]
            | ["enter" | "sign-in" | "callback" | "in", _]
            | ["in", _, _]
            | ["in", _, _, "arguments"]
    )
}

/// Whether the path is one of the page's.
fn is_of_page(path: &str) -> bool {
    path.strip_prefix(PAGE_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl<A, P> Respond for Page<A, P>
where
    A: Approvals + SignIns + 'static,
    P: Respond<Body = Full<Bytes>>,
{
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Incoming>, peer: Peer) -> Response<Full<Bytes>> {
        if !is_of_page(request.uri().path()) {
            return self.probes.respond(request, peer).await;
        }
        let (head, body) = request.into_parts();
        if let Some(by) = hook::entry_point(head.uri.path()) {
            let brought = self.bring(&head, body, by).await;
            if let Some(reason) = brought.as_ref().err().and_then(No::reason) {
                self.refused(reason);
            }
            return hook::into_response(brought);
        }
        match self.answer(&head, body).await {
            Ok(yes) => yes.into_response(),
            Err(no) => {
                if let Some(reason) = no.reason() {
                    self.refused(reason);
                }
                no.into_response()
            }
        }
    }

    fn refused(&self, reason: Reason) {
        self.probes.refused(reason);
    }
}
