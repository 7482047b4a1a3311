//! What operators see of the gateway: metrics, health, logs, traces.
//!
//! Must never hold a credential, an argument or a subject: labels are names from the configuration and
//! reason codes, so that their number is bounded. Must never decide: health is told, not acted upon.
//! Trusts what the gateway reports of itself through [`Observed`].

mod admin;
mod budgets;
mod certificates;
mod figures;
mod health;
mod journal;
mod log;
mod metrics;
mod notifiers;
mod reviewer;
mod sinks;
#[cfg(test)]
mod tests;
mod traces;

pub use admin::AdminResponder;
pub use certificates::CertificateState;
pub use figures::{
    Breaker, BudgetFigures, Figures, JournalFigures, Observed, ReloadFigures, UpstreamFigures,
};
pub use health::{Finding, Halt, Readiness};
pub use log::{Colour, LogError, LogFormat, start_log};
pub use metrics::{CallTimes, Metrics};
pub use reviewer::ReviewerAnswer;
pub use sinks::{SinkFigures, WhenBehind};
pub use traces::{Attribute, Claim, Exporter, SAMPLE_DEFAULT, Sides, Span, Status, TraceSettings, Tracer};
