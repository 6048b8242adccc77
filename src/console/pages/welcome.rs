//! `/welcome/SECRET`: links that work once. The first administrator makes their account, others set a
//! password; whoever has a link that lets in is in.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::sign_in::{MAX_FORM, come_in};
use crate::console::Console;
use crate::console::page::{Content, Mistake};
use crate::console::trouble::Trouble;
use crate::operator::{
    Invitation, NewPassword, Operator, OperatorError, Result as Done, Visitor, Welcomed,
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/welcome/{secret}", get(show).post(accept))
        .layer(DefaultBodyLimit::max(MAX_FORM))
}

#[derive(Serialize)]
struct WelcomePage {
    /// Whether there is nobody yet.
    first: bool,
    email: String,
    name: String,
}

impl Content for WelcomePage {
    const TEMPLATE: &'static str = "welcome.html";
}

#[derive(Serialize)]
struct Gone {}

impl Content for Gone {
    const TEMPLATE: &'static str = "welcome-gone.html";
}

#[derive(Deserialize)]
struct Filled {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    password: String,
}

fn title(first: bool) -> &'static str {
    if first { "Make the first account" } else { "Choose a password" }
}

fn gone(console: &Console, headers: &HeaderMap) -> Response {
    let reader = console.reader(headers);
    let mut response = console.alone(&reader, "This link is used up", &Gone {}, &[]);
    *response.status_mut() = StatusCode::GONE;
    response
}

async fn show(
    State(console): State<Console>,
    visitor: Visitor,
    method: Method,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response, Trouble> {
    let (first, email) = match console.operator.invitation(&secret).await? {
        None => return Ok(gone(&console, &headers)),
        Some(Invitation::First) => (true, String::new()),
        Some(Invitation::Password { email, .. }) => (false, email),
        // Programs that only look at a link do not use it up.
        Some(Invitation::SignIn { .. }) if method != Method::GET => {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Some(Invitation::SignIn { .. }) => {
            return Ok(match console.operator.welcome_in(&secret, &visitor).await? {
                Welcomed::In(begun) => come_in(&console, &begun, None),
                Welcomed::Gone => gone(&console, &headers),
            });
        }
    };
    let page = WelcomePage { first, email, name: String::new() };
    Ok(console.alone(&console.reader(&headers), title(first), &page, &[]))
}

async fn accept(
    State(console): State<Console>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(secret): Path<String>,
    Form(filled): Form<Filled>,
) -> Result<Response, Trouble> {
    let (first, email) = match console.operator.invitation(&secret).await? {
        Some(Invitation::First) => (true, filled.email.clone()),
        Some(Invitation::Password { email, .. }) => (false, email),
        None | Some(Invitation::SignIn { .. }) => return Ok(gone(&console, &headers)),
    };
    let wrong = |field, text: String| {
        let page = WelcomePage { first, email: email.clone(), name: filled.name.clone() };
        let mistakes = [Mistake { field, text: sentence(&text) }];
        console.alone(&console.reader(&headers), title(first), &page, &mistakes)
    };
    let password = match NewPassword::new(&filled.password) {
        Ok(password) => password,
        Err(error) => return Ok(wrong("password", error.to_string())),
    };
    match welcome(&console.operator, &secret, first, &filled, password, &visitor).await {
        Ok(Welcomed::In(begun)) => Ok(come_in(&console, &begun, None)),
        Ok(Welcomed::Gone) => Ok(gone(&console, &headers)),
        Err(OperatorError::Invalid(text)) => Ok(wrong("email", text)),
        Err(error) => Err(error.into()),
    }
}

async fn welcome(
    operator: &Operator,
    secret: &str,
    first: bool,
    filled: &Filled,
    password: NewPassword,
    visitor: &Visitor,
) -> Done<Welcomed> {
    if first {
        operator.welcome_first(secret, &filled.email, &filled.name, password, visitor).await
    } else {
        operator.welcome_password(secret, password, visitor).await
    }
}

/// With a capital letter.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::page::sample::drawn_alone;

    #[test]
    fn the_first_one_gives_an_address_and_others_a_password_alone() {
        let page = |first, email: &str| {
            let page = WelcomePage { first, email: email.to_owned(), name: String::new() };
            drawn_alone(&page, &[])
        };
        let first = page(true, "");
        assert!(first.contains("id=\"email\"") && first.contains("id=\"name\""), "{first}");
        let other = page(false, "kari@lillevik.example");
        assert!(other.contains("For kari@lillevik.example."), "{other}");
        assert!(!other.contains("id=\"email\""), "{other}");
        for html in [first, other] {
            assert!(html.contains("autocomplete=\"new-password\""), "{html}");
        }
        assert!(drawn_alone(&Gone {}, &[]).contains("It works once"));
    }

    #[test]
    fn what_was_wrong_stands_first_and_at_its_field() {
        let page = WelcomePage { first: true, email: "<i>".to_owned(), name: "Ada".to_owned() };
        let error = NewPassword::new("short").unwrap_err().to_string();
        let html = drawn_alone(&page, &[Mistake { field: "password", text: sentence(&error) }]);
        assert!(html.contains("<title>Error: "), "{html}");
        assert!(html.contains("<a href=\"#password\">A password has at least 12"), "{html}");
        assert!(html.contains("value=\"Ada\"") && !html.contains("<i>"), "{html}");
        assert!(!html.contains("short"), "what was typed is not sent back");
    }
}
