//! In and out: `/sign-in` and `/sign-out`.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::console::page::{Content, Mistake};
use crate::console::session::{local, set_cookie};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{Begun, Proof, SignedIn, Visitor, words};

/// A form has an address and a password.
pub(super) const MAX_FORM: usize = 16 * 1024;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-in/code", post(enter_code))
        .route("/sign-out", post(sign_out))
        .layer(DefaultBodyLimit::max(MAX_FORM))
}

/// Where somebody wanted to go.
#[derive(Deserialize)]
struct Wanted {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
    next: Option<String>,
}

#[derive(Serialize)]
struct SignInPage {
    /// Which console it is.
    host: String,
    email: String,
    next: Option<String>,
    /// What the button for sign-in by a provider says, where there is one.
    provider: Option<String>,
}

impl Content for SignInPage {
    const TEMPLATE: &'static str = "sign-in.html";
}

impl SignInPage {
    fn new(console: &Console, email: String, next: Option<String>) -> Self {
        let url = console.operator.console().url;
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host).to_owned();
        let next = next.filter(|next| local(next).is_some());
        Self { host, email, next, provider: console.operator.oidc_name() }
    }
}

async fn show(
    State(console): State<Console>,
    viewer: Option<Extension<Viewer>>,
    headers: HeaderMap,
    Query(Wanted { next }): Query<Wanted>,
) -> Response {
    if viewer.is_some() {
        return Redirect::to(next.as_deref().and_then(local).unwrap_or("/")).into_response();
    }
    let page = SignInPage::new(&console, String::new(), next);
    console.alone(&console.reader(&headers), "Sign in", &page, &[])
}

async fn sign_in(
    State(console): State<Console>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(Credentials { email, password, next }): Form<Credentials>,
) -> Result<Response, Trouble> {
    let text = match console.operator.sign_in(&email, &password, &visitor).await? {
        Proof::Done(SignedIn::In(begun)) => return Ok(come_in(&console, &begun, next.as_deref())),
        Proof::Done(SignedIn::NeedsCode(ticket)) => {
            let page = CodePage { ticket, next: next.filter(|next| local(next).is_some()) };
            return Ok(console.alone(&console.reader(&headers), "Your code", &page, &[]));
        }
        Proof::Refused => "Check the e-mail address and the password: they do not belong together",
        Proof::Wait(wait) => return Ok(wait_a_while(&console, &headers, email, next, wait)),
    };
    let page = SignInPage::new(&console, email, next);
    let mistake = Mistake { field: "email", text: text.to_owned() };
    Ok(console.alone(&console.reader(&headers), "Sign in", &page, &[mistake]))
}

/// The second factor of somebody whose password was right.
#[derive(Serialize)]
struct CodePage {
    ticket: String,
    next: Option<String>,
}

impl Content for CodePage {
    const TEMPLATE: &'static str = "sign-in-code.html";
}

#[derive(Deserialize)]
struct Entered {
    ticket: String,
    code: String,
    next: Option<String>,
}

async fn enter_code(
    State(console): State<Console>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(Entered { ticket, code, next }): Form<Entered>,
) -> Result<Response, Trouble> {
    let text = match console.operator.enter_code(&ticket, &code, &visitor).await? {
        None => return Ok(Redirect::to("/sign-in").into_response()),
        Some(Proof::Done(begun)) => return Ok(come_in(&console, &begun, next.as_deref())),
        Some(Proof::Refused) => {
            "That is not the code of this moment. Each is good once, for half a minute".to_owned()
        }
        Some(Proof::Wait(wait)) => too_many(wait),
    };
    let page = CodePage { ticket, next: next.filter(|next| local(next).is_some()) };
    let mistake = Mistake { field: "code", text };
    Ok(console.alone(&console.reader(&headers), "Your code", &page, &[mistake]))
}

/// Guesses were too many.
pub(super) fn too_many(wait: Duration) -> String {
    let wait = jiff::SignedDuration::from_secs(wait.as_secs() as i64 + 1);
    let long = words::span(wait).unwrap_or_default();
    format!("There were too many tries. Wait {long}, then try again")
}

/// Nobody came in by the identity provider; why.
pub(super) fn refused(console: &Console, headers: &HeaderMap, text: String) -> Response {
    let page = SignInPage::new(console, String::new(), None);
    let mistake = Mistake { field: "provider", text };
    console.alone(&console.reader(headers), "Sign in", &page, &[mistake])
}

fn wait_a_while(
    console: &Console,
    headers: &HeaderMap,
    email: String,
    next: Option<String>,
    wait: Duration,
) -> Response {
    let seconds = wait.as_secs() + 1;
    let text = too_many(wait);
    let page = SignInPage::new(console, email, next);
    let mistake = Mistake { field: "password", text };
    let mut response = console.alone(&console.reader(headers), "Sign in", &page, &[mistake]);
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// A new session has a new secret, whatever the browser had before.
pub(super) fn come_in(console: &Console, begun: &Begun, next: Option<&str>) -> Response {
    let mut response = Redirect::to(next.and_then(local).unwrap_or("/")).into_response();
    let cookie = set_cookie(console, Some(&begun.secret));
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

async fn sign_out(
    State(console): State<Console>,
    viewer: Option<Extension<Viewer>>,
) -> Result<Response, Trouble> {
    if let Some(Extension(viewer)) = viewer {
        console.operator.sign_out(&viewer.actor, viewer.session).await?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    response.headers_mut().insert(header::SET_COOKIE, set_cookie(&console, None));
    Ok(response)
}
