//! The systems that changes are delivered to: how each does, and what a person may do about it.

pub(in crate::console) mod comparison;
mod controls;
mod held;
mod one;
mod preview;
mod verdicts;
mod words;

pub(super) use words::kind as kind_name;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;

use crate::console::Console;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::{self, Filter, Viewer};
use crate::operator::{ConnectorView, Right, Share};

pub(super) fn routes() -> Router<Console> {
    let routes = Router::new()
        .route("/connectors", get(list))
        .route("/connectors/{connector}", get(one::show))
        .route("/connectors/{connector}/test", post(controls::test))
        .route("/connectors/{connector}/pause", get(controls::ask_pause).post(controls::pause))
        .route("/connectors/{connector}/resume", post(controls::resume))
        .route("/connectors/{connector}/resync", get(controls::ask_resync).post(controls::resync))
        .route("/connectors/{connector}/forget", get(controls::ask_forget).post(controls::forget))
        .route("/connectors/{connector}/preview", get(preview::show))
        .route("/connectors/{connector}/comparison", get(comparison::show).post(comparison::begin))
        .route("/connectors/{connector}/comparison/repair", post(comparison::put_right));
    let decisions = Router::new()
        .route("/connectors/{connector}/held", get(held::list).post(held::pick))
        .route("/connectors/{connector}/held/{ballot}", get(held::ask).post(held::decide));
    viewer::needs(Right::Operate, routes).merge(viewer::needs(Right::Approve, decisions))
}

/// A connector's page.
fn address(name: &str) -> String {
    format!("/connectors/{name}")
}

/// What only those may do whom all of a connector concerns.
fn own(console: &Console, viewer: &Viewer, name: &str) -> Result<(), Trouble> {
    match console.operator.share_of_connector(name, viewer.rights.reach())? {
        Share::Whole => Ok(()),
        Share::Part => Err(Trouble::Forbidden),
    }
}

#[derive(Serialize)]
struct Connectors {
    all: Vec<Listed>,
    working: usize,
    /// Whether somebody chose one organization.
    is_narrowed: bool,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    view: ConnectorView,
    kind_name: String,
}

impl Content for Connectors {
    const TEMPLATE: &'static str = "connectors.html";
}

impl Connectors {
    fn new(views: Vec<ConnectorView>, is_narrowed: bool) -> Self {
        let working = views.iter().filter(|view| view.status.state == "up").count();
        let listed = |view: ConnectorView| Listed {
            kind_name: words::kind(&view.status.kind).to_owned(),
            view,
        };
        Self { all: views.into_iter().map(listed).collect(), working, is_narrowed }
    }
}

async fn list(
    viewer: Viewer,
    State(console): State<Console>,
    Query(Filter { org }): Query<Filter>,
) -> Result<Response, Trouble> {
    let of = org.as_deref().filter(|key| !key.is_empty());
    let views = console.operator.connectors_within(viewer.rights.reach(), of).await?;
    let content = Connectors::new(views, of.is_some());
    Ok(console.page(&Page::new(&viewer, Section::Connectors, "Connectors", &content).of(of)))
}

#[cfg(test)]
mod tests;
