//! People and groups: who is there, and one of them with all that is known.

mod list;

use axum::Router;
use axum::routing::get;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_sdk::scim::{ResourceId, ResourceKind};

use crate::console::Console;
use crate::console::viewer;
use crate::operator::Right;

pub(super) fn routes() -> Router<Console> {
    let look = Router::new()
        .route("/people", get(list::people))
        .route("/people/suggest", get(list::suggest));
    viewer::needs(Right::People, look)
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
