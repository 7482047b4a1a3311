//! The decision of a call: the verdict, its reason, and the rules that determined it.
//!
//! Must never write more rules than [`RULES_MAX`]: what is cut says so, with the digest of all of them.

use super::{Cut, Cuts, FILE_BYTES_MAX};
use crate::audit::line::{Object, whole_list};
use crate::model::decision::{Decision, Dimension, Rule, Visibility};
use crate::model::text::Bounded;

/// Most determining rules in a record.
const RULES_MAX: usize = 16;

/// Bound of a condition in a record, in bytes. It stands whole in the configuration, at the place beside it.
const WHEN_BYTES_MAX: usize = 512;

/// The member `decision` of a record.
pub(super) fn write(object: &mut Object<'_>, decision: &Decision, cuts: &mut Cuts) {
    cut("decision.rules", &decision.rules, cuts);
    object.object("decision", |object| {
        object.text("verdict", decision.verdict.as_str());
        object.text("reason", decision.reason.code());
        object.objects("rules", decision.rules.iter().take(RULES_MAX), rule);
        object.number("epoch", decision.epoch.0);
        object.text(
            "visibility",
            match decision.visibility {
                Visibility::Visible => "visible",
                Visibility::Hidden => "hidden",
            },
        );
        if let Some(would_be) = &decision.would_be {
            cut("decision.would_be.rules", &would_be.rules, cuts);
            object.object("would_be", |object| {
                object.text("verdict", would_be.verdict.as_str());
                object.text("reason", would_be.reason.code());
                object.objects("rules", would_be.rules.iter().take(RULES_MAX), rule);
            });
        }
    });
}

/// Rules that stand by themselves, as the member `member`.
pub(super) fn rules(object: &mut Object<'_>, member: &'static str, rules: &[Rule], cuts: &mut Cuts) {
    cut(member, rules, cuts);
    object.objects(member, rules.iter().take(RULES_MAX), rule);
}

fn cut(member: &'static str, rules: &[Rule], cuts: &mut Cuts) {
    if rules.len() > RULES_MAX {
        let names: Vec<_> = rules.iter().map(rule_text).collect();
        let (bytes, sha256) = whole_list(names.iter().map(String::as_str));
        cuts.0.push(Cut { member, bytes, sha256 });
    }
}

fn rule(object: &mut Object<'_>, rule: &Rule) {
    let (dimension, name) = dimension(&rule.dimension);
    object.text("dimension", dimension);
    if let Some(name) = name {
        object.text("name", Bounded::<FILE_BYTES_MAX>::new(name).as_str());
    }
    object.text("answer", rule.answer.as_str());
    if let Some(permission) = &rule.permission {
        object.text("permission", Bounded::<FILE_BYTES_MAX>::new(permission).as_str());
    }
    if let Some(when) = &rule.when {
        object.text("when", Bounded::<WHEN_BYTES_MAX>::new(when).as_str());
    }
    if let Some(place) = &rule.place {
        object.object("place", |object| {
            object.text("file", Bounded::<FILE_BYTES_MAX>::new(&place.file).as_str());
            object.number("line", u64::from(place.line));
            object.number("column", u64::from(place.column));
        });
    }
}

/// A rule as it counts in the digest of a list of rules that was cut: its words with a blank between.
fn rule_text(rule: &Rule) -> String {
    let (dimension, name) = dimension(&rule.dimension);
    let permission = rule.permission.as_deref().unwrap_or("-");
    let place = rule.place.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{dimension} {} {} {permission} {place}", name.unwrap_or("-"), rule.answer.as_str())
}

fn dimension(dimension: &Dimension) -> (&'static str, Option<&str>) {
    match dimension {
        Dimension::Source(name) => ("source", Some(name.as_str())),
        Dimension::Role(name) => ("role", Some(name.as_str())),
        Dimension::Agent(name) => ("agent", Some(name.as_str())),
        Dimension::Roles => ("roles", None),
        Dimension::Agents => ("agents", None),
        Dimension::Closed(name) => ("closed", Some(name.as_str())),
        Dimension::Pin => ("pin", None),
        Dimension::Guardrail(name) => ("guardrail", Some(name)),
        Dimension::Condition => ("condition", None),
        Dimension::Flow(name) => ("flow", Some(name)),
    }
}
