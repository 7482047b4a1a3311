//! The gateway's own tools: what they are called, when they are listed, and how they are answered.
//!
//! Listed to everybody wherever the configuration has something that a plan can meet, so that a list says nothing of who
//! may what; elsewhere they do not exist. Must never reach an upstream, nor be decided by what a plan says of itself.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::Gateway;
use super::exchange::Exchange;
use super::named::{Named, What};
use super::page::Shown;
use super::port::Reply;
use super::refusal::Refusal;
use super::reply::{Output, Told, ToolAnswer};
use super::world::World;
use crate::model::reason::Reason;
use crate::plan::{Flow, FlowAnswer, INPUT_SCHEMA};
use crate::policy::Rules;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// Takes a plan and says what of it is granted.
    SubmitPlan,
    /// Says what of the granted plans is left.
    PlanStatus,
    /// Goes on with a call that a person was asked about.
    Resume,
}

/// The name of the tool that takes plans, as it is called.
pub(super) const SUBMIT_PLAN: &str = "sluicegate__submit_plan";
/// The name of the tool that says what is left of them.
const PLAN_STATUS: &str = "sluicegate__plan_status";

/// The name of the tool that goes on with a call which waited for a person.
pub(super) const RESUME: &str = "sluicegate__resume";

const SUBMIT_PLAN_SAYS: &str = "Submit a plan of the tool calls that this task needs. Do it first, before you read mail, pages, files or anything else that other people wrote: what is planned before that can still be done after it, what is not may be refused. Name the tools and pin each value that says who, where, which or how much; values that you do not know yet are taken from an earlier step with `from` and `select`. The answer says for each step whether it is granted, needs a person, or is refused and why. Mend what is refused and submit again.";
const PLAN_STATUS_SAYS: &str =
    "What is left of the plans that were granted in this run: which steps, how many calls, until when.";

const RESUME_SAYS: &str = "Goes on with a call that a person was asked to approve: give the id that the refusal named. It is made as it was, once, if the person said yes; else the answer says how the question stands.";

static TOOLS: LazyLock<[(Own, Bytes); 3]> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(INPUT_SCHEMA).unwrap_or_default();
    let tool = |name: &str, title: &str, says: &str, schema: Value| {
        let hints = json!({ "destructiveHint": false, "openWorldHint": false });
        let tool = json!({
            "name": name,
            "title": title,
            "description": says,
            "inputSchema": schema,
            "annotations": hints,
        });
        Bytes::from(tool.to_string())
    };
    let nothing = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let id = json!({
        "type": "object",
        "properties": { "id": { "type": "string", "description": "The id of the question." } },
        "required": ["id"],
        "additionalProperties": false,
    });
    [
        (Own::SubmitPlan, tool(SUBMIT_PLAN, "Submit a plan", SUBMIT_PLAN_SAYS, schema)),
        (Own::PlanStatus, tool(PLAN_STATUS, "What is left of the plan", PLAN_STATUS_SAYS, nothing)),
        (Own::Resume, tool(RESUME, "Go on with a call", RESUME_SAYS, id)),
    ]
});

impl Own {
    pub(super) const ALL: [Self; 3] = [Self::SubmitPlan, Self::PlanStatus, Self::Resume];

    /// Those that are there under these lists and flows: where something can be met by a plan, and where a person may
    /// be asked about something.
    pub(super) fn under(lists: &Rules, flows: &[Flow]) -> Vec<Self> {
        let has = |answer| flows.iter().any(|flow| flow.answer == answer);
        let takes_plans = lists.has_plan() || has(FlowAnswer::Plan);
        let asks_people = lists.has_ask() || has(FlowAnswer::Ask);
        let is_there = |own: &Self| match own {
            Self::SubmitPlan | Self::PlanStatus => takes_plans,
            Self::Resume => asks_people,
        };
        Self::ALL.into_iter().filter(is_there).collect()
    }

    /// The tool that `named` names, whether or not it is there.
    pub(super) fn named(named: &Named) -> Option<Self> {
        let own = match named.name.as_str() {
            SUBMIT_PLAN => Self::SubmitPlan,
            PLAN_STATUS => Self::PlanStatus,
            RESUME => Self::Resume,
            _ => return None,
        };
        (named.what == What::Tool).then_some(own)
    }
}

/// The definitions of those that are there, as they are listed.
pub(super) fn listed(world: &World) -> impl Iterator<Item = Shown> {
    TOOLS.iter().filter(|(own, _)| world.own.contains(own)).map(|(_, tool)| Shown::new(tool.clone()))
}

impl Gateway {
    /// A call of one of them.
    pub(super) async fn own(
        self: &Arc<Self>,
        exchange: &Exchange,
        named: &Named,
        tool: Own,
    ) -> Result<Reply, Box<Refusal>> {
        let (run, facts) = self.join_run(exchange, named).await?;
        let in_flight = exchange.begin();
        let in_flight = in_flight.map_err(|reason| Refusal::error(facts.clone(), reason, exchange.id()))?;
        match tool {
            Own::SubmitPlan => {
                // Whoever hangs up while a reviewer is asked does not keep what was asked off the record.
                let (gateway, exchange, named) = (Arc::clone(self), exchange.clone(), named.clone());
                let refused = Refusal::error(facts.clone(), Reason::Fault, exchange.id());
                let plan = tokio::spawn(async move {
                    let _in_flight = in_flight;
                    gateway.submit_plan(&exchange, &named, &run, facts).await
                });
                plan.await.unwrap_or(Err(refused))
            }
            Own::PlanStatus => self.plan_status(exchange, &run, facts).await,
            Own::Resume => {
                // The call that goes on is in flight under this request's id itself.
                drop(in_flight);
                self.resume(exchange, named, &run, facts).await
            }
        }
    }
}

/// The answer to a call of one of them: `sentence` for models, and `facts` for programs; `error` where something is
/// wrong.
pub(super) fn answer(
    exchange: &Exchange,
    sentence: &str,
    facts: &impl Serialize,
    error: Option<&Told>,
) -> Reply {
    let answer = ToolAnswer { sentence, facts, error, output: Output::Unstructured };
    let body = answer.encode(&exchange.request.id, exchange.revision);
    Reply::Json { status: StatusCode::OK, body, session: None }
}
