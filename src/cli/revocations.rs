//! `sluicegate revocations`: what is revoked, and lifting it. Revoking is `sluicegate runs revoke`.
//!
//! Must never lift by pattern: one name, whole.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, failed, json, time};
use super::columns;
use crate::console::RevocationEntry;
use crate::model::barrier::Revoked;
use crate::model::name::{EntryPointName, Subject};

/// Show what is revoked, and lift it.
#[derive(Debug, Args)]
pub(super) struct Revocations {
    #[command(subcommand)]
    command: RevocationsCommand,
    #[command(flatten)]
    target: Target,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RevocationsCommand {
    /// List the subjects and entry points whose credentials do not count
    List,
    /// Let their credentials count again, on the record. Runs that were ended stay ended
    #[command(arg_required_else_help = true)]
    Lift(Whose),
}

/// Whose credentials.
#[derive(Debug, Clone, Args)]
#[group(id = "whose", multiple = false)]
pub(super) struct Whose {
    /// Everything on behalf of this subject, at every entry point
    #[arg(long, value_name = "SUBJECT", value_parser = Subject::new)]
    subject: Option<Subject>,
    /// Everything that this entry point vouches for, or a dispatcher asks for: `keys.NAME`, `issuers.NAME`, `dispatchers.NAME`
    #[arg(long, value_name = "NAME", value_parser = EntryPointName::new)]
    entry_point: Option<EntryPointName>,
}

impl Whose {
    /// The one that was named; clap lets no second one through.
    pub(super) fn named(&self) -> Option<Revoked> {
        let subject = self.subject.clone().map(Revoked::Subject);
        subject.or_else(|| self.entry_point.clone().map(Revoked::EntryPoint))
    }
}

/// Runs the command.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(args: Revocations) -> anyhow::Result<ExitCode> {
    conclude(answer(&args, &mut io::stdout()).await)
}

async fn answer(args: &Revocations, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(&args.target.config)?;
    match &args.command {
        RevocationsCommand::List => {
            let revoked = client.revocations().await.map_err(failed)?;
            if args.json { json(&revoked, out) } else { Ok(list(&revoked, out)?) }
        }
        RevocationsCommand::Lift(whose) => {
            let Some(who) = whose.named() else { return Ok(()) };
            client.lift(&who).await.map_err(failed)?;
            if args.json {
                json(&serde_json::json!({ "lifted": who }), out)
            } else {
                Ok(writeln!(out, "credentials of {who} count again")?)
            }
        }
    }
}

fn list(revoked: &[RevocationEntry], out: &mut impl Write) -> io::Result<()> {
    if revoked.is_empty() {
        return writeln!(out, "nothing is revoked");
    }
    let rows = revoked.iter().map(|RevocationEntry { who, since }| {
        let (what, name) = match who {
            Revoked::Subject(subject) => ("subject", subject.as_str()),
            Revoked::EntryPoint(entry_point) => ("entry point", entry_point.as_str()),
        };
        [what.to_owned(), name.to_owned(), time(since.at), format!("uid {}", since.by.uid)]
    });
    columns::write(["REVOKED", "NAME", "SINCE", "BY"], rows, out)
}
