//! The nouns that several rooms share: names, principals, provenance, calls, decisions, reasons.
//!
//! Never does I/O, never reads a clock and never decides. It trusts nothing: a value of one of these
//! types exists only if its constructor accepted what it was made from.

pub mod approval;
pub mod approver;
pub mod barrier;
pub mod budget;
pub mod call;
pub mod ceiling;
pub mod certificate;
pub mod change;
pub mod claim;
pub mod decision;
pub mod digest;
pub mod facts;
pub mod file_stamp;
pub mod glob;
pub mod keep;
pub mod label;
pub mod mint;
pub mod name;
pub mod person;
pub mod pin;
pub mod place;
pub mod planned;
pub mod preset;
pub mod principal;
pub mod provenance;
pub mod quorum;
pub mod reason;
pub mod run;
pub mod secret;
pub mod sign_in;
pub mod stored;
pub mod target;
pub mod text;
pub mod trace;
pub mod trigger;
pub mod uri;
