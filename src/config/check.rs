//! From what was written to what it means: every cross-reference, every bound, every default.
//!
//! Must never stop at the first problem. What stands in for a broken value is never used, because one
//! error refuses the whole configuration.

mod approver;
mod assert;
mod budget;
mod client;
mod endpoint;
mod entry_point;
mod fixed;
mod flow;
mod gaps;
mod guardrails;
mod issuer;
mod keep;
mod known;
mod launch;
mod listen;
mod lists;
mod mint;
mod names;
mod notes;
mod notify;
mod pattern;
mod people;
mod preset;
mod quantity;
mod quorum;
mod reach;
mod refine;
mod rename;
mod request;
mod resource;
mod reviewer;
mod secret;
mod sink;
mod telemetry;
mod tool;
mod trial;
mod trigger;
mod typed;
mod upstream;
mod user;
mod webhook;
mod when;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::Durability;
use crate::model::approver::Approver;
use crate::model::digest::Sha256;
use crate::model::quorum::Quorum;
use crate::model::target::Class;
use crate::model::trigger::Declarations;
use crate::policy::Rules;
use crate::telemetry::TraceSettings;
use crate::upstream::{MayAsk, Settings};
use crate::{audit, downstream, identity, limit, plan, run};

use super::code::Code;
use super::file::Loaded;
use super::machine::Machine;
use super::node::Located;
use super::problem::{Problems, Sink};
use super::raw::{self, Document};
use super::{Admin, Config, Watch, node};

pub use known::Compiled;
pub(super) use known::compile;
use names::Names;
use quantity::Quantities;

/// What every check may look at.
#[derive(Clone, Copy)]
struct Scope<'a> {
    /// What is written relative is relative to this folder.
    dir: &'a Path,
    machine: &'a Machine,
    names: &'a Names,
    found: &'a Sink,
}

impl Scope<'_> {
    /// The path that `written` means, without `.` inside.
    fn path(self, written: &str) -> PathBuf {
        self.dir.join(written).components().collect()
    }
}

/// Checks `document`.
pub(super) fn check(document: &Document, loaded: &Loaded, machine: &Machine, found: &Sink) -> Config {
    let names = Names::declare(document, found);
    let scope = Scope { dir: &loaded.dir, machine, names: &names, found };
    let state_dir = state_dir(&document.gateway, loaded, scope);
    let rules = lists::check(document, scope);
    let mut labels = entry_point::Labels::new(scope);
    let keys = entry_point::keys(&document.keys, &mut labels);
    let clients = client::check(&document.clients, &document.listen, &mut labels);
    let admin = admin(document, &state_dir, loaded, scope);
    let taken = listen::Taken::by_admin(&document.admin, admin.address, &admin.socket, loaded);
    let credentials = document.keys.len() + document.issuers.len() + usize::from(document.mint.is_some());
    let listeners = listen::check(&document.listen, taken, credentials, &mut labels, loaded);
    let upstreams = upstreams(document, &rules, scope);
    let budgets = budget::check(&document.budgets, &upstreams, scope);
    let (identity, mint) = vouching(document, keys, clients, &listeners, &state_dir, &mut labels);
    let consents = consents(document, &identity, &mut labels);
    notes::say(document, &labels, scope);
    let trail = trail(document, &state_dir, scope);
    let understood = gaps::Understood {
        identity: &identity,
        consents: &consents,
        mint: mint.as_ref(),
        listeners: &listeners,
        upstreams: &upstreams,
        budgets: &budgets,
        notifiers: trail.notifiers.len(),
    };
    gaps::refuse(document, &understood, loaded, found);
    let (limits, lock_path) = (Quantities::new(found), lock_path(&document.gateway, scope));
    let in_flight = in_flight_limits(&document.limits, limits, &upstreams, budgets);
    let known = known::check(&rules, &upstreams, &lock_path, document, scope);
    let rehearsed = (&consents.plans, consents.approvers.as_slice());
    let coverage = trial::check(&document.trials, known.as_ref(), rehearsed, &in_flight, scope);
    let settled = fixed::Values {
        state_dir: &state_dir,
        lock_path: &lock_path,
        admin: &admin,
        trail: &trail,
        mint: mint.as_ref(),
    };
    Config {
        fixed: fixed::gather(document, loaded, &settled),
        watch: watch(document),
        lock_path,
        admin,
        listeners,
        limits: socket_limits(&document.limits, limits),
        in_flight,
        audit: trail.audit,
        sinks: trail.sinks,
        traces: trail.traces,
        state_dir,
        identity,
        people: consents.people,
        webhooks: consents.webhooks,
        mint,
        runs_max: limits.count(&document.limits.runs_max, "runs_max", run::RUNS_MAX_DEFAULT),
        upstreams,
        plans: consents.plans,
        reviewer: consents.reviewer,
        notifiers: trail.notifiers,
        approvers: consents.approvers,
        quorums: consents.quorums,
        coverage,
        digest: whole_digest(loaded, &rules),
        rules,
        warnings: Problems::default(),
    }
}

