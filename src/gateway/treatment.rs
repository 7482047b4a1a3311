//! What the gateway does with each method of a client: total over the classification of `wire`.
//!
//! Must never have a wildcard arm: a method that is added to the classification does not compile until it
//! is treated here, and what is not served is refused (invariants I2, I8).

use crate::model::reason::Reason;
use crate::wire::method::Toward;
use crate::wire::{ListKind, Method, Revision};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Agree on a revision and open a session.
    Initialize,
    /// Say what is spoken here.
    Discover,
    /// Say that we are there.
    Ping,
    /// Show a list.
    List(ListKind),
    /// Decide on a call.
    Call,
    /// Decide on a call that is about the task of an earlier one.
    AboutTask,
    /// Note which log messages the session wants.
    SetLevel,
    /// Tell of changes of a resource from now on.
    Subscribe,
    /// No longer.
    Unsubscribe,
    /// Open a stream of notifications.
    Listen,
    /// It is not served.
    Refuse(Reason),
}

/// What becomes of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heed {
    /// The client gives a request up.
    Cancel,
    /// It says something that changes nothing here.
    Ignore,
    /// It is not served.
    Refuse(Reason),
}

/// The treatment of a request in `revision`.
pub(super) fn of(method: &Method, revision: Revision) -> Treatment {
    use Method as M;
    if !matches!(method, M::Unknown(_)) && !method.in_revision(revision, Toward::Upstream) {
        return Treatment::Refuse(Reason::MethodUnknown);
    }
    match method {
        M::Initialize => Treatment::Initialize,
        M::Discover => Treatment::Discover,
        M::Ping => Treatment::Ping,
        M::ToolsList => Treatment::List(ListKind::Tools),
        M::PromptsList => Treatment::List(ListKind::Prompts),
        M::ResourcesList => Treatment::List(ListKind::Resources),
        M::ResourceTemplatesList => Treatment::List(ListKind::ResourceTemplates),
        M::ToolsCall | M::PromptsGet | M::ResourcesRead | M::Complete => Treatment::Call,
        M::SubscriptionsListen => Treatment::Listen,
        M::LoggingSetLevel => Treatment::SetLevel,
        M::ResourcesSubscribe => Treatment::Subscribe,
        M::ResourcesUnsubscribe => Treatment::Unsubscribe,
        M::TasksGet | M::TasksResult | M::TasksCancel | M::TasksUpdate => Treatment::AboutTask,
        // 2025-11-25 lets a server have none: whoever made a task knows it.
        M::TasksList => Treatment::Refuse(Reason::MethodUnsupported),
        // Never requests of a client: the other direction, or notifications.
        M::SamplingCreateMessage
        | M::ElicitationCreate
        | M::RootsList
        | M::Initialized
        | M::Cancelled
        | M::Progress
        | M::ToolsListChanged
        | M::PromptsListChanged
        | M::ResourcesListChanged
        | M::ResourcesUpdated
        | M::SubscriptionsAcknowledged
        | M::LoggingMessage
        | M::ElicitationComplete
        | M::RootsListChanged
        | M::TasksStatus
        | M::TasksChanged
        | M::Unknown(_) => Treatment::Refuse(Reason::MethodUnknown),
    }
}

/// The treatment of a notification.
pub(super) fn of_notification(method: &Method) -> Heed {
    use Method as M;
    match method {
        M::Cancelled => Heed::Cancel,
        // The session is open since `initialize`. The rest would tell an upstream something, and no
        // upstream is told anything that was not decided: it ends here.
        M::Initialized | M::Progress | M::RootsListChanged | M::TasksStatus => Heed::Ignore,
        M::ToolsListChanged
        | M::PromptsListChanged
        | M::ResourcesListChanged
        | M::ResourcesUpdated
        | M::SubscriptionsAcknowledged
        | M::LoggingMessage
        | M::ElicitationComplete
        | M::TasksChanged
        | M::Initialize
        | M::Discover
        | M::Ping
        | M::ToolsList
        | M::ToolsCall
        | M::SubscriptionsListen
        | M::PromptsList
        | M::PromptsGet
        | M::ResourcesList
        | M::ResourceTemplatesList
        | M::ResourcesRead
        | M::ResourcesSubscribe
        | M::ResourcesUnsubscribe
        | M::Complete
        | M::LoggingSetLevel
        | M::TasksGet
        | M::TasksResult
        | M::TasksList
        | M::TasksCancel
        | M::TasksUpdate
        | M::SamplingCreateMessage
        | M::ElicitationCreate
        | M::RootsList
        | M::Unknown(_) => Heed::Refuse(Reason::MethodUnknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The methods that are served, by revision: everything else is refused with its reason (I8).
    #[test]
    fn i8_every_method_of_every_revision_is_served_or_refused_with_a_reason() {
        let mut served = Vec::new();
        for revision in Revision::ALL {
            for method in Method::DEFINED {
                let treatment = of(method, *revision);
                if !matches!(treatment, Treatment::Refuse(_)) {
                    served.push((revision.as_str(), method.code()));
                }
            }
        }
        let both = [
            "tools/list",
            "tools/call",
            "prompts/list",
            "prompts/get",
            "resources/list",
            "resources/templates/list",
            "resources/read",
        ];
        let subscribed = ["resources/subscribe", "resources/unsubscribe"];
        let last = ["completion/complete", "logging/setLevel"];
        let legacy = [&["initialize", "ping"], &both[..], &subscribed, &last].concat();
        let modern =
            [&["server/discover"], &both[..], &["subscriptions/listen", "completion/complete"]].concat();
        let tasks = |revision: &Revision| match revision {
            Revision::V2025_11_25 => vec!["tasks/get", "tasks/result", "tasks/cancel"],
            Revision::V2026_07_28 => vec!["tasks/get", "tasks/cancel", "tasks/update"],
            _ => Vec::new(),
        };
        for revision in Revision::ALL {
            let before = if revision.is_modern() { &modern } else { &legacy };
            let expected = [before.clone(), tasks(revision)].concat();
            let found: Vec<_> =
                served.iter().filter(|(of, _)| *of == revision.as_str()).map(|(_, m)| *m).collect();
            assert_eq!(found, expected, "{}", revision.as_str());
        }
        assert_eq!(
            of(&Method::Unknown(crate::model::text::Bounded::new("tools/call2")), Revision::V2025_11_25),
            Treatment::Refuse(Reason::MethodUnknown)
        );
    }
}
