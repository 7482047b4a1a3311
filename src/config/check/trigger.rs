//! `[sources.NAME] trigger`: which attributes a trigger of this source has, and of which type.
//!
//! Must never let an attribute be declared that no token can carry.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::Row;
use crate::identity::KIND;
use crate::model::name::AttributeName;
use crate::model::trigger::{ATTRIBUTES_MAX, AttributeType, Declarations};

use super::{Scope, bad_word};

/// The attributes that each source declares.
pub(super) fn declarations(sources: &[Row], scope: Scope<'_>) -> Declarations {
    let mut declarations = Declarations::new();
    for row in sources {
        if let Some(name) = scope.names.sources.get(&row.name.value) {
            declarations.insert(name, attributes(row, scope));
        }
    }
    declarations.retain(|_, attributes| !attributes.is_empty());
    declarations
}

fn attributes(row: &Row, scope: Scope<'_>) -> BTreeMap<AttributeName, AttributeType> {
    if let Some((beyond, _)) = row.trigger.get(ATTRIBUTES_MAX) {
        let message = format!("more than {ATTRIBUTES_MAX} attributes are declared");
        scope.found.error(Code::OutOfRange, &beyond.place, message, "declare those that rules look at");
    }
    let each = |(name, of_type): &(Located<String>, Located<String>)| {
        let of_type = attribute_type(of_type, scope);
        Some((attribute_name(name, scope)?, of_type?))
    };
    row.trigger.iter().filter_map(each).collect()
}

fn attribute_name(written: &Located<String>, scope: Scope<'_>) -> Option<AttributeName> {
    if written.value == KIND {
        let message = format!("an attribute cannot be named `{KIND}`");
        let help = "in a token it names the source: choose another name";
        scope.found.error(Code::BadName, &written.place, message, help);
        return None;
    }
    match AttributeName::new(&written.value) {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("`{}` does not name an attribute: {error}", written.value);
            scope.found.error(Code::BadName, &written.place, message, "choose another name");
            None
        }
    }
}

fn attribute_type(written: &Located<String>, scope: Scope<'_>) -> Option<AttributeType> {
    let found = AttributeType::ALL.into_iter().find(|of_type| of_type.as_str() == written.value);
    if found.is_none() {
        let words = AttributeType::ALL.map(AttributeType::as_str);
        bad_word(written, "trigger", &words, scope.found);
    }
    found
}
