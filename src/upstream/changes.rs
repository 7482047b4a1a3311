//! What one set of upstreams lets pass that another did not: what they return, what they keep, who shares
//! them.
//!
//! Pure. Must never keep silent where less would join a run than before: what cannot be compared is said.

use std::collections::BTreeMap;

use super::settings::{COST_DEFAULT, Finer, Pins, Settings, Share, Showing};
use crate::model::call::Stores;
use crate::model::change::{Changes, listed};
use crate::model::glob::{self, Glob};
use crate::model::preset::Presets;
use crate::model::provenance::Provenance;

/// What `after` changes in `before`, and which of it lets more pass.
pub(super) fn changes(before: &[Settings], after: &[Settings]) -> Changes {
    let mut changes = Changes::default();
    let find = |all: &'_ [Settings], one: &Settings| all.iter().position(|other| other.name == one.name);
    for gone in before.iter().filter(|old| find(after, old).is_none()) {
        changes.change(format!("upstream {} is gone", gone.name));
    }
    for new in after {
        let name = &new.name;
        match find(before, new).and_then(|at| before.get(at)) {
            None => changes.widen(format!("upstream {name} is new and returns {}", sources(&new.returns))),
            Some(old) => {
                if !old.is_same_launch(new) {
                    changes.change(format!("upstream {name} is launched anew"));
                }
                if differs_otherwise(old, new) {
                    changes.change(format!("upstream {name} changed"));
                }
                for how in wider(old, new) {
                    changes.widen(format!("upstream {name}: {how}"));
                }
            }
        }
    }
    changes
}

/// Whether something differs that is neither the launch nor the place where it is written.
fn differs_otherwise(old: &Settings, new: &Settings) -> bool {
    (&old.returns, &old.tools, old.prefix) != (&new.returns, &new.tools, new.prefix)
        || (&old.resources, &old.prompts) != (&new.resources, &new.prompts)
        || (old.pins, old.calls_in_flight_max) != (new.pins, new.calls_in_flight_max)
}

fn wider(old: &Settings, new: &Settings) -> Vec<String> {
    let mut how = Vec::new();
    if reach(new.share) > reach(old.share) {
        how.push("more callers share an instance of it".to_owned());
    }
    if faith(new.pins) > faith(old.pins) {
        how.push("more of what it defines is accepted without asking".to_owned());
    }
    let tools = (tool_rules(old), tool_rules(new));
    let resources = (finer_rules(&old.resources), finer_rules(&new.resources));
    let prompts = (finer_rules(&old.prompts), finer_rules(&new.prompts));
    for (what, (before, after)) in [("tools", tools), ("resources", resources), ("prompts", prompts)] {
        // What nothing finer is said of goes with the tools.
        if what == "tools" || !before.is_empty() || !after.is_empty() {
            how.extend(less_said(what, (&old.returns, &before), (&new.returns, &after)));
        }
    }
    how
}

/// What one rule says of what it matches.
struct Rule<'a> {
    glob: &'a Glob,
    returns: Option<&'a Provenance>,
    stores: Option<Stores>,
    cost: Option<u64>,
    showing: Option<Showing>,
    arguments: Option<&'a Presets>,
    result_max: Option<u64>,
}

fn tool_rules(settings: &Settings) -> Vec<Rule<'_>> {
    let said = settings.tools.iter().map(|rule| Rule {
        glob: &rule.glob,
        returns: rule.returns.as_ref(),
        stores: rule.stores,
        cost: rule.cost,
        showing: rule.showing,
        arguments: rule.arguments.as_ref(),
        result_max: rule.result_max,
    });
    said.collect()
}

fn finer_rules(finer: &[Finer]) -> Vec<Rule<'_>> {
    let said = finer.iter().map(|finer| Rule {
        glob: &finer.glob,
        returns: Some(&finer.returns),
        stores: None,
        cost: None,
        showing: None,
        arguments: None,
        result_max: None,
    });
    said.collect()
}

