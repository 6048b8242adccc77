//! `/account`: one's own: who one is here, the password, and where one is signed in.

use axum::extract::{DefaultBodyLimit, Form, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::sign_in::MAX_FORM;
use super::welcome::sentence;
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{Member, NewPassword, Proof, Reach, SessionId, SessionLine, Visitor, words};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", post(change_password))
        .route("/account/sessions/end", post(end_session))
        .layer(DefaultBodyLimit::max(MAX_FORM))
}

#[derive(Serialize)]
struct AccountPage {
    email: String,
    /// None: everywhere.
    organizations: Option<Vec<String>>,
    /// Whether they have one; others come in by a provider.
    password: bool,
    sessions: Vec<SessionLine>,
    /// The one that looks.
    here: SessionId,
}

impl Content for AccountPage {
    const TEMPLATE: &'static str = "account.html";
}

async fn drawn(
    console: &Console,
    viewer: &Viewer,
    member: &Member,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    let accounts = console.operator.accounts().await?;
    let own = accounts.iter().find(|account| account.id == Some(member.account));
    let page = AccountPage {
        email: member.email.clone(),
        organizations: match viewer.rights.reach() {
            Reach::Everywhere => None,
            Reach::Only(own) => Some(own.iter().map(ToString::to_string).collect()),
        },
        password: own.is_some_and(|account| account.password),
        sessions: console.operator.sessions(Some(member.account)).await?,
        here: member.session,
    };
    let page = Page::new(viewer, Section::Account, "Your account", &page).mistakes(mistakes);
    Ok(console.page(&page))
}

async fn show(
    viewer: Viewer,
    Extension(member): Extension<Member>,
    State(console): State<Console>,
) -> Result<Response, Trouble> {
    drawn(&console, &viewer, &member, Vec::new()).await
}

#[derive(Deserialize)]
struct Passwords {
    old: String,
    new: String,
}

async fn change_password(
    viewer: Viewer,
    visitor: Visitor,
    Extension(member): Extension<Member>,
    State(console): State<Console>,
    Form(Passwords { old, new }): Form<Passwords>,
) -> Result<Response, Trouble> {
    let mistake = match NewPassword::new(&new) {
        Err(error) => Mistake { field: "new", text: sentence(&error.to_string()) },
        Ok(new) => match console.operator.change_password(&member, &old, new, &visitor).await? {
            Proof::Done(()) => {
                let text = "The password is changed. You are signed out everywhere else.";
                console.tell(&viewer, Notice::done(text));
                return Ok(Redirect::to("/account").into_response());
            }
            Proof::Refused => {
                let text = "That is not the password you have now".to_owned();
                Mistake { field: "old", text }
            }
            Proof::Wait(wait) => {
                let wait = SignedDuration::from_secs(wait.as_secs() as i64 + 1);
                let long = words::span(wait).unwrap_or_default();
                let text = format!("There were too many tries. Wait {long}, then try again");
                Mistake { field: "old", text }
            }
        },
    };
    drawn(&console, &viewer, &member, vec![mistake]).await
}

#[derive(Deserialize)]
pub(super) struct Ended {
    pub(super) session: SessionId,
}

async fn end_session(
    viewer: Viewer,
    Extension(member): Extension<Member>,
    State(console): State<Console>,
    Form(Ended { session }): Form<Ended>,
) -> Result<Response, Trouble> {
    console.operator.end_session(&viewer.actor, session, Some(member.account)).await?;
    console.tell(&viewer, Notice::done("That browser is signed out."));
    Ok(Redirect::to("/account").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::page::sample;

    fn session(id: i64, agent: &str) -> SessionLine {
        let at = |text: &str| text.parse().unwrap();
        SessionLine {
            id: SessionId(id),
            email: "ingrid@lillevik.example".to_owned(),
            created: at("2026-11-18T06:00:00Z"),
            seen: at("2026-11-18T08:40:00Z"),
            ends: at("2026-11-18T18:00:00Z"),
            address: "192.0.2.7".to_owned(),
            agent: agent.to_owned(),
        }
    }

    #[test]
    fn ones_own_account_is_drawn_with_and_without_a_password() {
        let mut page = AccountPage {
            email: "ingrid@lillevik.example".to_owned(),
            organizations: None,
            password: true,
            sessions: vec![session(1, "Firefox"), session(2, "<script>alert(1)</script>")],
            here: SessionId(1),
        };
        insta::assert_snapshot!(sample::main_of(&page));
        page.password = false;
        page.organizations = Some(vec!["lillevik".to_owned()]);
        let html = sample::main_of(&page);
        assert!(!html.contains("type=\"password\""), "{html}");
        assert!(html.contains("identity provider"), "{html}");
    }
}
