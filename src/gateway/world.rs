//! The configuration that is in force, and the policy and catalogue that follow from it, as one value
//! that is swapped as a whole.
//!
//! A call must never see a policy of one moment and a catalogue, an entry point or a tool server of
//! another (CASES A29).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::own::Own;
use crate::clock::Clock;
use crate::identity::{Authenticator, EntryPoints, ListenerVouches, Minter, People, Webhooks};
use crate::model::approver::Approver;
use crate::model::call::{ArgumentFacts, Call, Payload};
use crate::model::decision::PolicyEpoch;
use crate::model::digest::Sha256;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::quorum::Quorum;
use crate::model::target::Target;
use crate::notify::Notifiers;
use crate::plan::{self, Flow, Grant, Plan, Under, basis};
use crate::policy::{KnownTool, Policy, Rules};
use crate::reviewer::Reviewer;
use crate::run::{Against, Rests, Run, Section};
use crate::telemetry::Finding;
use crate::upstream::{Asker, Catalogue, Fleet, Route, Tool, Upstreams};

/// What a configuration says that is no limit of a table: fixed for as long as it is in force.
#[derive(Debug)]
pub(super) struct InForce {
    /// Counts the configurations since the gateway started.
    pub(super) epoch: PolicyEpoch,
    /// Digest of its files.
    pub(super) config: Sha256,
    pub(super) rules: Rules,
    /// Flows and request shapes.
    pub(super) plans: plan::Rules,
    /// Who outside is asked about plans.
    pub(super) reviewer: Option<Arc<Reviewer>>,
    /// Who is told of what happens.
    pub(super) notifiers: Arc<Notifiers>,
    /// Who may answer questions.
    pub(super) approvers: Vec<Approver>,
    /// How many people have to say yes to which.
    pub(super) quorums: Vec<Quorum>,
    /// Where people reach the page on which they answer, where that is beyond this machine.
    pub(super) page_url: Option<String>,
    /// How long a call that waits for a person is held.
    pub(super) ask_hold: Duration,
    pub(super) authenticator: Authenticator,
    /// Who signs people in.
    pub(super) people: Arc<People>,
    /// Who brings the word of people.
    pub(super) webhooks: Arc<Webhooks>,
    /// What makes run tokens, where it is configured.
    pub(super) minter: Option<Arc<Minter>>,
    pub(super) entry_points: EntryPoints,
    /// What each listener vouches for by itself.
    pub(super) listeners: HashMap<String, ListenerVouches>,
    /// What operators should know about it.
    pub(super) findings: Vec<Finding>,
    /// Name and place of every listener.
    pub(super) listening: Vec<(String, String)>,
}

/// One consistent view: who may call, what may be called, what it is and where it is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) in_force: Arc<InForce>,
    pub(super) policy: Policy,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) fleet: Fleet,
    /// The gateway's own tools that are there.
    pub(super) own: Vec<Own>,
    clock: Clock,
}

/// The world of now.
#[derive(Debug)]
pub(super) struct Worlds {
    /// Held by whoever makes the next world, from the first look at what it is made of.
    making: tokio::sync::Mutex<()>,
    /// Held for reading while something is decided, so that nothing is decided in an old world once the
    /// new one is there.
    current: RwLock<Arc<World>>,
}

impl World {
    pub(super) fn compile(
        in_force: Arc<InForce>,
        catalogue: Arc<Catalogue>,
        fleet: Fleet,
        clock: Clock,
    ) -> Self {
        let policy = Policy::compile(in_force.rules.clone(), &known_tools(&catalogue), in_force.epoch);
        for misfit in policy.misfits() {
            let (tool, place, message) = (&misfit.tool, &misfit.place, &misfit.message);
            tracing::error!(%tool, %place, "a condition closes the tool: {message}");
        }
        let own = Own::under(&in_force.rules, &in_force.plans.flows);
        Self { in_force, policy, catalogue, fleet, own, clock }
    }

    /// The time by which what is only recorded yet is looked at.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// The flows that are in force.
    pub(super) fn flows(&self) -> &[Flow] {
        &self.in_force.plans.flows
    }

    /// Holds the grants of a run against the labels, flows and shapes of now (DESIGN §9).
    pub(super) fn hold_grants(&self, section: &mut Section<'_>) {
        let now = Against { epoch: self.in_force.epoch, catalogue: self.catalogue.version() };
        section.hold_against(now, |grant| match self.basis_of(grant.plan()) == grant.terms().basis {
            true => Rests::OnThese,
            false => Rests::OnSomethingElse,
        });
    }

