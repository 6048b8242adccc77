//! `serve`: the daemon, from its configuration to its last delivery.

use std::process::ExitCode;

use scim_relay::config::{credentials_directory, load};
use scim_relay::daemon::connectors::KINDS;
use scim_relay::daemon::{Daemon, StartError, telemetry};
use scim_relay::store::Lost;

use super::{Context, Exit, Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on without acknowledged changes that are missing from the database, once: its WAL is
    /// damaged or gone, or an older copy was put in its place
    #[arg(long)]
    accept_loss: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let credentials = credentials_directory();
    let (config, warnings) = load(&context.config_file(), KINDS, credentials.as_deref())
        .map_err(Failure::Configuration)?;
    telemetry::init();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let lost = if args.accept_loss { Lost::Accepted } else { Lost::Refused };
    let daemon = Box::pin(Daemon::start(config, credentials, lost)).await.map_err(failure)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        scim = %daemon.scim_address(),
        console = %daemon.console_address(),
        "scim-relay serves"
    );
    invite_first(&daemon).await;
    let ended = Box::pin(daemon.run()).await;
    Ok(if ended == ExitCode::SUCCESS { Exit::Done } else { Exit::Failed })
}

/// While nobody can administer the console: a link for whoever is to be first. The log is where whoever
/// installs the relay looks, and nobody else.
async fn invite_first(daemon: &Daemon) {
    match daemon.operator().link_for_first().await {
        Ok(None) => {}
        Ok(Some(link)) => tracing::info!(
            link = link.url,
            "nobody can administer the console yet: whoever opens this link first, within 24 hours, \
             becomes its administrator; a restart makes a new one"
        ),
        Err(error) => {
            tracing::warn!(%error, "cannot make a link for the console's first administrator");
        }
    }
}

fn failure(error: StartError) -> Failure {
    let code = error.exit_code();
    match error {
        StartError::Config(mistakes) => Failure::Configuration(mistakes),
        other => {
            let message = chain(&other);
            match code {
                65 => Failure::Damaged(message),
                78 => Failure::Unusable(message),
                _ => Failure::Failed(message),
            }
        }
    }
}

/// An error with its causes, each once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
