//! `queue`: what is still to be delivered, and what a person may do about it.

use std::num::NonZeroUsize;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Subcommand};
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::daemon::admin::wire::{Rows, Touching};
use scim_relay::operator::words::{counted, number, relative};
use scim_relay::operator::{QueueEntry, QueuePage, QueueQuery};
use scim_relay::store::{Entry, State};

use super::client::{Client, address, query};
use super::output::{Cell, Side, Style, Table};
use super::subject::resource_key;
use super::{Context, Exit, Result, entry};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The entries, those that wait for a person first
    List {
        #[arg(long, value_name = "C")]
        connector: Option<String>,
        /// Of this user or group, at every connector
        #[arg(long, value_name = "KIND/ID", value_parser = resource_key)]
        resource: Option<String>,
        #[command(flatten)]
        which: Which,
        /// So many at most
        #[arg(long, value_name = "N", default_value = "100")]
        limit: NonZeroUsize,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// All that is known of one entry, and what can be done about it
    Show {
        connector: String,
        /// As `queue list` prints it, or with a name: User/ada
        #[arg(value_name = "KIND/ID", value_parser = resource_key)]
        resource: String,
        /// Only in this organization
        #[arg(long, value_name = "ORG")]
        org: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Try again now, as if for the first time
    ///
    /// What is held is not tried but approved, and what is scheduled keeps its day.
    #[command(group = ArgGroup::new("whose").required(true).args(["connector", "of", "all"]))]
    Retry {
        #[command(flatten)]
        chosen: Chosen,
        /// Everything at every connector
        #[arg(long)]
        all: bool,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Give entries up for good, with a reason that is kept
    ///
    /// A directory, or whatever else wants the result, stays as it is until the next change of the
    /// person or group, or until a reconciliation finds the difference. A receiver of events is told of
    /// all but this one event. A removal that is held is not done.
    #[command(group = ArgGroup::new("whose").required(true).args(["connector", "of"]))]
    Skip {
        #[command(flatten)]
        chosen: Chosen,
        /// Why; it is kept in the audit log with each of them
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// Some of many.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    #[arg(long, value_name = "S", value_parser = PossibleValuesParser::new(State::ALL.map(State::word)))]
    state: Option<String>,
    /// Whose last error has this in it, in whatever case
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only in this organization
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
}

/// One entry, or those of a connector; of every connector where that is allowed.
#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    #[arg(value_name = "CONNECTOR", requires = "resource", conflicts_with_all = ["of", "state", "error"])]
    connector: Option<String>,
    /// As `queue list` prints it, or with a name: User/ada
    #[arg(value_name = "KIND/ID", value_parser = resource_key)]
    resource: Option<String>,
    /// Everything at this connector
    #[arg(long = "connector", value_name = "C")]
    of: Option<String>,
    #[command(flatten)]
    which: Which,
}

impl Chosen {
    fn query(self) -> QueueQuery {
        let Self { connector, resource, of, which } = self;
        QueueQuery { connector: connector.or(of), resource, ..which.query() }
    }
}

impl Which {
    fn query(self) -> QueueQuery {
        let Self { state, error, org } = self;
        QueueQuery { state, error, organization: org, ..QueueQuery::default() }
    }
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    let (client, screen) = (context.client()?, &context.screen);
    match command {
        Command::List { connector, resource, which, limit, json } => {
            let rows =
                QueueQuery { connector, resource, limit: Some(limit.get()), ..which.query() };
            let QueuePage { total, entries } = page(&client, &rows).await?;
            if json {
                screen.json(&entries)?;
            } else if entries.is_empty() && rows.is_everything() {
                screen.note("Nothing waits: every target is in line.");
            } else if entries.is_empty() {
                screen.note("Nothing of that kind waits.");
            } else {
                screen.out(&table(&entries).text(screen))?;
            }
            if total > entries.len() as u64 {
                screen.note(&format!(
                    "{} of {} shown; --limit N shows more.",
                    number(entries.len() as u64),
                    number(total)
                ));
            }
        }
        Command::Show { connector, resource, org, json } => {
            let pairs = [
                ("connector", Some(connector.as_str())),
                ("resource", Some(resource.as_str())),
                ("organization", org.as_deref()),
            ];
            let entry: QueueEntry =
                client.get(&query(address(&["queue", "entry"]), &pairs)).await?;
            if json {
                screen.json(&entry)?;
            } else {
                screen.out(&entry::page(&entry, screen))?;
            }
        }
        Command::Retry { chosen, json, .. } => {
            let touching = Touching { rows: chosen.query(), reason: String::new() };
            let done: Rows = client.post(&address(&["queue", "retry"]), &touching).await?;
            if json {
                screen.json(&done)?;
            }
            screen.note(&format!("{} due now", counted(done.rows, "entry is", "entries are")));
        }
        Command::Skip { chosen, reason, yes, json } => {
            let rows = chosen.query();
            if rows.resource.is_none() && !yes {
                let one = QueueQuery { limit: Some(1), ..rows.clone() };
                let total = page(&client, &one).await?.total;
                let them = counted(total, "entry", "entries");
                if total > 0 && !screen.confirmed(&format!("Give up {them} for good?"))? {
                    screen.note("Nothing was given up.");
                    return Ok(Exit::Failed);
                }
            }
            let touching = Touching { rows, reason };
            let done: Rows = client.post(&address(&["queue", "skip"]), &touching).await?;
            if json {
                screen.json(&done)?;
            }
            screen.note(&format!("{} given up", counted(done.rows, "entry is", "entries are")));
        }
    }
    Ok(Exit::Done)
}

async fn page(client: &Client, rows: &QueueQuery) -> Result<QueuePage> {
    let limit = rows.limit.map(|limit| limit.to_string());
    let pairs = [
        ("connector", rows.connector.as_deref()),
        ("resource", rows.resource.as_deref()),
        ("state", rows.state.as_deref()),
        ("error", rows.error.as_deref()),
        ("organization", rows.organization.as_deref()),
        ("limit", limit.as_deref()),
    ];
    client.get(&query(address(&["queue"]), &pairs)).await
}

pub(super) fn style_of(state: State) -> Style {
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

pub(super) fn state(entry: &Entry) -> &'static str {
    if entry.in_flight { "delivering" } else { entry.state.word() }
}
