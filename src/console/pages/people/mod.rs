//! People and groups: who is there, and one of them with all that is known.

mod actions;
mod list;
mod person;
#[cfg(test)]
mod person_tests;
mod stands;
mod story;
mod verdict;

use axum::Router;
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_sdk::scim::{ResourceId, ResourceKind};

use crate::console::Console;
use crate::console::viewer;
use crate::operator::Right;

pub(super) fn routes() -> Router<Console> {
    let look = Router::new()
        .route("/people", get(list::people))
        .route("/people/suggest", get(list::suggest))
        .route("/organizations/{organization}/people/{id}", get(person::person))
        .route("/organizations/{organization}/groups/{id}", get(person::group));
    // Of both kinds: `people` or `groups`.
    let one = "/organizations/{organization}/{kind}/{id}";
    let act = Router::new()
        .route(&format!("{one}/preview"), get(actions::preview))
        .route(&format!("{one}/retry"), post(actions::retry))
        .route(&format!("{one}/compare"), post(actions::compare));
    viewer::needs(Right::People, look).merge(viewer::needs(Right::Retry, act))
}

/// Where one of them has its page.
fn address(organization: &str, kind: ResourceKind, id: ResourceId) -> String {
    let kind = match kind {
        ResourceKind::User => "people",
        ResourceKind::Group => "groups",
    };
    let organization = utf8_percent_encode(organization, NON_ALPHANUMERIC);
    format!("/organizations/{organization}/{kind}/{id}")
}
