//! `sluicegate schema`: the JSON Schema of `gateway.toml`, for editors.
//!
//! Must never say more than the reader of the configuration takes: a test holds the two together.

use std::io::Write as _;
use std::process::ExitCode;

/// The schema.
pub(super) const SCHEMA: &str = include_str!("../../docs/gateway.schema.json");
/// Under which name `init` writes it beside a configuration, whose first line names it.
pub(super) const SCHEMA_FILE: &str = "gateway.schema.json";

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Schema {}

pub(super) fn run(_: &Schema) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(SCHEMA.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
