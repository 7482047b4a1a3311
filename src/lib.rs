//! Sluicegate: an MCP gateway that decides by where a prompt came from.
//!
//! The map of the code; `docs/ARCHITECTURE.md` has the longer one. A room is a module with one reason
//! to exist. `main → cli → everything`; `downstream → gateway, wire`; `gateway` knows the rooms of the
//! path; those know `model` (and `wire` where they speak it) and not each other, except for the proof
//! types that the next room on the path may name. `policy` knows `model` alone.

pub mod chance;
pub mod clients;
pub mod clock;
pub mod keyfile;
pub mod model;
pub mod outbound;
pub mod socket;
pub mod spool;
pub mod task;
pub mod trust;
pub mod webhook;
pub mod whole;

pub mod approval;
pub mod audit;
pub mod config;
pub mod console;
pub mod demo;
pub mod downstream;
pub mod gateway;
pub mod identity;
pub mod index;
pub mod keep;
pub mod limit;
pub mod notify;
pub mod plan;
pub mod policy;
pub mod proposal;
pub mod reviewer;
pub mod run;
pub mod sink;
pub mod telemetry;
pub mod upstream;
pub mod wire;

pub mod cli;
