//! `requests`: what a provider asked lately, and what it was answered.

use jiff::tz::TimeZone;
use scim_relay::store::RequestRow;

use super::client::{Client, address, query};
use super::output::{Screen, Style, number, tame, tame_lines};
use super::{Context, Exit, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "ORG")]
    organization: String,
    /// One request, by its number in the list: all of it, with both bodies
    #[arg(conflicts_with_all = ["follow", "failed", "limit"])]
    id: Option<i64>,
    /// Go on with those that come, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Only those that were refused
    #[arg(long)]
    failed: bool,
    /// So many at most, the newest (1,000 are kept)
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// For programs: a line of JSON for each, with both bodies
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let (client, screen) = (context.client()?, &context.screen);
    let of = |rest: &[&str]| {
        address(&[&["organizations", args.organization.as_str(), "requests"][..], rest].concat())
    };
    if let Some(id) = args.id {
        let row: RequestRow = client.get(&of(&[&id.to_string()])).await?;
        if args.json {
            print(screen, &row, true)?;
        } else {
            screen.out(&page(&row, screen))?;
        }
        return Ok(Exit::Done);
    }
    let failed = args.failed.then_some("true");
    let limit = args.limit.to_string();
    let pairs = [("failed", failed), ("limit", Some(limit.as_str()))];
    let rows: Vec<RequestRow> = client.get(&query(of(&[]), &pairs)).await?;
    for row in &rows {
        if !print(screen, row, args.json)? {
            return Ok(Exit::Done);
        }
    }
    if !args.follow {
        if rows.is_empty() {
            screen.note(&format!(
                "Nothing{} was asked with a token of {} in the last 7 days.",
                if args.failed { " that was refused" } else { "" },
                args.organization
            ));
        }
        return Ok(Exit::Done);
    }
    let last = rows.last().map_or(0, |row| row.id);
    follow(&client, screen, &of(&["next"]), (failed, args.json), last).await
}

/// Each answer comes when there is something to tell, or after a while with nothing.
async fn follow(
    client: &Client,
    screen: &Screen,
    next: &str,
    (failed, json): (Option<&str>, bool),
    mut last: i64,
) -> Result {
    loop {
        let after = last.to_string();
        let pairs = [("after", Some(after.as_str())), ("failed", failed)];
        let rows: Vec<RequestRow> = client.get(&query(next.to_owned(), &pairs)).await?;
        for row in &rows {
            if !print(screen, row, json)? {
                return Ok(Exit::Done);
            }
            last = row.id;
        }
    }
}

/// Whether anybody still reads.
fn print(screen: &Screen, row: &RequestRow, json: bool) -> Result<bool> {
    let line = if json {
        serde_json::to_string(row).expect("an answer is JSON")
    } else {
        line(row, screen)
    };
    screen.out_if_read(&format!("{line}\n"))
}

/// What is as long as it likes comes last, since the lines of `--follow` know nothing of each other.
fn line(row: &RequestRow, screen: &Screen) -> String {
    let time = local(row, "%Y-%m-%d %H:%M:%S");
    let status = screen.paint(style_of(row.status), &row.status.to_string());
    let mut line = format!(
        "{:>6}  {time}  {:<6}  {status}  {:>7.1} ms  {}",
        row.id,
        tame(&row.method),
        row.milliseconds,
        tame(&row.path)
    );
    let notes = [row.name.clone(), Some(row.quirks.join(" ")), reason(row)];
    for note in notes.into_iter().flatten().filter(|note| !note.is_empty()) {
        line.push_str("  ");
        line.push_str(&screen.paint(Style::Dim, &tame(&note)));
    }
    line
}

/// In the time of whoever looks.
fn local(row: &RequestRow, form: &str) -> String {
    row.at.to_zoned(TimeZone::system()).strftime(form).to_string()
}

fn style_of(status: u16) -> Style {
    match status {
        ..400 => Style::Green,
        400..500 => Style::Yellow,
        500.. => Style::Red,
    }
}

fn reason(row: &RequestRow) -> Option<String> {
    match (&row.scim_type, &row.detail) {
        (Some(scim_type), Some(detail)) => Some(format!("{scim_type}: {detail}")),
        (scim_type, detail) => scim_type.clone().or_else(|| detail.clone()),
    }
}

fn page(row: &RequestRow, screen: &Screen) -> String {
    let token = [row.token_name.as_str(), &row.token].join(" ");
    let about = [row.resource.as_deref(), row.name.as_deref()].into_iter().flatten();
    let about = about.collect::<Vec<_>>().join(" ");
    let lines = [
        ("Request", format!("{} {}", row.method, row.path)),
        ("At", local(row, "%Y-%m-%d %H:%M:%S%.3f %Z")),
        ("Status", format!("{} in {:.1} ms", row.status, row.milliseconds)),
        ("Refused", reason(row).unwrap_or_default()),
        ("Tolerated", row.quirks.join(", ")),
        ("About", about),
        ("Token", token),
        ("From", row.peer.clone().unwrap_or_default()),
        ("User agent", row.user_agent.clone().unwrap_or_default()),
    ];
    let mut text = String::new();
    for (label, value) in lines.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
        let label = screen.paint(Style::Dim, &format!("{label:<12}"));
        text.extend([label.as_str(), "  ", &tame(&value), "\n"]);
    }
    for (label, body, length, is_cut) in [
        ("Sent", &row.request, row.request_length, row.request_cut),
        ("Answered", &row.answer, row.answer_length, row.answer_cut),
    ] {
        if length > 0 {
            let said = match (body, is_cut) {
                (None, _) => ", not kept (too long, not JSON, or too much at once)",
                (_, true) => ", the beginning:",
                (_, false) => ":",
            };
            let label = format!("{label} {} bytes{said}", number(length));
            text.extend(["\n", &screen.paint(Style::Dim, &label), "\n"]);
        }
        if let Some(body) = body {
            let body = serde_json::to_string_pretty(body).expect("JSON can be written");
            text.extend([tame_lines(&body).as_str(), "\n"]);
        }
    }
    text
}
