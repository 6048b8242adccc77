//! What happened to somebody, as a timeline: what the provider sent, what systems did, what people
//! did. Newest first, by days as their reader has them.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_sdk::connector::{MemberRef, Verb};
use scim_relay_sdk::scim::ResourceKind;
use serde::Serialize;

use super::address;
use crate::console::reader::Reader;
use crate::operator::{Change, Difference, Trace, TracedRequest, words};
use crate::store::State;

/// Told on a page.
const MOST: usize = 200;
/// Members that are named.
const NAMED: usize = 5;
/// Between the arrival of a request and what it wrote.
const WRITES: Duration = Duration::from_secs(5);

/// A day's events.
#[derive(Debug, Serialize)]
pub(super) struct Day {
    pub(super) title: String,
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Serialize)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    /// `in`: the provider spoke; else how it went.
    pub(super) tone: &'static str,
    /// The verb first.
    pub(super) title: String,
    pub(super) who: String,
    pub(super) text: Option<String>,
    /// In the words of a target.
    pub(super) quote: Option<String>,
    pub(super) differences: Vec<Difference>,
    pub(super) link: Option<Link>,
}

#[derive(Debug, Serialize)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) text: String,
}

impl Event {
    fn new(at: Timestamp, tone: &'static str, title: impl Into<String>, who: &str) -> Self {
        Self {
            at,
            tone,
            title: title.into(),
            who: who.to_owned(),
            text: None,
            quote: None,
            differences: Vec::new(),
            link: None,
        }
    }
}

pub(super) fn days(trace: &Trace, reader: &Reader) -> Vec<Day> {
    let mut events = Vec::new();
    events.extend(trace.changes.iter().flat_map(|change| changed(trace, change)));
    events.extend(trace.requests.iter().filter_map(|request| refused(trace, request)));
    moved(trace, &mut events);
    delivered(trace, &mut events);
    done(trace, reader, &mut events);
    // What comes later in a second stays above: a cause is told before what came of it.
    events.sort_by_key(|event| Reverse(event.at));
    events.truncate(MOST);
    let mut days: Vec<Day> = Vec::new();
    for event in events {
        let title = reader.day(event.at);
        match days.last_mut() {
            Some(day) if day.title == title => day.events.push(event),
            _ => days.push(Day { title, events: vec![event] }),
        }
    }
    days
}

fn request_link(trace: &Trace, request: &TracedRequest) -> Link {
    let organization = utf8_percent_encode(&trace.organization, NON_ALPHANUMERIC);
    Link {
        href: format!("/organizations/{organization}/requests/{}", request.id),
        text: format!("See request {}", request.id),
    }
}

/// What the provider wrote.
fn changed(trace: &Trace, change: &Change) -> Vec<Event> {
    let Change { row, differences } = change;
    let who = row.token.as_deref().unwrap_or("the provider");
    let title = match row.verb {
        Verb::Created => "Created",
        Verb::Deleted => "Removed",
        Verb::Updated => "Changed",
    };
    let mut event = Event::new(row.at, "in", title, who);
    event.differences.clone_from(differences);
    let mut said = Vec::new();
    if row.attributes.iter().any(|name| name == "password") {
        said.push("A new password, which is never shown.".to_owned());
    }
    if row.crowd {
        said.push("Many members came or left.".to_owned());
    }
    for (verb, members) in [("Came in", &row.joined), ("Left", &row.left)] {
        if !members.is_empty() {
            said.push(format!("{verb}: {}.", names(members)));
        }
    }
    let only_moved = differences.is_empty() && !said.is_empty() && row.verb == Verb::Updated;
    if only_moved && row.attributes.is_empty() {
        "Changed the members".clone_into(&mut event.title);
    }
    event.text = (!said.is_empty()).then(|| said.join(" "));
    event.link = trace
        .requests
        .iter()
        .rfind(|request| {
            let between = row.at.duration_since(request.at);
            request.method != "GET"
                && request.status < 300
                && !between.is_negative()
                && between.unsigned_abs() < WRITES
        })
        .map(|request| request_link(trace, request));
    vec![event]
}

