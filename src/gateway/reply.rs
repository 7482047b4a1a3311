//! From a reason to what the caller reads: HTTP status, JSON-RPC code, one sentence, machine-readable facts.
//!
//! Must never carry internals outside. One match per question, and no arm for a group that is not named: a
//! new reason does not compile until the catalogue says which group it belongs to.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::own;
use crate::model::approval::QuestionId;
use crate::model::reason::{Group, Reason, Retry};
use crate::wire::{Id, Revision, code, encode};

/// Our code for what was refused and has no code of the specification. Own codes lie outside
/// −32768…−32000 (JSON-RPC 2.0, section 5.1).
pub const REFUSED: i64 = -31_000;

/// The key under which a refusal's facts stand in `_meta`.
pub const META_KEY: &str = "dev.sluicegate/decision";

/// The facts of a refusal or a failure, as the caller may read them.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// `deny` where nothing was forwarded, `allow` where the call was and failed.
    pub(super) decision: &'static str,
    pub(super) reason: Reason,
    pub(super) retryable: bool,
    /// When it is worth another try, in seconds, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_s: Option<u64>,
    /// The record of the decision: what an operator looks up with `sluicegate audit show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision_id: Option<u64>,
    /// What would help, where something would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<Remedy>,
}

/// A tool of the gateway that helps on.
#[derive(Debug, Serialize)]
pub(super) struct Remedy {
    /// Its name.
    tool: &'static str,
    /// What to call it with, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<RemedyArguments>,
}

#[derive(Debug, Serialize)]
struct RemedyArguments {
    id: QuestionId,
}

impl Remedy {
    /// What helps whoever is refused for `reason`; `question` is what a person was asked.
    pub(super) fn of(reason: Reason, question: Option<&QuestionId>) -> Option<Self> {
        match (reason, question) {
            (Reason::PlanRequired, _) => Some(Self { tool: own::SUBMIT_PLAN, arguments: None }),
            (Reason::ApprovalPending, Some(id)) => {
                Some(Self { tool: own::RESUME, arguments: Some(RemedyArguments { id: id.clone() }) })
            }
            _ => None,
        }
    }
}

impl Told {
    /// The gateway itself did what was asked.
    pub(super) fn allowed(decision_id: Option<u64>) -> Self {
        Self::new("allow", Reason::Allowed, decision_id)
    }

    pub(super) fn refused(reason: Reason, decision_id: Option<u64>) -> Self {
        Self::new("deny", reason, decision_id)
    }

    pub(super) fn failed(reason: Reason, decision_id: Option<u64>) -> Self {
        Self::new("allow", reason, decision_id)
    }

    fn new(decision: &'static str, reason: Reason, decision_id: Option<u64>) -> Self {
        let retryable = reason.retry() == Retry::Later;
        Self { decision, reason, retryable, retry_after_s: None, decision_id, remedy: None }
    }

    /// The same, and what would help.
    pub(super) fn with(self, remedy: Option<Remedy>) -> Self {
        Self { remedy, ..self }
    }

    /// The same, and when to try again.
    pub(super) fn after(self, retry_after_s: Option<u64>) -> Self {
        Self { retry_after_s, ..self }
    }
}

