//! The CPU time that the kernel counts for a process.

use anyhow::{Context as _, bail};

/// CPU time of the process `pid` so far, in user and kernel mode, in microseconds.
pub(crate) fn cpu_us(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name stands in brackets and may hold anything; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').context("no name in /proc/pid/stat")?.1;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (Some(user), Some(kernel)) = (times.next(), times.next()) else { bail!("a short /proc/pid/stat") };
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Ok((user? + kernel?) as f64 * 1e6 / ticks_per_second as f64)
}
