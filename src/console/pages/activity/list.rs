//! The list, newest first.

use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use scim_relay_sdk::scim::ResourceKind;
use serde::Serialize;

use super::{Which, words};
use crate::console::Console;
use crate::console::addresses;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{Deed, words::span};

#[derive(Serialize)]
pub(super) struct List {
    pub(super) which: Which,
    pub(super) abouts: Vec<(&'static str, &'static str)>,
    pub(super) rows: Vec<Row>,
    pub(super) is_filtered: bool,
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
    pub(super) csv: String,
    pub(super) jsonl: String,
    /// How long rows are kept.
    pub(super) kept: String,
}

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) who: String,
    /// Rows of the same person.
    pub(super) same: String,
    pub(super) from: Option<String>,
    pub(super) said: String,
    pub(super) object: Vec<Part>,
    pub(super) organization: Option<String>,
    pub(super) detail: Option<String>,
}

/// A piece of the sentence, which may lead somewhere.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) address: Option<String>,
}

impl Content for List {
    const TEMPLATE: &'static str = "activity.html";
}

pub(super) async fn page(
    viewer: Viewer,
    State(console): State<Console>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    let query = which.query(&viewer.reader)?;
    let page = console.operator.activity(viewer.rights.reach(), &query).await?;
    let kept = span(console.operator.activity_kept().try_into().unwrap_or_default());
    let list = List::new(which, &page.deeds, page.next, kept.unwrap_or_else(|| "years".to_owned()));
    let org = list.which.org.clone();
    Ok(console.page(&Page::new(&viewer, Section::Activity, "Activity", &list).of(Some(&org))))
}

impl List {
    pub(super) fn new(which: Which, deeds: &[Deed], next: Option<i64>, kept: String) -> Self {
        let all = Which { before: String::new(), ..which.clone() };
        let filters = [&which.who, &which.about, &which.from, &which.to];
        let is_filtered = filters.into_iter().any(|filter| !filter.is_empty());
        Self {
            abouts: words::ABOUT.to_vec(),
            rows: deeds.iter().map(|deed| Row::new(&which, deed)).collect(),
            is_filtered,
            first: (!which.before.is_empty()).then(|| all.at("/activity")),
            next: next
                .map(|next| Which { before: next.to_string(), ..which.clone() }.at("/activity")),
            csv: all.at("/activity.csv"),
            jsonl: all.at("/activity.jsonl"),
            kept,
            which,
        }
    }
}

impl Row {
    fn new(which: &Which, deed: &Deed) -> Self {
        let row = &deed.audited.row;
        let who = row.actor.clone();
        let same = Which { who, before: String::new(), ..which.clone() }.at("/activity");
        Self {
            at: row.at,
            who: row.actor.clone(),
            same,
            from: row.from.clone(),
            said: words::said(&row.action),
            object: object(deed),
            organization: row.organization.clone(),
            detail: row.detail.clone().filter(|detail| !detail.is_empty()),
        }
    }
}

/// Whom or what it was done to.
pub(super) fn object(deed: &Deed) -> Vec<Part> {
    let row = &deed.audited.row;
    let plain = |text: &str| Part { text: text.to_owned(), address: None };
    let mut parts = Vec::new();
    if let Some(whom) = &deed.object.whom {
        let kind = match whom.kind {
            ResourceKind::User => "somebody who is gone",
            ResourceKind::Group => "a group that is gone",
        };
        let organization = row.organization.as_deref();
        // Who is gone for good has no page.
        let address = organization.filter(|_| whom.name.is_some());
        let address = address.map(|key| addresses::person(key, whom.kind, whom.id));
        parts.push(Part { text: whom.name.clone().unwrap_or_else(|| kind.to_owned()), address });
        if deed.object.connector.is_some() {
            parts.push(plain("at"));
        }
    }
    if let Some(connector) = &deed.object.connector {
        let address = Some(addresses::connector(connector));
        parts.push(Part { text: connector.clone(), address });
    }
    let is_own = row.action.starts_with("account.") && row.subject == row.actor;
    if is_own && !matches!(&*row.action, "account.sign_in" | "account.sign_out") {
        parts.push(plain("their own account"));
    } else if parts.is_empty() && !row.subject.is_empty() && !is_own {
        let address = (row.action.starts_with("token.")).then(|| {
            addresses::with_query(
                "/integrations",
                &[("org", row.organization.as_deref().unwrap_or_default())],
            )
        });
        parts.push(Part { text: row.subject.clone(), address });
    }
    parts
}
