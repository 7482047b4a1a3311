//! What `init` proposes: labels of tools and arguments, the source of what a server returns, what looks like a
//! secret, and the text of a first configuration with its tests.
//!
//! Pure: must never read, start or ask anything. Must never take a hint of an upstream for an answer: a name and a
//! schema are looked at, annotations never (CASES A65). In doubt it proposes the stricter: more classes, a destination
//! rather than content, a source of its own rather than trust.

mod arguments;
mod labels;
mod returns;
mod secret;
mod text;
mod words;

pub use labels::{Labels, labels};
pub use returns::returns;
pub use secret::{is_secret_argument, is_secret_value};
pub use text::{Configuration, Launch, Server, Tool, Written};

/// The source of what the user types to their own client.
pub const OWN_SOURCE: &str = "chat";
/// The role of the user.
pub const OWN_ROLE: &str = "owner";
/// The subject on whose behalf the user's own client acts.
pub const OWN_SUBJECT: &str = "user:me";
