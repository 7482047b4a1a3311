//! One call as conditions and guardrails see it, made when the first of them is asked and not before.
//!
//! Must never answer *false* where it does not know: what is absent leaves a condition open, and whatever goes
//! wrong otherwise is an error, which denies (I2).

use std::cell::OnceCell;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, EntityId, EntityUid, EvaluationError, PolicyId, PolicySet,
    Request, RestrictedExpression,
};

use super::Standing;
use super::looked::Looked;
use super::shape::Values;
use super::vocabulary as words;
use crate::model::name::SourceName;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::model::trigger::{AttributeValue, Trigger, TriggerEntry};

/// A call of a tool.
pub(super) struct Case<'a> {
    principal: &'a Principal,
    standing: Standing<'a>,
    /// The raw `arguments`.
    raw: &'a [u8],
    looked: &'a Looked,
    asked: OnceCell<Result<Request, Reason>>,
}

/// Which of the policies of a set hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Truths {
    /// The numbers of those that do.
    pub(super) hold: Vec<u32>,
    /// The numbers of those that name something that is absent.
    pub(super) open: Vec<u32>,
    /// The numbers of those that could not be evaluated.
    pub(super) failed: Vec<u32>,
}

impl<'a> Case<'a> {
    /// The call of the tool that is `looked` at.
    pub(super) fn new(
        principal: &'a Principal,
        standing: Standing<'a>,
        raw: &'a [u8],
        looked: &'a Looked,
    ) -> Self {
        Self { principal, standing, raw, looked, asked: OnceCell::new() }
    }

    /// What is looked at at this tool.
    pub(super) fn looked(&self) -> &'a Looked {
        self.looked
    }

    /// Which of `policies`, whose ids are numbers, hold.
    ///
    /// # Errors
    /// Why that cannot be told of any: the arguments do not fit.
    pub(super) fn truths(&self, policies: &PolicySet) -> Result<Truths, Reason> {
        let request = self.asked.get_or_init(|| self.ask()).as_ref().map_err(|reason| *reason)?;
        let response = Authorizer::new().is_authorized(request, policies, &self.looked.entities);
        let number = |id: &PolicyId| {
            let text: &str = id.as_ref();
            text.parse::<u32>().map_err(|_| Reason::ConditionError)
        };
        let mut truths = Truths::default();
        for id in response.diagnostics().reason() {
            truths.hold.push(number(id)?);
        }
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            match error.inner() {
                // Checked against the schema, a condition names only what there can be.
                EvaluationError::RecordAttrDoesNotExist(_) => truths.open.push(number(error.policy_id())?),
                _ => truths.failed.push(number(error.policy_id())?),
            }
        }
        Ok(truths)
    }

    fn ask(&self) -> Result<Request, Reason> {
        let Looked { names, arguments, .. } = self.looked;
        let is_named = |argument: &str| names.speaks_of_argument(argument);
        let values = Values::read(self.raw, arguments, is_named).map_err(|unfit| unfit.reason())?;
        let mut context = vec![(words::ARGS, values.into_record().map_err(|unfit| unfit.reason())?)];
        let Principal { subject, roles, agents, sources, .. } = self.principal;
        // What nothing speaks of is not made.
        if names.uses(words::SUBJECT) {
            context.push((words::SUBJECT, text(subject.as_str())));
        }
        if let Some(agent) = agents.first().filter(|_| names.uses(words::AGENT)) {
            context.push((words::AGENT, text(agent.as_str())));
        }
        if names.uses(words::AGENTS) {
            context.push((words::AGENTS, texts(agents.iter().map(|agent| agent.as_str()))));
        }
        if names.uses(words::ROLES) {
            context.push((words::ROLES, texts(roles.iter().map(|role| role.as_str()))));
        }
        if names.uses(words::SOURCES) {
            let tainting = self.standing.provenance.iter().filter(|source| !sources.contains(source));
            let all = sources.iter().chain(tainting).map(SourceName::as_str);
            context.push((words::SOURCES, texts(all)));
        }
        if names.uses(words::TRIGGER) {
            context.push((words::TRIGGER, triggers(self.standing.trigger)?));
        }
        if names.uses(words::NOW) {
            // Cedar's datetimes have milliseconds.
            let now = format!("{:.3}", self.standing.now);
            context.push((words::NOW, RestrictedExpression::new_datetime(now)));
        }
        let context = context.into_iter().map(|(word, value)| (word.to_owned(), value));
        let context = Context::from_pairs(context).map_err(|_| Reason::ConditionError)?;
        self.about(context).ok_or(Reason::ConditionError)
    }

    fn about(&self, context: Context) -> Option<Request> {
        let Looked { subject, action, tool, .. } = self.looked;
        let id = EntityId::new(self.principal.subject.as_str());
        let subject = EntityUid::from_type_name_and_id(subject.clone(), id);
        Request::new(subject, action.clone(), tool.clone(), context, None).ok()
    }
}

/// The trigger entries by the source that they count as. A source that has none, or several, is absent.
fn triggers(trigger: &Trigger) -> Result<RestrictedExpression, Reason> {
    let is_only = |entry: &&TriggerEntry| {
        trigger.entries.iter().filter(|other| other.source == entry.source).count() == 1
    };
    let mut members = Vec::new();
    for entry in trigger.entries.iter().filter(is_only) {
        let attributes = entry.attributes.iter().map(|(name, value)| (name.to_string(), attribute(value)));
        let record = RestrictedExpression::new_record(attributes).map_err(|_| Reason::ConditionError)?;
        members.push((entry.source.to_string(), record));
    }
    RestrictedExpression::new_record(members).map_err(|_| Reason::ConditionError)
}

fn attribute(value: &AttributeValue) -> RestrictedExpression {
    match value {
        AttributeValue::Bool(value) => RestrictedExpression::new_bool(*value),
        AttributeValue::Integer(value) => RestrictedExpression::new_long(*value),
        AttributeValue::Text(value) => text(value),
        AttributeValue::Texts(values) => texts(values.iter().map(AsRef::as_ref)),
    }
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(text))
}
