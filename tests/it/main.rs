//! The one integration binary: each file is a theme, driven against real parts.
#![cfg(test)]
#![expect(
    unreachable_pub,
    reason = "nothing is exported from here; `pub` marks what a file offers to the others"
)]

mod activation;
mod agentdojo;

mod approvals;
mod bad_input;
mod bridge;
mod bridging;
mod budgets;
mod cases;
mod change;
mod claimed;
mod conditions;
mod conformance;
mod crash;
mod demo;
mod deploy;
mod examples;
mod features;
mod fuzz_corpus;
mod growth;
mod halted;
mod hec_sink;
mod house_rules;
mod http_guards;
mod http_sink;
mod inbox;
mod index;
mod init;
mod interop;
mod isolation;
#[cfg(feature = "kafka")]
mod kafka_sink;
mod kept;
mod killed;
mod large;
mod like;
mod mail;
mod mint;
mod mirror;
mod monitoring;
#[cfg(feature = "nats")]
mod nats_sink;
mod notify;
mod otlp_sink;
mod overrides;
mod page;
mod path;
mod pins;
mod plan_review;
mod plan_reviewer;
mod plan_submit;
mod plans;
mod policies;
mod privileges;
mod progress;
mod proofs;
mod query;
mod quorum;
mod reload;
mod retention;
mod run_command;
mod runs;
mod shipped;
mod siem;
mod sink_forms;
mod sinks;
mod stopped;
mod streams;
mod support;
mod tasks;
mod tls;
mod token_endpoint;
mod tokens;
mod traces;
mod users;
mod watched;
mod witness;
