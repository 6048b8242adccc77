//! `status`: everything on one screen.

use scim_relay::operator::{ConnectorStatus, Deviation, OrganizationStatus, Status};
use scim_relay::store::RunRow;

use super::client::address;
use super::output::{
    Cell, Screen, Side, Style, Table, maybe_relative, number, relative, span, tame,
};
use super::{Context, Exit, Result};

/// How many lines of deviations leave room for the rest.
const MOST_DEVIATIONS: usize = 6;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let status: Status = context.client()?.get(&address(&["status"])).await?;
    if args.json {
        context.screen.json(&status)?;
    } else {
        context.screen.out(&text(&status, &context.screen))?;
    }
    Ok(Exit::Done)
}

fn text(status: &Status, screen: &Screen) -> String {
    let up = span(status.now.duration_since(status.started));
    let up = up.unwrap_or_else(|| "years".to_owned());
    let mut text = format!("scim-relay {}, up for {up}\n\n", tame(&status.version));
    text.push_str(&organizations(status).text(screen));
    text.push('\n');
    if status.connectors.is_empty() {
        text.push_str("No connectors, so nothing is passed on.\n");
    } else {
        text.push_str(&connectors(status).text(screen));
    }
    text.push('\n');
    if let Some(habits) = deviations(status) {
        text.push_str(&screen.paint(Style::Bold, "What providers do that the RFCs do not know"));
        text.push('\n');
        text.push_str(&habits.text(screen));
        text.push('\n');
    }
    if status.attention.is_empty() {
        text.push_str("Nothing waits for a person.\n");
    } else {
        text.push_str(&screen.paint(Style::Bold, "What to do"));
        text.push('\n');
        for sentence in &status.attention {
            text.extend(["  - ", &tame(sentence), "\n"]);
        }
    }
    text
}

fn organizations(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("ORGANIZATION", Side::Left),
        ("USERS", Side::Right),
        ("GROUPS", Side::Right),
        ("TOKENS", Side::Right),
        ("LAST PUSH", Side::Left),
        ("ENDPOINT", Side::Left),
    ]);
    for organization in &status.organizations {
        let OrganizationStatus { key, users, groups, tokens, last_used, endpoint, .. } =
            organization;
        table.row([
            Cell::styled(key.as_str(), Style::Bold),
            number(*users).into(),
            number(*groups).into(),
            number(*tokens as u64).into(),
            maybe_relative(status.now, *last_used).into(),
            endpoint.as_str().into(),
        ]);
    }
    table
}

/// The most frequent deviations since the start, as many as a screen has room for.
fn deviations(status: &Status) -> Option<Table> {
    let all = status.organizations.iter();
    let mut rows: Vec<_> =
        all.flat_map(|one| one.deviations.iter().map(move |met| (one, met))).collect();
    rows.sort_by_key(|(_, met)| std::cmp::Reverse(met.requests));
    let more = rows.len().saturating_sub(MOST_DEVIATIONS);
    rows.truncate(MOST_DEVIATIONS);
    let mut table = Table::new(&[
        ("ORGANIZATION", Side::Left),
        ("REQUESTS", Side::Right),
        ("", Side::Left),
        ("WITH", Side::Left),
    ]);
    for (organization, Deviation { what, requests, .. }) in &rows {
        table.row([
            Cell::styled(organization.key.as_str(), Style::Bold),
            number(*requests).into(),
            if organization.strict { "refused" } else { "understood" }.into(),
            what.as_str().into(),
        ]);
    }
    if more > 0 {
        let rest = format!("and {more} more in `status --json`");
        table.row(["".into(), "".into(), "".into(), rest.as_str().into()]);
    }
    (!rows.is_empty()).then_some(table)
}

fn connectors(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("CONNECTOR", Side::Left),
        ("KIND", Side::Left),
        ("STATE", Side::Left),
        ("WAITING", Side::Right),
        ("RETRYING", Side::Right),
        ("PARKED", Side::Right),
        ("HELD", Side::Right),
        ("OLDEST", Side::Left),
        ("HOLDS", Side::Right),
        ("DELIVERED", Side::Left),
        ("RECONCILED", Side::Left),
    ]);
    for connector in &status.connectors {
        let ConnectorStatus { name, kind, state, backlog, .. } = connector;
        table.row([
            Cell::styled(name.as_str(), Style::Bold),
            kind.as_str().into(),
            Cell::styled(state.as_str(), state_style(state)),
            number(backlog.pending + backlog.waiting).into(),
            number(backlog.retrying).into(),
            trouble(backlog.parked),
            trouble(backlog.held),
            maybe_relative(status.now, connector.oldest).into(),
            number(connector.holds).into(),
            maybe_relative(status.now, connector.last_delivered).into(),
            reconciled(status, connector.last_reconciliation.as_ref()).into(),
        ]);
    }
    table
}

/// Green is what goes on by itself, yellow what a person stopped, red what is broken.
pub(super) fn state_style(state: &str) -> Style {
    match state {
        "up" => Style::Green,
        "paused" | "disabled" => Style::Yellow,
        _ => Style::Red,
    }
}

/// A number that should be 0.
fn trouble(count: u64) -> Cell {
    Cell::styled(number(count), if count == 0 { Style::Plain } else { Style::Yellow })
}

fn reconciled(status: &Status, run: Option<&RunRow>) -> String {
    let Some(run) = run else { return "-".to_owned() };
    let when = relative(status.now, run.ended);
    match (&run.error, run.drifted) {
        (Some(_), _) => format!("failed {when}"),
        (None, 0) => format!("{when}, in line"),
        (None, drifted) => format!("{when}, {} differed", number(drifted)),
    }
}
