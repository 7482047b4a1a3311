//! `sluicegate run`: starts a command as one run of an agent, with a token that it can neither choose nor
//! change, and renews the token for as long as the command lives.
//!
//! Must never put the token on a command line, in a log, or, unless told to, in the environment; must
//! never leave anything behind: not the token, not the command, not what it started.

mod child;
mod client;
mod group;
pub(super) mod guard;
mod handout;
mod place;
pub(super) mod session;
mod stat;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::admin::{Target, client as gateway_of, failed};
use super::credential::{self, CredentialSource};
use super::label::Label;
use super::log;
use super::plan::submit;
use crate::clock::Clock;
use crate::config;
use crate::console::{Client, ClientError, MintedToken, RenewalRequest};
use crate::identity::MINT_ENTRY_POINT;
use crate::model::claim::ClaimName;
use crate::model::mint::TokenRequest;
use crate::model::name::{EntryPointName, Txn};
use crate::model::reason::Reason;
use crate::model::text::printable;
use crate::telemetry::LogFormat;

use child::Command;
use client::{ClientKind, Endpoint};
use guard::Guard;
use handout::{Handout, Via};
use place::PrivateDir;
use user::User;

/// How long to wait after a renewal that failed.
const RENEW_RETRY: Duration = Duration::from_secs(10);
/// Shortest time between two renewals, however short a token lives.
const RENEW_INTERVAL_MIN: Duration = Duration::from_secs(1);
const LOG_FILTER: &str = "warn";
/// Which run a command belongs to, for `--txn`.
const TXN_VARIABLE: &str = "SLUICEGATE_TXN";

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    #[command(flatten)]
    label: Label,
    #[command(flatten)]
    target: Target,
    /// Start the command as this user, so that it cannot read the gateway's keys; needs root
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// With --user: pass this environment variable on; may be repeated
    #[arg(long = "env", value_name = "NAME", requires = "user")]
    env: Vec<String>,
    /// How the command gets its token
    #[arg(long, value_enum, default_value = "file")]
    via: Via,
    /// Configure this MCP client for the command
    #[arg(long, value_enum)]
    client: Option<ClientKind>,
    /// The listener that the command shall use, where the gateway has several
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Leave the run open when the command ends: other commands join it by --txn
    #[arg(long)]
    keep_run: bool,
    /// Submit this plan in the run before the command starts; it does not start where a step is refused
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The thread that starts the command is the one that waits for it.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(command: Run) -> anyhow::Result<ExitCode> {
    log::start(LogFormat::Text, LOG_FILTER)?;
    session::keep_descriptors();
    let path = &command.target.config;
    let request = command.label.request(&config::declarations(path))?;
    let user = command.user.as_deref().map(User::find).transpose()?;
    if let Some(kind) = command.client {
        kind.check(command.via)?;
    }
    if user.is_some() && session::has_terminal() {
        return session::apart().await;
    }
    let plan = command.plan.as_deref().map(submit::read).transpose()?;
    let gateway = gateway_of(path)?;
    let status = gateway.status().await.map_err(failed)?;
    let endpoint = Endpoint::choose(&status.listeners, command.listener.as_deref())?;
    // From here on somebody cleans up, whatever becomes of this process.
    let mut guard = Guard::start()?;
    let minted = gateway.mint(&request).await.map_err(failed)?;
    let kept = Kept { txn: minted.txn.clone(), request };
    let outcome = match submit_first(plan.as_deref(), &endpoint, &minted).await {
        Ok(()) => lead(&command, user, &endpoint, &gateway, &kept, minted, &mut guard).await,
        Err(refused) => Err(refused),
    };
    // Whoever joined a run does not end it for those who were there before.
    if !command.keep_run && kept.request.txn.is_none() {
        kept.end(&gateway).await;
    }
    guard.dismiss().await;
    outcome
}

/// Has the plan reviewed in the run, before anything that the command reads can join it. Told on standard error: what
/// the command says is its own.
async fn submit_first(plan: Option<&[u8]>, endpoint: &Endpoint, minted: &MintedToken) -> anyhow::Result<()> {
    let Some(plan) = plan else { return Ok(()) };
    let credential = CredentialSource::Known(credential::of_text(minted.token.reveal())?);
    let answered = submit::submit(&endpoint.of_client(credential)?, plan).await?;
    answered.write(&mut std::io::stderr().lock())?;
    if answered.is_refused() {
        bail!("a step of the plan is refused, so the command is not started");
    }
    Ok(())
}

