//! `resync`: resources marked to be delivered again.

use scim_relay::daemon::admin::wire::{self, Rows};
use scim_relay::operator::ConnectorLine;

use super::client::address;
use super::output::number;
use super::subject::named;
use super::{Context, Exit, Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    connector: Option<String>,
    /// At every connector
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    whom: Whom,
    /// Only in this organization
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// One user, by userName or id
    #[arg(long, value_name = "USERNAME")]
    user: Option<String>,
    /// One group, by displayName or id
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Every user and every group
    #[arg(long)]
    everyone: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let client = context.client()?;
    let connectors = if let Some(name) = args.connector {
        vec![name]
    } else {
        let lines: Vec<ConnectorLine> = client.get(&address(&["connectors"])).await?;
        let enabled = lines.into_iter().filter(|line| line.state != "disabled");
        enabled.map(|line| line.name).collect()
    };
    if connectors.is_empty() {
        return Err(Failure::Failed("there is no connector to deliver anything to".to_owned()));
    }
    let everyone = args.whom.everyone;
    let wish =
        wire::Resync { organization: args.org, subject: named(args.whom.user, args.whom.group) };
    for name in connectors {
        let Rows { rows } = client.post(&address(&["connectors", &name, "resync"]), &wish).await?;
        let what = if everyone { "everyone".to_owned() } else { number(rows) };
        context.screen.note(&format!(
            "{name}: {what} marked; `scim-relay queue list --connector {name}` shows how it goes"
        ));
    }
    Ok(Exit::Done)
}
