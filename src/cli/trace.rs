//! `trace`: one person's or group's whole story, on one page.

use jiff::Timestamp;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::operator::words::{number, relative};
use scim_relay::operator::{Change, Concern, Difference, MOST, Stand, Trace, Traceable, Traced};

use scim_relay::store::{AuditRow, Move};

use super::client::{address, query};
use super::output::{Screen, Style, tame};
use super::page::{Fields, local, moment, wrapped};
use super::{Context, Exit, Failure, Result, entry};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "ORG")]
    organization: String,
    /// A user, by userName or id; one who was deleted is found as well
    #[arg(value_name = "USERNAME|ID", required_unless_present = "group", conflicts_with = "group")]
    user: Option<String>,
    /// A group, by displayName or id
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let (kind, name) = match (&args.user, &args.group) {
        (Some(name), _) => ("User", name),
        (None, Some(name)) => ("Group", name),
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let to = address(&["organizations", &args.organization, "trace"]);
    let pairs = [("kind", Some(kind)), ("name", Some(name.as_str()))];
    let traced: Traced = context.client()?.get(&query(to, &pairs)).await?;
    let screen = &context.screen;
    match traced {
        Traced::Story(story) if args.json => screen.json(&story)?,
        Traced::Story(story) => screen.out(&page(&story, screen, SystemClock.now()))?,
        Traced::Several(several) => {
            if args.json {
                screen.json(&several)?;
            } else {
                screen.out(&list(&several, SystemClock.now()))?;
            }
            return Err(Failure::Failed(format!(
                "{name} is the name of {} in {}; trace one by its id",
                number(several.len() as u64),
                args.organization
            )));
        }
    }
    Ok(Exit::Done)
}

fn list(several: &[Traceable], now: Timestamp) -> String {
    several.iter().flat_map(|one| [traceable(one, now), "\n".to_owned()]).collect()
}

fn traceable(one: &Traceable, now: Timestamp) -> String {
    let deleted = one
        .deleted
        .map_or_else(String::new, |at| format!(", deleted {} ({})", local(at), relative(now, at)));
    format!("{}  {}, created {}{deleted}", one.id, tame(&one.name), local(one.created))
}

fn page(story: &Trace, screen: &Screen, now: Timestamp) -> String {
    let mut text = who(story, screen, now);
    text.extend(["\n", &heading("What the provider sent", screen)]);
    text.push_str(&requests(story, screen, now));
    text.extend(["\n", &heading("What changed", screen)]);
    text.push_str(&changes(story, now));
    if !story.moves.is_empty() {
        text.extend(["\n", &heading("Groups that they came into and left", screen)]);
        text.push_str(&moves(story, now));
    }
    let acts = acts(story, now);
    if !acts.is_empty() {
        text.extend(["\n", &heading("What people did", screen), &acts]);
    }
    text.extend(["\n", &heading("Where it stands", screen)]);
    if story.connectors.is_empty() {
        text.push_str("  There are no connectors.\n");
    }
    for stand in &story.connectors {
        text.push_str(&connector(stand, screen, now));
    }
    text
}

/// Where the text of a list's lines begins: after time, age and number.
const COLUMN: &str = "                                           ";

fn heading(title: &str, screen: &Screen) -> String {
    format!("{}\n", screen.paint(Style::Bold, title))
}

fn who(story: &Trace, screen: &Screen, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    let title = format!("{} {} in {}", story.kind, tame(&story.name), tame(&story.organization));
    let mut fields = Fields::new(screen, "  ");
    fields.line("Id", &story.id.to_string());
    let called = story.display_name.as_deref().filter(|name| *name != story.name);
    fields.maybe("Called", called);
    fields.maybe("External id", story.external_id.as_deref());
    let life = match (story.deleted, story.active) {
        (Some(deleted), _) => format!("deleted {}", at(deleted)),
        (None, Some(false)) => "there, and not active".to_owned(),
        (None, Some(true)) => "there, and active".to_owned(),
        (None, None) => "there".to_owned(),
    };
    fields.line("Now", &life);
    fields.line("Created", &at(story.created));
    if story.modified != story.created {
        fields.line("Changed", &at(story.modified));
    }
    if let Some(members) = story.members {
        fields.line("Members", &number(members as u64));
    }
    let mut groups: Vec<String> = story
        .groups
        .iter()
        .map(|group| {
            let name = group.name.clone().unwrap_or_else(|| group.id.to_string());
            if group.direct { name } else { format!("{name} (through another)") }
        })
        .collect();
    if story.more_groups > 0 {
        groups.push(format!("{} more", story.more_groups));
    }
    fields.maybe("Groups", (!groups.is_empty()).then(|| groups.join(", ")).as_deref());
    for one in &story.namesakes {
        fields.line("Before", &traceable(one, now));
    }
    format!("{}{}", heading(&title, screen), fields.text())
}

fn requests(story: &Trace, screen: &Screen, now: Timestamp) -> String {
    if story.requests.is_empty() {
        return "  Nothing that is still kept.\n".to_owned();
    }
    let mut text = earlier(story.more_requests, "requests");
    for request in &story.requests {
        let style = if request.status < 400 { Style::Green } else { Style::Yellow };
        text.extend([format!(
            "  {}  {:>10}  {:>6}  {}  {} {}\n",
            local(request.at),
            relative(now, request.at),
            request.id,
            screen.paint(style, &request.status.to_string()),
            tame(&request.method),
            cut(&tame(&request.path), 45),
        )]);
        if let Some(reason) = &request.reason {
            text.push_str(&wrapped(&tame(reason), COLUMN));
        }
    }
    let command = format!("`scim-relay requests {} NUMBER`", tame(&story.organization));
    text.extend(["  ", &command, " shows all of one.\n"]);
    text
}

