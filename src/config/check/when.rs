//! Conditions of permissions, and until when one is only recorded.
//!
//! Must never let an entry count more often than it says: a condition that cannot be read refuses the configuration.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{ListEntry, Shadow};
use crate::model::name::SourceName;
use crate::model::place::Place;
use crate::model::trigger::Declarations;
use crate::policy::Condition;

use super::Scope;

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(super) struct Home<'a> {
    /// The source, if it is one.
    pub(super) source: Option<&'a SourceName>,
    pub(super) triggers: &'a Declarations,
}

/// `when`, and what goes with it.
pub(super) fn condition(written: &ListEntry, home: Home<'_>, scope: Scope<'_>) -> Option<Condition> {
    let found = scope.found;
    let Some(when) = &written.when else {
        if let Some(name) = written.unconstrained.first() {
            let message = "`unconstrained` without `when`: the entry constrains nothing at all";
            found.error(Code::Conflict, &name.place, message, "remove it, or add `when`");
        }
        return None;
    };
    let help = "write a Cedar expression over `args`, `trigger`, `subject`, `roles`, `agent` and `now`, such as \
                `args.to == trigger.sender` (docs/POLICY.md)";
    let condition = match Condition::parse(&when.value, home.source) {
        Ok(condition) => condition,
        Err(error) => {
            let message = format!("this is no condition: {error}");
            found.error(Code::BadCondition, &when.place, message, help);
            return None;
        }
    };
    if let Some(source) = home.source.filter(|source| !home.triggers.contains_key(*source))
        && condition.speaks_of_trigger()
    {
        let message = format!("the source `{source}` does not declare what its trigger holds");
        let help = format!("add `trigger = {{ sender = \"string\" }}` to `[sources.{source}]`");
        found.error(Code::BadCondition, &when.place, message, help);
    }
    Some(condition)
}

/// Until when what was written is only recorded: the moment, if it is at all.
pub(super) fn shadow(written: &Shadow, place: &Place, scope: Scope<'_>) -> Option<Timestamp> {
    let found = scope.found;
    let Shadow { enforce, until } = written;
    let is_enforced = enforce.as_ref().is_none_or(|enforce| enforce.value);
    match (is_enforced, until) {
        (true, None) => None,
        (true, Some(until)) => {
            let message = "`until` without `enforce = false`";
            found.error(Code::Conflict, &until.place, message, "add `enforce = false`, or remove it");
            None
        }
        (false, None) => {
            let at = enforce.as_ref().map_or(place, |enforce| &enforce.place);
            let message = "`enforce = false` does not say until when";
            let help = "add `until = \"2026-12-31\"`: what is not enforced has to end by itself";
            found.error(Code::MissingKey, at, message, help);
            None
        }
        (false, Some(until)) => moment(until, scope).inspect(|moment| tell(*moment, until, scope)),
    }
}

/// A day, from whose beginning (UTC) on it counts, or a moment.
fn moment(written: &Located<String>, scope: Scope<'_>) -> Option<Timestamp> {
    let day = written.value.parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    let moment = day.map(|day| day.timestamp()).or_else(|| written.value.parse().ok());
    if moment.is_none() {
        let message = format!("`until` cannot be `{}`", written.value);
        let help = "write a day, \"2026-12-31\", or a moment, \"2026-12-31T12:00:00Z\"";
        scope.found.error(Code::BadValue, &written.place, message, help);
    }
    moment
}

fn tell(moment: Timestamp, written: &Located<String>, scope: Scope<'_>) {
    let (message, help) = if moment <= scope.machine.system.clock.wall() {
        (
            format!("this was only recorded until {moment}, and is enforced now"),
            "remove `enforce` and `until`",
        )
    } else {
        (
            format!(
                "NOT ENFORCED: until {moment} this refuses nothing, and what it would say is only recorded"
            ),
            "look at `would_be` in the records, then remove `enforce` and `until`",
        )
    };
    scope.found.warn(Code::Shadow, &written.place, message, help);
}
