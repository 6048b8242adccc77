//! `/account`: one's own: who one is here, the password, and where one is signed in.

use axum::extract::{DefaultBodyLimit, Form, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};

use super::sign_in::{MAX_FORM, too_many};
use super::welcome::sentence;
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{
    Enrolment, Member, NewPassword, Proof, Reach, SessionId, SessionLine, Visitor,
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", post(change_password))
        .route("/account/second-factor", get(show_factor).post(set_up_factor))
        .route("/account/second-factor/off", post(turn_off_factor))
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
    second_factor: bool,
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
        second_factor: console.operator.has_second_factor(member).await?,
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
            Proof::Wait(wait) => Mistake { field: "old", text: too_many(wait) },
        },
    };
    drawn(&console, &viewer, &member, vec![mistake]).await
}

/// A phone is to make codes.
#[derive(Serialize)]
struct FactorPage {
    enrolment: Enrolment,
}

impl Content for FactorPage {
    const TEMPLATE: &'static str = "account-second-factor.html";
}

fn factor(
    console: &Console,
    viewer: &Viewer,
    enrolment: Enrolment,
    mistakes: Vec<Mistake>,
) -> Response {
    let page = FactorPage { enrolment };
    let title = "Set up a second factor";
    console.page(&Page::new(viewer, Section::Account, title, &page).mistakes(mistakes))
}

async fn show_factor(
    viewer: Viewer,
    Extension(member): Extension<Member>,
    State(console): State<Console>,
) -> Response {
    let enrolment = console.operator.new_second_factor(&member);
    factor(&console, &viewer, enrolment, Vec::new())
}

#[derive(Deserialize)]
struct FirstCode {
    secret: String,
    code: String,
}

async fn set_up_factor(
    viewer: Viewer,
    visitor: Visitor,
    Extension(member): Extension<Member>,
    State(console): State<Console>,
    Form(FirstCode { secret, code }): Form<FirstCode>,
) -> Result<Response, Trouble> {
    if console.operator.set_up_second_factor(&member, &secret, &code, &visitor).await? {
        let text = "From now on you sign in with your password and a code from your phone.";
        console.tell(&viewer, Notice::done(text));
        return Ok(Redirect::to("/account").into_response());
    }
    let text = "That is not the code of this moment. Is the phone's clock right?".to_owned();
    let enrolment = console.operator.second_factor_again(&member, &secret);
    Ok(factor(&console, &viewer, enrolment, vec![Mistake { field: "code", text }]))
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn turn_off_factor(
    viewer: Viewer,
    visitor: Visitor,
    Extension(member): Extension<Member>,
    State(console): State<Console>,
    Form(Password { password }): Form<Password>,
) -> Result<Response, Trouble> {
    let text = match console.operator.turn_off_second_factor(&member, &password, &visitor).await? {
        Proof::Done(()) => {
            console.tell(&viewer, Notice::but("You sign in with your password alone now."));
            return Ok(Redirect::to("/account").into_response());
        }
        Proof::Refused => "That is not your password".to_owned(),
        Proof::Wait(wait) => too_many(wait),
    };
    drawn(&console, &viewer, &member, vec![Mistake { field: "password", text }]).await
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
            second_factor: true,
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
