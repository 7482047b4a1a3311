//! What the figures were measured on, its disk measured in the same run.

use std::fmt::Write as _;
use std::fs::{File, read_to_string};
use std::io::Write as _;

use sluicegate::clock::Clock;

use crate::histogram::Histogram;

const SYNCS: u32 = 200;
const RECORD_BYTES: usize = 512;

pub(crate) fn describe() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let syncs = fdatasync()?;
    let mut out = String::new();
    writeln!(
        out,
        "{cores} cores ({}), Linux {}.",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim()
    )?;
    write!(out, "`fdatasync` of {RECORD_BYTES} appended bytes: ")?;
    writeln!(out, "median {:.0} µs, p99 {:.0} µs.", syncs.quantile_us(0.5), syncs.quantile_us(0.99))?;
    Ok(out)
}

/// How long it takes to append a record and make it durable, where the gateway's journal stood.
fn fdatasync() -> anyhow::Result<Histogram> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut file = File::create(dir.path().join("journal"))?;
    let (clock, mut out) = (Clock::system(), Histogram::new());
    for _ in 0..SYNCS {
        let start = clock.monotonic();
        file.write_all(&[b'x'; RECORD_BYTES])?;
        file.sync_data()?;
        out.add(clock.monotonic() - start);
    }
    Ok(out)
}
