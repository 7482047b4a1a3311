//! Upstreams: what each returns, who shares it, and its limits. How it is reached is in `launch`.
//!
//! Must never assume what an upstream returns: silence is an error, because it is the one thing that
//! nobody may forget (DESIGN §5).

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::problem::Sink;
use crate::config::raw::{FinerRule, Upstream};
use crate::limit::IN_FLIGHT_PER_UPSTREAM_MAX_DEFAULT;
use crate::model::glob::{Glob, covers};
use crate::model::provenance::Provenance;
use crate::upstream::{self as room, Finer, MayAsk, Pins, Prefix, Revision, Settings, Share, Speaks};

use super::lists::WIRE_NAME_BYTES_SAFE;
use super::names::TRUSTED;
use super::quantity::Quantities;
use super::{Scope, bad_word, launch, rename, tool};

pub(super) fn check(written: &[Upstream], scope: Scope<'_>) -> Vec<Settings> {
    written.iter().filter_map(|upstream| one(upstream, scope)).collect()
}

fn one(written: &Upstream, scope: Scope<'_>) -> Option<Settings> {
    let read = Quantities::new(scope.found);
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let name = scope.names.upstreams.get(&written.name.value);
    let launch = launch::check(written, scope);
    let returns = returns(written, scope);
    let prefix = prefix(written, scope);
    rename::own(written, prefix, scope);
    let revision = revision(written, scope);
    let result_max = read.bytes_in_memory(&written.result_max, "result_max", room::RESULT_MAX_DEFAULT);
    let settings = Settings {
        name: name?,
        place: written.name.place.clone(),
        launch: launch?,
        revision,
        prefix,
        returns: returns?,
        accept_stored: accept_stored(written, scope.found),
        tools: tool::check(&written.tools, result_max, scope),
        resources: finer(&written.resources, "resource", scope),
        prompts: finer(&written.prompts, "prompt", scope),
        share: share(written, scope),
        // Follows from the policy, once that is checked.
        may_ask: MayAsk::default(),
        pins: pins(written, scope),
        instances_max: read.count(&written.instances_max, "instances_max", room::INSTANCES_MAX_DEFAULT),
        instance_idle: read.duration(&written.instance_idle, "instance_idle", room::INSTANCE_IDLE_DEFAULT),
        start_timeout: read.duration(&written.start_timeout, "start_timeout", room::START_TIMEOUT_DEFAULT),
        call_timeout: read.duration(&written.call_timeout, "call_timeout", room::CALL_TIMEOUT_DEFAULT),
        list_wait: read.duration(&written.list_wait, "list_wait", room::LIST_WAIT_DEFAULT),
        result_max,
        calls_in_flight_max: read.count(
            &written.calls_in_flight_max,
            "calls_in_flight_max",
            IN_FLIGHT_PER_UPSTREAM_MAX_DEFAULT,
        ),
    };
    Some(settings)
}

fn returns(written: &Upstream, scope: Scope<'_>) -> Option<Provenance> {
    let Some(returns) = &written.returns else {
        if !scope.found.lacks(&written.name.place, &["returns"]) {
            return None;
        }
        let message = format!("`[upstreams.{}]` does not say what it returns", written.name.value);
        let help = "name the source whose people can write what it returns (`returns = \"web\"`), or write \
                    `returns = \"trusted\"` if nobody but your own people can";
        scope.found.error(Code::ReturnsMissing, &written.name.place, message, help);
        return None;
    };
    provenance(returns, scope)
}

/// A reason, or nothing: an empty one accepts nothing.
fn accept_stored(written: &Upstream, found: &Sink) -> Option<String> {
    let reason = written.accept_stored.as_ref()?;
    if reason.value.trim().is_empty() {
        let help = "say why what sources write there may come back as trusted, or remove it";
        found.error(Code::BadValue, &reason.place, "`accept_stored` gives no reason", help);
    }
    Some(reason.value.clone())
}

pub(super) fn provenance(written: &Located<Vec<Located<String>>>, scope: Scope<'_>) -> Option<Provenance> {
    let found = scope.found;
    match written.value.as_slice() {
        [] => {
            let help = "name a source, or write `returns = \"trusted\"`";
            found.error(Code::BadValue, &written.place, "`returns` names no source", help);
            None
        }
        [only] if only.value == TRUSTED => Some(Provenance::default()),
        several => {
            if let Some(trusted) = several.iter().find(|name| name.value == TRUSTED) {
                let message = "`returns` cannot be `trusted` and a source at once";
                found.error(Code::Conflict, &trusted.place, message, "remove one of them");
                return None;
            }
            let names: Vec<_> = several.iter().map(|name| scope.names.sources.take(name, found)).collect();
            names.into_iter().collect::<Option<Vec<_>>>().map(Provenance::of)
        }
    }
}

