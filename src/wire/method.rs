//! The methods of MCP: every one of every revision, in both directions, each with its two marks (I8).
//!
//! Must never let through what it does not know: a method that is not in this table, or that is sent as
//! what it is not (a request as a notification), is [`Method::Unknown`]. This file is a catalogue: read
//! it as one reads a dictionary. Whether a method is served is said by the gateway, not here.

use crate::model::text::Bounded;

use super::revision::Revision;
use Revision::{V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

/// Longest method name that is kept of a method that MCP does not define, in bytes.
pub const METHOD_BYTES_MAX: usize = 128;

/// Whether a message of a method is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has an id and is answered.
    Request,
    /// It has none and is not.
    Notification,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toward {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

/// Whether a method, with its answer, carries text of the kind that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It may.
    Carries,
    /// It cannot.
    Clean,
}

/// Where and how a method goes in one direction.
#[derive(Debug, Clone, Copy)]
struct Way {
    revisions: &'static [Revision],
    taints: Mark,
    writes: Mark,
}

const fn way(revisions: &'static [Revision], taints: Mark, writes: Mark) -> Way {
    Way { revisions, taints, writes }
}

/// Brings upstream text to the agent and the run's text to the upstream.
const fn both(revisions: &'static [Revision]) -> Way {
    way(revisions, Mark::Carries, Mark::Carries)
}

/// Brings upstream text to the agent.
const fn taints(revisions: &'static [Revision]) -> Way {
    way(revisions, Mark::Carries, Mark::Clean)
}

/// Brings the run's text to the upstream.
const fn writes(revisions: &'static [Revision]) -> Way {
    way(revisions, Mark::Clean, Mark::Carries)
}

/// Carries nothing but what the protocol fixes, what the gateway says itself, or what was accepted.
const fn plain(revisions: &'static [Revision]) -> Way {
    way(revisions, Mark::Clean, Mark::Clean)
}

/// Does not go this way. Marked as carrying both, so that nobody is misled who asks nevertheless.
const NEVER: Way = both(&[]);

const ALL: &[Revision] = Revision::ALL;
const LEGACY: &[Revision] = &[V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25];
const MODERN: &[Revision] = &[V2026_07_28];
const ELICITS: &[Revision] = &[V2025_06_18, V2025_11_25];
const V2025_11: &[Revision] = &[V2025_11_25];
const TASKS: &[Revision] = &[V2025_11_25, V2026_07_28];

macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $kind:ident, up: $up:expr, down: $down:expr, keys: $keys:expr;)+) => {
        /// One method of MCP, or one that MCP does not define.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Method {
            $($(#[doc = $doc])+ $variant,)+
            /// None that MCP defines. Denied wherever it comes from (I2, CASES A23).
            Unknown(Bounded<METHOD_BYTES_MAX>),
        }

        impl Method {
            /// Every method that MCP defines, in the order of this catalogue.
            pub const DEFINED: &'static [Self] = &[$(Self::$variant),+];

            /// The method called `name` (byte for byte), if it is one of `kind`.
            #[must_use]
            pub fn of(name: &str, kind: Kind) -> Self {
                match (name, kind) {
                    $(($name, Kind::$kind) => Self::$variant,)+
                    _ => Self::Unknown(Bounded::new(name)),
                }
            }

            /// The name as messages have it; `unknown` for what MCP does not define.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$variant => $name,)+ Self::Unknown(_) => "unknown" }
            }

            /// Whether it is answered; `None` for what MCP does not define.
            #[must_use]
            pub const fn kind(&self) -> Option<Kind> {
                match self { $(Self::$variant => Some(Kind::$kind),)+ Self::Unknown(_) => None }
            }

            /// The members of `params` that the method defines in any revision, beside `_meta`.
            #[must_use]
            pub const fn param_keys(&self) -> &'static [&'static str] {
                match self { $(Self::$variant => $keys,)+ Self::Unknown(_) => &[] }
            }

            const fn way(&self, toward: Toward) -> Way {
                match (self, toward) {
                    $((Self::$variant, Toward::Upstream) => $up, (Self::$variant, Toward::Downstream) => $down,)+
                    (Self::Unknown(_), _) => NEVER,
                }
            }
        }
    };
}

impl Method {
    /// The name that the peer sent, cut where it is none of MCP's.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown(name) => name.as_str(),
            defined => defined.code(),
        }
    }

    /// Whether `revision` has the method in this direction.
    #[must_use]
    pub fn in_revision(&self, revision: Revision, toward: Toward) -> bool {
        self.way(toward).revisions.contains(&revision)
    }

    /// Whether the method, sent `toward` there and answered, carries upstream text toward the agent.
    #[must_use]
    pub const fn taints(&self, toward: Toward) -> Mark {
        self.way(toward).taints
    }

    /// Whether the method, sent `toward` there and answered, carries the run's text toward an upstream.
    #[must_use]
    pub const fn writes(&self, toward: Toward) -> Mark {
        self.way(toward).writes
    }
}

