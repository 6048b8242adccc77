//! The list: tabs by state, filters, a page of rows.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::response::Response;
use http::Uri;
use jiff::Timestamp;
use serde::Serialize;

use super::{Which, called, pick, words};
use crate::console::Console;
use crate::console::addresses;
use crate::console::live::{self, Update, Updates};
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{QueueConnector, Right};
use crate::store::{Entries, Entry, State as Of};

/// The tabs, in the order of the list.
const TABS: [(Of, &str); 6] = [
    (Of::Held, "Held"),
    (Of::Parked, "Parked"),
    (Of::Waiting, "Waiting"),
    (Of::Retrying, "Retrying"),
    (Of::Pending, "Pending"),
    (Of::Scheduled, "Scheduled"),
];

#[derive(Serialize)]
pub(super) struct List {
    pub(super) which: Which,
    /// Of this page.
    pub(super) address: String,
    /// Wait for a person, go on by themselves, lie ahead.
    pub(super) person: u64,
    pub(super) by_itself: u64,
    pub(super) ahead: u64,
    pub(super) tabs: Vec<Tab>,
    /// Those to choose from.
    pub(super) connectors: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Whether the filter leaves anything out besides the state.
    pub(super) is_filtered: bool,
    pub(super) next: Option<String>,
    pub(super) first: Option<String>,
    pub(super) may_retry: bool,
    pub(super) may_skip: bool,
    pub(super) may_operate: bool,
    pub(super) all: Option<All>,
}

#[derive(Serialize)]
pub(super) struct Tab {
    pub(super) title: &'static str,
    /// None: all.
    pub(super) state: &'static str,
    pub(super) address: String,
    pub(super) count: u64,
    pub(super) current: bool,
}

/// What can be done to all that match, and not only to those on the page.
#[derive(Serialize)]
pub(super) struct All {
    /// Not counted where that would take looking at each.
    pub(super) count: Option<u64>,
    pub(super) may_retry: bool,
    /// Where it is asked; none: a connector must be chosen first.
    pub(super) skip: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) pick: Option<String>,
    pub(super) called: String,
    pub(super) name: String,
    pub(super) is_group: bool,
    /// Where the person is, and the entry.
    pub(super) person: String,
    pub(super) entry: String,
    pub(super) organization: String,
    pub(super) connector: String,
    pub(super) connector_address: String,
    pub(super) state: &'static str,
    /// Where held work is approved.
    pub(super) held: Option<String>,
    pub(super) since: Timestamp,
    pub(super) next: words::Next,
    pub(super) why: String,
}

impl Content for List {
    const TEMPLATE: &'static str = "queue.html";
}

pub(super) async fn page(
    viewer: Viewer,
    State(console): State<Console>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    let (operator, reach) = (&console.operator, viewer.rights.reach());
    let query = which.query()?;
    let counts = operator.queue_counts(reach, &query).await?;
    let connectors = operator.queue_connectors(reach).await?;
    // Where a name is looked for there are few, and all of them are shown.
    let Entries { entries, next } = if which.q.trim().is_empty() {
        operator.queue_page(reach, &query).await?
    } else {
        let entries = operator.queue_of(reach, &query, which.q.trim()).await?;
        Entries { entries, next: None }
    };
    let next = next.map(|next| Which { after: next.to_string(), ..which.clone() }.address());
    let content = List::new(&viewer, which, &counts, &connectors, &entries, next);
    let Which { org, connector, .. } = &content.which;
    let live = addresses::with_query(
        "/events",
        &[("page", "queue"), ("org", org), ("connector", connector)],
    );
    let page = Page::new(&viewer, Section::Queue, "Queue", &content).of(Some(org));
    Ok(console.page(&page.live(live)))
}

/// The numbers of the tabs. The rows stay as they were read.
pub(in crate::console) async fn live(
    console: &Console,
    viewer: &Viewer,
    at: &Uri,
) -> Result<Updates, Trouble> {
    let which: Which = live::asked(at)?;
    let counts = console.operator.queue_counts(viewer.rights.reach(), &which.query()?).await?;
    let number = |count: u64| viewer.reader.number(count.try_into().unwrap_or(i64::MAX));
    let tabs = tabs(&which, &counts).into_iter();
    Ok(tabs.map(|tab| (format!("n-{}", tab.state), Update::text(number(tab.count)))).collect())
}