/// What is said more finely of resources or prompts; `name` is the key of the pattern.
fn finer(written: &[FinerRule], name: &str, scope: Scope<'_>) -> Vec<Finer> {
    let found = scope.found;
    let mut rules: Vec<(Finer, &FinerRule)> = Vec::new();
    for rule in written {
        if found.lacks(&rule.place, &["returns"]) {
            let help = "add `returns`, or remove the rule";
            found.error(Code::MissingKey, &rule.place, "this rule does not say what it returns", help);
        }
        if found.lacks(&rule.place, &[name]) {
            let help = format!("write `{name} = \"…\"`, where `*` stands for any run of characters");
            found.error(Code::MissingKey, &rule.place, "this rule names nothing", help);
        }
        let (Some(pattern), Some(returns)) = (&rule.pattern, &rule.returns) else { continue };
        let Some(glob) = Glob::new(&pattern.value) else {
            let message = format!("`{}` is no pattern", pattern.value);
            let help = "write a name or a URI; `*` stands for any run of characters";
            found.error(Code::BadPermission, &pattern.place, message, help);
            continue;
        };
        let Some(returns) = provenance(returns, scope) else { continue };
        if let Some((other, at)) = rules.iter().find(|(other, _)| covers(other.glob.as_str(), glob.as_str()))
        {
            let message = format!("`{glob}` never counts: the first rule that matches does");
            let help = format!("`{}` at {} covers it: put this one before it", other.glob, at.place);
            found.warn(Code::NeverDecides, &rule.place, message, help);
        }
        rules.push((Finer { glob, returns }, rule));
    }
    rules.into_iter().map(|(finer, _)| finer).collect()
}

fn prefix(written: &Upstream, scope: Scope<'_>) -> Prefix {
    let name = &written.name;
    match &written.prefix {
        Some(prefix) if prefix.value.is_empty() => return Prefix::Bare,
        Some(prefix) if prefix.value != name.value => {
            let message = format!("`prefix` cannot be `{}`", prefix.value);
            let help =
                format!("leave it out (tools are named `{}__tool`), or write `prefix = \"\"`", name.value);
            scope.found.error(Code::BadValue, &prefix.place, message, help);
        }
        _ => {}
    }
    let left = WIRE_NAME_BYTES_SAFE.saturating_sub(name.value.len() + "__".len());
    if left < TOOL_NAME_BYTES_COMMON {
        let message = format!("the name `{}` leaves {left} characters for tools on the wire", name.value);
        let help =
            format!("some clients refuse more than {WIRE_NAME_BYTES_SAFE} in all: choose a shorter name");
        scope.found.warn(Code::LongWireName, &name.place, message, help);
    }
    Prefix::Upstream
}

fn revision(written: &Upstream, scope: Scope<'_>) -> Speaks {
    let Some(word) = &written.revision else { return Speaks::Newest };
    if word.value == "auto" {
        return Speaks::Newest;
    }
    let Some(revision) = Revision::parse(&word.value) else {
        let words: Vec<_> =
            std::iter::once("auto").chain(Revision::ALL.iter().map(|one| one.as_str())).collect();
        bad_word(word, "revision", &words, scope.found);
        return Speaks::Newest;
    };
    let is_stream = written.transport.as_ref().is_some_and(|transport| transport.value == "sse");
    if revision.is_modern() && is_stream {
        let help = "remove one of them; that revision has Streamable HTTP";
        scope.found.error(Code::Conflict, &word.place, "2026-07-28 is not spoken over HTTP+SSE", help);
    }
    Speaks::Only(revision)
}

fn share(written: &Upstream, scope: Scope<'_>) -> Share {
    let Some(share) = &written.share else { return Share::Subject };
    match share.value.as_str() {
        "all" => Share::All,
        "subject" => Share::Subject,
        "run" => Share::Run,
        _ => {
            bad_word(share, "share", &["all", "subject", "run"], scope.found);
            Share::Subject
        }
    }
}

fn pins(written: &Upstream, scope: Scope<'_>) -> Pins {
    let Some(pins) = &written.pins else { return Pins::FirstUse };
    match pins.value.as_str() {
        "lock" => Pins::Lock,
        "first_use" => Pins::FirstUse,
        "trust" => {
            let message = format!(
                "`[upstreams.{}]` may change what it defines as it likes: descriptions are text that the \
                 model obeys",
                written.name.value
            );
            let help = "write `pins = \"lock\"` and accept with `sluicegate pins accept`; trust only what you \
                        deploy yourself";
            scope.found.warn(Code::PinsTrust, &pins.place, message, help);
            Pins::Trust
        }
        _ => {
            bad_word(pins, "pins", &["lock", "first_use", "trust"], scope.found);
            Pins::Lock
        }
    }
}

/// Most tools have names within this length.
const TOOL_NAME_BYTES_COMMON: usize = 20;