fn changes(story: &Trace, now: Timestamp) -> String {
    if story.changes.is_empty() {
        return "  Nothing that is still kept.\n".to_owned();
    }
    let mut text = earlier(story.more_changes, "changes");
    for change in &story.changes {
        let Change { row: change, differences } = change;
        let by = change.token.as_ref().map_or_else(String::new, |token| format!(", by {token}"));
        let what = match change.verb.word() {
            "updated" if !change.attributes.is_empty() => {
                format!("updated {}", change.attributes.join(", "))
            }
            word => word.to_owned(),
        };
        text.extend([format!(
            "  {}  {:>10}  {:>6}  ",
            local(change.at),
            relative(now, change.at),
            change.seq
        )]);
        let rest = wrapped(&tame(&format!("{what}{by}")), COLUMN);
        text.push_str(rest.trim_start());
        for Difference { path, before, after, .. } in differences {
            let [before, after] = [before, after].map(|value| {
                value.as_ref().map_or("nothing".to_owned(), |text| format!("\"{text}\""))
            });
            text.push_str(&wrapped(&tame(&format!("{path}: {before} to {after}")), COLUMN));
        }
        if change.crowd {
            text.push_str(&wrapped("many members came or left", COLUMN));
        }
        for (word, members) in [("joined", &change.joined), ("left", &change.left)] {
            if let Some(names) = entry::names(members) {
                text.push_str(&wrapped(&tame(&format!("{word}: {names}")), COLUMN));
            }
        }
    }
    text
}

fn moves(story: &Trace, now: Timestamp) -> String {
    let line = |one: &Move| {
        let group = one.group.as_ref().map_or("a group that is no more", |group| &group.name);
        let word = if one.left { "left" } else { "joined" };
        happened(one.at, now, &format!("{word} {group}"))
    };
    story.moves.iter().rev().map(line).collect()
}

fn acts(story: &Trace, now: Timestamp) -> String {
    let line = |one: &AuditRow| {
        let why = one.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        happened(one.at, now, &format!("{} by {}, {}{why}", one.action, one.actor, one.subject))
    };
    let done = story.acts.iter().rev().filter(|one| one.action != "trace.read");
    done.map(line).collect()
}

fn happened(at: Timestamp, now: Timestamp, what: &str) -> String {
    let rest = wrapped(&tame(what), COLUMN);
    format!("  {}  {:>10}          {}", local(at), relative(now, at), rest.trim_start())
}

fn earlier(more: bool, what: &str) -> String {
    if more { format!("  The last {MOST}; there are earlier {what}.\n") } else { String::new() }
}

fn connector(stand: &Stand, screen: &Screen, now: Timestamp) -> String {
    let name = screen.paint(Style::Bold, &tame(&stand.connector));
    let state = screen.paint(super::status::state_style(&stand.state), &stand.state);
    let kind = if stand.every_event {
        format!("{}, told of each event", stand.kind)
    } else {
        stand.kind.clone()
    };
    let mut fields = Fields::new(screen, "    ");
    fields.line(
        "Scope",
        &match &stand.concern {
            Concern::InScope => "in scope".to_owned(),
            Concern::OutOfScope(why) => format!("not in scope: {why}"),
            Concern::Deleted => "none any more: deleted at the provider".to_owned(),
            Concern::Elsewhere => "none: it serves other organizations".to_owned(),
            Concern::NotRunning => "not known: it does not run".to_owned(),
        },
    );
    match (&stand.link, stand.every_event) {
        (link, false) => {
            fields.line("At the target", &entry::held(link.as_ref(), stand.waits.as_ref(), now));
        }
        (Some(link), true) => {
            let when = link.applied_at.unwrap_or(link.since);
            let what = match link.stage.as_str() {
                "gone" => "of its end".to_owned(),
                _ => format!("of change {}", link.seq),
            };
            fields.line("Last told", &format!("{what}, {}", moment(when, now)));
        }
        (None, true) => {}
    }
    if stand.password {
        fields.line("Password", "waits to be passed on");
    }
    for mail in &stand.mails {
        let when = moment(mail.at, now);
        let how = if mail.sent { when } else { format!("begun {when} and cut off") };
        fields.line("Sent once", &format!("{how}, for change {}", mail.seq));
    }
    match &stand.waits {
        Some(waits) => {
            entry::waiting(&mut fields, waits, now);
            for sentence in &stand.advice {
                fields.line("To do", sentence);
            }
        }
        None => fields.line("Waits", &in_line(stand, now)),
    }
    format!("  {name} ({kind}): {state}\n{}", fields.text())
}

fn in_line(stand: &Stand, now: Timestamp) -> String {
    match stand.link.as_ref().and_then(|link| link.applied_at) {
        Some(since) => format!("nothing: in line since {}", moment(since, now)),
        None => "nothing".to_owned(),
    }
}

/// The beginning of what may be as long as it likes.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
