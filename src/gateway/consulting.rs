//! A reviewer outside is asked about a plan, between a first look at it and the review that counts (DESIGN §9.5).
//!
//! Must never change anything of a run, nor hold its critical section or its turn to plan while the answer is awaited:
//! what was said counts only for what the plan still is afterwards. What is asked is [`Brief`], which holds no text of
//! the plan; no answer, and one that does not fit, is a question to a person.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::Gateway;
use super::exchange::Exchange;
use super::plans::Reviewing;
use crate::audit::{Consultation, ConsultedFacts, Detail};
use crate::chance;
use crate::model::decision::PolicyEpoch;
use crate::model::digest::Sha256;
use crate::plan::{Brief, Opinion, OpinionWord, Plan, ReviewerRequest};
use crate::reviewer::Reviewer;
use crate::run::Run;
use crate::telemetry::ReviewerAnswer;

/// What a reviewer outside was asked, and said.
pub(super) struct Consulted {
    /// The configuration that it was asked under.
    epoch: PolicyEpoch,
    brief: Brief,
    pub(super) opinion: Opinion,
    request: Sha256,
    answer: Option<Sha256>,
    why: Option<Detail>,
    took: Duration,
}

/// What came back.
struct Answered {
    opinion: Opinion,
    digest: Option<Sha256>,
    why: Option<String>,
}

impl Gateway {
    /// Asks the reviewer of the configuration about `plan`, where there is one, and anything to ask.
    pub(super) async fn consult(
        &self,
        exchange: &Exchange,
        run: &Run,
        plan: Option<&Plan>,
    ) -> Option<Consulted> {
        let plan = plan?;
        let looked = run.section(self.clock.wall(), |section| {
            self.worlds.within(|world| {
                let reviewer = world.in_force.reviewer.clone()?;
                let brief = Reviewing { world, exchange, run }.brief(section, plan.clone())?;
                Some((reviewer, world.in_force.epoch, brief))
            })
        });
        // A run that is closed is refused by the review itself.
        let (reviewer, epoch, brief) = looked.ok().flatten()?;
        // Without chance there is no id that an answer could be bound to: then nobody is asked.
        let id = HEXLOWER.encode(&chance::bytes::<16>().ok()?);
        let request = brief.request(&id)?;
        let began = self.clock.monotonic();
        let Answered { opinion, digest, why } = ask(&reviewer, &request).await;
        let took = self.clock.monotonic().saturating_sub(began);
        let answer = match &opinion {
            Opinion::Silent => ReviewerAnswer::Silent,
            said if said.words().all(|word| word == OpinionWord::Agree) => ReviewerAnswer::Agreed,
            Opinion::Said(_) => ReviewerAnswer::Objected,
        };
        self.metrics.reviewer_asked(answer, took);
        if let Some(why) = &why {
            tracing::warn!(why, "the reviewer of plans said nothing that counts: a person is asked");
        }
        let (request, why) = (request.digest(), why.as_deref().map(Detail::new));
        Some(Consulted { epoch, brief, opinion, request, answer: digest, why, took })
    }
}

async fn ask(reviewer: &Reviewer, request: &ReviewerRequest) -> Answered {
    let silent = |digest, why: String| Answered { opinion: Opinion::Silent, digest, why: Some(why) };
    match reviewer.ask(request.id(), request.body()).await {
        Err(silence) => silent(None, silence.to_string()),
        Ok(answer) => {
            let digest = Some(Sha256::of(&answer));
            match request.read(&answer) {
                Ok(opinion) => Answered { opinion, digest, why: None },
                Err(misfit) => silent(digest, misfit.to_string()),
            }
        }
    }
}

impl Consulted {
    /// Whether it is about exactly `brief`, under the configuration `epoch`.
    pub(super) fn is_of(&self, epoch: PolicyEpoch, brief: &Brief) -> bool {
        self.epoch == epoch && self.brief == *brief
    }

    /// What is recorded of it.
    pub(super) fn facts(self, result: Consultation) -> ConsultedFacts {
        let Self { opinion, request, answer, why, took, .. } = self;
        ConsultedFacts { request, answer, result, words: opinion.words().collect(), why, took }
    }
}
