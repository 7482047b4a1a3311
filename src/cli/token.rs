//! `sluicegate token`: run tokens that a running gateway makes, and what a token says.
//!
//! Must never write a token anywhere but to standard output, nor take one from the command line where
//! there is another way: other users of the machine see it there.

mod inspect;

use std::io::{self, Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, failed};
use super::credential::{CREDENTIAL_BYTES_MAX, Credential, CredentialSource};
use super::label::{Label, ttl};
use super::{credential, exit};
use crate::config;
use crate::console::{MintedToken, RenewalRequest};
use crate::model::mint::TokenText;

/// Make, renew and look at run tokens; rotate the key that signs them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Option<TokenCommand>,
    /// Write the headers that carry a token as one JSON object: for `headersHelper` of Claude Code
    #[arg(long)]
    json_headers: bool,
    /// A file that holds the token and that nobody else can read; without it, what `sluicegate run` says
    #[arg(long, value_name = "FILE", group = "where", requires = "json_headers")]
    token_file: Option<PathBuf>,
    /// A unix socket that hands out the token
    #[arg(long, value_name = "PATH", group = "where", requires = "json_headers")]
    token_socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a run token and write it, alone, to standard output
    Mint(Mint),
    /// Read a run token from standard input and write one that says the same, with a new end
    Renew(Renew),
    /// Read a token from standard input and show what it says and whether the gateway accepts it
    Inspect(inspect::Inspect),
    /// Have a new key sign from now on; tokens of the one before are accepted until they expire
    RotateKey(RotateKey),
}

#[derive(Debug, Args)]
struct Mint {
    #[command(flatten)]
    label: Label,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Args)]
struct Renew {
    /// For how long the token is valid, for instance 15m; the default is the gateway's
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    ttl: Option<Duration>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Args)]
struct RotateKey {
    #[command(flatten)]
    target: Target,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// How a token is written.
#[derive(Debug, Args)]
struct Form {
    /// Write one JSON object with `token`, `txn`, `exp`, `expires_in` and `audience` instead
    #[arg(long, group = "form")]
    json: bool,
    /// Write the headers that carry the token as one JSON object instead
    #[arg(long, group = "form")]
    json_headers: bool,
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(command: Token) -> anyhow::Result<ExitCode> {
    let out = &mut io::stdout();
    match command.command {
        Some(TokenCommand::Mint(command)) => conclude(mint(&command, out).await),
        Some(TokenCommand::Renew(command)) => conclude(renew(&command, out).await),
        Some(TokenCommand::Inspect(command)) => inspect::run(command, out).await,
        Some(TokenCommand::RotateKey(command)) => conclude(rotate(&command, out).await),
        None => {
            let source = match (command.token_file, command.token_socket) {
                (_, Some(path)) => CredentialSource::Socket(path),
                (Some(path), None) => CredentialSource::File(path),
                (None, None) => CredentialSource::of_run()?,
            };
            conclude(json_headers(&source, out).await)
        }
    }
}

async fn mint(command: &Mint, out: &mut impl Write) -> anyhow::Result<()> {
    let path = &command.target.config;
    let request = command.label.request(&config::declarations(path))?;
    let minted = client(path)?.mint(&request).await.map_err(failed)?;
    write(&minted, &command.form, out)
}

async fn renew(command: &Renew, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(&command.target.config)?;
    let token = read_token()?;
    let ttl_s = command.ttl.map(|ttl| ttl.as_secs());
    let minted = client.renew(&RenewalRequest { token, ttl_s }).await.map_err(failed)?;
    write(&minted, &command.form, out)
}

async fn rotate(command: &RotateKey, out: &mut impl Write) -> anyhow::Result<()> {
    let rotated = client(&command.target.config)?.rotate_token_key().await.map_err(failed)?;
    if command.json {
        writeln!(out, "{}", serde_json::to_string(&rotated)?)?;
    } else {
        writeln!(out, "the key {} signs from now on", rotated.kid)?;
    }
    Ok(())
}

async fn json_headers(source: &CredentialSource, out: &mut impl Write) -> anyhow::Result<()> {
    let credential = source.read().await.map_err(|error| exit::misconfigured(&error))?;
    write_headers(&credential.context("--token-file or --token-socket says where the token is")?, out)
}

fn write(minted: &MintedToken, form: &Form, out: &mut impl Write) -> anyhow::Result<()> {
    if form.json {
        writeln!(out, "{}", serde_json::to_string(minted)?)?;
    } else if form.json_headers {
        write_headers(&credential::of_text(minted.token.reveal())?, out)?;
    } else {
        writeln!(out, "{}", minted.token.reveal())?;
    }
    Ok(out.flush()?)
}

/// One object of header names and values, as Claude Code reads it: the helper runs at each connection and
/// has ten seconds.
fn write_headers(credential: &Credential, out: &mut impl Write) -> anyhow::Result<()> {
    let name = match credential.name.as_str() {
        "authorization" => "Authorization",
        _ => "Txn-Token",
    };
    let headers = serde_json::json!({ name: credential.value.to_str()? });
    Ok(writeln!(out, "{headers}")?)
}

/// The token on standard input.
fn read_token() -> anyhow::Result<TokenText> {
    let mut text = String::new();
    io::stdin().take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text).context("cannot read standard input")?;
    let text = text.trim();
    if text.is_empty() {
        bail!("there is no token on standard input");
    }
    Ok(TokenText::new(text.to_owned()))
}