/// Over the files of the configuration, and over what its guardrails say.
fn whole_digest(loaded: &Loaded, rules: &Rules) -> Sha256 {
    let guardrails: Vec<_> = rules.guardrails.iter().map(ToString::to_string).collect();
    if guardrails.is_empty() {
        return loaded.digest;
    }
    let own = loaded.digest.to_string();
    let lengths: Vec<_> = guardrails.iter().map(|text| text.len().to_string()).collect();
    let each = lengths.iter().zip(&guardrails).flat_map(|(length, text)| [length.as_str(), ":", text]);
    let parts: Vec<&[u8]> = std::iter::once(own.as_str()).chain(each).map(str::as_bytes).collect();
    Sha256::of_parts(&parts)
}

/// Where people and probes find the gateway.
fn admin(document: &Document, state_dir: &Path, loaded: &Loaded, scope: Scope<'_>) -> Admin {
    let address = document.admin.address.as_ref();
    Admin {
        socket: socket_of(document, state_dir, loaded, scope),
        address: address.and_then(|address| listen::tcp_address(address, scope.found)),
        url: resource::page_url(&document.admin, scope.found),
    }
}

/// Where the admin socket is, whatever else is wrong.
pub(super) fn admin_socket(document: &Document, loaded: &Loaded, machine: &Machine, found: &Sink) -> PathBuf {
    let names = Names::declare(document, found);
    let scope = Scope { dir: &loaded.dir, machine, names: &names, found };
    let state_dir = state_dir(&document.gateway, loaded, scope);
    socket_of(document, &state_dir, loaded, scope)
}

/// What the triggers of the sources hold.
pub(super) fn declarations(
    document: &Document,
    loaded: &Loaded,
    machine: &Machine,
    found: &Sink,
) -> Declarations {
    let names = Names::declare(document, found);
    trigger::declarations(&document.sources, Scope { dir: &loaded.dir, machine, names: &names, found })
}

fn socket_of(document: &Document, state_dir: &Path, loaded: &Loaded, scope: Scope<'_>) -> PathBuf {
    if let Some(socket) = &document.admin.socket {
        return listen::socket_path(socket, scope);
    }
    let path = state_dir.join(ADMIN_SOCKET_DEFAULT);
    let written = document.gateway.state_dir.as_ref();
    listen::check_length(&path, written.map_or(&loaded.start, |written| &written.place), scope.found);
    path
}

/// Every credential that is verified, and the tokens that the gateway makes itself.
fn vouching(
    document: &Document,
    keys: Vec<identity::KeySettings>,
    clients: Vec<identity::ClientSettings>,
    listeners: &[downstream::ListenSettings],
    state_dir: &Path,
    labels: &mut entry_point::Labels<'_>,
) -> (identity::Settings, Option<identity::MintSettings>) {
    let scope = labels.scope;
    let url = resource::url(&document.gateway, listeners, scope);
    let attributes = trigger::declarations(&document.sources, scope);
    let written_url = document.gateway.url.as_ref();
    let known = issuer::Known { url: url.as_ref(), written_url, attributes: &attributes };
    let mut issuers = issuer::check(&document.issuers, &known, labels);
    let around =
        mint::Around { state_dir, url: url.as_ref(), written_url, attributes: &attributes, keys: &keys };
    let mint = mint::check(document, &around, labels);
    issuers.extend(mint.as_ref().and_then(mint::own_issuer));
    (identity::Settings { keys, clients, issuers, attributes, url }, mint)
}

/// Who the persons are, and what is granted without one.
struct Consents {
    people: Vec<identity::PeopleSettings>,
    webhooks: Vec<identity::WebhookSettings>,
    plans: plan::Rules,
    /// Who outside is asked about plans.
    reviewer: Option<crate::reviewer::Settings>,
    approvers: Vec<Approver>,
    quorums: Vec<Quorum>,
}

