//! `queue show`: all that is known of one entry of the queue. `trace` shows the same of each connector.

use jiff::Timestamp;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::operator::QueueEntry;
use scim_relay::operator::words::relative;
use scim_relay::store::{LinkRow, LogRow, Named, Waiting};

use super::output::{Screen, tame};
use super::page::{Fields, moment};
use super::queue::state;

pub(super) fn page(entry: &QueueEntry, screen: &Screen) -> String {
    let now = SystemClock.now();
    let waits = &entry.waits;
    let row = &waits.entry;
    let mut fields = Fields::new(screen, "");
    fields.line("Resource", &format!("{}/{}", row.kind, row.id));
    fields.line("Name", &row.name);
    fields.line("Organization", &row.organization);
    let how = if entry.connector_state == "up" { "" } else { &entry.connector_state };
    fields.line("Connector", [row.connector.as_str(), how].join(" ").trim());
    waiting(&mut fields, waits, now);
    fields.line("At the target", &held(entry.link.as_ref(), Some(waits), now));
    if entry.password {
        fields.line("Password", "waits to be passed on");
    }
    for sentence in &entry.advice {
        fields.line("To do", sentence);
    }
    fields.text()
}

/// What waits, and why.
pub(super) fn waiting(fields: &mut Fields<'_>, waits: &Waiting, now: Timestamp) {
    let row = &waits.entry;
    let at = |time: Timestamp| moment(time, now);
    let mut what = state(row).to_owned();
    if let Some(kind) = &row.hold_kind {
        what = format!("{what}: {}", kind.replace('_', " "));
    }
    if waits.in_doubt {
        what.push_str("; the last attempt may have arrived");
    }
    fields.line("State", &what);
    fields.line("Marked by", &row.reason.replace('_', " "));
    fields.line("Waits since", &at(row.dirty_at));
    if let Some(since) = waits.delivering {
        fields.line("In flight", &at(since));
    } else if !matches!(row.state.word(), "parked" | "held" | "waiting") {
        let due = if row.due <= now { "when its turn comes".to_owned() } else { at(row.due) };
        fields.line("Next try", &due);
    }
    if row.attempts > 0 {
        fields.line("Failed tries", &row.attempts.to_string());
    }
    if let Some(first) = waits.first_failed {
        fields.line("First failure", &at(first));
    }
    fields.maybe("Last error", row.last_error.as_deref());
    if let Some(approved) = waits.approved_at {
        fields.line("Approved", &at(approved));
    }
    fields.maybe("Waits for", waits.waits_for.as_ref().map(named).as_deref());
    let awaited: Vec<String> = waits.awaited_by.iter().map(named).collect();
    fields.maybe("Awaited by", (!awaited.is_empty()).then(|| awaited.join(", ")).as_deref());
    for change in &waits.undelivered {
        fields.line("Undelivered", &self::change(change, now));
    }
}

/// What the target has of it, while this waits.
pub(super) fn held(link: Option<&LinkRow>, waits: Option<&Waiting>, now: Timestamp) -> String {
    let Some(link) = link else { return "nothing that we know of".to_owned() };
    let at = |time: Timestamp| moment(time, now);
    let applied = link.applied_at.map_or_else(String::new, |time| {
        let due = waits.and_then(|waits| waits.undelivered.first());
        let part = if due.is_some_and(|due| due.seq <= link.seq) { "a part of " } else { "" };
        format!(", last applied {} with {part}change {}", at(time), link.seq)
    });
    match link.stage.as_str() {
        "gone" => format!("gone since {}; was {}", at(link.since), link.address),
        "active" => format!("{}{applied}", link.address),
        stage => format!("{}, {stage} since {}{applied}", link.address, at(link.since)),
    }
}

fn named(one: &Named) -> String {
    format!("{} ({}/{})", one.name, one.kind, one.id)
}

/// One row of the change log, in a line.
pub(super) fn change(row: &LogRow, now: Timestamp) -> String {
    let mut line = format!("{} {}", row.seq, row.verb.word());
    if row.verb.word() == "updated" && !row.attributes.is_empty() {
        line.extend([": ", &row.attributes.join(", ")]);
    }
    for (word, members) in [("joined", &row.joined), ("left", &row.left)] {
        if let Some(names) = names(members) {
            line.extend([format!("; {word}: {names}")]);
        }
    }
    line.extend([" (", &relative(now, row.at).replace(' ', "\u{a0}"), ")"]);
    tame(&line)
}

/// The first of them.
pub(super) fn names(members: &[scim_relay_sdk::connector::MemberRef]) -> Option<String> {
    const FEW: usize = 5;
    let name = |member: &scim_relay_sdk::connector::MemberRef| {
        let name = member.user_name.as_ref().or(member.display.as_ref());
        name.cloned().unwrap_or_else(|| member.value.clone())
    };
    let mut text = members.iter().take(FEW).map(name).collect::<Vec<_>>().join(", ");
    if members.len() > FEW {
        text.extend([format!(" and {} more", members.len() - FEW)]);
    }
    (!members.is_empty()).then_some(text)
}
