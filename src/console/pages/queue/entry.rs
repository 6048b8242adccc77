//! One entry with all that is about it, and what a person can do.

use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use scim_relay_sdk::connector::Verb;
use scim_relay_sdk::scim::ResourceKind;
use serde::{Deserialize, Serialize};

use super::{called, pick, words};
use crate::console::Console;
use crate::console::addresses;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{QueueEntry, Right, Stands};
use crate::store::{Entry, LinkRow, LogRow, Named, State as Of};

#[derive(Deserialize)]
pub(super) struct Asked {
    connector: String,
    org: String,
    resource: String,
}

#[derive(Serialize)]
pub(super) struct One {
    pub(super) heading: String,
    /// What it means and what to do, in sentences.
    pub(super) means: Vec<String>,
    pub(super) called: String,
    pub(super) name: String,
    pub(super) is_group: bool,
    pub(super) person: String,
    pub(super) connector: String,
    pub(super) connector_address: Option<String>,
    pub(super) state: &'static str,
    pub(super) next: words::Next,
    /// The whole error, or what it is there for.
    pub(super) why: String,
    pub(super) failed: bool,
    pub(super) attempts: u32,
    pub(super) since: Timestamp,
    pub(super) first_failed: Option<Timestamp>,
    pub(super) delivering: Option<Timestamp>,
    pub(super) approved_at: Option<Timestamp>,
    pub(super) password: bool,
    pub(super) waits_for: Option<Other>,
    pub(super) awaited_by: Vec<Other>,
    pub(super) changes: Vec<Change>,
    pub(super) there: Option<There>,
    pub(super) pick: String,
    pub(super) back: String,
    pub(super) held: Option<String>,
    pub(super) may_retry: bool,
    pub(super) may_skip: bool,
}

/// Somebody who waits, or is waited for.
#[derive(Serialize)]
pub(super) struct Other {
    pub(super) name: String,
    pub(super) entry: String,
}

/// A change that was not delivered yet.
#[derive(Serialize)]
pub(super) struct Change {
    pub(super) verb: &'static str,
    pub(super) at: Timestamp,
    pub(super) attributes: Vec<String>,
    pub(super) joined: usize,
    pub(super) left: usize,
}

/// What the system at the other end has of it.
#[derive(Serialize)]
pub(super) struct There {
    pub(super) address: String,
    pub(super) stage: &'static str,
    pub(super) since: Timestamp,
    pub(super) applied_at: Option<Timestamp>,
}

impl Content for One {
    const TEMPLATE: &'static str = "queue-entry.html";
}

/// Nothing waits any more.
#[derive(Serialize)]
pub(super) struct InLine {
    pub(super) connector: String,
    pub(super) person: String,
    pub(super) at: Option<Timestamp>,
}

impl Content for InLine {
    const TEMPLATE: &'static str = "queue-entry-gone.html";
}

pub(super) async fn page(
    viewer: Viewer,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let Asked { connector, org, resource } = asked;
    viewer.sees(&org)?;
    let (operator, reach) = (&console.operator, viewer.rights.reach());
    let connectors = operator.queue_connectors(reach).await?;
    let known = connectors.iter().find(|known| known.name == connector).ok_or(Trouble::NotFound)?;
    match operator.queue_stand(&connector, Some(&org), &resource).await? {
        Stands::Waits(entry) => {
            let one = One::new(&viewer, &entry, known.every_event);
            let page = Page::new(&viewer, Section::Queue, one.heading.clone(), &one);
            Ok(console.page(&page.of(Some(&org))))
        }
        Stands::InLine { kind, id, at } => {
            let person = addresses::person(&org, kind, id);
            let in_line = InLine { connector, person, at };
            let page = Page::new(&viewer, Section::Queue, "Nothing waits any more", &in_line);
            Ok(console.page(&page.of(Some(&org))))
        }
    }
}

impl One {
    pub(super) fn new(viewer: &Viewer, of: &QueueEntry, every_event: bool) -> Self {
        let waits = &of.waits;
        let entry = &waits.entry;
        let connector_address = addresses::connector(&entry.connector);
        let keeps = matches!(entry.state, Of::Held | Of::Scheduled);
        let Entry { connector, organization, kind, id, .. } = entry;
        let other = |named: &Named| Other {
            name: named.name.clone(),
            entry: addresses::queue_entry(connector, organization, named.kind, named.id),
        };
        Self {
            heading: words::heading(entry),
            means: words::means(entry, &of.connector_state, every_event, waits.in_doubt),
            called: called(entry),
            name: entry.name.clone(),
            is_group: *kind == ResourceKind::Group,
            person: addresses::person(organization, *kind, *id),
            connector: connector.clone(),
            held: (entry.state == Of::Held && viewer.may(Right::Approve))
                .then(|| format!("{connector_address}/held")),
            connector_address: viewer.may(Right::Operate).then_some(connector_address),
            state: entry.state.word(),
            next: words::next(entry, &of.connector_state),
            why: entry.last_error.clone().unwrap_or_else(|| words::why(entry)),
            failed: entry.last_error.is_some(),
            attempts: entry.attempts,
            since: entry.dirty_at,
            first_failed: waits.first_failed,
            delivering: waits.delivering,
            approved_at: waits.approved_at,
            password: of.password,
            waits_for: waits.waits_for.as_ref().map(other),
            awaited_by: waits.awaited_by.iter().map(other).collect(),
            changes: waits.undelivered.iter().map(Change::new).collect(),
            there: of.link.as_ref().filter(|link| !link.address.is_empty()).map(There::new),
            pick: pick(entry),
            back: addresses::queue_entry(connector, organization, *kind, *id),
            may_retry: viewer.may(Right::Retry) && !keeps && !entry.in_flight,
            may_skip: viewer.may(Right::Skip) && !entry.in_flight,
        }
    }
}

impl Change {
    fn new(row: &LogRow) -> Self {
        Self {
            verb: match row.verb {
                Verb::Created => "Created",
                Verb::Updated => "Changed",
                Verb::Deleted => "Deleted",
            },
            at: row.at,
            attributes: row.attributes.clone(),
            joined: row.joined.len(),
            left: row.left.len(),
        }
    }
}

impl There {
    fn new(link: &LinkRow) -> Self {
        Self {
            address: link.address.clone(),
            stage: match link.stage.as_str() {
                "deactivated" => "switched off",
                "removed" => "removed",
                "gone" => "gone",
                _ => "in use",
            },
            since: link.since,
            applied_at: link.applied_at,
        }
    }
}
