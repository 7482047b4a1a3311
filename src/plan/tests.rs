//! Tests of the plan room: the language, the review by each of its rules, grants and their matching.

mod bench;
mod changes;
mod consult;
mod features;
mod fit;
mod flows;
mod grant;
mod language;
mod like;
mod properties;
mod requests;
mod review;
