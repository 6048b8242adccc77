//! `queue`: what is still to be delivered, and what a person may do about it.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::daemon::admin::wire::{Rows, Touching};
use scim_relay::operator::QueueQuery;
use scim_relay::store::{Entry, State};

use super::client::{address, query};
use super::output::{Cell, Screen, Side, Style, Table, counted, relative, tame};
use super::subject::resource_key;
use super::{Context, Exit, Failure, Result};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The entries, those that wait for a person first
    List {
        #[arg(long, value_name = "C")]
        connector: Option<String>,
        #[arg(long, value_name = "S", value_parser = PossibleValuesParser::new(State::ALL.map(State::word)))]
        state: Option<String>,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// All that is known of one entry
    Show {
        #[command(flatten)]
        one: One,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Try again now, as if for the first time
    Retry(Retry),
    /// Give one entry up for good; what the target has stays as it is
    Skip {
        #[command(flatten)]
        one: One,
        /// Why; it is kept in the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    connector: String,
    /// As `queue list` prints it
    #[arg(value_name = "KIND/ID", value_parser = resource_key)]
    resource: String,
}

/// One entry, those of a connector, or all.
#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    #[arg(
        value_name = "CONNECTOR",
        requires = "resource",
        required_unless_present_any = ["of", "all"],
        conflicts_with_all = ["of", "all"]
    )]
    connector: Option<String>,
    /// As `queue list` prints it
    #[arg(value_name = "KIND/ID", value_parser = resource_key)]
    resource: Option<String>,
    /// Everything at this connector
    #[arg(long = "connector", value_name = "C", conflicts_with = "all")]
    of: Option<String>,
    /// Everything at every connector
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    let client = context.client()?;
    match command {
        Command::List { connector, state, limit, json } => {
            let count = limit.to_string();
            let pairs = [
                ("connector", connector.as_deref()),
                ("state", state.as_deref()),
                ("limit", Some(count.as_str())),
            ];
            let entries: Vec<Entry> = client.get(&query(address(&["queue"]), &pairs)).await?;
            if json {
                context.screen.json(&entries)?;
            } else if entries.is_empty() {
                context.screen.note("Nothing waits: every target is in line.");
            } else {
                context.screen.out(&table(&entries).text(&context.screen))?;
                if entries.len() == limit {
                    context.screen.note("There may be more: --limit N shows them.");
                }
            }
        }
        Command::Show { one: One { connector, resource }, json } => {
            let pairs =
                [("connector", Some(connector.as_str())), ("resource", Some(resource.as_str()))];
            let entries: Vec<Entry> = client.get(&query(address(&["queue"]), &pairs)).await?;
            let Some(entry) = entries.first() else {
                return Err(Failure::Failed(format!(
                    "nothing of {resource} is in the queue of {connector}: either everything of it \
                     was delivered, or there is no such resource"
                )));
            };
            if json {
                context.screen.json(entry)?;
            } else {
                context.screen.out(&page(entry, &context.screen))?;
            }
        }
        Command::Retry(Retry { connector, resource, of, .. }) => {
            let rows =
                QueueQuery { connector: connector.or(of), resource, ..QueueQuery::default() };
            let touching = Touching { rows, reason: String::new() };
            let Rows { rows } = client.post(&address(&["queue", "retry"]), &touching).await?;
            context.screen.note(&format!("{} due now", counted(rows, "entry is", "entries are")));
        }
        Command::Skip { one: One { connector, resource }, reason } => {
            let rows = QueueQuery {
                connector: Some(connector),
                resource: Some(resource),
                ..QueueQuery::default()
            };
            let touching = Touching { rows, reason };
            let Rows { rows } = client.post(&address(&["queue", "skip"]), &touching).await?;
            context.screen.note(&format!("{} given up", counted(rows, "entry is", "entries are")));
        }
    }
    Ok(Exit::Done)
}

fn style_of(state: State) -> Style {
    match state {
        State::Pending | State::Scheduled | State::Waiting => Style::Plain,
        State::Retrying | State::Held => Style::Yellow,
        State::Parked => Style::Red,
    }
}

fn table(entries: &[Entry]) -> Table {
    let now = SystemClock.now();
    let mut table = Table::new(&[
        ("CONNECTOR", Side::Left),
        ("STATE", Side::Left),
        ("NAME", Side::Left),
        ("RESOURCE", Side::Left),
        ("SINCE", Side::Left),
        ("DUE", Side::Left),
        ("TRIES", Side::Right),
        ("LAST ERROR", Side::Left),
    ]);
    for entry in entries {
        let waits = matches!(entry.state, State::Parked | State::Held | State::Waiting);
        table.row([
            Cell::styled(entry.connector.as_str(), Style::Bold),
            Cell::styled(state(entry), style_of(entry.state)),
            entry.name.as_str().into(),
            format!("{}/{}", entry.kind, entry.id).into(),
            relative(now, entry.dirty_at).into(),
            if waits { "-".to_owned() } else { relative(now, entry.due) }.into(),
            entry.attempts.to_string().into(),
            entry.last_error.as_deref().unwrap_or("-").into(),
        ]);
    }
    table
}

fn state(entry: &Entry) -> &'static str {
    if entry.in_flight { "delivering" } else { entry.state.word() }
}

fn page(entry: &Entry, screen: &Screen) -> String {
    let now = SystemClock.now();
    let lines = [
        ("Resource", Some(format!("{}/{}", entry.kind, entry.id))),
        ("Name", Some(entry.name.clone())),
        ("Organization", Some(entry.organization.clone())),
        ("Connector", Some(entry.connector.clone())),
        ("State", Some(state(entry).to_owned())),
        ("Waits for", entry.hold_kind.as_ref().map(|kind| kind.replace('_', " "))),
        ("Marked by", Some(entry.reason.clone())),
        ("Since", Some(format!("{} ({})", entry.dirty_at, relative(now, entry.dirty_at)))),
        ("Due", Some(format!("{} ({})", entry.due, relative(now, entry.due)))),
        ("Tries", Some(entry.attempts.to_string())),
        ("Last error", entry.last_error.clone()),
    ];
    let mut text = String::new();
    for (label, value) in lines {
        if let Some(value) = value {
            let label = screen.paint(Style::Dim, &format!("{label:<12}"));
            text.extend([label.as_str(), "  ", &tame(&value), "\n"]);
        }
    }
    text
}