impl List {
    pub(super) fn new(
        viewer: &Viewer,
        which: Which,
        counts: &BTreeMap<Of, u64>,
        connectors: &[QueueConnector],
        entries: &[Entry],
        next: Option<String>,
    ) -> Self {
        let of = |states: &[Of]| -> u64 {
            states.iter().map(|state| counts.get(state).copied().unwrap_or_default()).sum()
        };
        let (may_retry, may_skip) = (viewer.may(Right::Retry), viewer.may(Right::Skip));
        let all = (!entries.is_empty() && which.q.is_empty())
            .then(|| All::new(&which, counts, next.is_some(), may_skip))
            .filter(|all| may_retry && (all.may_retry || all.skip.is_some()));
        Self {
            person: of(&[Of::Held, Of::Parked]),
            by_itself: of(&[Of::Waiting, Of::Retrying, Of::Pending]),
            ahead: of(&[Of::Scheduled]),
            tabs: tabs(&which, counts),
            connectors: connectors.iter().map(|connector| connector.name.clone()).collect(),
            rows: entries.iter().map(|entry| Row::new(viewer, entry, connectors)).collect(),
            is_filtered: !(which.connector.is_empty()
                && which.q.is_empty()
                && which.error.is_empty()),
            first: (!which.after.is_empty())
                .then(|| Which { after: String::new(), ..which.clone() }.address()),
            next,
            may_retry,
            may_skip,
            may_operate: viewer.may(Right::Operate),
            all,
            address: which.address(),
            which,
        }
    }
}

fn tabs(which: &Which, counts: &BTreeMap<Of, u64>) -> Vec<Tab> {
    let all = Tab {
        title: "All",
        state: "all",
        address: which.in_state("").address(),
        count: counts.values().sum(),
        current: which.state.is_empty(),
    };
    let each = TABS.map(|(state, title)| Tab {
        title,
        state: state.word(),
        address: which.in_state(state.word()).address(),
        count: counts.get(&state).copied().unwrap_or_default(),
        current: which.state == state.word(),
    });
    std::iter::once(all).chain(each).collect()
}

impl All {
    fn new(which: &Which, counts: &BTreeMap<Of, u64>, more: bool, may_skip: bool) -> Self {
        let state = Of::parse(&which.state);
        let counted = match state {
            Some(state) => counts.get(&state).copied().unwrap_or_default(),
            None => counts.values().sum(),
        };
        let all = which.in_state(&which.state);
        Self {
            count: which.error.is_empty().then_some(counted),
            may_retry: !matches!(state, Some(Of::Held | Of::Scheduled)),
            skip: (may_skip && more && !which.connector.is_empty())
                .then(|| all.at("/queue/all/skip")),
        }
    }
}

impl Row {
    fn new(viewer: &Viewer, entry: &Entry, connectors: &[QueueConnector]) -> Self {
        let at = connectors.iter().find(|connector| connector.name == entry.connector);
        let connector_address = addresses::connector(&entry.connector);
        let keeps = matches!(entry.state, Of::Held | Of::Scheduled);
        let pickable = viewer.may(Right::Skip) || (viewer.may(Right::Retry) && !keeps);
        Self {
            pick: (pickable && !entry.in_flight).then(|| pick(entry)),
            called: called(entry),
            name: entry.name.clone(),
            is_group: entry.kind == scim_relay_sdk::scim::ResourceKind::Group,
            person: addresses::person(&entry.organization, entry.kind, entry.id),
            entry: addresses::queue_entry(
                &entry.connector,
                &entry.organization,
                entry.kind,
                entry.id,
            ),
            organization: entry.organization.clone(),
            held: (entry.state == Of::Held && viewer.may(Right::Approve))
                .then(|| format!("{connector_address}/held")),
            connector: entry.connector.clone(),
            connector_address,
            state: entry.state.word(),
            since: entry.dirty_at,
            next: words::next(entry, at.map_or("disabled", |connector| connector.state)),
            why: words::shortened(&words::why(entry)),
        }
    }
}
