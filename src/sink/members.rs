//! The members of a JSON object that is being written.
//!
//! Must never write a member for what is not there, nor one twice.

use serde_json::{Map, Value};

/// The members so far.
#[derive(Debug, Default)]
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Sets `key`; it says `value` alone from now on.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        drop(self.0.insert(key.to_owned(), value.into()));
    }

    /// Sets `key` where there is a value.
    pub(super) fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Sets `key` to `inner` where that has members.
    pub(super) fn put_inner(&mut self, key: &str, inner: Self) {
        if !inner.0.is_empty() {
            self.put(key, inner.0);
        }
    }

    /// The members as one with `key` set, where there is a value.
    pub(super) fn with(mut self, key: &str, value: Option<impl Into<Value>>) -> Self {
        self.put_some(key, value);
        self
    }
}

impl From<Members> for Value {
    fn from(members: Members) -> Self {
        Self::Object(members.0)
    }
}
