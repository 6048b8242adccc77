//! Who looks, what they may do, and how they read times and numbers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Query, RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use serde::Deserialize;

use super::Console;
use super::reader::Reader;
use super::trouble::Trouble;
use crate::operator::{Actor, Right, Rights};

/// Names a session without being its secret.
pub(super) type SessionKey = Arc<str>;

/// Somebody who is signed in. The session layer puts it into each request.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    /// For the audit log.
    pub(super) actor: Actor,
    pub(super) name: String,
    pub(super) rights: Rights,
    pub(super) session: SessionKey,
    pub(super) reader: Reader,
}

impl Viewer {
    /// An organization that somebody asked for, or that it is not theirs to know of.
    pub(super) fn sees(&self, organization: &str) -> Result<(), Trouble> {
        if self.rights.sees(organization) { Ok(()) } else { Err(Trouble::NotFound) }
    }

    pub(super) fn may(&self, right: Right) -> bool {
        self.rights.may(right)
    }
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        let next = || Trouble::SignIn { next: parts.uri.to_string() };
        parts.extensions.get::<Self>().cloned().ok_or_else(next)
    }
}

/// Lets only those through who have the right: said where routes are declared, so that no handler
/// can forget it.
pub(super) fn needs(right: Right, routes: Router<Console>) -> Router<Console> {
    routes.route_layer(from_fn_with_state(right, has_right))
}

async fn has_right(
    State(right): State<Right>,
    viewer: Viewer,
    request: Request,
    next: Next,
) -> Response {
    if viewer.may(right) { next.run(request).await } else { Trouble::Forbidden.into_response() }
}

/// Lets nobody reach another organization: neither by the path (`{organization}`) nor by the filter
/// (`?org=`). Whoever asks is told that there is none of that name.
pub(super) async fn within_reach(
    paths: RawPathParams,
    Query(filter): Query<Filter>,
    request: Request,
    next: Next,
) -> Response {
    let Some(viewer) = request.extensions().get::<Viewer>() else { return next.run(request).await };
    let in_path = paths.iter().filter(|(name, _)| *name == "organization").map(|(_, value)| value);
    let asked = filter.org.as_deref().filter(|org| !org.is_empty());
    for organization in in_path.chain(asked) {
        if let Err(trouble) = viewer.sees(organization) {
            return trouble.into_response();
        }
    }
    next.run(request).await
}

/// The organization that a list is narrowed to. Left out or empty: all that the viewer has.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Filter {
    pub(super) org: Option<String>,
}