fn consents(
    document: &Document,
    identity: &identity::Settings,
    labels: &mut entry_point::Labels<'_>,
) -> Consents {
    let scope = labels.scope;
    let people = people::check(&document.people, labels);
    let webhooks = webhook::check(&document.webhooks, labels);
    let may_assert: Vec<_> = identity.issuers.iter().map(|issuer| &issuer.may_assert).collect();
    let (reviewer, outside) = reviewer::check(document.reviewer.as_ref(), scope).unzip();
    let plans = plan::Rules {
        flows: flow::check(&document.flows, scope),
        shapes: request::check(&document.requests, &identity.attributes, &may_assert, scope),
        grant_lasts: Quantities::new(scope.found).duration_up_to(
            &document.limits.grant_lasts,
            "grant_lasts",
            plan::GRANT_LASTS_DEFAULT,
            plan::GRANT_LASTS_MAX,
        ),
        outside,
    };
    let approvers = approver::check(&document.approvers, (&people, &webhooks), scope);
    let quorums = quorum::check(&document.quorums, &approvers, scope);
    Consents { people, webhooks, plans, reviewer, approvers, quorums }
}

fn state_dir(gateway: &raw::Gateway, loaded: &Loaded, scope: Scope<'_>) -> PathBuf {
    let written = gateway.state_dir.as_ref();
    let dir = scope.path(written.map_or(STATE_DIR_DEFAULT, |written| written.value.as_str()));
    let place = written.map_or(&loaded.start, |written| &written.place);
    // The gateway makes the folder if it is not there; one that is there has to be ours alone.
    let Ok(facts) = dir.metadata() else { return dir };
    let shown = dir.display();
    if !facts.is_dir() {
        let message = format!("the state directory `{shown}` is not a directory");
        scope.found.error(Code::BadStateDir, place, message, "name a directory, or a path where nothing is");
    } else if facts.uid() != scope.machine.uid {
        let message = format!("the state directory `{shown}` belongs to uid {}", facts.uid());
        let help = format!("name a directory of uid {}, under which the gateway runs", scope.machine.uid);
        scope.found.error(Code::BadStateDir, place, message, help);
    } else if facts.mode() & OTHERS_MODE != 0 {
        let message = format!("others may enter the state directory `{shown}`");
        scope.found.error(Code::BadStateDir, place, message, format!("run `chmod 700 {shown}`"));
    }
    dir
}

fn lock_path(gateway: &raw::Gateway, scope: Scope<'_>) -> PathBuf {
    scope.path(gateway.lock_file.as_ref().map_or(LOCK_FILE_DEFAULT, |written| written.value.as_str()))
}

fn in_flight_limits(
    limits: &raw::Limits,
    read: Quantities<'_>,
    upstreams: &[crate::upstream::Settings],
    budgets: Vec<limit::Budget>,
) -> limit::Settings {
    limit::Settings {
        in_flight_max: read.count(
            &limits.calls_in_flight_max,
            "calls_in_flight_max",
            limit::IN_FLIGHT_MAX_DEFAULT,
        ),
        in_flight_per_principal_max: read.count(
            &limits.calls_in_flight_per_principal_max,
            "calls_in_flight_per_principal_max",
            limit::IN_FLIGHT_PER_PRINCIPAL_MAX_DEFAULT,
        ),
        in_flight_per_upstream_max: upstreams
            .iter()
            .map(|upstream| (upstream.name.clone(), upstream.calls_in_flight_max))
            .collect(),
        budgets,
        failed_authentications_per_minute: read
            .amount(&limits.failed_authentications_per_minute, "failed_authentications_per_minute"),
    }
}

fn socket_limits(limits: &raw::Limits, read: Quantities<'_>) -> downstream::Limits {
    use downstream as room;
    downstream::Limits {
        connections_max: read.count(
            &limits.connections_max,
            "connections_max",
            room::CONNECTIONS_MAX_DEFAULT,
        ),
        body_max: read.bytes_in_memory(&limits.body_max, "body_max", room::BODY_MAX_DEFAULT),
        body_timeout: read.duration(&limits.body_timeout, "body_timeout", room::BODY_TIMEOUT_DEFAULT),
        head_timeout: read.duration(&limits.head_timeout, "head_timeout", room::HEAD_TIMEOUT_DEFAULT),
        sessions_max: read.count(&limits.sessions_max, "sessions_max", room::SESSIONS_MAX_DEFAULT),
        session_idle: read.duration(&limits.session_idle, "session_idle", room::SESSION_IDLE_DEFAULT),
        ask_hold: read.duration(&limits.ask_hold, "ask_hold", room::ASK_HOLD_DEFAULT),
        streams_max: read.count(&limits.streams_max, "streams_max", room::STREAMS_MAX_DEFAULT),
        stream_age_max: read.duration(&limits.stream_age_max, "stream_age_max", room::STREAM_AGE_MAX_DEFAULT),
        resume_window: read.duration(&limits.resume_window, "resume_window", room::RESUME_WINDOW_DEFAULT),
    }
}

