//! How a forwarded call ended, as its record says it: transport, JSON-RPC and `isError` told apart.
//!
//! Must never copy a result: the record holds its size and digest.

use std::time::Duration;

use super::Gateway;
use super::relay::Leg;
use crate::audit::{Contents, Executed, JsonRpc, Latency, OutcomeFacts, ResultFacts, Transport};
use crate::model::decision::Answer as Verdict;
use crate::model::reason::Reason;
use crate::telemetry::CallTimes;
use crate::upstream::{self, Answer, AnswerKind, Failure, Timings};
use crate::wire::Object;
use crate::wire::result::{inspect, texts_differ};

impl Gateway {
    /// The outcome record of `outcome`.
    pub(super) fn outcome_facts(
        &self,
        outcome: &Result<Answer, Failure>,
        result: Option<ResultFacts>,
        timings: Timings,
        leg: &Leg,
        journal: Duration,
    ) -> OutcomeFacts {
        let total = self.clock.monotonic().saturating_sub(leg.arrived);
        let upstream = timings.instance.saturating_add(timings.upstream);
        let decide = leg.decided.saturating_sub(leg.arrived);
        let latency = Latency { decide, journal, upstream, total };
        match outcome {
            Ok(answer) => answered(answer, result, latency),
            Err(failure) => OutcomeFacts {
                reason: failure.reason(),
                executed: executed(failure.executed()),
                transport: transport(failure),
                jsonrpc: None,
                is_error: None,
                // What was withheld for its size is measured all the same.
                result,
                contents: Contents::Same,
                latency,
            },
        }
    }

    /// Counts the call and where its time went.
    pub(super) fn measure(&self, outcome: &OutcomeFacts, leg: &Leg) {
        let Latency { upstream, total, .. } = outcome.latency;
        let named = leg.facts.target.as_ref().map(|target| (target.upstream().as_str(), upstream));
        let gateway = total.saturating_sub(upstream);
        self.metrics.call(Some(Verdict::Allow), outcome.reason, CallTimes { gateway, upstream: named });
    }
}

fn answered(answer: &Answer, result: Option<ResultFacts>, latency: Latency) -> OutcomeFacts {
    let (jsonrpc, is_error) = match answer.kind {
        AnswerKind::Result | AnswerKind::InputRequired | AnswerKind::Task => {
            (JsonRpc::Result, inspect(&answer.raw).ok().map(|result| result.is_error))
        }
        AnswerKind::Error => (JsonRpc::Error(error_code(answer)), None),
    };
    let differs = answer.kind == AnswerKind::Result && texts_differ(&answer.raw);
    let contents = if differs { Contents::Differ } else { Contents::Same };
    OutcomeFacts {
        reason: Reason::Answered,
        executed: Executed::Yes,
        transport: Transport::Answered,
        jsonrpc: Some(jsonrpc),
        is_error,
        result,
        contents,
        latency,
    }
}

/// The `code` of a raw JSON-RPC error; 0, which no error has, where it is no integer.
fn error_code(answer: &Answer) -> i64 {
    let code = Object::of(&answer.raw).ok().and_then(|error| error.get("code"));
    code.and_then(|raw| std::str::from_utf8(&raw).ok()?.parse().ok()).unwrap_or_default()
}

fn executed(executed: upstream::Executed) -> Executed {
    match executed {
        upstream::Executed::No => Executed::No,
        upstream::Executed::Unknown => Executed::Unknown,
        upstream::Executed::Yes => Executed::Yes,
    }
}

fn transport(failure: &Failure) -> Transport {
    match failure.executed() {
        upstream::Executed::No => Transport::NotSent,
        upstream::Executed::Unknown | upstream::Executed::Yes => Transport::Failed,
    }
}