methods! {
    // Life of a connection.
    /// The handshake. The gateway answers it itself.
    Initialize = "initialize", Request, up: plain(LEGACY), down: NEVER, keys: &["protocolVersion", "capabilities", "clientInfo"];
    /// The handshake is done.
    Initialized = "notifications/initialized", Notification, up: plain(LEGACY), down: NEVER, keys: &[];
    /// Are you there?
    Ping = "ping", Request, up: plain(LEGACY), down: plain(LEGACY), keys: &[];
    /// What the server is. The gateway answers it itself.
    Discover = "server/discover", Request, up: plain(MODERN), down: NEVER, keys: &[];
    /// A request is given up; `reason` is free text. In 2026-07-28 on stdio only.
    Cancelled = "notifications/cancelled", Notification, up: writes(ALL), down: taints(ALL), keys: &["requestId", "reason"];
    /// How far a request is; `message` is free text.
    Progress = "notifications/progress", Notification, up: writes(LEGACY), down: taints(ALL), keys: &["progressToken", "progress", "total", "message"];

    // Tools. Lists hold accepted definitions only and therefore never taint (DESIGN §5).
    /// The tools there are.
    ToolsList = "tools/list", Request, up: plain(ALL), down: NEVER, keys: &["cursor"];
    /// Calls one.
    ToolsCall = "tools/call", Request, up: both(ALL), down: NEVER, keys: &["name", "arguments", "task", "inputResponses", "requestState"];
    /// The list of tools is another.
    ToolsListChanged = "notifications/tools/list_changed", Notification, up: NEVER, down: plain(ALL), keys: &[];

    // Prompts.
    /// The prompts there are.
    PromptsList = "prompts/list", Request, up: plain(ALL), down: NEVER, keys: &["cursor"];
    /// Gets one.
    PromptsGet = "prompts/get", Request, up: both(ALL), down: NEVER, keys: &["name", "arguments", "inputResponses", "requestState"];
    /// The list of prompts is another.
    PromptsListChanged = "notifications/prompts/list_changed", Notification, up: NEVER, down: plain(ALL), keys: &[];

    // Resources.
    /// The resources there are.
    ResourcesList = "resources/list", Request, up: plain(ALL), down: NEVER, keys: &["cursor"];
    /// The patterns of resources there are.
    ResourceTemplatesList = "resources/templates/list", Request, up: plain(ALL), down: NEVER, keys: &["cursor"];
    /// Reads one. Its URI is the run's text.
    ResourcesRead = "resources/read", Request, up: both(ALL), down: NEVER, keys: &["uri", "inputResponses", "requestState"];
    /// Asks to be told of changes of one. Its URI is the run's text.
    ResourcesSubscribe = "resources/subscribe", Request, up: writes(LEGACY), down: NEVER, keys: &["uri"];
    /// No longer.
    ResourcesUnsubscribe = "resources/unsubscribe", Request, up: writes(LEGACY), down: NEVER, keys: &["uri"];
    /// The list of resources is another.
    ResourcesListChanged = "notifications/resources/list_changed", Notification, up: NEVER, down: plain(ALL), keys: &[];
    /// A resource changed. Its URI is the upstream's text.
    ResourcesUpdated = "notifications/resources/updated", Notification, up: NEVER, down: taints(ALL), keys: &["uri", "title"];

    // Subscriptions of the stateless revision.
    /// Opens a stream of notifications; the URIs in it are the run's text, those that come back the upstream's.
    SubscriptionsListen = "subscriptions/listen", Request, up: both(MODERN), down: NEVER, keys: &["notifications"];
    /// What of it the server accepted.
    SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged", Notification, up: NEVER, down: taints(MODERN), keys: &["notifications"];

    // Completion and logging.
    /// Completes an argument that is being written.
    Complete = "completion/complete", Request, up: both(ALL), down: NEVER, keys: &["ref", "argument", "context"];
    /// The least severe message that is sent. One word of a fixed list, checked by the gateway.
    LoggingSetLevel = "logging/setLevel", Request, up: plain(LEGACY), down: NEVER, keys: &["level"];
    /// A log message.
    LoggingMessage = "notifications/message", Notification, up: NEVER, down: taints(ALL), keys: &["level", "logger", "data"];

    // What servers ask clients. In 2026-07-28 these stand inside `inputRequests` only.
    /// Asks the agent's model. Brings the upstream's text down and the model's up.
    SamplingCreateMessage = "sampling/createMessage", Request, up: NEVER, down: both(LEGACY), keys: &["messages", "modelPreferences", "systemPrompt", "includeContext", "temperature", "maxTokens", "stopSequences", "metadata", "tools", "toolChoice", "task"];
    /// Asks the user.
    ElicitationCreate = "elicitation/create", Request, up: NEVER, down: both(ELICITS), keys: &["mode", "message", "requestedSchema", "elicitationId", "url", "task"];
    /// The user is done with a URL.
    ElicitationComplete = "notifications/elicitation/complete", Notification, up: NEVER, down: taints(V2025_11), keys: &["elicitationId"];
    /// Asks which directories the client works in. Brings only the answer up.
    RootsList = "roots/list", Request, up: NEVER, down: writes(LEGACY), keys: &[];
    /// Those are others now.
    RootsListChanged = "notifications/roots/list_changed", Notification, up: plain(LEGACY), down: NEVER, keys: &[];

    // Tasks: core in 2025-11-25 in both directions, an extension toward the server in 2026-07-28.
    /// How a task is.
    TasksGet = "tasks/get", Request, up: both(TASKS), down: both(V2025_11), keys: &["taskId"];
    /// What it resulted in.
    TasksResult = "tasks/result", Request, up: both(V2025_11), down: both(V2025_11), keys: &["taskId"];
    /// The tasks there are.
    TasksList = "tasks/list", Request, up: both(V2025_11), down: both(V2025_11), keys: &["cursor"];
    /// Gives one up.
    TasksCancel = "tasks/cancel", Request, up: both(TASKS), down: both(V2025_11), keys: &["taskId"];
    /// Gives a task what it waits for.
    TasksUpdate = "tasks/update", Request, up: both(MODERN), down: NEVER, keys: &["taskId", "inputResponses"];
    /// The status of a task changed; its message is free text.
    TasksStatus = "notifications/tasks/status", Notification, up: writes(V2025_11), down: taints(V2025_11), keys: &["taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttl", "pollInterval"];
    /// The same in 2026-07-28.
    TasksChanged = "notifications/tasks", Notification, up: NEVER, down: taints(MODERN), keys: &["taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"];
}
