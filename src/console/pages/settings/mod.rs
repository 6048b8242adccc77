//! `/settings`: who may come in, who is in, and what runs here. For administrators.

mod accounts;
mod licences;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Serialize;

use super::account::Ended;
use super::sign_in::MAX_FORM;
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::{Viewer, needs};
use crate::operator::{AccountLine, House, Right, SessionLine};

pub(super) fn routes() -> Router<Console> {
    let all = Router::new()
        .route("/settings", get(show))
        .route("/settings/licences", get(licences::show))
        .route("/settings/sessions/end", post(end_session))
        .merge(accounts::routes())
        .layer(DefaultBodyLimit::max(MAX_FORM));
    needs(Right::Administer, all)
}

#[derive(Serialize)]
struct SettingsPage {
    accounts: Vec<Line>,
    sessions: Vec<SessionLine>,
    house: House,
}

/// An account in the table.
#[derive(Serialize)]
struct Line {
    id: i64,
    role: &'static str,
    #[serde(flatten)]
    account: AccountLine,
}

impl Line {
    fn new(account: AccountLine) -> Self {
        Self { id: account.id.map_or(0, |id| id.0), role: account.role.title(), account }
    }
}

impl Content for SettingsPage {
    const TEMPLATE: &'static str = "settings.html";
}

async fn show(viewer: Viewer, State(console): State<Console>) -> Result<Response, Trouble> {
    let page = SettingsPage {
        accounts: console.operator.accounts().await?.into_iter().map(Line::new).collect(),
        sessions: console.operator.sessions(None).await?,
        house: console.operator.house(),
    };
    Ok(console.page(&Page::new(&viewer, Section::Settings, "Settings", &page)))
}

async fn end_session(
    viewer: Viewer,
    State(console): State<Console>,
    Form(Ended { session }): Form<Ended>,
) -> Result<Response, Trouble> {
    console.operator.end_session(&viewer.actor, session, None).await?;
    console.tell(&viewer, Notice::done("That browser is signed out."));
    Ok(Redirect::to("/settings").into_response())
}
