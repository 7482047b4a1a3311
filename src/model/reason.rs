//! Reason codes: one stable word for why something was decided or went as it did.
//!
//! The same word stands in code, audit, metrics and documentation. Must never be reused for another
//! meaning. This file is a catalogue: read it as one reads a dictionary.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($group:ident {
        $($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $retry:ident, $sentence:literal;)+
    })+) => {
        /// Why a call was allowed, refused or failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($($(#[doc = $doc])+ #[serde(rename = $code)] $variant,)+)+
        }

        impl Reason {
            /// Every reason, in the order of this catalogue.
            pub const ALL: &'static [Self] = &[$($(Self::$variant),+),+];

            /// The stable word.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $($(Self::$variant => $code,)+)+ }
            }

            /// One sentence that the caller may read. Never holds internals.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $($(Self::$variant => $sentence,)+)+ }
            }

            /// Where on the path it belongs.
            #[must_use]
            pub const fn group(self) -> Group {
                match self { $($(Self::$variant => Group::$group,)+)+ }
            }

            /// Whether the same call may succeed later without anyone changing anything.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $($(Self::$variant => Retry::$retry,)+)+ }
            }
        }
    };
}

/// Where on the path a reason belongs: who refuses, or what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What the policy answers.
    Policy,
    /// Nobody can be told to call: before there is a principal.
    Identity,
    /// The guards at the socket.
    Guard,
    /// The strict parse.
    Parse,
    /// The protocol and its sessions.
    Protocol,
    /// The run table.
    Run,
    /// Limits and budgets.
    Limit,
    /// The journal.
    Journal,
    /// The tool servers.
    Upstream,
    /// How a call ended that was forwarded.
    Ending,
}

/// Whether trying the same call again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call will be answered the same way.
    Never,
    /// The cause passes by itself.
    Later,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.code())
    }
}

