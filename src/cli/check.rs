//! `check`: every mistake in the configuration, and with `--online` every target that does not
//! answer. Starts nothing and changes nothing.

use std::path::Path;
use std::sync::Arc;

use scim_relay::config::{Config, ConnectorConfig, Diagnostic, credentials_directory, load};
use scim_relay::daemon::connectors::KINDS;
use scim_relay::http::load_tls;
use scim_relay_sdk::connector::Connector;

use super::output::{Style, counted, tame};
use super::serve::chain;
use super::{Context, Exit, Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also connect to every target with the configured credentials; nothing is written there
    #[arg(long)]
    online: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let credentials = credentials_directory();
    let (config, warnings) = load(&context.config_file(), KINDS, credentials.as_deref())
        .map_err(Failure::Configuration)?;
    context.screen.diagnostics(&warnings);
    if let Some(tls) = &config.listener.tls {
        load_tls(&tls.certificate, &tls.key).map_err(|error| Failure::Unusable(chain(&error)))?;
    }
    let built = build(context, &config, credentials.as_deref())?;
    let everybody_answers = !args.online || probe(context, &built).await?;
    let fine = format!(
        "configuration is fine: {}, {}\n",
        counted(config.organizations.len() as u64, "organization", "organizations"),
        counted(config.connectors.len() as u64, "connector", "connectors"),
    );
    context.screen.out(&fine)?;
    Ok(if everybody_answers { Exit::Done } else { Exit::Failed })
}

type Built<'c> = Vec<(&'c ConnectorConfig, Arc<dyn Connector>)>;

/// Makes each connector, as the daemon would: this reads the templates and secrets that they name.
fn build<'c>(
    context: &Context,
    config: &'c Config,
    credentials: Option<&Path>,
) -> Result<Built<'c>> {
    let mut built = Vec::new();
    let mut mistakes: Vec<Diagnostic> = Vec::new();
    for connector in config.connectors.iter().filter(|connector| connector.enabled) {
        if !connector.secrets_are_in_reach(credentials) {
            context.screen.note(&format!(
                "{}: not tried, since only the service can read its credentials",
                connector.name
            ));
            continue;
        }
        match connector.build(credentials) {
            Ok(made) => built.push((connector, made)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() { Ok(built) } else { Err(Failure::Configuration(mistakes)) }
}

/// Asks each target in turn; whether all of them answered.
async fn probe(context: &Context, built: &Built<'_>) -> Result<bool> {
    let mut all = true;
    for (config, connector) in built {
        let probed = tokio::time::timeout(config.limits.timeout, connector.probe()).await;
        let (style, said) = match probed {
            Ok(Ok(health)) => (Style::Green, health.summary),
            Ok(Err(error)) => (Style::Red, error.chain()),
            Err(_) => (Style::Red, format!("no answer within {:?}", config.limits.timeout)),
        };
        all &= style == Style::Green;
        let word = if style == Style::Green { "answers" } else { "fails" };
        let word = context.screen.paint(style, word);
        context.screen.out(&format!("{}: {word}: {}\n", config.name, tame(&said)))?;
    }
    Ok(all)
}