fn names(members: &[MemberRef]) -> String {
    let name = |member: &MemberRef| {
        let name = member.display.as_ref().or(member.user_name.as_ref());
        name.cloned().unwrap_or_else(|| member.value.clone())
    };
    let named = members.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    match members.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {} more", words::number(more as u64)),
    }
}

/// What the relay did not take.
fn refused(trace: &Trace, request: &TracedRequest) -> Option<Event> {
    if request.status < 400 {
        return None;
    }
    let title = match request.method.as_str() {
        "GET" | "HEAD" => "Asked in vain",
        _ => "Sent what was not taken",
    };
    let mut event = Event::new(request.at, "stop", title, &request.token);
    event.text = Some(format!("The answer was {}.", request.status));
    event.quote.clone_from(&request.reason);
    event.link = Some(request_link(trace, request));
    Some(event)
}

fn moved(trace: &Trace, events: &mut Vec<Event>) {
    for one in &trace.moves {
        let name = one.group.as_ref().map_or("a group that is no more", |group| &group.name);
        let title = if one.left { format!("Left {name}") } else { format!("Came into {name}") };
        let mut event = Event::new(one.at, "in", title, "");
        event.link = one.group.as_ref().map(|group| Link {
            href: address(&trace.organization, ResourceKind::Group, group.id),
            text: format!("See {name}"),
        });
        events.push(event);
    }
}

/// What systems did, as far as it is known.
fn delivered(trace: &Trace, events: &mut Vec<Event>) {
    for stand in &trace.connectors {
        let who = &stand.connector;
        for mail in &stand.mails {
            let (tone, title) = if mail.sent {
                ("ok", "Sent, once only")
            } else {
                ("wait", "Begun to send, and cut off")
            };
            events.push(Event::new(mail.at, tone, title, who));
        }
        if let Some(link) = &stand.link
            && let Some(applied) = link.applied_at
        {
            let (tone, title) = match link.stage.as_str() {
                _ if stand.every_event => ("ok", "Told of a change"),
                "active" => ("ok", "Written"),
                "deactivated" => ("none", "Switched off"),
                _ => ("none", "Removed"),
            };
            let mut event = Event::new(applied, tone, title, who);
            event.text =
                Some(link.address.clone()).filter(|text| !text.is_empty() && !stand.every_event);
            events.push(event);
        }
        let Some(waits) = &stand.waits else { continue };
        let entry = &waits.entry;
        let Some(failed) = waits
            .first_failed
            .or_else(|| Some(entry.dirty_at).filter(|_| entry.last_error.is_some()))
        else {
            continue;
        };
        let (tone, title) = match entry.state {
            State::Parked if entry.rejected => continue,
            State::Held => ("held", "Held, for a person to decide".to_owned()),
            State::Parked => ("stop", "Refused, parked".to_owned()),
            _ if entry.attempts > 1 => {
                ("wait", format!("Not delivered, {} tries since", entry.attempts))
            }
            _ => ("wait", "Not delivered".to_owned()),
        };
        let mut event = Event::new(failed, tone, title, who);
        event.quote.clone_from(&entry.last_error);
        events.push(event);
    }
}

/// What people did; of their looks, the last of each on a day.
fn done(trace: &Trace, reader: &Reader, events: &mut Vec<Event>) {
    let mut looked = HashSet::new();
    for act in &trace.acts {
        let is_look = act.action == "trace.read";
        if is_look && !looked.insert((act.actor.clone(), reader.day(act.at))) {
            continue;
        }
        let title = match act.action.as_str() {
            "trace.read" => "Looked at this page",
            "queue.retry" => "Asked for another try",
            "queue.skip" => "Skipped what waited",
            "held.approve" => "Approved what was held",
            "held.reject" => "Rejected what was held",
            "connector.resync" => "Asked to compare and put right",
            other => other,
        };
        let mut event = Event::new(act.at, "none", title, &act.actor);
        if matches!(act.action.as_str(), "queue.skip" | "held.approve" | "held.reject") {
            event.text.clone_from(&act.detail);
        }
        events.push(event);
    }
}
