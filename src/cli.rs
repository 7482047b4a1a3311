//! The commands, one file each: argv in, text and an exit code out.
//!
//! Must never decide anything that a room decides.

mod admin;
mod approvals;
mod audit;
mod caller;
mod check;
mod clients;
mod columns;
mod completions;
mod connect;
mod credential;
mod demo;
mod demo_upstream;
mod diff;
mod doctor;
mod exit;
mod explain;
mod form;
mod html;
mod init;
mod key;
mod label;
mod learn;
mod log;
mod man;
mod matrix;
mod pins;
mod place;
mod plan;
mod privileges;
mod progress;
mod recorded;
mod reload;
mod revocations;
mod run;
mod runs;
mod schema;
mod serve;
mod source;
mod token;
mod way;
mod who_can;

use std::process::ExitCode;

use clap::Parser;

/// An MCP gateway that decides by where a prompt came from.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve the gateway of a configuration
    Serve(serve::Serve),
    /// Answer what runs may do only once a person says yes: calls, and steps of plans
    Approvals(approvals::Approvals),
    /// Follow, show and verify the audit journal
    Audit(audit::Audit),
    /// Check a configuration: every problem at once, with its place and what to do
    Check(check::Check),
    /// Print what each known client needs to reach the gateway of a configuration
    Clients(clients::Clients),
    /// Write what a shell needs to complete this command line
    Completions(completions::Completions),
    /// Let a client that can only start processes talk to a gateway: stdio in, Streamable HTTP out
    Connect(Box<connect::Connect>),
    /// Try the gateway on demo tool servers, with a key for each source, and watch each call being decided
    Demo(demo::Demo),
    /// Show what another policy would have said to the calls that a journal holds
    Diff(diff::Diff),
    #[command(hide = true)]
    DemoUpstream(demo_upstream::DemoUpstream),
    /// Explain a decision: what each source, role and agent says to a call, and what would have to be different
    Explain(explain::Explain),
    /// Say what is wrong with clients and tool servers, and how to mend it
    Doctor(doctor::Doctor),
    /// Take over the tool servers of your clients: find them, list their tools, write a first configuration
    Init(init::Init),
    /// Make API keys
    Key(key::Key),
    /// Write the least policy that covers what a journal holds, to be read and pasted
    Learn(learn::Learn),
    /// Write the manual pages of this command line
    Man(man::Man),
    /// Show what each source leaves open of each tool, in the terminal or as a page
    Matrix(matrix::Matrix),
    /// Show and accept tool definitions that changed
    Pins(pins::Pins),
    /// Review plans: what of them is granted, what needs a person, and by which rule
    Plan(plan::Plan),
    /// Read the configuration of a running gateway anew, and say what changed and what is wider
    Reload(reload::Reload),
    /// Start a command as one run of an agent, with a token that it can neither choose nor change
    Run(run::Run),
    #[command(hide = true)]
    OwnSession(run::session::OwnSession),
    #[command(hide = true)]
    RunGuard(run::guard::RunGuard),
    /// Show what is revoked, and lift it
    Revocations(revocations::Revocations),
    /// Show, end and revoke the runs of a running gateway
    Runs(runs::Runs),
    /// Print the JSON Schema of gateway.toml, for editors
    Schema(schema::Schema),
    /// Close a source at once, or open it again
    Source(source::Source),
    /// Make, renew and look at run tokens; rotate the key that signs them
    Token(token::Token),
    /// List every source, role and agent that together can reach a tool
    WhoCan(who_can::WhoCan),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let done = match cli.command {
        Command::Serve(command) => serve::run(command),
        Command::Approvals(command) => approvals::run(command),
        Command::Audit(command) => audit::run(&command),
        Command::Check(command) => check::run(command),
        Command::Clients(command) => clients::run(&command),
        Command::Doctor(command) => doctor::run(command),
        Command::Init(command) => init::run(command),
        Command::Schema(command) => schema::run(&command),
        Command::Demo(command) => demo::run(command),
        Command::Diff(command) => diff::run(&command),
        Command::DemoUpstream(command) => demo_upstream::run(command),
        Command::Explain(command) => explain::run(&command),
        Command::Key(command) => key::run(command),
        Command::Completions(command) => completions::run(&command),
        Command::Connect(command) => connect::run(*command),
        Command::Learn(command) => learn::run(&command),
        Command::Man(command) => man::run(&command),
        Command::Matrix(command) => matrix::run(&command),
        Command::Pins(command) => pins::run(command),
        Command::Plan(command) => plan::run(&command),
        Command::Reload(command) => reload::run(command),
        Command::Revocations(command) => revocations::run(command),
        Command::Run(command) => run::run(command),
        Command::OwnSession(command) => run::session::begin(&command),
        Command::RunGuard(command) => run::guard::run(command),
        Command::Runs(command) => runs::run(command),
        Command::Source(command) => source::run(command),
        Command::Token(command) => token::run(command),
        Command::WhoCan(command) => who_can::run(&command),
    };
    done.unwrap_or_else(|error| exit::failed(&error))
}
