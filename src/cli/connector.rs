//! `connector`: the targets, one by one.

use clap::Subcommand;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::daemon::admin::wire::{Answered, Done, PauseWish};
use scim_relay::operator::words::{counted, number, relative};
use scim_relay::operator::{ConnectorLine, Pausing, Status};
use scim_relay::store::State;

use super::client::{Client, address};
use super::output::{Cell, Side, Style, Table, tame};
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
    Test {
        name: String,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Deliver nothing more to this target; changes are kept for it
    Pause {
        name: String,
        /// Why; it is shown with the connector and kept in the audit log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Let it go on; a target in trouble is tried at once
    Resume {
        name: String,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Drop all that is known of a connector whose file is gone or disabled
    ///
    /// What waits for it, what it delivered and its reports are forgotten; the target itself stays as
    /// it is, and nobody who was sent a mail gets it again. A connector that comes back under the
    /// name is a new one.
    Forget {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    let (client, screen) = (context.client()?, &context.screen);
    match command {
        Command::List { json } => {
            let lines: Vec<ConnectorLine> = client.get(&address(&["connectors"])).await?;
            if json {
                screen.json(&lines)?;
            } else if lines.is_empty() {
                screen.note("There are no connectors; a file in connectors.d makes one.");
            } else {
                screen.out(&table(&lines).text(screen))?;
            }
        }
        Command::Test { name, json } => {
            let answered: Answered =
                client.post(&address(&["connectors", &name, "test"]), &()).await?;
            if json {
                screen.json(&answered)?;
            } else {
                screen.out(&format!("{name}: {}\n", tame(&answered.summary)))?;
            }
        }
        Command::Pause { name, reason, json } => {
            let to = address(&["connectors", &name, "pause"]);
            let pausing: Pausing = client.post(&to, &PauseWish { why: reason }).await?;
            if json {
                screen.json(&pausing)?;
            }
            screen.note(&format!(
                "{name} is paused{}; `scim-relay connector resume {name}` lets it go on.",
                already(&pausing)
            ));
        }
        Command::Resume { name, json } => {
            let to = address(&["connectors", &name, "resume"]);
            let pausing: Pausing = client.post(&to, &()).await?;
            if json {
                screen.json(&pausing)?;
            }
            screen.note(&if pausing.changed {
                format!("{name} goes on.")
            } else {
                format!("{name} was not paused; if its target is in trouble, it is tried now.")
            });
        }
        Command::Forget { name, yes, json } => {
            return forget(context, &client, &name, yes, json).await;
        }
    }
    Ok(Exit::Done)
}

fn already(pausing: &Pausing) -> String {
    let Some(paused) = pausing.paused.as_ref().filter(|_| !pausing.changed) else {
        return String::new();
    };
    let why = paused.why.as_ref().map_or_else(String::new, |why| format!(" ({})", tame(why)));
    format!(" already, by {} {}{why}", tame(&paused.by), relative(SystemClock.now(), paused.at))
}

async fn forget(context: &Context, client: &Client, name: &str, yes: bool, json: bool) -> Result {
    let status: Status = client.get(&address(&["status"])).await?;
    let known = status.connectors.iter().find(|connector| connector.name == name);
    let (holds, waiting) = known.map_or((0, 0), |known| {
        let waiting: u64 = State::ALL.iter().map(|state| known.backlog.of(*state)).sum();
        (known.holds, waiting)
    });
    let what = format!(
        "{} and {}",
        counted(holds, "entry that it delivered", "entries that it delivered"),
        counted(waiting, "entry that waits", "entries that wait")
    );
    // Only of what the daemon would forget.
    let is_gone = known.is_some_and(|known| known.state == "disabled");
    if is_gone && !yes && !context.screen.confirmed(&format!("Forget {name}, with {what}?"))? {
        context.screen.note("Nothing was forgotten.");
        return Ok(Exit::Failed);
    }
    let done: Done = client.post(&address(&["connectors", name, "forget"]), &()).await?;
    if json {
        context.screen.json(&done)?;
    }
    context.screen.note(&format!("{name} is forgotten, with {what}."));
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
