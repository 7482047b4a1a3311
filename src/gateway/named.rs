//! What a call names, read once from its `params`.
//!
//! Must never look at the policy or the catalogue: what is named here may not exist.

use bytes::Bytes;

use super::exchange::Exchange;
use super::refusal::Refusal;
use crate::model::call::ArgumentFacts;
use crate::model::reason::Reason;
use crate::wire::{Method, Object, Params};

/// What the client named.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) what: What,
    /// The wire name of a tool or prompt, or the URI of a resource or template.
    pub(super) name: String,
    pub(super) params: Params,
    pub(super) arguments: ArgumentFacts,
    /// The raw value of `_meta.progressToken`.
    pub(super) progress_token: Option<Bytes>,
}

/// What kind of thing that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Tool,
    Prompt,
    Resource,
    /// An argument of a prompt.
    PromptArgument,
    /// A variable of a resource template.
    TemplateVariable,
    /// A task that an earlier call was answered with.
    Task,
}

impl Named {
    /// The text of the argument `name` of a tool.
    pub(super) fn argument_text(&self, name: &str) -> Option<String> {
        Object::of(&self.params.get("arguments")?).ok()?.text(name)?.ok()
    }
}

/// A call of a tool that was read before, as it came.
pub(super) fn stored(name: String, params: Params, progress_token: Option<Bytes>) -> Named {
    let arguments = ArgumentFacts::of(&params.get("arguments").unwrap_or_default());
    Named { what: What::Tool, name, params, arguments, progress_token }
}

/// Reads what a request names.
pub(super) fn read(exchange: &Exchange) -> Result<Named, Box<Refusal>> {
    let invalid = || Refusal::error(exchange.facts(), Reason::ParamsInvalid, exchange.id());
    let params = exchange.request.params.clone().ok_or_else(invalid)?;
    let (what, name, raw) = named(&exchange.request.method, &params).ok_or_else(invalid)?;
    let arguments = ArgumentFacts::of(&raw);
    let progress_token = params.meta().and_then(|meta| meta.get("progressToken"));
    Ok(Named { what, name, params, arguments, progress_token })
}

/// What is named, and the raw bytes of its arguments.
fn named(method: &Method, params: &Params) -> Option<(What, String, Bytes)> {
    let text = |key| params.text(key).and_then(Result::ok);
    match method {
        Method::ToolsCall => Some((What::Tool, text("name")?, arguments(params)?)),
        Method::PromptsGet => Some((What::Prompt, text("name")?, arguments(params)?)),
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
            Some((What::Resource, text("uri")?, params.get("uri")?))
        }
        Method::TasksGet | Method::TasksResult | Method::TasksCancel => {
            Some((What::Task, text("taskId")?, params.get("taskId")?))
        }
        Method::TasksUpdate => {
            let answers = params.get("inputResponses").filter(|raw| raw.first() == Some(&b'{'))?;
            Some((What::Task, text("taskId")?, answers))
        }
        Method::Complete => {
            let argument = params.get("argument").filter(|raw| raw.first() == Some(&b'{'))?;
            let reference = Object::of(&params.get("ref")?).ok()?;
            let text = |key| reference.text(key).and_then(Result::ok);
            match text("type")?.as_str() {
                "ref/prompt" => Some((What::PromptArgument, text("name")?, argument)),
                "ref/resource" => Some((What::TemplateVariable, text("uri")?, argument)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// server/tools, CallToolRequest, and server/prompts, GetPromptRequest: `arguments` is an object, or absent.
fn arguments(params: &Params) -> Option<Bytes> {
    match params.get("arguments") {
        Some(raw) if raw.first() != Some(&b'{') => None,
        found => Some(found.unwrap_or_default()),
    }
}
