//! From a piece of work to the events that tell of it.
//!
//! An event's id and bytes are made from the change row and the resource as that change left it,
//! and from nothing that differs between attempts: a receiver that has seen a `webhook-id` may drop
//! what comes again under it.

use std::borrow::Cow;

use jiff::Timestamp;
use scim_relay_sdk::connector::{Change, Gone, MemberRef, Resource, Stage, Verb, Wanted, Work};
use scim_relay_sdk::scim::{Attributes, ResourceKind};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::kind::{EventKind, Happening, Pattern};

/// Members that one event names. Standard Webhooks advises bodies below 20 kB, and a member takes
/// up to 200 bytes.
const MEMBERS: usize = 100;

/// One request's worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// `webhook-id`: the same for every attempt, and without dots, since a dot ends it in what is
    /// signed.
    pub(crate) id: String,
    pub(crate) kind: EventKind,
    pub(crate) body: Vec<u8>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Cow<'a, str>>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    organization: &'a str,
    resource: Cow<'a, Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<&'a [MemberRef]>,
    /// More has happened than this tells.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    collapsed: bool,
}

/// The events of this work that `patterns` select, in the order in which they are to be sent.
pub(crate) fn events(work: &Work, patterns: &[Pattern]) -> Vec<Event> {
    let resource = work.wanted.resource();
    let kind = resource.key.kind;
    let selected = |happening| {
        let event = EventKind(kind, happening);
        patterns.iter().any(|pattern| pattern.matches(event)).then_some(event)
    };
    let mut events = Vec::new();
    if let Some(event) = own_happening(work).and_then(selected) {
        events.push(own_event(work, event));
    }
    // Whoever is told that a group is gone needs no list of those who were in it.
    if let (Wanted::Present(_), Some(change), ResourceKind::Group) =
        (&work.wanted, &work.change, kind)
    {
        let moves =
            [(Happening::MemberAdded, &change.joined), (Happening::MemberRemoved, &change.left)];
        for (happening, members) in moves {
            if let Some(event) = selected(happening) {
                events.extend(member_events(resource, change, event, members));
            }
        }
    }
    events
}

/// What happened to the resource itself; `None` when only its members changed, or when it is
/// nothing to the receiver.
fn own_happening(work: &Work) -> Option<Happening> {
    let known = work.link.as_ref().map(|link| link.stage);
    match &work.wanted {
        // Of somebody who was never in scope, a receiver is not even told that they are gone.
        Wanted::Gone { .. } if known.is_none() && !work.in_doubt => None,
        Wanted::Gone { why: Gone::Deleted, .. } => Some(Happening::Deleted),
        Wanted::Gone { why: Gone::OutOfScope, .. } => {
            (known != Some(Stage::Deactivated)).then_some(Happening::Deactivated)
        }
        Wanted::Present(_) if known != Some(Stage::Active) => Some(Happening::Created),
        Wanted::Present(_) => match &work.change {
            Some(change) if change.verb == Verb::Created => Some(Happening::Created),
            Some(change) if change.attributes.is_empty() && has_members(change) => None,
            _ => Some(Happening::Updated),
        },
    }
}

fn has_members(change: &Change) -> bool {
    !change.joined.is_empty() || !change.left.is_empty()
}

fn own_event(work: &Work, kind: EventKind) -> Event {
    let resource = work.wanted.resource();
    let change = work.change.as_ref();
    let data = Data {
        organization: &resource.key.organization,
        resource: public(&resource.attributes),
        attributes: change
            .filter(|change| !change.collapsed)
            .map(|change| change.attributes.as_slice()),
        members: None,
        collapsed: change.is_some_and(|change| change.collapsed),
    };
    let timestamp = match change {
        Some(change) => Some(instant(change.at)),
        None => last_modified(&resource.attributes).map(Cow::Borrowed),
    };
    let body = body(kind, timestamp, data);
    let id = match change {
        Some(change) => change_id(resource, change, kind),
        None => snapshot_id(work, kind, &body),
    };
    Event { id, kind, body }
}

fn member_events(
    resource: &Resource,
    change: &Change,
    kind: EventKind,
    members: &[MemberRef],
) -> Vec<Event> {
    let id = change_id(resource, change, kind);
    let chunked = members.len() > MEMBERS;
    let chunks = members.chunks(MEMBERS).enumerate();
    chunks
        .map(|(number, members)| {
            let data = Data {
                organization: &resource.key.organization,
                resource: public(&resource.attributes),
                attributes: None,
                members: Some(members),
                collapsed: change.collapsed,
            };
            let id = if chunked { format!("{id}-{}", number + 1) } else { id.clone() };
            Event { id, kind, body: body(kind, Some(instant(change.at)), data) }
        })
        .collect()
}

fn body(kind: EventKind, timestamp: Option<Cow<'_, str>>, data: Data<'_>) -> Vec<u8> {
    serde_json::to_vec(&Body { kind: kind.to_string(), timestamp, data })
        .expect("JSON values and strings always serialize")
}

fn instant(at: Timestamp) -> Cow<'static, str> {
    at.to_string().into()
}

/// A password is nobody's business but the directory's, whoever put it among the attributes.
fn public(attributes: &Attributes) -> Cow<'_, Attributes> {
    if !attributes.contains_key("password") {
        return Cow::Borrowed(attributes);
    }
    // `retain` keeps the order, which `remove` would not.
    let mut kept = attributes.clone();
    kept.retain(|name, _| name != "password");
    Cow::Owned(kept)
}

fn last_modified(attributes: &Attributes) -> Option<&str> {
    attributes.get("meta")?.get("lastModified")?.as_str()
}

fn change_id(resource: &Resource, change: &Change, kind: EventKind) -> String {
    format!("{}-{}-{}", organization(resource), change.seq, kind.1.word())
}

/// Without a change (a resync, a scope that was edited, a log that was pruned) the id comes from
/// the content and from the event before: stable until this one has arrived, and another one the
/// next time, even if nothing else has changed.
fn snapshot_id(work: &Work, kind: EventKind, body: &[u8]) -> String {
    let before = work.link.as_ref().and_then(|link| link.hash.as_deref()).unwrap_or_default();
    let mut digest = Sha256::new();
    digest.update(before.as_bytes());
    digest.update([0]);
    digest.update(body);
    let digest = digest.finalize();
    let short = digest[..8].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{}-{}-{short}-{}", organization(work.wanted.resource()), work.key.id, kind.1.word())
}

/// The organization's key, in characters that a header takes and that do not end the id.
fn organization(resource: &Resource) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    resource.key.organization.chars().map(plain).collect()
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
