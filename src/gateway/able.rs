//! What a client says that it can be asked.
//!
//! Must never make it more: what a client did not declare it is not asked (2025-11-25, basic/lifecycle,
//! "Operation"; 2026-07-28, "Request `_meta`"). Decides nothing: the policy says what it may be asked.

use bytes::Bytes;

use crate::model::target::Class;
use crate::wire::input::Asked;
use crate::wire::{Method, Object, Revision, task};

/// Longest `capabilities` of a client that are looked at, in bytes; of a client with more nothing is known.
const CAPABILITIES_BYTES_MAX: usize = 16 * 1024;

/// The capabilities of one client.
#[derive(Debug, Clone, Default)]
pub(super) struct Able(Option<Object>);

impl Able {
    /// What `raw`, an object, says.
    pub(super) fn of(raw: Option<Bytes>) -> Self {
        let raw = raw.filter(|raw| raw.len() <= CAPABILITIES_BYTES_MAX);
        Self(raw.and_then(|raw| Object::of(&raw).ok()))
    }

    /// What it says of `class`, raw.
    pub(super) fn part(&self, class: Class) -> Option<Bytes> {
        self.0.as_ref()?.get(class.code()).filter(|raw| raw.first() == Some(&b'{'))
    }

    /// Whether it can be asked anything at all.
    pub(super) fn is_any(&self) -> bool {
        [Class::Sampling, Class::Elicitation, Class::Roots]
            .into_iter()
            .any(|class| self.part(class).is_some())
    }

    /// Whether it takes a task for an answer (2026-07-28, the extension).
    pub(super) fn takes_tasks(&self) -> bool {
        let extensions = self.0.as_ref().and_then(|all| Object::of(&all.get("extensions")?).ok());
        extensions.is_some_and(|extensions| extensions.get(task::EXTENSION).is_some())
    }

    /// Whether it can be asked `asked` in `revision`.
    pub(super) fn can(&self, asked: &Asked, revision: Revision) -> bool {
        let Some(part) = class_of(&asked.method).and_then(|class| self.part(class)) else { return false };
        let (Ok(part), params) = (Object::of(&part), asked.params.as_ref()) else { return false };
        let params = params.and_then(|params| Object::of(params).ok());
        let has = |key: &str| part.get(key).is_some_and(|raw| raw.first() == Some(&b'{'));
        match asked.method {
            Method::SamplingCreateMessage => {
                // 2025-11-25, client/sampling: only a client that declared it MUST be sent tools.
                has("tools") || params.is_some_and(|params| params.get("tools").is_none())
            }
            Method::ElicitationCreate => {
                if revision < Revision::V2025_06_18 {
                    return false;
                }
                let mode = params.and_then(|params| params.text("mode")?.ok());
                match mode.as_deref() {
                    // 2025-11-25, client/elicitation: "an empty capabilities object is equivalent to
                    // declaring support for form mode only".
                    None | Some("form") => has("form") || !has("url"),
                    Some("url") => has("url"),
                    Some(_) => false,
                }
            }
            _ => true,
        }
    }
}

/// The class of what a server asks by `method`.
pub(super) const fn class_of(method: &Method) -> Option<Class> {
    match method {
        Method::SamplingCreateMessage => Some(Class::Sampling),
        Method::ElicitationCreate => Some(Class::Elicitation),
        Method::RootsList => Some(Class::Roots),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, params: &'static str) -> Asked {
        Asked { key: "1".to_owned(), method, params: Some(params.into()) }
    }

    #[test]
    fn only_what_was_declared_is_asked() {
        let can = |capabilities: &'static str, asked: &Asked| {
            Able::of(Some(capabilities.into())).can(asked, Revision::V2025_11_25)
        };
        let form = asked(Method::ElicitationCreate, r#"{"message":"m"}"#);
        let url = asked(Method::ElicitationCreate, r#"{"mode":"url"}"#);
        assert!(can(r#"{"elicitation":{}}"#, &form) && !can(r#"{"elicitation":{}}"#, &url));
        assert!(can(r#"{"elicitation":{"url":{}}}"#, &url) && !can(r#"{"elicitation":{"url":{}}}"#, &form));
        assert!(!can(r#"{"elicitation":true}"#, &form) && !can("{}", &form) && !can("[]", &form));
        assert!(!can(r#"{"elicitation":{}}"#, &asked(Method::ElicitationCreate, r#"{"mode":"odd"}"#)));
        let sampling = asked(Method::SamplingCreateMessage, r#"{"messages":[]}"#);
        let tools = asked(Method::SamplingCreateMessage, r#"{"tools":[]}"#);
        assert!(can(r#"{"sampling":{}}"#, &sampling) && !can(r#"{"sampling":{}}"#, &tools));
        assert!(can(r#"{"sampling":{"tools":{}}}"#, &tools));
        assert!(can(r#"{"roots":{"listChanged":true}}"#, &asked(Method::RootsList, "{}")));
        assert!(!can(r#"{"tools":{}}"#, &asked(Method::ToolsCall, "{}")));
        let early = Able::of(Some(r#"{"elicitation":{}}"#.into()));
        assert!(!early.can(&form, Revision::V2025_03_26));
        let extended = Able::of(Some(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#.into()));
        assert!(extended.takes_tasks() && !early.takes_tasks() && !extended.is_any());
        let long = format!("{{\"roots\":{{\"x\":\"{}\"}}}}", "y".repeat(CAPABILITIES_BYTES_MAX));
        assert!(Able::of(Some(long.into())).part(Class::Roots).is_none());
    }
}
