//! What an instance says to a call while it lasts, beside its answer.
//!
//! Must never hold anything that belongs to another call (I9).

use bytes::Bytes;

use super::question::Question;

/// One such message.
#[derive(Debug)]
pub enum Aside {
    /// The `params` of a progress notification, under our token.
    Progress(Bytes),
    /// The `params` of a log message.
    Log(Bytes),
    /// The `params` of the message that the user is done with a URL (2025-11-25, client/elicitation).
    ElicitationComplete(Bytes),
    /// It closed the stream of the call and goes on later (SEP-1699, 2025-11-25).
    Paused,
    /// It asks the client something.
    Asks(Question),
}