/// Hands the token out, starts the command and stays with it to its end.
async fn lead(
    command: &Run,
    user: Option<User>,
    endpoint: &Endpoint,
    gateway: &Client,
    run: &Kept,
    minted: MintedToken,
    guard: &mut Guard,
) -> anyhow::Result<ExitCode> {
    let dir = PrivateDir::make(user.as_ref())?;
    guard.clean(dir.path())?;
    let handout = Handout::open(command.via, &dir, user.as_ref(), &minted.token)?;
    let plan = client::plan(command.client, &command.command, endpoint, &handout, &dir)?;
    dir.give()?;
    let mut started = Command::new(&plan, user.as_ref(), &command.env)?;
    started.variables(endpoint.variables());
    started.variables(handout.variables());
    started.variable(TXN_VARIABLE, minted.txn.as_str());
    let mut child = handout.lend(|| started.spawn(guard.group()))?;
    guard.watch(&child)?;
    let status = tokio::select! {
        status = child.wait() => status.context("cannot wait for the command"),
        () = handout.serve() => Err(anyhow::anyhow!("the token cannot be handed out any more")),
        () = run.renew(gateway, &handout, minted) => Err(anyhow::anyhow!("the token is not renewed any more")),
    };
    drop(handout);
    dir.remove();
    child::exit_code(status?)
}

/// What is asked again and again while the command lives.
struct Kept {
    txn: Txn,
    request: TokenRequest,
}

impl Kept {
    /// Ends the run, so that a token that got away opens nothing more: also where the command never called.
    async fn end(&self, gateway: &Client) {
        let ended = match EntryPointName::new(MINT_ENTRY_POINT) {
            Ok(entry_point) => {
                let name = ClaimName { entry_point, txn: self.txn.clone() };
                gateway.end_claim(&name).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = ended {
            let error = printable(&error);
            tracing::warn!(
                "the run could not be ended: its token counts until it expires, and the run ends by \
                 `run_idle`: {error}"
            );
        }
    }

    /// Renews the token before it ends, for as long as this is polled.
    async fn renew(&self, gateway: &Client, handout: &Handout<'_>, mut current: MintedToken) {
        let clock = Clock::system();
        if !handout.is_renewable() {
            return std::future::pending().await;
        }
        let mut wait = until_renewal(current.expires_in);
        loop {
            tokio::time::sleep(wait).await;
            match self.next(gateway, &current, &clock).await {
                Ok(minted) => {
                    if let Err(error) = handout.publish(&minted.token) {
                        tracing::error!(%error, "the renewed token cannot be handed out");
                    }
                    wait = until_renewal(minted.expires_in);
                    current = minted;
                }
                Err(ClientError::Refused { reason, message }) if is_final(&reason) => {
                    tracing::warn!("the token is not renewed any more: {}", printable(&message));
                    return std::future::pending().await;
                }
                Err(error) => {
                    tracing::warn!("the token cannot be renewed now: {}", printable(&error.to_string()));
                    wait = RENEW_RETRY;
                }
            }
        }
    }

    /// A token that has expired cannot be renewed: another one for the same run is asked for.
    async fn next(
        &self,
        gateway: &Client,
        current: &MintedToken,
        clock: &Clock,
    ) -> Result<MintedToken, ClientError> {
        if clock.wall().as_second() < current.exp {
            let ttl_s = self.request.ttl_s;
            return gateway.renew(&RenewalRequest { token: current.token.clone(), ttl_s }).await;
        }
        let request = TokenRequest { txn: Some(self.txn.clone()), ..self.request.clone() };
        gateway.mint(&request).await
    }
}

/// Whether asking again can change nothing.
fn is_final(reason: &str) -> bool {
    [Reason::RunEnded, Reason::CredentialRevoked, Reason::LabelForbidden]
        .iter()
        .any(|one| one.code() == reason)
}

/// After two thirds of a lifetime: a gateway that restarts meanwhile is waited for.
fn until_renewal(expires_in: i64) -> Duration {
    let lifetime = Duration::from_secs(u64::try_from(expires_in).unwrap_or_default());
    (lifetime.saturating_mul(2) / 3).max(RENEW_INTERVAL_MIN)
}
