//! Finer sources: what the attributes of a trigger make of the source that it is asserted as.
//!
//! Must never reach a source by the absence of something: a rule whose attribute is missing does not
//! match, and what no rule matches is the default (DESIGN §5, "Entry points").

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::name::{AttributeName, SourceName};
use crate::model::trigger::AttributeValue;

/// What one asserted source can become at an entry point: the first rule that matches counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refinement {
    /// The source where no rule matches.
    pub default: SourceName,
    /// The rules, in their order.
    pub rules: Vec<RefineRule>,
}

/// One rule. It matches where every attribute that it names is there and is what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefineRule {
    /// What has to hold. Never empty.
    pub when: BTreeMap<AttributeName, Condition>,
    /// The source then.
    pub source: SourceName,
}

/// What an attribute has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// One of these texts, byte for byte.
    Text(Vec<Arc<str>>),
    /// This.
    Bool(bool),
    /// This.
    Integer(i64),
    /// An address (`local@domain`) whose domain is one of these; their ASCII letters fold (RFC 5321 §2.4).
    Domain(Vec<Arc<str>>),
}

impl Refinement {
    /// The source that an entry with these attributes counts as.
    #[must_use]
    pub fn source(&self, attributes: &BTreeMap<AttributeName, AttributeValue>) -> &SourceName {
        let matching = self.rules.iter().find(|rule| rule.matches(attributes));
        matching.map_or(&self.default, |rule| &rule.source)
    }
}

impl RefineRule {
    fn matches(&self, attributes: &BTreeMap<AttributeName, AttributeValue>) -> bool {
        let holds = |(name, condition): (&AttributeName, &Condition)| {
            attributes.get(name).is_some_and(|value| condition.holds(value))
        };
        !self.when.is_empty() && self.when.iter().all(holds)
    }
}

impl Condition {
    fn holds(&self, value: &AttributeValue) -> bool {
        match (self, value) {
            (Self::Text(texts), AttributeValue::Text(text)) => texts.contains(text),
            (Self::Bool(wanted), AttributeValue::Bool(value)) => wanted == value,
            (Self::Integer(wanted), AttributeValue::Integer(value)) => wanted == value,
            (Self::Domain(domains), AttributeValue::Text(text)) => {
                domain_of(text).is_some_and(|domain| domains.iter().any(|d| d.eq_ignore_ascii_case(domain)))
            }
            _ => false,
        }
    }
}

/// The domain of an address with exactly one `@` and a plain local part before it (RFC 5321 §4.1.2,
/// `Dot-string`). A display name, a quoted local part or a comment has no domain that mail programs agree on.
fn domain_of(address: &str) -> Option<&str> {
    let (local, domain) = address.split_once('@')?;
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let is_plain = !local.is_empty() && local.bytes().all(is_atom) && !domain.contains('@');
    is_plain.then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, AttributeValue)]) -> BTreeMap<AttributeName, AttributeValue> {
        pairs.iter().map(|(name, value)| (AttributeName::new(name).unwrap(), value.clone())).collect()
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::Text(text.into())
    }

    fn rule(when: &[(&str, Condition)], source: &str) -> RefineRule {
        let when = when.iter().map(|(name, is)| (AttributeName::new(name).unwrap(), is.clone())).collect();
        RefineRule { when, source: SourceName::new(source).unwrap() }
    }

    fn email(rules: Vec<RefineRule>) -> Refinement {
        Refinement { default: SourceName::new("email").unwrap(), rules }
    }

    #[test]
    fn the_first_rule_that_matches_counts_and_what_is_missing_matches_nothing() {
        let one_of = |texts: &[&str]| Condition::Text(texts.iter().map(|&text| text.into()).collect());
        let refinement = email(vec![
            rule(&[("auth", one_of(&["dkim-pass"])), ("list", Condition::Bool(false))], "email.direct"),
            rule(&[("auth", one_of(&["dkim-pass", "spf-pass"]))], "email.known"),
            rule(&[("score", Condition::Integer(0))], "email.clean"),
        ]);
        let source = |pairs: &[(&str, AttributeValue)]| refinement.source(&attributes(pairs)).to_string();
        assert_eq!(source(&[]), "email");
        assert_eq!(source(&[("auth", text("dkim-pass"))]), "email.known");
        let direct = [("auth", text("dkim-pass")), ("list", AttributeValue::Bool(false))];
        assert_eq!(source(&direct), "email.direct");
        assert_eq!(source(&[("list", AttributeValue::Bool(false))]), "email");
        assert_eq!(source(&[("auth", text("DKIM-PASS"))]), "email");
        assert_eq!(source(&[("auth", AttributeValue::Texts(vec!["dkim-pass".into()]))]), "email");
        assert_eq!(source(&[("score", AttributeValue::Integer(0))]), "email.clean");
        assert_eq!(source(&[("score", text("0"))]), "email");
        let empty = email(vec![rule(&[], "email.anything")]);
        assert_eq!(empty.source(&attributes(&direct)).as_str(), "email", "a rule that asks nothing");
    }

    #[test]
    fn a_domain_is_behind_exactly_one_at_sign() {
        let domains = Condition::Domain(vec!["acme.example".into(), "b.example".into()]);
        let refinement = email(vec![rule(&[("sender", domains)], "email.colleague")]);
        let is_colleague = |sender: &str| {
            refinement.source(&attributes(&[("sender", text(sender))])).as_str() == "email.colleague"
        };
        for sender in ["x@acme.example", "x@ACME.Example", "a.b+c@b.example"] {
            assert!(is_colleague(sender), "{sender}");
        }
        let strangers = [
            "",
            "acme.example",
            "@acme.example",
            "x@acme.example.evil.example",
            "x@sub.acme.example",
            "x@evil.example@acme.example",
            "\"x@acme.example\" <x@evil.example>",
            "\"x@evil.example\"@acme.example",
            "x@acme.example ",
            "x@acme.example.",
            "x@acme.example\u{0}",
            "x@a\u{441}me.example",
            "x@acme.example>",
            "evil.example <x@acme.example",
            "x(y)@acme.example",
        ];
        for sender in strangers {
            assert!(!is_colleague(sender), "{sender}");
        }
    }
}
