//! What is not in line yet: looked through by state, connector, person and error; tried again, or
//! given up with a reason, one by one or all that match.

mod entry;
mod list;
mod retry;
mod skip;
mod told;
mod words;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{get, post};
use scim_relay_sdk::scim::{ResourceId, ResourceKind};
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::console::addresses;
use crate::console::trouble::Trouble;
use crate::console::viewer::needs;
use crate::operator::{QueuePick, QueueQuery, Right};
use crate::store::Entry;

/// Rows of a page.
const ROWS: usize = 50;
/// Of what is typed into a filter.
const LONGEST: usize = 200;

pub(in crate::console) use list::live;

pub(super) fn routes() -> Router<Console> {
    let look =
        Router::new().route("/queue", get(list::page)).route("/queue/entry", get(entry::page));
    let retry = Router::new()
        .route("/queue/retry", post(retry::picked))
        .route("/queue/all/retry", post(retry::all));
    let skip = Router::new()
        .route("/queue/skip", post(skip::ask_picked))
        .route("/queue/skip/now", post(skip::picked))
        .route("/queue/all/skip", get(skip::ask_all).post(skip::all));
    needs(Right::People, look).merge(needs(Right::Retry, retry)).merge(needs(Right::Skip, skip))
}

/// Which rows, as the address says it. Empty: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Which {
    state: String,
    connector: String,
    org: String,
    /// Somebody's name.
    q: String,
    error: String,
    after: String,
}

impl Which {
    fn query(&self) -> Result<QueueQuery, Trouble> {
        let said = |text: &str| {
            let text = text.trim();
            if text.chars().count() > LONGEST {
                return Err(Trouble::Invalid(format!("that is longer than {LONGEST} characters")));
            }
            Ok((!text.is_empty()).then(|| text.to_owned()))
        };
        let after = said(&self.after)?;
        let after = after.map(|after| after.parse()).transpose();
        Ok(QueueQuery {
            connector: said(&self.connector)?,
            state: said(&self.state)?,
            resource: None,
            organization: said(&self.org)?,
            error: said(&self.error)?,
            after: after.map_err(|error: &str| Trouble::Invalid(error.to_owned()))?,
            limit: Some(ROWS),
        })
    }

    fn at(&self, path: &str) -> String {
        let Self { state, connector, org, q, error, after } = self;
        addresses::with_query(
            path,
            &[
                ("state", state),
                ("connector", connector),
                ("org", org),
                ("q", q),
                ("error", error),
                ("after", after),
            ],
        )
    }

    fn address(&self) -> String {
        self.at("/queue")
    }

    /// From the first page on.
    fn in_state(&self, state: &str) -> Self {
        Self { state: state.to_owned(), after: String::new(), ..self.clone() }
    }
}

/// A row that was ticked, as the form says it: connector, organization, kind, id, mark.
fn picked(text: &str) -> Result<QueuePick, Trouble> {
    let pick = || {
        let mut parts = text.rsplitn(5, '/');
        let mark = parts.next()?.parse().ok()?;
        let id = ResourceId::parse(parts.next()?)?;
        let kind = parts.next()?;
        let kind = ResourceKind::ALL.into_iter().find(|known| known.name() == kind)?;
        let organization = parts.next()?.to_owned();
        let connector = parts.next()?.to_owned();
        Some(QueuePick { connector, organization, kind, id, mark: Some(mark) })
    };
    pick().ok_or_else(|| Trouble::Invalid("that is no entry of the queue".to_owned()))
}

/// What [`picked`] reads.
fn pick(entry: &Entry) -> String {
    let Entry { connector, organization, kind, id, mark, .. } = entry;
    format!("{connector}/{organization}/{kind}/{id}/{mark}")
}

/// What people know them by.
fn called(entry: &Entry) -> String {
    let name = entry.display_name.as_ref().unwrap_or(&entry.name);
    if name.is_empty() { entry.id.to_string() } else { name.clone() }
}

/// The list or the entry that somebody came from, and no other place.
fn back(to: &str) -> &str {
    let is_here = to == "/queue" || to.starts_with("/queue?") || to.starts_with("/queue/entry?");
    if is_here { to } else { "/queue" }
}
