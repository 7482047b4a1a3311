//! The path of one call, of whatever class: read, attach, aim, decide, admit, intend; its own task carries it
//! from there.
//!
//! Must never forward without the three proofs (I6), nor let a caller tell what is hidden from what does
//! not exist (I5): both take every step in here. What waits is done before the critical section,
//! what is decided is decided inside it, and nothing in it waits.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::Gateway;
use super::able::Able;
use super::aim::Aim;
use super::exchange::Exchange;
use super::line::{Line, Seat};
use super::missing::Missing;
use super::named::{self, Named, What};
use super::port::{CALL_EVENTS_MAX, Ongoing, Reply, Shape};
use super::refusal::Refusal;
use super::relay::Leg;
use super::stage::{Passed, Stage, resolve};
use super::task::TaskSide;
use crate::audit::Slot;
use crate::model::facts::CallFacts;
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::run::Run;
use crate::upstream::Watch;
use crate::wire::Revision;
use crate::wire::input::{self, GoesOn, request_digest};
use crate::wire::method::Toward;

/// Whether a call may be answered with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// It may not.
    No,
    /// Where its server makes one (2026-07-28).
    Maybe,
    /// Its client asks for one (2025-11-25).
    Wanted,
}

/// What is done once a call was answered and recorded, before its client is told.
pub(super) type Then = Box<dyn FnOnce(Option<Watch>, &Leg) + Send>;

impl Gateway {
    /// One call, up to the moment when its intent is on its way to the journal.
    pub(super) async fn call(self: &Arc<Self>, exchange: Exchange) -> Result<Reply, Box<Refusal>> {
        if let Some(goes_on) = goes_on(&exchange)? {
            return self.go_on(exchange, goes_on).await;
        }
        let named = named::read(&exchange)?;
        self.call_or_hold(exchange, named).await
    }

    /// The same of whatever `exchange` calls; `then` is done with what came of it, if anything did.
    pub(super) async fn start(
        self: &Arc<Self>,
        exchange: &Exchange,
        named: Named,
        then: Option<Then>,
    ) -> Result<Reply, Box<Refusal>> {
        let (run, facts) = self.join_run(exchange, &named).await?;
        let refuse = |facts: &CallFacts, reason| Refusal::error(facts.clone(), reason, exchange.id());
        let in_flight = exchange.begin().map_err(|reason| refuse(&facts, reason))?;
        let aim = self.aim(exchange, &named, &run).await;
        let aim = aim.map_err(|failure| refuse(&facts, failure.reason()))?;
        let able = exchange.able();
        let making = making(exchange, &named, &able);
        let making = self.making(making, run.id()).map_err(|reason| refuse(&facts, reason))?;
        let slot = self.journal.reserve().await;
        let passed = self.pass(exchange, &named, (&aim, &able), &run, slot, &facts);
        let passed = match passed {
            Err(refusal) if refusal.reason == Reason::ApprovalRequired => {
                return Err(self.ask_people(exchange, &named, &run, refusal).await);
            }
            passed => passed?,
        };
        if !passed.adds.is_empty() {
            self.announce_taint(&run);
            self.let_questions_of(&run).await;
        }
        let Passed { pending, facts, fleet, form, share, capabilities, values, result_max, used, .. } =
            passed;
        let task = match aim {
            Aim::Task(task) => TaskSide::Of(task),
            _ => making,
        };
        let method = &exchange.request.method;
        let is_modern = exchange.revision.is_modern();
        let leg = Leg {
            under: exchange.caller.under,
            accepts: exchange.caller.accepts,
            // Whom nothing can be asked nobody comes back to.
            request: (is_modern && able.is_any()).then(|| request_digest(method, &named.params)),
            able,
            offered: Mutex::new(input::offered(&named.params).filter(|_| is_modern)),
            session: exchange.session.clone(),
            share,
            capabilities,
            values,
            result_max,
            used: Mutex::new(used),
            revision: exchange.revision,
            method: method.code(),
            taints: method.taints(Toward::Upstream),
            task,
            missing: Missing::of(&named),
            level: exchange.level(),
            form,
            arrived: exchange.caller.arrived,
            decided: self.clock.monotonic(),
            facts,
            run,
            fleet,
        };
        let (events, receiver) = mpsc::channel(CALL_EVENTS_MAX);
        let resumable = in_flight.as_ref().map(|in_flight| in_flight.resumable(&leg.run));
        let (id, progress_token) = (exchange.request.id.clone(), named.progress_token);
        self.carry(pending, leg, Line::new(Seat { id, progress_token, in_flight, events }), then);
        Ok(Reply::Call(Ongoing { events: receiver, shape: Shape::Single, resumable }))
    }
}

impl Gateway {
    /// What is decided on the call in the critical section of its run. Whatever was waited for, it is decided by what is
    /// in force now.
    fn pass(
        &self,
        exchange: &Exchange,
        named: &Named,
        (aim, able): (&Aim, &Able),
        run: &Run,
        slot: Result<Slot, Reason>,
        facts: &CallFacts,
    ) -> Result<Passed, Box<Refusal>> {
        let passed = run.section(self.clock.wall(), |section| {
            self.worlds.within(|world| {
                let at = resolve(world, aim, &named.name);
                let stage = Stage { gateway: self, world, exchange, named, able, at };
                stage.pass(section, slot, facts.clone())
            })
        });
        passed.map_err(|closed| Refusal::error(facts.clone(), closed, exchange.id()))?
    }

    /// The run that a call belongs to, and what its record says of it so far.
    pub(super) async fn join_run(
        &self,
        exchange: &Exchange,
        named: &Named,
    ) -> Result<(Arc<Run>, CallFacts), Box<Refusal>> {
        let mut facts = exchange.facts();
        facts.named = Some(Bounded::new(&named.name));
        facts.arguments = Some(named.arguments);
        self.keep(named, &mut facts).await;
        let run = self.attach(exchange, &facts).await?;
        facts.run = Some(run.id().clone());
        facts.trigger = run.trigger();
        Ok((run, facts))
    }
}

/// Whether what `named` calls may be answered with a task.
fn making(exchange: &Exchange, named: &Named, able: &Able) -> Making {
    let is_modern = exchange.revision.is_modern();
    let asks = exchange.revision == Revision::V2025_11_25 && named.params.get("task").is_some();
    match named.what {
        What::Tool if is_modern && able.takes_tasks() => Making::Maybe,
        What::Tool if asks => Making::Wanted,
        _ => Making::No,
    }
}

/// What goes on with a call that waits for input; only 2026-07-28 has such requests.
fn goes_on(exchange: &Exchange) -> Result<Option<GoesOn>, Box<Refusal>> {
    let params = exchange.request.params.as_ref().filter(|_| exchange.revision.is_modern());
    let goes_on = params.map_or(Ok(None), input::goes_on);
    goes_on.map_err(|_| Refusal::error(exchange.facts(), Reason::ParamsInvalid, exchange.id()))
}
