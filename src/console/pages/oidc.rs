//! Sign-in by an identity provider: there and back.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::sign_in::{come_in, refused};
use crate::console::Console;
use crate::console::reader::cookie;
use crate::console::session::local;
use crate::console::trouble::Trouble;
use crate::operator::{Entry, OperatorError, Return, Visitor};

/// Which browser set out.
const BOUND: &str = "oidc";

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/sign-in/oidc", get(set_out)).route("/sign-in/oidc/return", get(come_back))
}

#[derive(Deserialize)]
struct Wanted {
    next: Option<String>,
}

async fn set_out(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(Wanted { next }): Query<Wanted>,
) -> Result<Response, Trouble> {
    let next = next.filter(|next| local(next).is_some());
    let begin = match console.operator.begin_oidc(next).await {
        Ok(begin) => begin,
        Err(OperatorError::Target(why)) => return Ok(refused(&console, &headers, why)),
        Err(error) => return Err(error.into()),
    };
    let mut response = Redirect::to(&begin.address).into_response();
    keep(&console, &mut response, begin.bound.expose_secret(), 600);
    Ok(response)
}

async fn come_back(
    State(console): State<Console>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(back): Query<Return>,
) -> Result<Response, Trouble> {
    let bound = cookie(&headers, BOUND);
    let mut response = match console.operator.finish_oidc(back, bound, &visitor).await {
        Ok(Entry::In(begun, next)) => come_in(&console, &begun, next.as_deref()),
        Ok(Entry::Not(why)) | Err(OperatorError::Target(why) | OperatorError::Invalid(why)) => {
            refused(&console, &headers, why)
        }
        Err(error) => return Err(error.into()),
    };
    keep(&console, &mut response, "", 0);
    Ok(response)
}

/// For the way there and back; another site's request for our page brings it along, since that is
/// how one comes back.
fn keep(console: &Console, response: &mut Response, bound: &str, seconds: u32) {
    let secure = if console.operator.console().is_private() { "; Secure" } else { "" };
    let cookie = format!(
        "{BOUND}={bound}; Path=/sign-in; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}"
    );
    let cookie = HeaderValue::try_from(cookie).expect("a secret of ours is plain ASCII");
    response.headers_mut().append(header::SET_COOKIE, cookie);
}
