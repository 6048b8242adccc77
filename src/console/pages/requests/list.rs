//! The list, newest first. What comes while somebody reads is counted and never moves what they
//! read.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::words;
use crate::console::Console;
use crate::console::addresses;
use crate::console::live::{self, Update, Updates};
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::RequestSearch;
use crate::store::{KEPT_REQUESTS, RequestRow};

/// Rows of a page.
const ROWS: usize = 50;
/// Of what is typed into the filter.
const LONGEST: usize = 200;

/// The methods to choose from.
const METHODS: [(&str, &str); 5] = [
    ("GET", "Asked"),
    ("POST", "Created"),
    ("PATCH", "Changed"),
    ("PUT", "Replaced"),
    ("DELETE", "Deleted"),
];

/// How far back.
const SPANS: [(&str, &str, u64); 3] =
    [("hour", "The last hour", 1), ("day", "The last 24 hours", 24), ("", "All that is kept", 0)];

/// Which of them, as the address says it. Empty: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    pub(super) org: String,
    /// A piece of a name, a path or a token's name.
    pub(super) q: String,
    pub(super) method: String,
    /// `yes`: those that were refused.
    pub(super) failed: String,
    pub(super) since: String,
    pub(super) before: String,
}

impl Which {
    fn search(&self, now: Timestamp) -> Result<RequestSearch, Trouble> {
        let q = self.q.trim();
        if q.chars().count() > LONGEST {
            return Err(Trouble::Invalid(format!("that is longer than {LONGEST} characters")));
        }
        let before = Some(&self.before).filter(|before| !before.is_empty());
        let before = before.map(|before| before.parse()).transpose();
        let hours = SPANS.iter().find(|(word, ..)| *word == self.since).map_or(0, |span| span.2);
        let method = METHODS.iter().find(|(method, _)| *method == self.method);
        Ok(RequestSearch {
            before: before.map_err(|_| Trouble::Invalid("that is no place in the list".into()))?,
            failed: self.failed == "yes",
            method: method.map(|(method, _)| (*method).to_owned()),
            text: (!q.is_empty()).then(|| q.to_owned()),
            since: (hours > 0).then(|| now - Duration::from_hours(hours)),
            limit: ROWS,
        })
    }

    fn at(&self, path: &str) -> String {
        let Self { org, q, method, failed, since, before } = self;
        addresses::with_query(
            path,
            &[
                ("org", org),
                ("q", q),
                ("method", method),
                ("failed", failed),
                ("since", since),
                ("before", before),
            ],
        )
    }

    fn first(&self) -> String {
        Self { before: String::new(), ..self.clone() }.at("/requests")
    }
}

#[derive(Serialize)]
pub(super) struct List {
    pub(super) which: Which,
    pub(super) name: String,
    pub(super) methods: &'static [(&'static str, &'static str)],
    pub(super) spans: Vec<(&'static str, &'static str)>,
    pub(super) rows: Vec<Row>,
    pub(super) is_filtered: bool,
    /// Without `before`.
    pub(super) first: String,
    pub(super) is_first: bool,
    pub(super) next: Option<String>,
    pub(super) kept: usize,
}

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) clock: String,
    pub(super) day: Option<String>,
    pub(super) what: String,
    pub(super) address: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) ended: &'static str,
    pub(super) milliseconds: f64,
    pub(super) token: String,
    pub(super) peer: Option<String>,
    pub(super) reason: Option<String>,
}

impl Content for List {
    const TEMPLATE: &'static str = "requests.html";
}

/// Whose requests, where there are several to choose from: a look is at one organization's, and is
/// written down as such.
#[derive(Serialize)]
pub(super) struct Choose {
    pub(super) organizations: Vec<(String, String)>,
}

impl Content for Choose {
    const TEMPLATE: &'static str = "requests-choose.html";
}

pub(super) async fn page(
    viewer: Viewer,
    State(console): State<Console>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    let mut own = console.operator.organizations();
    own.retain(|(key, _)| viewer.rights.sees(key));
    if which.org.is_empty() {
        if let [(only, _)] = &own[..] {
            let of_one = Which { org: only.clone(), ..which };
            return Ok(Redirect::to(&of_one.at("/requests")).into_response());
        }
        let organizations = own
            .into_iter()
            .map(|(key, name)| (Which { org: key, ..which.clone() }.at("/requests"), name))
            .collect();
        let choose = Choose { organizations };
        return Ok(console.page(&Page::new(&viewer, Section::Requests, "Requests", &choose)));
    }
    let name = own.into_iter().find(|(key, _)| *key == which.org).ok_or(Trouble::NotFound)?.1;
    let search = which.search(viewer.reader.now)?;
    let found = console.operator.request_page(&viewer.actor, &which.org, &search).await?;
    let newest = found.newest;
    let list = List::new(&viewer, which, name, &found.rows, found.next);
    let org = list.which.org.clone();
    let live = format!("{}&newest={newest}", live::address("requests", Some(&org)));
    let page = Page::new(&viewer, Section::Requests, "Requests", &list).of(Some(&org));
    Ok(console.page(&page.live(live)))
}

impl List {
    pub(super) fn new(
        viewer: &Viewer,
        which: Which,
        name: String,
        rows: &[RequestRow],
        next: Option<i64>,
    ) -> Self {
        let mut day = None;
        let mut row = |row: &RequestRow| {
            let this = viewer.reader.day(row.at);
            let is_new = day.as_ref() != Some(&this);
            day = Some(this.clone());
            Row::new(viewer, &which.org, row, is_new.then_some(this))
        };
        let rows = rows.iter().map(&mut row).collect();
        let filters = [&which.q, &which.method, &which.failed, &which.since];
        let is_filtered = filters.into_iter().any(|filter| !filter.is_empty());
        Self {
            rows,
            name,
            methods: &METHODS,
            spans: SPANS.iter().map(|(word, text, _)| (*word, *text)).collect(),
            is_filtered,
            first: which.first(),
            is_first: which.before.is_empty(),
            next: next
                .map(|next| Which { before: next.to_string(), ..which.clone() }.at("/requests")),
            kept: KEPT_REQUESTS,
            which,
        }
    }
}

impl Row {
    fn new(viewer: &Viewer, organization: &str, row: &RequestRow, day: Option<String>) -> Self {
        let (tone, icon, ended) = words::ended(row.status);
        Self {
            at: row.at,
            clock: viewer.reader.second(row.at),
            day,
            what: words::what(row),
            address: addresses::request(organization, row.id),
            method: row.method.clone(),
            path: row.path.clone(),
            status: row.status,
            tone,
            icon,
            ended,
            milliseconds: row.milliseconds,
            token: if row.token_name.is_empty() {
                row.token.clone()
            } else {
                row.token_name.clone()
            },
            peer: row.peer.clone(),
            reason: row.detail.clone(),
        }
    }
}

/// From which one on those that came are counted.
#[derive(Deserialize)]
struct Seen {
    org: String,
    newest: i64,
}

/// How many came since the page was drawn.
pub(crate) async fn live(console: &Console, viewer: &Viewer, at: &Uri) -> Result<Updates, Trouble> {
    let Seen { org, newest } = live::asked(at)?;
    viewer.sees(&org)?;
    let newer = console.operator.newer_requests(&org, newest).await?;
    let text = match newer {
        0 => String::new(),
        newer => format!(", {} newer", viewer.reader.number(newer as i64)),
    };
    Ok([("newer".to_owned(), Update::text(text))].into())
}