reasons! {
    // What the policy answers.
    Policy {
        /// Every source, the roles and the agent allow the call.
        Allowed = "allowed", Never, "The call is allowed.";
        /// The tool does not exist, or is outside the ceiling of the credential: told apart nowhere but in the audit.
        NotVisible = "not_visible", Never, "There is no such tool.";
        /// A source in the provenance denies the call.
        SourceDenies = "source_denies", Never, "Content from one of this run's sources does not allow this tool. Do not retry; go on without it.";
        /// The roles of the subject deny the call.
        RoleDenies = "role_denies", Never, "The user's roles do not allow this tool. Do not retry; go on without it.";
        /// The agent is not allowed the call.
        AgentDenies = "agent_denies", Never, "This agent is not allowed this tool. Do not retry; go on without it.";
        /// A guardrail forbids the call.
        GuardrailDenies = "guardrail_denies", Never, "A rule that holds for everybody here forbids this call. Do not retry; go on without it.";
        /// What the condition of a permission looks at is not what the tool's schema says, or could not be evaluated.
        ConditionError = "condition_error", Never, "The arguments are not what the permission for this tool can look at. Check them against the tool's schema.";
        /// A condition does not fit the input schema of the tool, so that nothing can be told of its calls.
        ConditionInvalid = "condition_invalid", Never, "A permission for this tool does not fit the tool's schema. An operator has to mend it.";
        /// An argument that the tool's schema does not know, or that can be mistaken for another.
        ArgumentUnknown = "argument_unknown", Never, "The tool's schema does not know one of the arguments. Leave it out.";
        /// The call says something of an argument whose value an operator fixed.
        ArgumentFixed = "argument_fixed", Never, "The value of one of the arguments is fixed here and cannot be given. Leave out what the tool's schema does not list.";
        /// What the run did before does not allow the call.
        FlowDenies = "flow_denies", Never, "After what this run did before, this tool is closed to it. Do not retry; go on without it.";
        /// The call needs a reviewed plan.
        PlanRequired = "plan_required", Never, "This tool may be used here only under a reviewed plan. Submit one that has this call as a step: `sluicegate__submit_plan`.";
        /// The plan cannot be read, or does not fit the tools that it names.
        PlanInvalid = "plan_invalid", Never, "This is no plan that can be reviewed. Mend what is named, and submit it again.";
        /// No step of the plan was granted.
        PlanRefused = "plan_refused", Never, "Nothing of this plan is granted. Each step says why.";
        /// So many plans of the run are in force that no further one is taken.
        PlansFull = "plans_full", Never, "This run has had as many plans as it may have.";
        /// A person was asked to approve the call.
        ApprovalPending = "approval_pending", Later, "A person has been asked to approve this exact call. Go on with other work, and call `sluicegate__resume` with the id given here, or make the same call again, later.";
        /// A person refused the call.
        ApprovalDenied = "approval_denied", Never, "A person refused this exact call. Do not retry; go on without it.";
        /// No call of the run waits under this id.
        ApprovalUnknown = "approval_unknown", Never, "No call of this run waits under this id. If a person approved it, make the same call again.";
        /// The configuration does not let this person answer the question.
        NotAnApprover = "not_an_approver", Never, "`[[approvers]]` does not let you answer this question.";
        /// So many questions wait for people that no further one is asked.
        QuestionsFull = "questions_full", Later, "Too many questions wait for people already.";
        /// The call needs a person's approval.
        ApprovalRequired = "approval_required", Never, "This needs a person's approval here, and people are asked only about tools. Do not retry.";
        /// The definition of what is called changed since it was accepted.
        PinChanged = "pin_changed", Never, "The definition of this changed since it was accepted. An operator has to accept it again.";
    }

    // Identity.
    Identity {
        /// No credential was presented.
        CredentialMissing = "credential_missing", Never, "A credential is required.";
        /// The credential is not known here, or is malformed.
        CredentialUnknown = "credential_unknown", Never, "The credential was not accepted.";
        /// More than one credential of the same kind was presented.
        CredentialAmbiguous = "credential_ambiguous", Never, "Exactly one credential may be presented.";
        /// The peer's uid is not in the table of the socket.
        PeerUnmapped = "peer_unmapped", Never, "The credential was not accepted.";
        /// The token is not a JWS in compact form, or its parts are not what they have to be.
        TokenMalformed = "token_malformed", Never, "The token is malformed.";
        /// `typ` is not that of the header the token came in, or `crit` names what is not understood.
        TokenTypeForbidden = "token_type_forbidden", Never, "This type of token is not accepted here.";
        /// The algorithm is not one of the issuer's, or not the key's.
        TokenAlgorithmForbidden = "token_algorithm_forbidden", Never, "The algorithm of the token is not accepted.";
        /// `iss` is not an issuer of the configuration.
        TokenIssuerUnknown = "token_issuer_unknown", Never, "The issuer of the token is not known here.";
        /// `kid` is not among the issuer's keys.
        TokenKeyUnknown = "token_key_unknown", Never, "The key of the token is not among its issuer's keys.";
        /// The issuer's keys cannot be had.
        KeysUnavailable = "keys_unavailable", Later, "The keys of the token's issuer cannot be had now.";
        /// The signature is not that of the key.
        TokenSignatureInvalid = "token_signature_invalid", Never, "The signature of the token is not valid.";
        /// `exp` has passed.
        TokenExpired = "token_expired", Never, "The token has expired.";
        /// `nbf` or `iat` has not come yet.
        TokenNotYetValid = "token_not_yet_valid", Later, "The token is not valid yet.";
        /// `aud` is not this gateway.
        TokenAudienceWrong = "token_audience_wrong", Never, "The token is not for this gateway.";
        /// A claim is missing or is not what it has to be.
        TokenClaimsInvalid = "token_claims_invalid", Never, "The claims of the token are not what they have to be.";
        /// The token is valid for longer than its issuer may make one.
        TokenLifetimeTooLong = "token_lifetime_too_long", Never, "The token is valid for longer than its issuer may make one.";
        /// The entry point may not vouch for this label.
        LabelForbidden = "label_forbidden", Never, "The issuer may not vouch for what the token says.";
        /// The two tokens of a request do not name the same subject.
        TokensDisagree = "tokens_disagree", Never, "The tokens of the request do not belong together.";
        /// The token is bound to a key and the request does not prove that its sender holds it.
        ProofMissing = "proof_missing", Never, "The token is bound to a key, and the request does not prove to hold it.";
        /// The proof is malformed, stale, was used before, or is for another request or key.
        ProofInvalid = "proof_invalid", Never, "The proof of possession is not valid for this request.";
        /// The client certificate is not one of the configuration.
        CertificateUnknown = "certificate_unknown", Never, "The client certificate is not known here.";
        /// Nobody is signed in at the page, or the session has ended.
        SignedOut = "signed_out", Never, "You are not signed in, or your session has ended.";
        /// The link, or the sign-in, is not known at the page: it was used, is too old, or began in another browser.
        SignInInvalid = "sign_in_invalid", Never, "This sign-in counts no more: it was used, is too old, or began in another browser. Sign in anew.";
        /// The provider did not sign the person in, or does not take its own code.
        SignInRefused = "sign_in_refused", Never, "The provider did not sign you in.";
        /// The provider cannot be reached, or does not describe itself as it has to.
        ProviderUnavailable = "provider_unavailable", Later, "The provider by which you sign in cannot be reached now.";
        /// The table of sessions of the page is full.
        VisitsFull = "visits_full", Later, "Too many people are signed in.";
        /// A message that brings an answer is not signed by the service that it names, or not from now.
        WebhookInvalid = "webhook_invalid", Never, "The message is not signed as it has to be, or not from now.";
        /// The same message came before.
        WebhookRepeated = "webhook_repeated", Never, "This message was taken before.";
        /// A signed message says no answer.
        WebhookMalformed = "webhook_malformed", Never, "The message has to be an object of question, word and subject.";
        /// No further message can be remembered, so that it could come a second time.
        WebhooksFull = "webhooks_full", Later, "Too many messages came within five minutes.";
        /// A person revoked the run, the subject or the entry point.
        CredentialRevoked = "credential_revoked", Never, "The credential was revoked.";
    }

    // Guards at the socket.
    Guard {
        /// The `Host` header does not name this listener.
        HostForbidden = "host_forbidden", Never, "The Host header does not name this gateway.";
        /// The `Origin` header is not one that may use this listener.
        OriginForbidden = "origin_forbidden", Never, "This Origin may not use the gateway.";
        /// A form of the page does not belong to the session that sends it.
        FormForged = "form_forged", Never, "This form does not belong to your session. Go back, load the page again, and answer there.";
        /// There is nothing at this path.
        PathUnknown = "path_unknown", Never, "There is nothing at this path.";
        /// The HTTP method is not served at this path.
        HttpMethodForbidden = "http_method_forbidden", Never, "This HTTP method is not served here.";
        /// The body is not declared as JSON.
        ContentTypeForbidden = "content_type_forbidden", Never, "The Content-Type has to be application/json.";
        /// The client does not accept what the gateway can answer with.
        NotAcceptable = "not_acceptable", Never, "The Accept header has to list application/json and text/event-stream; for a stream, the latter.";
        /// The body is larger than `limits.body_max`.
        BodyTooLarge = "body_too_large", Never, "The body is larger than this gateway accepts.";
        /// The body did not arrive in `limits.body_timeout`.
        BodyTimeout = "body_timeout", Later, "The body did not arrive in time.";
        /// The body ended early or broke its framing.
        BodyIncomplete = "body_incomplete", Later, "The body did not arrive whole.";
        /// Too many connections are open on this listener.
        ConnectionsFull = "connections_full", Later, "Too many connections are open.";
        /// The TLS handshake failed: no common version, a client certificate that does not verify, plain HTTP.
        TlsHandshakeFailed = "tls_handshake_failed", Never, "This port speaks TLS, and the handshake failed.";
        /// So many credentials from the peer's address were refused that no further one is looked at in this minute.
        AuthenticationsExceeded = "authentications_exceeded", Later, "Too many credentials from this address were refused. Try again in a minute.";
        /// The peer is not one of the proxies of the listener (`behind_proxy`).
        ProxyUndeclared = "proxy_undeclared", Never, "Only declared proxies may connect here.";

        /// The bytes are not a well-formed HTTP/1.1 request, or frame its body in two ways.
        HttpInvalid = "http_invalid", Never, "The request is not well-formed HTTP/1.1.";
        /// The head of the request is larger than the limit.
        HeadTooLarge = "head_too_large", Never, "The head of the request is larger than this gateway accepts.";
        /// The head of the request did not arrive in `limits.head_timeout`.
        HeadTimeout = "head_timeout", Later, "The head of the request did not arrive in time.";
    }

    // Parsing.
    Parse {
        /// The bytes are not one JSON document in valid UTF-8.
        JsonInvalid = "json_invalid", Never, "The message is not one valid JSON document.";
        /// An object holds the same key twice.
        JsonDuplicateKey = "json_duplicate_key", Never, "An object in the message holds the same key twice.";
        /// The document is nested deeper than the limit.
        JsonTooDeep = "json_too_deep", Never, "The message is nested too deeply.";
        /// The document holds more keys or elements than the limit.
        JsonTooManyKeys = "json_too_many_keys", Never, "The message holds too many keys or elements.";
        /// The document is not a JSON-RPC 2.0 message, or has members that none has.
        EnvelopeInvalid = "envelope_invalid", Never, "The message is not a JSON-RPC 2.0 request, notification or response.";
        /// A key differs from one that the protocol defines only in case, or holds a control character.
        KeyConfusable = "key_confusable", Never, "A key of the message can be mistaken for one that the protocol defines.";
        /// A batch, where the negotiated revision has none.
        BatchForbidden = "batch_forbidden", Never, "Batches are not part of this protocol revision.";
        /// A batch holds more messages than the limit.
        BatchTooLarge = "batch_too_large", Never, "The batch holds too many messages.";
        /// A message that cannot stand in a batch: `initialize`, or one of a revision without batches.
        BatchMemberForbidden = "batch_member_forbidden", Never, "This message cannot stand in a batch.";
        /// The id is null, fractional, or longer than the limit.
        IdInvalid = "id_invalid", Never, "The request id has to be a short string or an integer.";
        /// A request with this id is already in flight in this session.
        IdInUse = "id_in_use", Never, "A request with this id is already in flight.";
        /// The parameters are not what the method takes.
        ParamsInvalid = "params_invalid", Never, "The parameters are not what this method takes.";
        /// A header is missing, duplicated, or differs from the body (SEP-2243).
        HeaderMismatch = "header_mismatch", Never, "A protocol header is missing or differs from the body.";
        /// A response that answers nothing the gateway asked.
        ResponseUnexpected = "response_unexpected", Never, "The gateway asked nothing that this response answers.";
    }

    // Protocol.
    Protocol {
        /// The method is not one that MCP defines.
        MethodUnknown = "method_unknown", Never, "There is no such method.";
        /// The method is classified and not served.
        MethodUnsupported = "method_unsupported", Never, "This gateway does not serve this method.";
        /// The protocol revision is not spoken here.
        RevisionUnsupported = "revision_unsupported", Never, "This protocol revision is not spoken here.";
        /// The request needs a session and names none.
        SessionMissing = "session_missing", Never, "The request needs a session. Initialize first.";
        /// The session does not exist, has ended, or is another's.
        SessionUnknown = "session_unknown", Never, "There is no such session. Initialize again.";
        /// The table of sessions is full.
        SessionsFull = "sessions_full", Later, "Too many sessions are open.";
        /// The table of open streams is full.
        StreamsFull = "streams_full", Later, "Too many streams are open.";
        /// The client, or the gateway, watches as many resources as it may.
        SubscriptionsFull = "subscriptions_full", Later, "Too many resources are subscribed to.";
        /// `Last-Event-ID` names no event of a stream of this session: it is another's, or none.
        EventUnknown = "event_unknown", Never, "No stream of this session has this event.";
        /// What came after the event is no longer kept: the stream cannot be resumed without a gap.
        EventsGone = "events_gone", Never, "What this stream told after this event is no longer kept. Open a new stream.";
        /// The client did not say that it can what the method needs (2026-07-28).
        CapabilityMissing = "capability_missing", Never, "The request needs a capability that its client did not declare.";
        /// The run, or the gateway, has as many tasks as it may.
        TasksFull = "tasks_full", Later, "Too many tasks are under way.";
        /// No call waits under the `requestState`: it went on already, was given up, or is another's.
        NotParked = "not_parked", Never, "No call waits for this input: it was given already, came too late, or belongs to another request. Make the call anew.";
        /// The cursor was not issued for this list.
        CursorUnknown = "cursor_unknown", Never, "The cursor was not issued for this list.";
    }

    // Runs.
    Run {
        /// The run has ended, or its history is lost, and only a person may end it.
        RunClosed = "run_closed", Never, "This run is closed. A person has to end it before another can start.";
        /// The run that the token claims has ended.
        RunEnded = "run_ended", Never, "The run of this token has ended. Its trigger has to start another.";
        /// The run that the token claims is used from elsewhere.
        RunPinned = "run_pinned", Never, "The run of this token is used from another place.";
        /// The token changes what a later token of its run may not change.
        RunChanged = "run_changed", Never, "The token changes what was settled when its run started.";
        /// A person closed a source that has influenced the run, or that the call would add.
        SourceClosed = "source_closed", Later, "One of this run's sources is closed. Do not retry; an operator has to open it.";
        /// The table of runs is full.
        RunsFull = "runs_full", Later, "Too many runs are open.";
    }

    // Limits.
    Limit {
        /// The gateway has as many calls in flight as it may.
        GatewayBusy = "gateway_busy", Later, "The gateway is busy.";
        /// The caller has as many calls in flight as it may.
        PrincipalBusy = "principal_busy", Later, "Too many of your calls are in flight.";
        /// The upstream has as many calls in flight as it may.
        UpstreamBusy = "upstream_busy", Later, "The tool server is busy.";
        /// The upstream has as many instances as it may.
        InstancesFull = "instances_full", Later, "The tool server has no free instance.";
        /// A budget counts as many calls in this minute as it may.
        RateExceeded = "rate_exceeded", Later, "Too many calls in this minute. Wait as long as `retry_after_s` says.";
        /// A budget of an hour or a day is spent: calls, cost, sampling requests or their tokens.
        BudgetExceeded = "budget_exceeded", Later, "The budget for this is spent. Do not retry before `retry_after_s`; go on without it.";
        /// A budget has as many calls in flight as it may.
        BudgetBusy = "budget_busy", Later, "Too many calls of this kind are in flight. Wait for one to end.";
        /// The caller was refused so often that it is refused everything for the rest of the hour.
        DenialsExceeded = "denials_exceeded", Later, "Too much of what was asked for was refused. Everything is refused until `retry_after_s` has passed.";
        /// The table of what budgets count is full.
        BudgetsFull = "budgets_full", Later, "Too many budgets are counted at once.";
        /// The dispatcher asked for more tokens than it may in a minute.
        MintRateExceeded = "mint_rate_exceeded", Later, "Too many tokens were asked for. Ask again in a minute.";
        /// The gateway is shutting down.
        Draining = "draining", Later, "The gateway is shutting down.";
    }

    // The journal.
    Journal {
        /// The journal cannot be written: nothing is forwarded.
        JournalHalted = "journal_halted", Later, "The audit journal cannot be written, so no call is forwarded.";
        /// The journal did not take the record in time.
        JournalOverloaded = "journal_overloaded", Later, "The audit journal is overloaded, so the call was not forwarded.";
        /// What an operator wants kept of the arguments could not be kept: its key cannot be had.
        ValuesNotKept = "values_not_kept", Later, "What has to be recorded of this call cannot be recorded now. Nothing was forwarded; try again later.";
    }

    // Upstreams.
    Upstream {
        /// The upstream could not be started or reached; it got nothing of the call.
        UpstreamUnavailable = "upstream_unavailable", Later, "The tool server cannot be reached.";
        /// The upstream failed so often that it is left alone for a while.
        UpstreamBroken = "upstream_broken", Later, "The tool server failed repeatedly and is left alone for a while.";
        /// The upstream did not answer within the deadline of the call. It may have executed it.
        UpstreamTimeout = "upstream_timeout", Never, "The tool server did not answer in time. It may have executed the call.";
        /// The upstream went away after it got the call. It may have executed it.
        UpstreamClosed = "upstream_closed", Never, "The tool server went away during the call. It may have executed it.";
        /// The upstream's answer is not valid.
        UpstreamInvalid = "upstream_invalid", Never, "The tool server's answer is not valid and was withheld. It may have executed the call.";
        /// The upstream's answer is larger than `result_max`.
        ResultTooLarge = "result_too_large", Never, "The tool server's answer is too large and was withheld. It executed the call.";
        /// The upstream's answer is too large for memory and could not be kept on disk.
        SpoolFailed = "spool_failed", Never, "The tool server's answer is too large for memory and could not be kept on disk; it was withheld. It executed the call.";
        /// The upstream wants input before it answers, and may not be given it, or nobody can be asked.
        InputRequired = "input_required", Never, "The tool server wants further input before it answers, which it may not be given here. It may have begun the call.";
        /// The upstream made a task of the call, which its client does not take.
        TaskMade = "task_made", Never, "The tool server made a task of the call, which its client does not take. It may execute the call.";
        /// The upstream does not tell of changes of the resource.
        NotWatched = "not_watched", Never, "The tool server does not tell of changes of this resource.";
        /// The upstream asked something that is not allowed or not supported.
        UpstreamRequestRefused = "upstream_request_refused", Never, "The tool server may not ask this.";
    }

    // Endings.
    Ending {
        /// The upstream answered.
        Answered = "answered", Never, "The tool server answered.";
        /// The client cancelled the call, or hung up.
        Cancelled = "cancelled", Never, "The call was cancelled. The tool server may have executed it.";
        /// The call was given up: nobody gave the input that it waited for, or the gateway lost track of it.
        Abandoned = "abandoned", Never, "The call was given up before it ended. The tool server may have executed it.";
        /// The gateway has a fault.
        Fault = "fault", Never, "The gateway has a fault. Please report it.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case_words() {
        let codes: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