/// The HTTP status of a refusal, where the reply is one body. A reason that is not named has that of its group.
#[must_use]
pub fn status(reason: Reason, revision: Option<Revision>) -> StatusCode {
    use Reason as R;
    let is_modern = revision.is_some_and(Revision::is_modern);
    match (reason.group(), reason) {
        (_, R::HostForbidden | R::OriginForbidden) => StatusCode::FORBIDDEN,
        (_, R::PathUnknown | R::SessionUnknown | R::EventUnknown) => StatusCode::NOT_FOUND,
        (_, R::HttpMethodForbidden) => StatusCode::METHOD_NOT_ALLOWED,
        (_, R::EventsGone) => StatusCode::GONE,
        (_, R::ContentTypeForbidden) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (_, R::NotAcceptable) => StatusCode::NOT_ACCEPTABLE,
        (_, R::BodyTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        (_, R::HeadTooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        (_, R::BodyTimeout | R::HeadTimeout) => StatusCode::REQUEST_TIMEOUT,
        (_, R::AuthenticationsExceeded) => StatusCode::TOO_MANY_REQUESTS,
        (_, R::ConnectionsFull | R::SessionsFull | R::StreamsFull | R::Draining | R::KeysUnavailable) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        (_, R::RevisionUnsupported | R::SessionMissing | R::CapabilityMissing) => StatusCode::BAD_REQUEST,
        // 2026-07-28, basic, "Request Metadata": a request whose `_meta` lacks what is required.
        (_, R::ParamsInvalid) if revision.is_none() => StatusCode::BAD_REQUEST,
        (_, R::ParamsInvalid | R::IdInUse) => StatusCode::OK,
        // 2026-07-28, basic/transports: an unimplemented method is a 404 with a JSON-RPC body.
        (_, R::MethodUnknown | R::MethodUnsupported) if is_modern => StatusCode::NOT_FOUND,
        (Group::Identity, _) => StatusCode::UNAUTHORIZED,
        (Group::Guard | Group::Parse, _) => StatusCode::BAD_REQUEST,
        (
            Group::Policy
            | Group::Protocol
            | Group::Run
            | Group::Limit
            | Group::Journal
            | Group::Upstream
            | Group::Ending,
            _,
        ) => StatusCode::OK,
    }
}

/// The JSON-RPC code of a refusal. A reason that is not named has that of its group.
#[must_use]
pub fn rpc_code(reason: Reason) -> i64 {
    use Reason as R;
    match (reason.group(), reason) {
        (_, R::JsonInvalid | R::JsonDuplicateKey | R::JsonTooDeep | R::JsonTooManyKeys) => code::PARSE_ERROR,
        (_, R::MethodUnknown | R::MethodUnsupported | R::UpstreamRequestRefused) => code::METHOD_NOT_FOUND,
        (_, R::ParamsInvalid | R::CursorUnknown | R::NotParked | R::NotVisible) => code::INVALID_PARAMS,
        (_, R::HeaderMismatch) => code::HEADER_MISMATCH,
        (_, R::CapabilityMissing) => code::MISSING_CLIENT_CAPABILITY,
        (_, R::RevisionUnsupported) => code::UNSUPPORTED_PROTOCOL_VERSION,
        (_, R::SessionMissing) => code::INVALID_REQUEST,
        (_, R::Fault | R::Abandoned) => code::INTERNAL_ERROR,
        (Group::Parse, _) => code::INVALID_REQUEST,
        (
            Group::Policy
            | Group::Identity
            | Group::Guard
            | Group::Protocol
            | Group::Run
            | Group::Limit
            | Group::Journal
            | Group::Upstream
            | Group::Ending,
            _,
        ) => REFUSED,
    }
}

/// A JSON-RPC error with its facts in `data`.
pub(super) fn error(id: Option<&Id>, message: &str, told: &Told) -> Bytes {
    let data = serde_json::to_vec(told).unwrap_or_default();
    encode::error(id, rpc_code(told.reason), message, Some(&data))
}

/// The result of a `tools/call` on a tool that is visible and did not pass (DESIGN §6, Denials).
pub(super) fn tool_error(id: &Id, told: &Told, output: Output, revision: Revision) -> Bytes {
    ToolAnswer { sentence: told.reason.sentence(), facts: told, error: Some(told), output }
        .encode(id, revision)
}

/// What the gateway itself answers to a `tools/call`.
pub(super) struct ToolAnswer<'a, F> {
    /// For models.
    pub(super) sentence: &'a str,
    /// For programs.
    pub(super) facts: &'a F,
    /// What is wrong, where something is.
    pub(super) error: Option<&'a Told>,
    /// What the tool says of its output. `structuredContent` stands only where it has no `outputSchema`: official
    /// clients validate it against the schema even on errors.
    pub(super) output: Output,
}

impl<F: Serialize> ToolAnswer<'_, F> {
    pub(super) fn encode(self, id: &Id, revision: Revision) -> Bytes {
        #[derive(Serialize)]
        struct Text<'a> {
            r#type: &'static str,
            text: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct ToolResult<'a, F> {
            #[serde(skip_serializing_if = "Option::is_none")]
            result_type: Option<&'static str>,
            content: [Text<'a>; 2],
            #[serde(skip_serializing_if = "Option::is_none")]
            structured_content: Option<&'a F>,
            is_error: bool,
            #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
            meta: Option<BTreeMap<&'static str, &'a Told>>,
        }
        let Self { sentence, facts, error, output } = self;
        let in_text = serde_json::to_string(facts).unwrap_or_default();
        let text = |text| Text { r#type: "text", text };
        let result = ToolResult {
            result_type: revision.is_modern().then_some("complete"),
            content: [text(sentence), text(&in_text)],
            structured_content: (output == Output::Unstructured).then_some(facts),
            is_error: error.is_some(),
            meta: error.map(|told| [(META_KEY, told)].into()),
        };
        encode::result(id, &serde_json::to_vec(&result).unwrap_or_default())
    }
}

/// How the caller of something that is visible is told that it did not pass, or failed (DESIGN §6, Denials).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// A result with `isError`.
    Tool(Output),
    /// A JSON-RPC error: only tools have results that say so.
    Plain,
}

impl AnswerForm {
    /// The answer to `id` that says what `told` says.
    pub(super) fn answer(self, id: &Id, told: &Told, revision: Revision) -> Bytes {
        match self {
            Self::Tool(output) => tool_error(id, told, output, revision),
            Self::Plain => error(Some(id), told.reason.sentence(), told),
        }
    }
}

/// Whether a tool declares what its structured output looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// It has an `outputSchema`.
    Schema,
    /// It has none.
    Unstructured,
}
