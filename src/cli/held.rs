//! `held`: what waits for a person's approval.

use clap::Subcommand;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::daemon::admin::wire::{Rows, Touching};
use scim_relay::operator::QueueQuery;
use scim_relay::store::Entry;

use super::client::{address, query};
use super::output::{Cell, Side, Style, Table, counted, relative};
use super::subject::resource_key;
use super::{Context, Exit, Result};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// What waits, and what for
    List {
        connector: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Let these go, as they are now; a later change asks again
    Approve(Chosen),
    /// Give these up, until somebody retries them
    Reject {
        #[command(flatten)]
        chosen: Chosen,
        /// Why; it is kept in the audit log and shown with each of them
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// All that a connector holds, or some of it.
#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    connector: String,
    /// As `held list` prints them
    #[arg(value_name = "KIND/ID", value_parser = resource_key, required_unless_present = "all")]
    resources: Vec<String>,
    /// Everything that waits at this connector
    #[arg(long, conflicts_with = "resources")]
    all: bool,
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    match command {
        Command::List { connector, json } => {
            let to = query(address(&["held"]), &[("connector", connector.as_deref())]);
            let entries: Vec<Entry> = context.client()?.get(&to).await?;
            if json {
                context.screen.json(&entries)?;
            } else if entries.is_empty() {
                context.screen.note("Nothing waits for approval.");
            } else {
                context.screen.out(&table(&entries).text(&context.screen))?;
            }
        }
        Command::Approve(chosen) => touch(context, "approve", chosen, String::new()).await?,
        Command::Reject { chosen, reason } => touch(context, "reject", chosen, reason).await?,
    }
    Ok(Exit::Done)
}

/// One by one where some are named; what was done stays done when a later one fails.
async fn touch(context: &Context, verb: &str, chosen: Chosen, reason: String) -> Result<()> {
    let client = context.client()?;
    let Chosen { connector, resources, .. } = chosen;
    let each: Vec<Option<String>> = match resources.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let done = if verb == "approve" { "approved" } else { "rejected" };
    for resource in each {
        let what = resource.clone().unwrap_or_else(|| connector.clone());
        let rows =
            QueueQuery { connector: Some(connector.clone()), resource, ..QueueQuery::default() };
        let touching = Touching { rows, reason: reason.clone() };
        let Rows { rows } = client.post(&address(&["held", verb]), &touching).await?;
        context.screen.note(&format!("{what}: {} {done}", counted(rows, "entry", "entries")));
    }
    Ok(())
}

fn table(entries: &[Entry]) -> Table {
    let now = SystemClock.now();
    let mut table = Table::new(&[
        ("CONNECTOR", Side::Left),
        ("WHAT FOR", Side::Left),
        ("NAME", Side::Left),
        ("RESOURCE", Side::Left),
        ("SINCE", Side::Left),
        ("WHY", Side::Left),
    ]);
    for entry in entries {
        table.row([
            Cell::styled(entry.connector.as_str(), Style::Bold),
            Cell::styled(
                entry.hold_kind.as_deref().unwrap_or("-").replace('_', " "),
                Style::Yellow,
            ),
            entry.name.as_str().into(),
            format!("{}/{}", entry.kind, entry.id).into(),
            relative(now, entry.dirty_at).into(),
            entry.last_error.as_deref().unwrap_or("-").into(),
        ]);
    }
    table
}
