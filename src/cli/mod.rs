//! The command line: what may be written, and which file does it.
//!
//! Whatever concerns the running daemon goes through its admin socket (`client`), so that no
//! second process ever opens the database. `serve`, `check` and `preview --file` read the
//! configuration themselves. Text for people is made in `output`.

mod account;
mod check;
mod client;
mod connector;
mod demo;
mod entry;
mod held;
mod offline;
mod output;
mod page;
mod preview;
mod queue;
mod reconcile;
mod requests;
mod resync;
mod serve;
mod status;
mod subject;
mod token;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use scim_relay::config::Diagnostic;

use client::Client;
use output::Screen;

/// The main file, where neither `--config` nor the environment names one.
const CONFIG: &str = "/etc/scim-relay/config.toml";

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  failed
   2  wrong usage
   3  a difference was found (reconcile --dry-run)
  65  the database is damaged, or older than what was acknowledged (serve)
  74  the disk could not sync what was written (serve)
  78  the configuration cannot be used";

/// Takes SCIM 2.0 pushes from identity providers, keeps them, and brings directories, webhooks and
/// mail in line.
#[derive(Debug, Parser)]
#[command(name = "scim-relay", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// The main configuration file [default: /etc/scim-relay/config.toml]
    #[arg(
        long,
        global = true,
        env = "SCIM_RELAY_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon; SIGTERM stops it, SIGHUP makes it read the configuration again
    Serve(serve::Args),
    /// A whole school on this machine, with nothing installed: people are pushed, and arrive
    Demo(demo::Args),
    /// Find every mistake in the configuration, without starting anything
    Check(check::Args),
    /// How everything is, and what waits for a person
    Status(status::Args),
    /// The bearer tokens that identity providers push with
    #[command(subcommand)]
    Token(token::Command),
    /// Who may come in to the console
    #[command(subcommand)]
    Account(account::Command),
    /// The targets
    #[command(subcommand)]
    Connector(connector::Command),
    /// What waits for a person's approval
    #[command(subcommand)]
    Held(held::Command),
    /// What would be written for one resource, as the target sees it; nothing is sent
    Preview(preview::Args),
    /// What is still to be delivered
    #[command(subcommand)]
    Queue(queue::Command),
    /// One person's whole story: what the provider sent, and where each connector stands
    Trace(trace::Args),
    /// What a provider asked lately, and what it was answered, without secrets
    Requests(requests::Args),
    /// Compare a target with what it should hold, and put right what differs
    Reconcile(reconcile::Args),
    /// Deliver again, whatever is known of the target
    Resync(resync::Args),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done,
    Failed,
    Usage,
    /// What was compared differs.
    Difference,
    /// EX_DATAERR of sysexits.h; systemd does not restart after it.
    Damaged,
    /// EX_CONFIG of sysexits.h; systemd does not restart after it.
    Configuration,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Difference => 3,
            Exit::Damaged => 65,
            Exit::Configuration => 78,
        })
    }
}

/// Why a command came to nothing, for the person who gave it.
#[derive(Debug)]
enum Failure {
    /// A sentence that says what to do.
    Failed(String),
    /// The command line itself is at fault.
    Usage(String),
    /// Every mistake and warning.
    Configuration(Vec<Diagnostic>),
    /// What the configuration names cannot be used.
    Unusable(String),
    /// What is stored cannot be used.
    Damaged(String),
}

type Result<T = Exit> = std::result::Result<T, Failure>;

/// What a command works with.
struct Context {
    config: Option<PathBuf>,
    screen: Screen,
}

impl Context {
    fn config_file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| CONFIG.into())
    }

    fn client(&self) -> Result<Client> {
        Client::new(self.config.as_deref())
    }
}

/// Reads the command line, does what it says, and says how it went.
pub(crate) async fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let context = Context { config: global.config, screen: Screen::new() };
    match Box::pin(run(&context, command)).await {
        Ok(code) => code,
        Err(failure) => context.screen.failure(&failure).into(),
    }
}

async fn run(context: &Context, command: Command) -> Result<ExitCode> {
    let exit = match command {
        Command::Demo(args) => return Ok(demo::run(args).await),
        Command::Serve(args) => serve::run(context, args).await,
        Command::Check(args) => check::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Token(command) => token::run(context, command).await,
        Command::Account(command) => account::run(context, command).await,
        Command::Connector(command) => connector::run(context, command).await,
        Command::Held(command) => held::run(context, command).await,
        Command::Preview(args) => preview::run(context, args).await,
        Command::Queue(command) => queue::run(context, command).await,
        Command::Trace(args) => trace::run(context, args).await,
        Command::Requests(args) => requests::run(context, args).await,
        Command::Reconcile(args) => reconcile::run(context, args).await,
        Command::Resync(args) => resync::run(context, args).await,
    };
    exit.map(ExitCode::from)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_makes_sense_to_clap() {
        Cli::command().debug_assert();
    }
}
