//! `[auth.issuers.*.refine.*]`: finer sources from attributes that are declared.
//!
//! Must never let a rule stand that looks at what is not declared, or at another type than is: it would
//! never match, and whoever wrote it believes that it does.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::code::Code;
use crate::config::node::{Fields, Located, Node, suggestion, text_of};
use crate::config::raw;
use crate::identity::{Condition, MayAssert, RefineRule, Refinement};
use crate::model::name::{AttributeName, SourceName};
use crate::model::trigger::{AttributeType, Declarations};

use super::Scope;

/// What the sources that an issuer asserts can become.
pub(super) fn refinements(
    written: &[raw::Refine],
    may_assert: &MayAssert,
    declared: &Declarations,
    scope: Scope<'_>,
) -> BTreeMap<SourceName, Refinement> {
    let mut refinements = BTreeMap::new();
    for one in written {
        let default = one.default.as_ref().map(|default| scope.names.sources.take(default, scope.found));
        let kind = scope.names.sources.take(&one.kind, scope.found);
        let attributes = kind.as_ref().and_then(|kind| declared.get(kind)).cloned().unwrap_or_default();
        let rules = one.rules.iter().filter_map(|written| rule(written, &one.kind, &attributes, scope));
        let rules: Vec<RefineRule> = rules.collect();
        let Some(kind) = kind else { continue };
        if !may_assert.sources.contains(&kind) {
            let message = format!("the issuer may not assert `{kind}`, so nothing is ever made finer here");
            let help = "add it to `sources` of `may_assert`, or remove this table";
            scope.found.warn(Code::NeverDecides, &one.kind.place, message, help);
        }
        let default = default.unwrap_or_else(|| Some(kind.clone()));
        refinements.extend(default.map(|default| (kind, Refinement { default, rules })));
    }
    refinements
}

fn rule(
    written: &raw::RefineRule,
    kind: &Located<String>,
    attributes: &BTreeMap<AttributeName, AttributeType>,
    scope: Scope<'_>,
) -> Option<RefineRule> {
    let found = scope.found;
    let source = written.source.as_ref().map(|source| scope.names.sources.take(source, found));
    if source.is_none() && found.lacks(&written.place, &["source"]) {
        let help = "write `source = \"…\"`, a source that `[sources.NAME]` declares";
        found.error(Code::MissingKey, &written.place, "this rule names no `source`", help);
    }
    if written.when.is_empty() {
        let help = "name an attribute and what it has to be; what always holds is the `default`";
        found.error(Code::MissingKey, &written.place, "this rule asks for nothing (`when`)", help);
    }
    let mut when = BTreeMap::new();
    for (name, value) in &written.when {
        let Some((name, of_type)) = attributes.get_key_value(name.value.as_str()) else {
            let message = format!("`[sources.{}]` declares no attribute `{}`", kind.value, name.value);
            let known: Vec<&str> = attributes.keys().map(AttributeName::as_str).collect();
            let help = format!("{} Declare it in `trigger` of the source", suggestion(&name.value, &known));
            found.error(Code::UnknownAttribute, &name.place, message, help);
            continue;
        };
        if let Some(condition) = condition(value, name, *of_type, scope) {
            when.insert(name.clone(), condition);
        }
    }
    Some(RefineRule { when, source: source?? })
}

fn condition(
    written: &Located<Node>,
    name: &AttributeName,
    of_type: AttributeType,
    scope: Scope<'_>,
) -> Option<Condition> {
    match (&written.value, of_type) {
        (Node::Text(text), AttributeType::Text) => Some(Condition::Text(vec![text.as_str().into()])),
        (Node::List(items), AttributeType::Text) if !items.is_empty() => {
            let what = format!("each entry of `{name}`");
            let texts = items.iter().map(|item| text_of(item, &what, scope.found));
            let texts: Option<Vec<_>> = texts.collect();
            Some(Condition::Text(texts?.into_iter().map(|text| text.value.into()).collect()))
        }
        (Node::Table(_), AttributeType::Text) => domains(written, name, scope),
        (Node::Boolean(value), AttributeType::Bool) => Some(Condition::Bool(*value)),
        (Node::Integer(value), AttributeType::Integer) => Some(Condition::Integer(*value)),
        (other, of_type) => {
            let (word, kind) = (of_type.as_str(), other.kind());
            let message = format!("`{name}` is of the type `{word}` and cannot be compared with {kind}");
            scope.found.error(Code::WrongType, &written.place, message, help_for(of_type));
            None
        }
    }
}

fn help_for(of_type: AttributeType) -> &'static str {
    match of_type {
        AttributeType::Bool => "write `true` or `false`",
        AttributeType::Integer => "write an integer",
        AttributeType::Text => "write a string, an array of strings, or `{ domain = [\"acme.example\"] }`",
        AttributeType::Texts => "rules cannot look at a set of strings: declare what matters as a `string`",
    }
}

/// `{ domain = ["acme.example"] }`.
fn domains(written: &Located<Node>, name: &AttributeName, scope: Scope<'_>) -> Option<Condition> {
    let fields = Fields::of(written, format!("the condition of `{name}`"), scope.found)?;
    let domains = fields.one_or_more("domain");
    let is_silent = domains.is_none() && scope.found.lacks(&written.place, &["domain"]);
    fields.finish(&[]);
    let domains = domains.map(|domains| domains.value).unwrap_or_default();
    if is_silent {
        let help = "write `{ domain = [\"acme.example\"] }`";
        scope.found.error(Code::MissingKey, &written.place, "the condition names no `domain`", help);
    }
    let each = |domain: &Located<String>| -> Option<Arc<str>> {
        let is_label_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let is_whole = !domain.value.starts_with('.') && !domain.value.ends_with('.');
        if domain.value.is_empty() || !domain.value.bytes().all(is_label_byte) || !is_whole {
            let message = format!("`{}` is not a domain", domain.value);
            let help = "write what stands behind the `@`, in ASCII: \"acme.example\"; subdomains are others";
            scope.found.error(Code::BadValue, &domain.place, message, help);
            return None;
        }
        Some(domain.value.as_str().into())
    };
    let checked: Vec<Arc<str>> = domains.iter().filter_map(each).collect();
    (!checked.is_empty()).then_some(Condition::Domain(checked))
}
