//! What each table may hold, as it was written: types and known keys, nothing of their meaning.
//!
//! Must never refer from one table to another: that is for `check`.

mod approver;
mod assert;
mod budget;
mod entry_point;
mod issuer;
mod keep;
mod lists;
mod mint;
mod notify;
mod people;
mod plans;
mod preset;
mod quorum;
mod reviewer;
mod secret;
mod sink;
mod telemetry;
mod tls;
mod tool;
mod trial;
mod upstream;
mod webhook;

use super::file::Loaded;
use super::node::{Entry, Fields, Later, Located, Node};
use super::problem::Sink;

pub(super) use approver::ApproverRule;
pub(super) use assert::MayAssert;
pub(super) use budget::Budget;
pub(super) use entry_point::{EntryPoint, Key, Listen, Vouches};
pub(super) use issuer::{Issuer, Jwks, Refine, RefineRule};
pub(super) use keep::{KeepRule, KeepTable};
pub(super) use lists::{Entry as ListEntry, Lists, Row, Shadow, form};
pub(super) use mint::{Dispatcher, Mint};
pub(super) use notify::NotifyRule;
pub(super) use people::People;
pub(super) use plans::{
    BringsRule, FlowEnd, FlowRule, LimitRule, LimitTable, PinTable, RequestRule, RequestStep, ValueRule,
};
pub(super) use preset::PresetRule;
pub(super) use quorum::QuorumRule;
pub(super) use reviewer::Reviewer;
pub(super) use secret::{Secret, Secrets};
pub(super) use sink::SinkRule;
pub(super) use telemetry::Telemetry;
pub(super) use tls::{Client, Reach, Tls};
pub(super) use tool::{SAYS, ToolRule};
pub(super) use trial::{ANSWERS, Step, Trial};
pub(super) use upstream::{FinerRule, Upstream};
pub(super) use webhook::Webhook;

/// Everything that was written.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) gateway: Gateway,
    pub(super) admin: Admin,
    pub(super) listen: Vec<Listen>,
    pub(super) keys: Vec<Key>,
    pub(super) clients: Vec<Client>,
    pub(super) mint: Option<Mint>,
    pub(super) dispatchers: Vec<Dispatcher>,
    pub(super) issuers: Vec<Issuer>,
    pub(super) people: Vec<People>,
    pub(super) webhooks: Vec<Webhook>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) sources: Vec<Row>,
    pub(super) roles: Vec<Row>,
    pub(super) agents: Vec<Row>,
    pub(super) budgets: Vec<Budget>,
    pub(super) flows: Vec<FlowRule>,
    pub(super) requests: Vec<RequestRule>,
    pub(super) approvers: Vec<ApproverRule>,
    pub(super) quorums: Vec<QuorumRule>,
    pub(super) reviewer: Option<Reviewer>,
    pub(super) notify: Vec<NotifyRule>,
    pub(super) limits: Limits,
    pub(super) audit: Audit,
    pub(super) telemetry: Option<Telemetry>,
    pub(super) reload: Reload,
    pub(super) guardrails: Vec<Located<String>>,
    pub(super) trials: Vec<Trial>,
}

/// `[gateway]`.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    pub(super) state_dir: Option<Located<String>>,
    pub(super) lock_file: Option<Located<String>>,
    pub(super) url: Option<Located<String>>,
}

/// `[admin]`.
#[derive(Debug, Default)]
pub(super) struct Admin {
    pub(super) address: Option<Located<String>>,
    pub(super) socket: Option<Located<String>>,
    pub(super) url: Option<Located<String>>,
}

/// A number, size or duration that is read once its bounds are known.
pub(super) type Quantity = Option<Located<Node>>;

/// `[limits]`.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) connections_max: Quantity,
    pub(super) body_max: Quantity,
    pub(super) body_timeout: Quantity,
    pub(super) head_timeout: Quantity,
    pub(super) sessions_max: Quantity,
    pub(super) session_idle: Quantity,
    pub(super) ask_hold: Quantity,
    pub(super) grant_lasts: Quantity,
    pub(super) streams_max: Quantity,
    pub(super) stream_age_max: Quantity,
    pub(super) resume_window: Quantity,
    pub(super) runs_max: Quantity,
    pub(super) calls_in_flight_max: Quantity,
    pub(super) calls_in_flight_per_principal_max: Quantity,
    pub(super) failed_authentications_per_minute: Quantity,
}

/// `[audit]`.
#[derive(Debug, Default)]
pub(super) struct Audit {
    pub(super) durability: Option<Located<String>>,
    pub(super) segment_bytes: Quantity,
    pub(super) queue_max: Quantity,
    pub(super) queue_wait: Quantity,
    pub(super) checkpoint_every: Quantity,
    pub(super) values: Option<Located<String>>,
    pub(super) retention: Quantity,
    pub(super) sinks: Vec<SinkRule>,
}

