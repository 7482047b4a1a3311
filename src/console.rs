//! What people ask and tell a running gateway: its state, its runs, its pins, and answers to its questions.
//!
//! Must never be reachable by a run: it listens on a socket of mode 0600 and answers only the gateway's own uid and root
//! (DESIGN §5, "The uid boundary"), and its page takes nothing that a run has for a sign-in. Must never act by itself: it
//! asks [`Administration`]. Trusts the kernel's word on who is at the other end of the socket.

mod api;
mod approvals;
mod client;
mod custody;
mod door;
mod page;
mod reload;
mod socket;
#[cfg(test)]
mod tests;
mod tokens;

pub use api::{
    API_VERSION, Acceptance, Administration, AdministrationError, ListenerEntry, Offered, PinEntry,
    PinStanding, RunEntry, Status,
};
pub use approvals::{About, Approvals, Like, LikeGranted, PageLink, PeopleEntry, QuestionEntry, SignIns};
pub use client::{ANSWER_BYTES_MAX, ANSWER_TIMEOUT, Client, ClientError};
pub use custody::{
    Custody, Erasure, ErasureRequest, Revocation, RevocationEntry, RotatedAuditKey, RotationRequest,
    SourceEntry,
};
pub use door::{
    CODE_LASTS, CODES_MAX, Door, SIGN_IN_LASTS, SIGN_INS_MAX, VISIT_LASTS, VISITS_MAX, VISITS_PER_PERSON_MAX,
};
pub use page::{ARGUMENTS_SHOWN_BYTES_MAX, FORM_BYTES_MAX, PAGE_PATH, Page};
pub use reload::{ProblemEntry, RELOADS_WAITING_MAX, ReloadAnswer, ReloadRequest, ReloadResult};
pub use socket::{AdminSocket, CONNECTIONS_MAX, REQUEST_BYTES_MAX};
pub use tokens::{MintedToken, Minting, RenewalRequest, RotatedKey, TokenVerdict};
