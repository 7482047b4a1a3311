//! Values of arguments that an operator settles in the place of whoever calls.
//!
//! Must never look at a call: what a preset does to one is for `wire`.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What is settled of one argument. The value is raw JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preset {
    /// It always has this value. Callers are not told of it and may not send it.
    Fixed(Bytes),
    /// It has this value where a caller sends none.
    Default(Bytes),
}

/// What is settled of the arguments of one tool, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presets(pub BTreeMap<String, Preset>);

impl Presets {
    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of those that no caller may send.
    pub fn fixed(&self) -> impl Iterator<Item = &str> {
        let fixed = self.0.iter().filter(|(_, preset)| matches!(preset, Preset::Fixed(_)));
        fixed.map(|(name, _)| name.as_str())
    }
}