impl Document {
    /// Reads the united files.
    pub(super) fn read(loaded: &Loaded, found: &Sink) -> Self {
        let root = Fields::new(&loaded.root, "the file", &loaded.start, found);
        let (gateway, admin) = (Gateway::read(&root), Admin::read(&root));
        let auth = section(&root, "auth");
        let keys = auth.as_ref().map(|auth| each(auth, "keys", "[auth.keys.", Key::read)).unwrap_or_default();
        let clients = auth.as_ref().map(|auth| each(auth, "clients", "[auth.clients.", Client::read));
        let issuers = auth.as_ref().map(|auth| each(auth, "issuers", "[auth.issuers.", Issuer::read));
        let people = auth.as_ref().map(|auth| each(auth, "people", "[auth.people.", People::read));
        let webhooks = auth.as_ref().map(|auth| each(auth, "webhooks", "[auth.webhooks.", Webhook::read));
        let mint = auth.as_ref().and_then(Mint::read);
        let dispatchers =
            auth.as_ref().map(|auth| each(auth, "dispatchers", "[auth.dispatchers.", Dispatcher::read));
        if let Some(auth) = auth {
            auth.finish(&[]);
        }
        let document = Self {
            gateway,
            admin,
            keys,
            clients: clients.unwrap_or_default(),
            issuers: issuers.unwrap_or_default(),
            people: people.unwrap_or_default(),
            webhooks: webhooks.unwrap_or_default(),
            mint,
            dispatchers: dispatchers.unwrap_or_default(),
            listen: each(&root, "listen", "[listen.", Listen::read),
            upstreams: each(&root, "upstreams", "[upstreams.", Upstream::read),
            sources: each(&root, "sources", "[sources.", Row::read_source),
            roles: each(&root, "roles", "[roles.", Row::read),
            agents: each(&root, "agents", "[agents.", Row::read),
            budgets: budget::read(&root),
            flows: FlowRule::read_all(&root),
            requests: RequestRule::read_all(&root),
            approvers: ApproverRule::read_all(&root),
            quorums: QuorumRule::read_all(&root),
            reviewer: Reviewer::read(&root),
            notify: NotifyRule::read_all(&root),
            limits: Limits::read(&root),
            audit: Audit::read(&root),
            telemetry: Telemetry::read(&root),
            reload: Reload::read(&root),
            guardrails: root.texts("guardrails").unwrap_or_default(),
            trials: Trial::read_all(&root),
        };
        root.finish(LATER);
        document
    }
}

/// Sections that later versions read.
const LATER: &[Later] = &[
    ("approval", "approval by a person"),
    ("plans", "plans"),
    ("plan", "plans"),
    ("sinks", "audit sinks"),
    ("console", "the console"),
];

impl Gateway {
    fn read(root: &Fields<'_>) -> Self {
        let Some(fields) = section(root, "gateway") else { return Self::default() };
        let gateway = Self {
            state_dir: fields.text("state_dir"),
            lock_file: fields.text("lock_file"),
            url: fields.text("url"),
        };
        fields.finish(&[]);
        gateway
    }
}

impl Admin {
    fn read(root: &Fields<'_>) -> Self {
        let Some(fields) = section(root, "admin") else { return Self::default() };
        let admin =
            Self { address: fields.text("address"), socket: fields.text("socket"), url: fields.text("url") };
        fields.finish(&[("tls", "TLS")]);
        admin
    }
}

impl Limits {
    fn read(root: &Fields<'_>) -> Self {
        let Some(fields) = section(root, "limits") else { return Self::default() };
        let limits = Self {
            connections_max: fields.quantity("connections_max"),
            body_max: fields.quantity("body_max"),
            body_timeout: fields.quantity("body_timeout"),
            head_timeout: fields.quantity("head_timeout"),
            sessions_max: fields.quantity("sessions_max"),
            session_idle: fields.quantity("session_idle"),
            ask_hold: fields.quantity("ask_hold"),
            grant_lasts: fields.quantity("grant_lasts"),
            streams_max: fields.quantity("streams_max"),
            stream_age_max: fields.quantity("stream_age_max"),
            resume_window: fields.quantity("resume_window"),
            runs_max: fields.quantity("runs_max"),
            calls_in_flight_max: fields.quantity("calls_in_flight_max"),
            calls_in_flight_per_principal_max: fields.quantity("calls_in_flight_per_principal_max"),
            failed_authentications_per_minute: fields.quantity("failed_authentications_per_minute"),
        };
        fields.finish(&[]);
        limits
    }
}

impl Audit {
    fn read(root: &Fields<'_>) -> Self {
        let Some(fields) = section(root, "audit") else { return Self::default() };
        let audit = Self {
            durability: fields.text("durability"),
            segment_bytes: fields.quantity("segment_bytes"),
            queue_max: fields.quantity("queue_max"),
            queue_wait: fields.quantity("queue_wait"),
            checkpoint_every: fields.quantity("checkpoint_every"),
            values: fields.text("values"),
            retention: fields.quantity("retention"),
            sinks: sink::read(&fields),
        };
        fields.finish(&[]);
        audit
    }
}

/// `[reload]`.
#[derive(Debug, Default)]
pub(super) struct Reload {
    pub(super) watch: Option<Located<bool>>,
}

impl Reload {
    fn read(root: &Fields<'_>) -> Self {
        let Some(fields) = section(root, "reload") else { return Self::default() };
        let reload = Self { watch: fields.boolean("watch") };
        fields.finish(&[]);
        reload
    }
}

/// The fields of the section `key`, if it was written.
fn section<'a>(root: &Fields<'a>, key: &'static str) -> Option<Fields<'a>> {
    let entry = root.node(key)?;
    Fields::of(&entry.value, format!("`[{key}]`"), root.found())
}

/// What `read` makes of each table in the table `key`.
fn each<T>(
    parent: &Fields<'_>,
    key: &'static str,
    head: &str,
    read: impl Fn(Located<String>, Fields<'_>) -> T,
) -> Vec<T> {
    let one = |(name, entry): (&str, &Entry)| {
        let fields = Fields::of(&entry.value, format!("`{head}{name}]`"), parent.found())?;
        Some(read(Located::new(name.to_owned(), &entry.key_place), fields))
    };
    parent.table(key, "a table of tables").into_iter().filter_map(one).collect()
}