    /// Whether `grant` is bound to something that is not as it is now.
    pub(super) fn has_lapsed(&self, grant: &Grant, section: &Section<'_>) -> bool {
        let step = grant.plan().steps().first();
        let tool = step.and_then(|step| self.catalogue.find(step.tool()));
        let definition = tool.map(|tool| tool.pin.accepted());
        let (config, provenance) = (self.in_force.config, section.provenance());
        grant.has_lapsed(Some(Under { definition, config, provenance }))
    }

    /// What a review of `plan` rests on.
    pub(super) fn basis_of(&self, plan: &Plan) -> Sha256 {
        let tools = plan.steps().iter().filter_map(|step| self.catalogue.find(step.tool()));
        let tools: Vec<_> = tools.map(plan_tool).collect();
        basis(&tools, &self.in_force.plans)
    }

    /// The tools that `principal` may know of, and, where `under` is given, that are not closed to a
    /// run of that provenance: in the order of the catalogue.
    pub(super) fn listed<'a>(
        &'a self,
        principal: &'a Principal,
        under: Option<&Provenance>,
    ) -> Vec<&'a Tool> {
        let ids: Box<dyn Iterator<Item = _>> = match under {
            None => Box::new(self.policy.visible(principal, self.now())),
            Some(provenance) => Box::new(self.policy.open(principal, provenance, self.now())),
        };
        ids.filter_map(|id| self.catalogue.tool(id)).collect()
    }

    /// One word for everything that [`World::listed`] would show: changes exactly when that does.
    pub(super) fn fingerprint(&self, principal: &Principal, under: Option<&Provenance>) -> Sha256 {
        let tools = self.listed(principal, under);
        // The gateway's own tools come and go with these.
        let own = Own::ALL.map(|own| u8::from(self.own.contains(&own)));
        let tools = tools.iter().map(|tool| tool.listed_digest.as_bytes().as_slice());
        Sha256::of_parts(&std::iter::once(own.as_slice()).chain(tools).collect::<Vec<_>>())
    }
}

/// The right to make the next world. Nobody else can meanwhile.
pub(super) struct Making<'a> {
    worlds: &'a Worlds,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Worlds {
    pub(super) fn new(first: World) -> Self {
        Self { making: tokio::sync::Mutex::default(), current: RwLock::new(Arc::new(first)) }
    }

    pub(super) fn now(&self) -> Arc<World> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` in the world of now, which stays that of now until it is done. Must not wait, and must
    /// not ask for the world again.
    pub(super) fn within<T>(&self, work: impl FnOnce(&World) -> T) -> T {
        work(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the turn to make the next world.
    pub(super) async fn make(&self) -> Making<'_> {
        Making { worlds: self, _turn: self.making.lock().await }
    }

    /// Compiles the rules for a catalogue that changed.
    pub(super) async fn follow(&self, upstreams: &Upstreams) {
        let making = self.make().await;
        let before = self.now();
        let (in_force, clock) = (Arc::clone(&before.in_force), before.clock.clone());
        making.put(World::compile(in_force, upstreams.catalogue(), upstreams.fleet(), clock));
    }
}

impl Making<'_> {
    /// Puts `world` in the place of the one before. When this returns, nothing is decided in that one.
    pub(super) fn put(&self, world: World) {
        let mut current = self.worlds.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, Arc::new(world));
        drop(current);
        // What only the old world held may take a moment to fall apart; nobody has to wait for that.
        drop(before);
    }
}

/// The tools of `catalogue` as the policy knows them.
fn known_tools(catalogue: &Catalogue) -> Vec<KnownTool> {
    let each = |tool: &Tool| KnownTool { id: tool.id.clone(), schema: tool.input_schema.clone() };
    catalogue.tools().iter().map(each).collect()
}

/// The call of `tool` with these parameters and the arguments `values`: what is decided on and the bytes that are
/// sent.
pub(super) fn call_of(tool: &Tool, payload: Payload, arguments: ArgumentFacts, values: Bytes) -> Call {
    Call {
        deadline: tool.call_timeout,
        target: Target::Tool(tool.id.clone()),
        pin: Some(tool.pin),
        returns: tool.returns.clone(),
        stores: tool.stores,
        arguments,
        values,
        payload,
    }
}

/// The tool as a review knows it; what others stored at its upstream, its run knows.
pub(super) fn plan_tool(tool: &Tool) -> plan::Tool {
    plan::Tool {
        id: tool.id.clone(),
        labels: (*tool.labels).clone(),
        schema: tool.input_schema.clone(),
        returns: tool.returns.clone(),
    }
}

/// Where the calls of `run` go, on behalf of a client that wants and can what `asker` says.
pub(super) fn route(run: &Run, asker: Asker) -> Route {
    Route { subject: run.subject().clone(), run: run.id().clone(), asker }
}
