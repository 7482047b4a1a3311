//! Values that may be secret: written out, `{ env = "NAME" }`, or `{ file = "path" }`.
//!
//! Must never be printed: the value of a literal may be a secret too (I10).

use std::fmt;

use crate::config::code::Code;
use crate::config::node::{Entry, Fields, Located, Node};
use crate::config::problem::Sink;

/// Where a value comes from.
#[derive(Clone)]
pub(in crate::config) enum Secret {
    /// It stands in the configuration.
    Literal(String),
    /// An environment variable of the gateway.
    Env(String),
    /// A file.
    File(String),
}

/// A table of such values, by name.
pub(in crate::config) type Secrets = Vec<(Located<String>, Located<Secret>)>;

impl Secret {
    pub(super) fn read(fields: &Fields<'_>, key: &'static str) -> Option<Located<Self>> {
        Self::of(fields.node(key)?, key, fields.found())
    }

    /// Every value of the table `key`.
    pub(super) fn read_table(fields: &Fields<'_>, key: &'static str) -> Secrets {
        let one = |(name, entry): (&str, &Entry)| {
            let value = Self::of(entry, name, fields.found())?;
            Some((Located::new(name.to_owned(), &entry.key_place), value))
        };
        fields.table(key, "a table of strings").into_iter().filter_map(one).collect()
    }

    fn of(entry: &Entry, name: &str, found: &Sink) -> Option<Located<Self>> {
        let node = &entry.value;
        let wrong = |message: String| {
            let help = "write a string, `{ env = \"NAME\" }` or `{ file = \"path\" }`";
            found.error(Code::WrongType, &node.place, message, help);
            None
        };
        match &node.value {
            Node::Text(text) => Some(Located::new(Self::Literal(text.clone()), &node.place)),
            Node::Table(_) => {
                let fields = Fields::of(node, format!("the value of `{name}`"), found)?;
                let (env, file) = (fields.text("env"), fields.text("file"));
                fields.finish(&[]);
                match (env, file) {
                    (Some(env), None) => Some(env.map(Self::Env)),
                    (None, Some(file)) => Some(file.map(Self::File)),
                    (Some(_), Some(_)) => wrong(format!("`{name}` has both `env` and `file`")),
                    (None, None) => wrong(format!("`{name}` has neither `env` nor `file`")),
                }
            }
            other => wrong(format!("`{name}` cannot be {}", other.kind())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => out.write_str("Literal(…)"),
            Self::Env(name) => out.debug_tuple("Env").field(name).finish(),
            Self::File(path) => out.debug_tuple("File").field(path).finish(),
        }
    }
}
