//! `when`: a Cedar expression over a call, parsed once, and what it speaks of.
//!
//! Must never hold more than one expression, nor reach what is not one of its six words: it says whether an
//! entry of a list counts, and nothing else. Trusts the operator who wrote it. The language is Cedar's
//! (<https://docs.cedarpolicy.com>); DESIGN §4.3 says what each word means.

mod names;
mod rewrite;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Expression, Policy, PolicyId};
use miette::Diagnostic;

use crate::model::name::SourceName;

pub(super) use names::Names;
use rewrite::Rewritten;
pub(super) use rewrite::plain;

/// Longest `when`, in bytes.
pub const WHEN_BYTES_MAX: usize = 4096;

/// A condition that was parsed. It is the same as another if both are written the same.
#[derive(Clone)]
pub struct Condition {
    text: Arc<str>,
    names: Arc<Names>,
    rewritten: Arc<Rewritten>,
    policy: Policy,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    message: String,
}

impl Condition {
    /// Parses `text`. `source` is the source whose trigger entry `trigger` means; without one the word is an
    /// error.
    ///
    /// # Errors
    /// What is wrong with it, in one sentence that quotes the part that it is about.
    pub fn parse(text: &str, source: Option<&SourceName>) -> Result<Self, ConditionError> {
        let error = |message: String| ConditionError { message };
        if text.len() > WHEN_BYTES_MAX {
            return Err(error(format!("it is longer than {WHEN_BYTES_MAX} bytes")));
        }
        let rewritten = Rewritten::of(text, source).map_err(error)?;
        // Alone it has to be an expression: what is only one inside of a policy could close the policy.
        Expression::from_str(rewritten.cedar())
            .map_err(|errors| error(rewritten.say(&errors, errors.iter().next().map(labels), 0)))?;
        let policy = Policy::parse(None, format!("{HEAD}{}{TAIL}", rewritten.cedar()))
            .map_err(|errors| error(rewritten.say(&errors, errors.iter().next().map(labels), HEAD.len())))?;
        let json = policy.to_json().map_err(|why| error(why.to_string()))?;
        let names = Names::of(&json);
        Ok(Self { text: text.into(), names: names.into(), rewritten: rewritten.into(), policy })
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it says anything about the argument `name`.
    #[must_use]
    pub fn speaks_of(&self, name: &str) -> bool {
        self.names.speaks_of_argument(name)
    }

    /// Whether it says anything about the trigger.
    #[must_use]
    pub fn speaks_of_trigger(&self) -> bool {
        self.names.uses("trigger")
    }

    /// What it speaks of.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// It as a policy of Cedar under the id `id`.
    pub(super) fn policy(&self, id: &str) -> Policy {
        self.policy.new_id(PolicyId::new(id))
    }

    /// What Cedar's validator says of it, in the words that were written.
    pub(super) fn say(&self, problem: &(impl Diagnostic + fmt::Display)) -> String {
        self.rewritten.say(problem, Some(labels(problem)), HEAD.len())
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Condition({:?})", self.text)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        // The trigger that it means stands in what was made of it.
        (&self.text, self.rewritten.cedar()) == (&other.text, other.rewritten.cedar())
    }
}

impl Eq for Condition {}

/// The first place that `problem` is about: offset and length in bytes.
fn labels(problem: &(impl Diagnostic + ?Sized)) -> (usize, usize) {
    let first = problem.labels().and_then(|mut labels| labels.next());
    first.map_or((0, 0), |label| (label.offset(), label.len()))
}

const HEAD: &str = "permit(principal, action, resource) when { ";
const TAIL: &str = " };";

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> SourceName {
        SourceName::new("email").unwrap()
    }

    fn refusal(text: &str) -> String {
        Condition::parse(text, Some(&email())).unwrap_err().to_string()
    }

    #[test]
    fn what_a_condition_speaks_of_is_known() {
        let text = r#"args.to == trigger.sender && !(args has cc) && args["bcc"].contains("x") && now > datetime("2026-01-01")"#;
        let condition = Condition::parse(text, Some(&email())).unwrap();
        for (name, is_named) in [("to", true), ("cc", true), ("bcc", true), ("body", false)] {
            assert_eq!(condition.speaks_of(name), is_named, "{name}");
        }
        assert!(Condition::parse("args == {to: \"x\"}", None).unwrap().speaks_of("anything"));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_part_that_is_wrong() {
        assert!(refusal("args.to ==").contains("unexpected end"), "{}", refusal("args.to =="));
        let closing = refusal("true } || { args: 1");
        assert!(closing.contains("unexpected token `}`"), "{closing}");
        assert!(refusal("context.args.to == 1").contains("`context`"));
        assert!(refusal("arg.to == 1").contains("`arg`"), "{}", refusal("arg.to == 1"));
        assert!(Condition::parse("trigger.sender == 1", None).unwrap_err().to_string().contains("`trigger`"));
        assert!(refusal(&format!("true{}", " && true".repeat(600))).contains("4096"));
    }

    #[test]
    fn words_inside_of_texts_records_and_attributes_are_left_alone() {
        let text = r#"{args: "trigger args"}.args == subject && args has now && args.trigger like "a*""#;
        let condition = Condition::parse(text, None).unwrap();
        assert!(condition.speaks_of("now") && condition.speaks_of("trigger"));
    }
}