fn watch(document: &Document) -> Watch {
    match &document.reload.watch {
        Some(Located { value: true, .. }) => Watch::On,
        Some(_) | None => Watch::Off,
    }
}

/// The journal, where its records go beside it, and what else is told of calls, and to whom.
struct Trail {
    audit: audit::Settings,
    sinks: Vec<crate::sink::Settings>,
    traces: Option<TraceSettings>,
    notifiers: Vec<crate::notify::Settings>,
}

fn trail(document: &Document, state_dir: &Path, scope: Scope<'_>) -> Trail {
    Trail {
        audit: journal(&document.audit, state_dir, scope.found),
        sinks: sink::check(&document.audit.sinks, scope),
        traces: telemetry::check(document.telemetry.as_ref(), scope),
        notifiers: notify::check(&document.notify, scope),
    }
}

fn journal(written: &raw::Audit, state_dir: &Path, found: &Sink) -> audit::Settings {
    let durability = durability(written.durability.as_ref(), found);
    let read = Quantities::new(found);
    audit::Settings {
        dir: state_dir.join("journal"),
        segment_bytes: read.bytes(
            &written.segment_bytes,
            "segment_bytes",
            audit::SEGMENT_BYTES_DEFAULT,
            audit::SEGMENT_BYTES_MIN,
        ),
        queue_max: read.count(&written.queue_max, "queue_max", audit::QUEUE_MAX_DEFAULT),
        queue_wait: read.duration(&written.queue_wait, "queue_wait", audit::QUEUE_WAIT_DEFAULT),
        durability,
        sync_delay_max: durability.sync_delay_max(),
        retention: written
            .retention
            .is_some()
            .then(|| read.duration(&written.retention, "retention", RETENTION_EXAMPLE)),
        checkpoints: Some(audit::Checkpoints {
            key: state_dir.join(audit::KEY_FILE),
            every: read.duration(
                &written.checkpoint_every,
                "checkpoint_every",
                audit::CHECKPOINT_EVERY_DEFAULT,
            ),
        }),
    }
}

/// What advice on a wrong `retention` names.
const RETENTION_EXAMPLE: std::time::Duration = std::time::Duration::from_secs(90 * 24 * 60 * 60);

fn durability(written: Option<&Located<String>>, found: &Sink) -> Durability {
    let Some(word) = written else { return Durability::default() };
    let known = Durability::ALL.into_iter().find(|level| level.as_str() == word.value);
    match known {
        None => bad_word(word, "durability", &Durability::ALL.map(Durability::as_str), found),
        Some(Durability::Relaxed) => {
            let message = "calls are forwarded before their records survive the loss of power";
            let help = "write `durability = \"intent\"` where the trail has to hold up; `\"relaxed\"` loses the last \
                        second with the machine, and nothing with the process";
            found.warn(Code::AuditRelaxed, &word.place, message, help);
        }
        Some(Durability::Full | Durability::Intent) => {}
    }
    known.unwrap_or_default()
}

/// Reports a word that `key` does not take.
fn bad_word(written: &Located<String>, key: &str, known: &[&str], found: &Sink) {
    let message = format!("`{key}` cannot be `{}`", written.value);
    found.error(Code::BadValue, &written.place, message, node::suggestion(&written.value, known));
}

const STATE_DIR_DEFAULT: &str = "state";
const ADMIN_SOCKET_DEFAULT: &str = "admin.sock";
const LOCK_FILE_DEFAULT: &str = "gateway.lock";
/// What group and others may do with a file.
const OTHERS_MODE: u32 = 0o077;

/// Every upstream, with what the policy lets it ask.
fn upstreams(document: &Document, rules: &Rules, scope: Scope<'_>) -> Vec<Settings> {
    let mut upstreams = upstream::check(&document.upstreams, scope);
    let form = keep::form(&document.audit, scope);
    for upstream in &mut upstreams {
        upstream.may_ask = may_ask(rules, upstream);
        let kept = upstream.tools.iter_mut().filter_map(|tool| tool.keep.as_mut());
        kept.for_each(|keep| Arc::make_mut(keep).form = form);
    }
    upstreams
}

/// What `upstream` may ever ask of a client.
fn may_ask(rules: &Rules, upstream: &Settings) -> MayAsk {
    let ever = |class| rules.may_ever(class, upstream.name.as_str());
    MayAsk {
        sampling: ever(Class::Sampling),
        elicitation: ever(Class::Elicitation),
        roots: ever(Class::Roots),
    }
}
