//! `connector`: the targets, one by one.

use clap::Subcommand;
use scim_relay::daemon::admin::wire::{Answered, Done};
use scim_relay::operator::ConnectorLine;

use super::client::address;
use super::output::{Cell, Side, Style, Table, number, tame};
use super::status::state_style;
use super::{Context, Exit, Result};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The connectors that the daemon knows
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Reach the target with the configured credentials, and say who answered
    Test { name: String },
    /// Deliver nothing more to this target; changes are kept for it
    Pause { name: String },
    /// Let it go on; a target in trouble is tried at once
    Resume { name: String },
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    let client = context.client()?;
    match command {
        Command::List { json } => {
            let lines: Vec<ConnectorLine> = client.get(&address(&["connectors"])).await?;
            if json {
                context.screen.json(&lines)?;
            } else if lines.is_empty() {
                context.screen.note("There are no connectors; a file in connectors.d makes one.");
            } else {
                context.screen.out(&table(&lines).text(&context.screen))?;
            }
        }
        Command::Test { name } => {
            let answered: Answered =
                client.post(&address(&["connectors", &name, "test"]), &()).await?;
            context.screen.out(&format!("{name}: {}\n", tame(&answered.summary)))?;
        }
        Command::Pause { name } => {
            let Done {} = client.post(&address(&["connectors", &name, "pause"]), &()).await?;
            context.screen.note(&format!(
                "{name} is paused; `scim-relay connector resume {name}` lets it go on."
            ));
        }
        Command::Resume { name } => {
            let Done {} = client.post(&address(&["connectors", &name, "resume"]), &()).await?;
            context.screen.note(&format!("{name} goes on."));
        }
    }
    Ok(Exit::Done)
}

fn table(lines: &[ConnectorLine]) -> Table {
    let mut table = Table::new(&[
        ("CONNECTOR", Side::Left),
        ("KIND", Side::Left),
        ("STATE", Side::Left),
        ("WAITING", Side::Right),
        ("PARKED", Side::Right),
        ("HELD", Side::Right),
        ("ORGANIZATIONS", Side::Left),
        ("FILE", Side::Left),
    ]);
    for line in lines {
        table.row([
            Cell::styled(line.name.as_str(), Style::Bold),
            line.kind.as_str().into(),
            Cell::styled(line.state.as_str(), state_style(&line.state)),
            number(line.waiting).into(),
            number(line.parked).into(),
            number(line.held).into(),
            line.organizations.join(", ").into(),
            line.file.as_str().into(),
        ]);
    }
    table
}
