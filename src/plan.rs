//! Plans: what an autonomous run means to do, settled before it reads what strangers wrote (DESIGN §9).
//!
//! Pure: must never read a clock, do I/O, or look at anything but what it is given. Must never let prose take part in
//! a review, give a use of a step back, or grant what the lists deny. Trusts the tables it is handed (tools, labels,
//! answers, flows, shapes, provenance, trigger); trusts nothing that a plan, a call or an answer says.
//!
//! **The way of a plan.**
//! 1. [`Plan::read`]: bytes to a plan, by the one grammar of JSON and a closed language. All problems at once.
//! 2. [`Plan::fit`]: held against the tools that it names and the trigger. All problems at once.
//! 3. [`review()`]: each step is granted, needs a person, or is refused, by a named rule.
//! 4. Where there is a reviewer outside, it is asked a [`Brief`]; what it says makes the review stricter, never looser.
//! 5. [`Review::grant`]: what was not refused, for one run, until a moment.
//! 6. [`Grant::find`] and [`Grant::take`]: a call belongs to the first step that it matches; its use is taken in the
//!    run's critical section, and [`Use`] is the proof. [`Grant::conclude`]: what its outcome brings.
//!
//! **Example.** An email asks for a meeting. The run submits: search the mail of the sender (`trigger`), then create one
//! event whose attendees are the sender. The shape of `email` covers it, so it is granted; an event with other
//! attendees would go to a person, and a call with other attendees matches no step.

mod attribute;
mod basis;
mod changes;
mod consult;
mod decimal;
mod features;
mod fit;
mod flow;
mod grant;
mod held;
mod matching;
mod outcome;
mod pattern;
mod problem;
mod read;
mod review;
mod rules;
mod schema;
mod select;
mod shape;
mod steps;
#[cfg(test)]
mod tests;
mod tool;
mod value;

pub use basis::basis;
pub use consult::{
    Brief, Misfit, Opinion, OpinionWord, REVIEWER_ANSWER_BYTES_MAX, ReviewerRequest, StepOpinion,
};
pub use decimal::NUMBER_BYTES_MAX;
pub use features::{Alike, Domains, Feature, Kind, StepFeatures, ValueFeature};
pub use fit::Fitted;
pub use flow::{Brings, Deed, End, Flow, FlowAnswer, HISTORY_MAX, History, Reaches, raised};
pub use grant::{
    Attempt, Concluded, Ended, Grant, LIKE_CALLS_MAX, LIKE_LASTS_MAX, LikeTo, Match, Remaining, Spent, State,
    Terms, Under, Use,
};
pub use held::{GRANTS_MAX, Held};
pub use outcome::SELECTED_MAX;
pub use pattern::{
    MATCHED_BYTES_MAX, PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX, PATTERN_COUNT_MAX, PATTERN_GROUPS_MAX,
    PatternError,
};
pub use problem::{Flaw, NAMED_BYTES_MAX, Named, POINTER_BYTES_MAX, PROBLEMS_MAX, Problem, Unfit};
pub use read::{
    AFTER_MAX, CALLS_MAX, CONSTRAINT_DEPTH_MAX, ENUM_MAX, FREE_LEN_MAX, ITEMS_MAX, NOTE_LEN_MAX,
    PATTERNS_MAX, PLAN_BYTES_MAX, QUERIES_MAX, STEPS_MAX, TOOL_LEN_MAX,
};
pub use review::{
    Answers, BuiltIn, Circumstances, FINDINGS_MAX, Finding, Ground, Heard, People, READ_CALLS_MAX, Review,
    ReviewRule, Reviewed, Said, Told, ToldFinding, Verdict, review, review_among,
};
pub use rules::{
    FLOWS_MAX, GRANT_LASTS_DEFAULT, GRANT_LASTS_MAX, KNOWN_DOMAINS_MAX, Outside, Rules, SHAPE_STEPS_MAX,
    SHAPE_VALUES_MAX, SHAPES_MAX,
};
pub use select::{SELECT_BYTES_MAX, SELECT_SEGMENTS_MAX, SelectError};
pub use shape::{Entry, LITERAL_BYTES_MAX, Limit, Literal, Pin, Shape};
pub use steps::{Plan, STEP_ID_BYTES_MAX, Step, StepId};
pub use tool::Tool;

/// The input schema of `sluicegate__submit_plan` (JSON Schema 2020-12): the plan language, described for models.
pub const INPUT_SCHEMA: &str = include_str!("plan/submit_plan.schema.json");
