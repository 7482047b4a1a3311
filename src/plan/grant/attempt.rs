//! A call as grants are held against it.
//!
//! Must never be made of arguments that two readers could understand differently: such a call belongs to no step.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::model::facts::RunId;
use crate::model::name::ToolId;
use crate::model::trigger::Trigger;
use crate::wire::{Json, ScanLimits};

use super::Under;

/// One call, on its exact bytes.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    pub(super) run: &'a RunId,
    pub(super) tool: &'a ToolId,
    pub(super) trigger: &'a Trigger,
    pub(super) now: Timestamp,
    pub(super) under: Option<Under<'a>>,
    arguments: Json<'a>,
}

impl<'a> Attempt<'a> {
    /// The call of `tool` in `run` with the raw bytes `arguments`, empty where there are none. `None` where these are no
    /// object, strictly read.
    #[must_use]
    pub fn read(
        run: &'a RunId,
        tool: &'a ToolId,
        arguments: &'a [u8],
        trigger: &'a Trigger,
        now: Timestamp,
    ) -> Option<Self> {
        let arguments = match arguments {
            [] => Json::Object(Vec::new()),
            raw => Json::read(raw, ScanLimits::default()).ok().filter(|read| read.members().is_some())?,
        };
        Some(Self { run, tool, trigger, now, under: None, arguments })
    }

    /// The same under what is in force: without that, no grant that a person made from a question counts.
    #[must_use]
    pub fn under(self, under: Under<'a>) -> Self {
        Self { under: Some(under), ..self }
    }

    /// The arguments by name.
    pub(super) fn arguments(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        self.arguments.members().unwrap_or_default()
    }
}
