//! The first page: whether provisioning works, and what waits for a person.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::Uri;
use serde::Serialize;

use crate::console::Console;
use crate::console::live::{self, Update, Updates};
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::{Filter, Viewer};
use crate::operator::{Glance, Right};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/", get(overview))
}

#[derive(Serialize)]
struct Overview {
    queue: u64,
    troubled: u64,
}

impl Content for Overview {
    const TEMPLATE: &'static str = "overview.html";
}

/// Whoever has people alone begins with them.
async fn overview(
    viewer: Viewer,
    State(console): State<Console>,
    Query(filter): Query<Filter>,
) -> Result<Response, Trouble> {
    if !viewer.may(Right::Operate) {
        return Ok(Redirect::to("/people").into_response());
    }
    let org = filter.chosen();
    let content = Overview::of(&console, &viewer, org).await?;
    let page = Page::new(&viewer, Section::Overview, "Overview", &content).of(org);
    Ok(console.page(&page.live(live::address("overview", org))))
}

impl Overview {
    async fn of(console: &Console, viewer: &Viewer, org: Option<&str>) -> Result<Self, Trouble> {
        let Glance { queue, troubled } =
            console.operator.glance(viewer.rights.reach(), org).await?;
        Ok(Self { queue, troubled })
    }
}

pub(in crate::console) async fn live(
    console: &Console,
    viewer: &Viewer,
    at: &Uri,
) -> Result<Updates, Trouble> {
    let filter: Filter = live::asked(at)?;
    let page = Overview::of(console, viewer, filter.chosen()).await?;
    let queue = viewer.reader.number(i64::try_from(page.queue).unwrap_or(i64::MAX));
    Ok([("n-q".to_owned(), Update::text(queue))].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::page::sample;

    #[test]
    fn the_answer_comes_first() {
        let html = sample::drawn(&Overview { queue: 1_074, troubled: 0 });
        assert!(html.contains("<h1>Provisioning works</h1>"));
        assert!(html.contains("<dd id=\"n-q\">1,074</dd>"));
        let html = sample::drawn(&Overview { queue: 0, troubled: 1 });
        assert!(html.contains("does not work everywhere"));
    }
}
