//! `status`: everything on one screen.

use scim_relay::operator::{ConnectorStatus, Deviation, OrganizationStatus, Status};
use scim_relay::store::RunRow;

use super::client::address;
use super::output::{
    Cell, Screen, Side, Style, Table, maybe_relative, number, relative, span, tame,
};
use super::{Context, Exit, Result};

/// How many lines of deviations leave room for the rest.
const MOST_DEVIATIONS: usize = 3;
/// Of a screen.
const WIDTH: usize = 80;

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
    let mut text = format!("scim-relay {}, up for {up}", tame(&status.version));
    if let Some(endpoint) = endpoint(&status.organizations) {
        text.extend([", pushed to at\n", &tame(&endpoint)]);
    }
    text.push_str("\n\n");
    text.push_str(&organizations(status).text(screen));
    text.push('\n');
    if status.connectors.is_empty() {
        text.push_str("No connectors, so nothing is passed on.\n");
    } else {
        text.push_str(&connectors(status).text(screen));
    }
    text.push('\n');
    if status.attention.is_empty() {
        text.push_str("Nothing waits for a person.\n");
    } else {
        text.push_str(&screen.paint(Style::Bold, "What to do, most pressing first"));
        text.push('\n');
        for sentence in &status.attention {
            text.push_str(&bullet(&tame(sentence)));
        }
    }
    if let Some(habits) = deviations(status) {
        text.push('\n');
        text.push_str(&screen.paint(Style::Bold, "What providers do that the RFCs do not know"));
        text.push('\n');
        text.push_str(&habits.text(screen));
    }
    text
}

/// Where providers push to: of several organizations the part they share.
fn endpoint(organizations: &[OrganizationStatus]) -> Option<String> {
    let first = organizations.first()?;
    let own = format!("/scim/{}/", first.key);
    Some(match organizations {
        [_] => first.endpoint.clone(),
        _ => first.endpoint.replacen(&own, "/scim/ORGANIZATION/", 1),
    })
}

/// A sentence in lines that fit a screen, with no break in a command.
fn bullet(sentence: &str) -> String {
    let parts = sentence.split('`').enumerate();
    let whole = parts.map(|(number, part)| match number % 2 {
        0 => part.to_owned(),
        _ => format!("`{}`", part.replace(' ', "\u{a0}")),
    });
    let mut text = String::new();
    let mut line = "  -".to_owned();
    for word in whole.collect::<String>().split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.extend([&line, "\n"]);
            "   ".clone_into(&mut line);
        }
        line.extend([" ", word]);
    }
    (text + &line + "\n").replace('\u{a0}', " ")
}

fn organizations(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("ORGANIZATION", Side::Left),
        ("USERS", Side::Right),
        ("GROUPS", Side::Right),
        ("TOKENS", Side::Right),
        ("LAST PUSH", Side::Left),
    ]);
    for organization in &status.organizations {
        let OrganizationStatus { key, users, groups, tokens, last_used, .. } = organization;
        table.row([
            Cell::styled(key.as_str(), Style::Bold),
            number(*users).into(),
            number(*groups).into(),
            number(*tokens as u64).into(),
            maybe_relative(status.now, *last_used).into(),
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
        ("STATE", Side::Left),
        ("HOLDS", Side::Right),
        ("WAITING", Side::Left),
        ("PARKED", Side::Right),
        ("HELD", Side::Right),
        ("DELIVERED", Side::Left),
        ("RECONCILED", Side::Left),
    ]);
    for connector in &status.connectors {
        let ConnectorStatus { name, state, backlog, .. } = connector;
        table.row([
            Cell::styled(name.as_str(), Style::Bold),
            Cell::styled(state.as_str(), state_style(state)),
            number(connector.holds).into(),
            waiting(status, connector).into(),
            trouble(backlog.parked),
            trouble(backlog.held),
            maybe_relative(status.now, connector.last_delivered).into(),
            reconciled(status, connector.last_reconciliation.as_ref()).into(),
        ]);
    }
    table
}

/// What is still to be delivered, and for how long the oldest of it has waited.
fn waiting(status: &Status, connector: &ConnectorStatus) -> String {
    let count = number(connector.backlog.open());
    let oldest = connector.oldest.map(|oldest| status.now.duration_since(oldest));
    match oldest.and_then(span).filter(|_| connector.backlog.open() > 0) {
        Some(long) => format!("{count} for {long}"),
        None => count,
    }
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
        (None, 0) => when,
        (None, drifted) => format!("{when}: {} differed", number(drifted)),
    }
}