/// The rules of before and of after, for the tools that exactly the same patterns match.
struct Both<'a, 'r> {
    old: &'r [Rule<'a>],
    new: &'r [Rule<'a>],
    /// The numbers of those patterns, first those of `old`.
    matched: &'r [usize],
}

impl<'a> Both<'a, '_> {
    /// What is said under one key, before and after, and by which pattern it is said after.
    fn said<T>(&self, key: impl Fn(&Rule<'a>) -> Option<T>) -> (Option<T>, Option<T>, Option<&'a Glob>) {
        let (before, _) = said(self.old, self.matched, 0, &key);
        let (after, by) = said(self.new, self.matched, self.old.len(), &key);
        (before, after, by)
    }
}

/// What is said less of `what`, by rules and otherwise.
fn less_said<'a>(
    what: &str,
    (old_otherwise, old): (&'a Provenance, &[Rule<'a>]),
    (new_otherwise, new): (&'a Provenance, &[Rule<'a>]),
) -> Vec<String> {
    let globs: Vec<&Glob> = old.iter().chain(new).map(|rule| rule.glob).collect();
    let Some(ways) = glob::ways(&globs) else {
        return vec![format!("too many patterns of {what} to compare what it returns")];
    };
    let mut less: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for way in ways {
        let both = Both { old, new, matched: &way.matched };
        let mut tell = |how: &str, by: Option<&Glob>| {
            let which = by.map_or_else(|| format!("its other {what}"), |glob| format!("`{glob}`"));
            less.entry(how.to_owned()).or_default().push(which);
        };
        let (before, after, by) = both.said(|rule| rule.returns);
        let lost = before.unwrap_or(old_otherwise).missing_from(after.unwrap_or(new_otherwise));
        if !lost.is_empty() {
            tell(&format!("results no longer carry {}", sources(&lost)), by);
        }
        let (before, after, by) = both.said(|rule| rule.stores);
        if rank(after.unwrap_or_default()) < rank(before.unwrap_or_default()) {
            tell("less of what is written counts in later results", by);
        }
        let (before, after, by) = both.said(|rule| rule.cost);
        if after.unwrap_or(COST_DEFAULT) < before.unwrap_or(COST_DEFAULT) {
            tell("calls cost less", by);
        }
        let (before, after, by) = both.said(|rule| rule.showing);
        if before == Some(Showing::Hidden) && after != Some(Showing::Hidden) {
            tell("tools are no longer hidden", by);
        }
        let (before, after, by) = both.said(|rule| rule.arguments);
        for name in before.into_iter().flat_map(|before| no_longer_fixed(before, after)) {
            tell(&format!("the argument `{name}` is no longer fixed as it was"), by);
        }
        let (before, after, by) = both.said(|rule| rule.result_max);
        if before.is_some_and(|before| after.is_none_or(|after| after > before)) {
            tell("answers may be larger", by);
        }
    }
    let said = |(what, mut whose): (String, Vec<String>)| {
        whose.sort();
        whose.dedup();
        format!("{what}, for {}", listed(&whose))
    };
    less.into_iter().map(said).collect()
}

/// What `rules` say under one key of what exactly `matched` match, and by which rule: the first that says it.
/// Their globs are numbered from `first` on.
fn said<'a, T>(
    rules: &[Rule<'a>],
    matched: &[usize],
    first: usize,
    key: impl Fn(&Rule<'a>) -> Option<T>,
) -> (Option<T>, Option<&'a Glob>) {
    let is_matched = |(at, _): &(usize, &Rule<'a>)| matched.binary_search(at).is_ok();
    let mut matching = (first..).zip(rules).filter(is_matched).map(|(_, rule)| rule);
    matching.find_map(|rule| Some((Some(key(rule)?), Some(rule.glob)))).unwrap_or((None, None))
}

/// What `before` fixes and `after` does not fix to the same value.
fn no_longer_fixed<'p>(before: &'p Presets, after: Option<&Presets>) -> Vec<&'p str> {
    let is_kept = |name: &str| after.is_some_and(|after| after.0.get(name) == before.0.get(name));
    before.fixed().filter(|name| !is_kept(name)).collect()
}

