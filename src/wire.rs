//! JSON-RPC and MCP as bytes: the strict parse, the envelope, the methods, the revisions, the framings.
//!
//! One pass over the bytes says whether a message is acceptable at all ([`parse()`]); what then travels
//! are slices of those same bytes, so that what was decided on is what is forwarded (I7). Must never
//! decide, never do I/O, and never write a value anew that it can hand on as it came. It trusts nothing:
//! every byte may have been chosen by an attacker, from either side.

pub mod batch;
pub mod code;
pub mod encode;
mod envelope;
mod fault;
pub mod gather;
pub mod headers;
pub mod hollow;
mod id;
pub mod input;
mod keys;
mod level;
pub mod line;
pub mod list;
pub mod method;
mod object;
mod outline;
mod param_header;
mod params;
pub mod preset;
pub mod result;
mod revision;
mod scan;
pub mod short;
pub mod sse;
pub mod stateless;
pub mod strict;
pub mod task;
mod text;
pub mod texts;
pub mod tool;
mod tree;

#[cfg(test)]
mod tests;

pub use envelope::{Malformed, Message, Notification, Outcome, Request, Response, parse};
pub use fault::{Fault, HeaderFlaw};
pub use id::{ID_BYTES_MAX, Id};
pub use level::LogLevel;
pub use list::ListKind;
pub use method::Method;
pub use object::{Object, elements};
pub use params::{OwnName, PROGRESS_TOKEN_BYTES_MAX, Params, StripMeta};
pub use revision::Revision;
pub use scan::{DEPTH_MAX, MEMBERS_MAX, ScanLimits};
pub use tree::Json;
