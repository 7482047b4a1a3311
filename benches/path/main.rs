//! What the gateway costs: CPU and latency of a call straight to an upstream, through a bare reverse proxy,
//! and through the gateway with everything on, interleaved in one run (docs/PERFORMANCE.md).
//!
//! `cargo bench --bench path` prints Markdown. Upstream, bare proxy and gateway are processes of their own,
//! so that the kernel says what CPU time each took; the first two are this program again, told so by argv.
//! Bounded by rounds and seconds; every process ends with its standard input, hence with this one.

mod cpu;
mod gateway;
mod histogram;
mod load;
mod machine;
mod process;
mod proxy;
mod report;
mod serve;
mod upstream;

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;

use load::{Load, Sample};
use process::Server;

/// Measures a call straight to an upstream, through a bare proxy, and through the gateway.
#[derive(Debug, Parser)]
struct Options {
    /// How often each combination is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each measurement lasts
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Connections, each with one call in flight
    #[arg(long, value_delimiter = ',', default_value = "1,16,64", value_parser = clap::value_parser!(u16).range(1..=200))]
    connections: Vec<u16>,
    /// Bytes of the call's one argument, and of the text in the result
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    bytes: u32,
    /// Leave the gateway out
    #[arg(long)]
    without_gateway: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Be one of the processes instead: `upstream BYTES` or `proxy ADDRESS`
    #[arg(hide = true)]
    role: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let role: Vec<_> = options.role.iter().map(String::as_str).collect();
    match role.as_slice() {
        [] => measure(&options),
        ["upstream", bytes] => upstream::run(bytes.parse()?),
        ["proxy", addr] => proxy::run(addr.parse()?),
        _ => bail!("there is no role {role:?}"),
    }
}

/// Warm-up before each measurement: connections open, code and caches warm.
const WARM_UP: Duration = Duration::from_millis(300);

#[tokio::main]
async fn measure(options: &Options) -> anyhow::Result<()> {
    let bytes = options.bytes.to_string();
    let upstream = Server::again(&["upstream", &bytes]).await.context("the upstream")?;
    let proxy = Server::again(&["proxy", &upstream.addr.to_string()]).await.context("the bare proxy")?;
    let gateway = match options.without_gateway {
        true => None,
        false => Some(gateway::Gateway::start(upstream.addr).await.context("the gateway")?),
    };
    let key = gateway.as_ref().map_or("none", |gateway| gateway.key());
    let load = Load::new(options.bytes, key);

    let mut paths =
        vec![Path::new("direct", upstream.addr, None), Path::new("bare proxy", proxy.addr, Some(proxy.pid))];
    if let Some(gateway) = &gateway {
        gateway.ready(&load).await?;
        paths.push(Path::new("gateway", gateway.addr(), Some(gateway.pid())));
    }
    let mut rows = Vec::new();
    for &connections in &options.connections {
        let mut samples: Vec<Vec<Sample>> = paths.iter().map(|_| Vec::new()).collect();
        for round in 0..options.rounds {
            note(format_args!("{connections} connections, round {} of {}", round + 1, options.rounds))?;
            let mut order: Vec<_> = paths.iter().zip(&mut samples).collect();
            // Back and forth, so that a machine that warms up or slows down favours nobody.
            if round % 2 == 1 {
                order.reverse();
            }
            for (path, samples) in order {
                load.run(path.addr, connections, WARM_UP).await.context(path.name)?;
                let watched = (path.pid, upstream.pid);
                let time = Duration::from_secs(options.seconds.into());
                samples.push(load.sample(path.addr, connections, time, watched).await.context(path.name)?);
            }
        }
        rows.extend(
            paths
                .iter()
                .zip(samples)
                .map(|(path, samples)| report::Row::new(path.name, connections, &samples)),
        );
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", machine::describe()?)?;
    writeln!(out, "{}", report::table(&rows, options))?;
    Ok(())
}

/// A way to the upstream.
struct Path {
    name: &'static str,
    addr: SocketAddr,
    /// The process in the middle, where there is one.
    pid: Option<u32>,
}

impl Path {
    const fn new(name: &'static str, addr: SocketAddr, pid: Option<u32>) -> Self {
        Self { name, addr, pid }
    }
}

/// Says what is going on, to a person who waits.
fn note(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}