fn sources(returns: &Provenance) -> String {
    let names: Vec<_> = returns.iter().map(|source| source.as_str()).collect();
    if names.is_empty() { "what is trusted".to_owned() } else { listed(&names) }
}

fn reach(share: Share) -> u8 {
    match share {
        Share::Run => 0,
        Share::Subject => 1,
        Share::All => 2,
    }
}

fn faith(pins: Pins) -> u8 {
    match pins {
        Pins::Lock => 0,
        Pins::FirstUse => 1,
        Pins::Trust => 2,
    }
}

fn rank(stores: Stores) -> u8 {
    match stores {
        Stores::Nothing => 0,
        Stores::Subject => 1,
        Stores::All => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::model::name::{SourceName, UpstreamName};
    use crate::model::place::Place;
    use crate::model::preset::Preset;
    use crate::upstream::settings::{Launch, Prefix, Speaks, ToolSettings, Transport};

    fn provenance(names: &[&str]) -> Provenance {
        Provenance::of(names.iter().map(|name| SourceName::new(name).unwrap()))
    }

    fn settings(returns: &[&str], tools: Vec<ToolSettings>) -> Settings {
        let url = "http://127.0.0.1:1/mcp".parse().unwrap();
        let second = Duration::from_secs(1);
        Settings {
            name: UpstreamName::new("web").unwrap(),
            place: Place { file: Arc::from("gateway.toml"), line: 1, column: 1 },
            launch: Launch::Http { url, transport: Transport::Detected, headers: Vec::new() },
            revision: Speaks::Newest,
            prefix: Prefix::Upstream,
            returns: provenance(returns),
            accept_stored: None,
            tools,
            resources: Vec::new(),
            prompts: Vec::new(),
            share: Share::Subject,
            may_ask: crate::upstream::MayAsk::default(),
            pins: Pins::FirstUse,
            instances_max: 1,
            instance_idle: second,
            start_timeout: second,
            call_timeout: second,
            list_wait: second,
            result_max: 1,
            calls_in_flight_max: 1,
        }
    }

    fn rule(glob: &str, returns: Option<&[&str]>, stores: Stores) -> ToolSettings {
        let returns = returns.map(provenance);
        ToolSettings { returns, stores: Some(stores), ..ToolSettings::of(Glob::new(glob).unwrap()) }
    }

    fn widened(old: Settings, new: Settings) -> Vec<String> {
        changes(&[old], &[new]).widened().to_vec()
    }

    #[test]
    fn what_returns_less_taint_is_wider_and_what_returns_more_is_not() {
        let web = || settings(&["web"], Vec::new());
        assert_eq!(widened(web(), settings(&["web", "email"], Vec::new())), Vec::<String>::new());
        assert_eq!(
            widened(web(), settings(&[], Vec::new())),
            ["upstream web: results no longer carry web, for its other tools"]
        );
        let finer = settings(&["web"], vec![rule("status_*", Some(&[]), Stores::Nothing)]);
        assert_eq!(
            widened(web(), finer.clone()),
            ["upstream web: results no longer carry web, for `status_*`"]
        );
        assert_eq!(widened(finer, web()), Vec::<String>::new());
    }

    #[test]
    fn of_each_key_the_first_rule_that_matches_counts() {
        let all = || rule("*", Some(&["web"]), Stores::All);
        let trusted = || rule("status", Some(&[]), Stores::Nothing);
        let old = settings(&["web"], vec![all(), trusted()]);
        assert_eq!(widened(old.clone(), settings(&["web"], vec![all()])), Vec::<String>::new());
        let swapped = widened(old, settings(&["web"], vec![trusted(), all()]));
        assert_eq!(swapped.len(), 2, "{swapped:?}");
    }

    #[test]
    fn resources_and_prompts_that_return_less_are_wider_each_by_its_rule() {
        let finer = |glob: &str, returns: &[&str]| Finer {
            glob: Glob::new(glob).unwrap(),
            returns: provenance(returns),
        };
        let web = || settings(&["web"], Vec::new());
        let docs = Settings { resources: vec![finer("docs:*", &[])], ..web() };
        assert_eq!(widened(web(), docs.clone()), ["upstream web: results no longer carry web, for `docs:*`"]);
        assert_eq!(widened(docs, web()), Vec::<String>::new());
        let prompts = Settings { prompts: vec![finer("greet", &["web", "email"])], ..web() };
        assert_eq!(widened(web(), prompts.clone()), Vec::<String>::new());
        assert_eq!(
            widened(prompts, web()),
            ["upstream web: results no longer carry email, for its other prompts"]
        );
    }

    #[test]
    fn what_stores_less_or_is_shared_more_is_wider() {
        let with = |stores| settings(&["web"], vec![rule("put_*", None, stores)]);
        assert_eq!(widened(with(Stores::Subject), with(Stores::All)), Vec::<String>::new());
        assert_eq!(
            widened(with(Stores::All), with(Stores::Subject)),
            ["upstream web: less of what is written counts in later results, for `put_*`"]
        );
        let shared = |share| Settings { share, ..with(Stores::All) };
        assert_eq!(widened(shared(Share::Subject), shared(Share::All)).len(), 1);
        assert_eq!(widened(shared(Share::All), shared(Share::Run)), Vec::<String>::new());
        let showing = |showing| {
            let hidden = ToolSettings { showing, ..ToolSettings::of(Glob::new("wipe").unwrap()) };
            settings(&["web"], vec![hidden])
        };
        assert_eq!(
            widened(showing(Some(Showing::Hidden)), showing(None)),
            ["upstream web: tools are no longer hidden, for its other tools"]
        );
        assert_eq!(widened(showing(None), showing(Some(Showing::Hidden))), Vec::<String>::new());
        let settled = |value: Option<&'static str>| {
            let fixed = |value: &'static str| Preset::Fixed(Bytes::from_static(value.as_bytes()));
            let arguments = value.map(|value| Presets([("to".to_owned(), fixed(value))].into()));
            settings(
                &["web"],
                vec![ToolSettings { arguments, ..ToolSettings::of(Glob::new("put").unwrap()) }],
            )
        };
        assert_eq!(
            widened(settled(Some("1")), settled(Some("2"))),
            ["upstream web: the argument `to` is no longer fixed as it was, for `put`"]
        );
        assert_eq!(
            widened(settled(Some("1")), settled(None)),
            ["upstream web: the argument `to` is no longer fixed as it was, for its other tools"]
        );
        assert_eq!(widened(settled(None), settled(Some("1"))), Vec::<String>::new());
        let largest = |result_max| {
            settings(
                &["web"],
                vec![ToolSettings { result_max, ..ToolSettings::of(Glob::new("put").unwrap()) }],
            )
        };
        assert_eq!(
            widened(largest(Some(1)), largest(Some(2))),
            ["upstream web: answers may be larger, for `put`"]
        );
        assert_eq!(widened(largest(None), largest(Some(2))), Vec::<String>::new());
        let pinned = |pins| Settings { pins, ..with(Stores::All) };
        assert_eq!(widened(pinned(Pins::Lock), pinned(Pins::FirstUse)).len(), 1);
        assert_eq!(widened(pinned(Pins::Trust), pinned(Pins::Lock)), Vec::<String>::new());
    }

    #[test]
    fn a_new_upstream_is_wider_one_that_goes_is_not_and_a_moved_line_is_nothing() {
        let web = || settings(&["web"], Vec::new());
        assert_eq!(changes(&[], &[web()]).widened(), ["upstream web is new and returns web"]);
        assert_eq!(changes(&[web()], &[]).changed(), ["upstream web is gone"]);
        let moved = Settings { place: Place { line: 9, ..web().place }, ..web() };
        assert_eq!(changes(&[web()], &[moved]), Changes::default());
        let slower = Settings { call_timeout: Duration::from_secs(2), ..web() };
        assert_eq!(changes(&[web()], &[slower]).changed(), ["upstream web is launched anew"]);
    }
}
