//! `sluicegate demo-upstream`: one of the demo's tool servers, in a process of its own. Hidden.
//!
//! Must never outlive whoever started it: it ends when standard input does, which the kernel sees to even
//! where the parent was killed.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::io::AsyncReadExt as _;

use crate::demo::{self, Kind};

/// The arguments of `demo-upstream`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoUpstream {
    /// Which tool server: mail, calendar or browser
    #[arg(value_parser = kind)]
    kind: Kind,
    /// Serve Streamable HTTP on this loopback address instead of standard input and output
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join("`, `");
        format!("there are `{names}`")
    })
}

/// What the HTTP form says on standard output once it listens, before its URL.
pub(super) const LISTENING: &str = "listening on ";

#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(command: DemoUpstream) -> anyhow::Result<ExitCode> {
    match command.http {
        None => demo::serve_stdio(command.kind).await?,
        Some(addr) => {
            let host = demo::serve_http(command.kind, addr).await?;
            writeln!(std::io::stdout(), "{LISTENING}{}", host.url())?;
            until_input_ends().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn until_input_ends() {
    let (mut input, mut scrap) = (tokio::io::stdin(), [0; 256]);
    while !matches!(input.read(&mut scrap).await, Ok(0) | Err(_)) {}
}
