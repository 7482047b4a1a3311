//! The figures as a Markdown table.

use std::fmt::Write as _;

use crate::Options;
use crate::histogram::Histogram;
use crate::load::Sample;

/// All rounds of one path at one number of connections.
pub(crate) struct Row {
    path: &'static str,
    connections: u16,
    calls_per_second: f64,
    /// Least, mean and most over the rounds, of the process in the middle.
    cpu_us: Option<[f64; 3]>,
    upstream_cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Row {
    pub(crate) fn new(path: &'static str, connections: u16, samples: &[Sample]) -> Self {
        let mut latencies = Histogram::new();
        for sample in samples {
            latencies.merge(&sample.latencies);
        }
        let calls = latencies.count() as f64;
        let sum = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>();
        let middle = |sample: &Sample| sample.middle_cpu_us;
        let rounds: Option<Vec<f64>> =
            samples.iter().map(|sample| Some(middle(sample)? / sample.latencies.count() as f64)).collect();
        let cpu_us = rounds.map(|rounds| {
            let mean = samples.iter().filter_map(middle).sum::<f64>() / calls;
            [
                rounds.iter().copied().fold(f64::MAX, f64::min),
                mean,
                rounds.iter().copied().fold(0.0, f64::max),
            ]
        });
        Self {
            path,
            connections,
            calls_per_second: calls / sum(|sample| sample.seconds),
            cpu_us,
            upstream_cpu_us: sum(|sample| sample.upstream_cpu_us) / calls,
            p50_us: latencies.quantile_us(0.5),
            p99_us: latencies.quantile_us(0.99),
        }
    }
}

pub(crate) fn table(rows: &[Row], options: &Options) -> String {
    let mut out = format!(
        "{} rounds of {} s each, interleaved; {} bytes of argument and of result. CPU is that of the process in \
         the middle; latency is added to that of the direct call.\n\n\
         | connections | path | calls/s | CPU µs/call (rounds) | × bare proxy | p50 µs | p99 µs | added p50 µs | \
         added p99 µs | upstream CPU µs/call |\n|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        options.rounds, options.seconds, options.bytes
    );
    for row in rows {
        let same =
            |path: &str| rows.iter().find(|other| other.connections == row.connections && other.path == path);
        let (cpu, times) = match row.cpu_us {
            None => ("–".to_owned(), "–".to_owned()),
            Some([least, mean, most]) => {
                let bare =
                    same("bare proxy").and_then(|bare| bare.cpu_us).map_or(f64::NAN, |[_, mean, _]| mean);
                (format!("{mean:.1} ({least:.1}–{most:.1})"), format!("{:.2}", mean / bare))
            }
        };
        let direct = same("direct").map_or((f64::NAN, f64::NAN), |direct| (direct.p50_us, direct.p99_us));
        let _infallible = writeln!(
            out,
            "| {} | {} | {:.0} | {cpu} | {times} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            row.connections,
            row.path,
            row.calls_per_second,
            row.p50_us,
            row.p99_us,
            row.p50_us - direct.0,
            row.p99_us - direct.1,
            row.upstream_cpu_us,
        );
    }
    out
}
