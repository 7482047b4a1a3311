//! Guardrails: Cedar `forbid` policies that hold whatever the lists say.
//!
//! Must never permit anything: a file that holds a `permit`, or a template, is refused. One that errs when it is
//! asked forbids (I2); Cedar alone would skip it.

use std::fmt;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint,
};
use miette::Diagnostic;

use super::condition::Names;
use super::vocabulary as words;
use crate::model::name::ToolId;
use crate::model::place::Place;

/// Most guardrails of a configuration.
pub const GUARDRAILS_MAX: usize = 1024;

/// One `forbid` policy.
#[derive(Debug, Clone)]
pub struct Guardrail {
    policy: Policy,
    names: Arc<Names>,
    place: Place,
    /// Its `@id`, or the place where it stands.
    name: Arc<str>,
}

/// What is wrong in a file of guardrails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardrailError {
    /// Where, in bytes from the start of the file.
    pub offset: usize,
    /// What.
    pub message: String,
}

impl Guardrail {
    /// Every guardrail of a file. `place` says where an offset of it stands.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(text: &str, place: impl Fn(usize) -> Place) -> Result<Vec<Self>, Vec<GuardrailError>> {
        let parsed: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
            errors.iter().map(|error| error_at(first_label(error), error.to_string())).collect::<Vec<_>>()
        })?;
        let mut errors = Vec::new();
        if parsed.templates().next().is_some() {
            errors.push(error_at(0, "a guardrail cannot be a template".to_owned()));
        }
        let mut guardrails = Vec::new();
        // Cedar numbers policies in the order of the file: `policy0`, `policy1`, …
        let mut policies: Vec<_> = parsed.policies().cloned().collect();
        policies.sort_by_key(|policy| {
            let id: &str = policy.id().as_ref();
            id.strip_prefix("policy").and_then(|number| number.parse::<usize>().ok())
        });
        let mut from = 0;
        for policy in policies {
            let offset = start_of(text, from, &policy);
            from = offset + 1;
            if policy.effect() != Effect::Forbid {
                let message = "a guardrail is a `forbid`: what may pass is said by lists alone".to_owned();
                errors.push(error_at(offset, message));
                continue;
            }
            let place = place(offset);
            let name = policy.annotation("id").map_or_else(|| place.to_string(), ToOwned::to_owned);
            match policy.to_json() {
                Ok(json) => {
                    guardrails.push(Self { names: Names::of(&json).into(), policy, place, name: name.into() })
                }
                Err(error) => errors.push(error_at(offset, error.to_string())),
            }
        }
        if errors.is_empty() { Ok(guardrails) } else { Err(errors) }
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is called in decisions: its `@id`, or its place.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its scope holds `tool`.
    pub(super) fn is_about(&self, tool: &ToolId) -> bool {
        let is_it = |uid: &EntityUid| {
            let id: &str = uid.id().unescaped();
            match uid.type_name().basename() {
                words::TOOL_TYPE => id == tool.to_string(),
                words::UPSTREAM_TYPE => id == tool.upstream.as_str(),
                // An entity that is none of ours: Cedar has to say so.
                _ => true,
            }
        };
        match self.policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
            ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
                is_it(&uid)
            }
        }
    }

    /// Whether it forbids every call that is in its scope, whoever makes it and whatever its arguments are.
    pub(super) fn forbids_all(&self) -> bool {
        let is_call = match self.policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(action) => is_call(&action),
            ActionConstraint::In(actions) => actions.iter().any(is_call),
        };
        let is_tool = |uid: &EntityUid| uid.type_name().basename() == words::TOOL_TYPE;
        let is_whole = match self.policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::In(_) => true,
            ResourceConstraint::Eq(uid) => is_tool(&uid),
            ResourceConstraint::Is(of_type) | ResourceConstraint::IsIn(of_type, _) => {
                of_type.basename() == words::TOOL_TYPE
            }
        };
        (is_call && is_whole)
            && self.policy.principal_constraint() == PrincipalConstraint::Any
            && !self.policy.has_non_scope_constraint()
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn policy(&self, id: &str) -> Policy {
        self.policy.new_id(PolicyId::new(id))
    }
}

impl fmt::Display for Guardrail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.fmt(out)
    }
}

impl PartialEq for Guardrail {
    fn eq(&self, other: &Self) -> bool {
        self.policy.to_string() == other.policy.to_string()
    }
}

impl Eq for Guardrail {}

/// The one action that there is.
fn is_call(action: &EntityUid) -> bool {
    action.type_name().basename() == words::ACTION_TYPE && action.id().unescaped() == words::CALL
}

fn error_at(offset: usize, message: String) -> GuardrailError {
    GuardrailError { offset, message }
}

fn first_label(error: &impl Diagnostic) -> usize {
    error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset())
}

/// Where in `text`, from `from` on, the source of `policy` begins.
fn start_of(text: &str, from: usize, policy: &Policy) -> usize {
    let source = policy.to_cedar().unwrap_or_default();
    text.get(from..).and_then(|rest| rest.find(source.as_str())).map_or(from, |at| from + at)
}
