//! What a caller is told of what does not exist, in the words of the specification.
//!
//! Must never be told apart from what is hidden: both come through here (I5). No data beside what the caller
//! said itself; what is echoed is bounded.

use bytes::Bytes;

use super::named::{Named, What};
use crate::model::text::Bounded;
use crate::model::uri::URI_BYTES_MAX;
use crate::wire::{Id, Method, Revision, code, encode, result};

/// Longest name that is echoed: a URI at its longest, in bytes.
const ECHO_BYTES_MAX: usize = URI_BYTES_MAX;
/// Longest name of a tool or prompt that is echoed, in bytes.
const NAME_ECHO_BYTES_MAX: usize = crate::model::facts::CLAIM_BYTES_MAX;

/// Something that does not exist, for all that its caller may know.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    what: What,
    name: Bounded<ECHO_BYTES_MAX>,
}

impl Missing {
    /// What `named` names.
    pub(super) fn of(named: &Named) -> Self {
        Self { what: named.what, name: Bounded::new(&named.name) }
    }

    /// The answer of `revision` to a request that names it.
    pub(super) fn answer(&self, id: &Id, revision: Revision) -> Bytes {
        let name = Bounded::<NAME_ECHO_BYTES_MAX>::new(self.name.as_str());
        let (code, message) = match self.what {
            // server/tools, "Error Handling", in every revision.
            What::Tool => (code::INVALID_PARAMS, format!("Unknown tool: {}", name.as_str())),
            // server/prompts, "Error Handling": "Invalid prompt name: -32602".
            What::Prompt => (code::INVALID_PARAMS, format!("Unknown prompt: {}", name.as_str())),
            // server/utilities/completion, "Error Handling": "Invalid prompt name: -32602".
            What::PromptArgument | What::TemplateVariable => {
                (code::INVALID_PARAMS, format!("Unknown reference: {}", name.as_str()))
            }
            // 2025-11-25, basic/utilities/tasks, "Error Handling"; SEP-2663 has the same.
            What::Task => (code::INVALID_PARAMS, format!("Unknown task: {}", name.as_str())),
            What::Resource => return self.resource(id, revision),
        };
        encode::error(Some(id), code, &message, None)
    }

    /// server/resources, "Error Handling": -32002 until 2025-11-25, -32602 since (SEP-2164).
    fn resource(&self, id: &Id, revision: Revision) -> Bytes {
        let code = if revision.is_modern() { code::INVALID_PARAMS } else { code::RESOURCE_NOT_FOUND };
        let data = [b"{\"uri\":".as_slice(), &encode::quoted(self.name.as_str()), b"}"].concat();
        encode::error(Some(id), code, "Resource not found", Some(&data))
    }
}

/// Whether the error `raw`, which answers `method`, says that there is no such resource.
pub(super) fn says_not_found(method: &str, raw: &Bytes) -> bool {
    method == Method::ResourcesRead.code() && result::is_not_found(raw)
}
