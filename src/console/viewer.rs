//! Who looks, what they may do, and how they read times and numbers.

use axum::Router;
use axum::extract::{FromRequestParts, Query, RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::Method;
use http::request::Parts;
use serde::Deserialize;

use super::Console;
use super::live::{Update, Updates};
use super::reader::Reader;
use super::trouble::Trouble;
use crate::operator::{Actor, Glance, Right, Rights, SessionId};

/// Somebody who is signed in. The session layer puts it into each request.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    /// For the audit log.
    pub(super) actor: Actor,
    pub(super) name: String,
    pub(super) rights: Rights,
    pub(super) session: SessionId,
    pub(super) reader: Reader,
    /// Behind the lines of the menu.
    pub(super) waits: Waits,
}

/// What is counted in the menu, as its reader writes numbers; empty: nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    pub(super) queue: String,
    pub(super) troubled: String,
}

impl Waits {
    /// The elements' ids.
    pub(super) const QUEUE: &'static str = "n-queue";
    pub(super) const TROUBLED: &'static str = "n-troubled";

    pub(super) fn of(glance: &Glance, reader: &Reader) -> Self {
        let written = |count: u64| match i64::try_from(count) {
            Ok(0) => String::new(),
            count => reader.number(count.unwrap_or(i64::MAX)),
        };
        Self { queue: written(glance.queue), troubled: written(glance.troubled) }
    }

    pub(super) fn texts(&self) -> Updates {
        let Self { queue, troubled } = self;
        [(Self::QUEUE, queue), (Self::TROUBLED, troubled)]
            .map(|(id, text)| (id.to_owned(), Update::text(text)))
            .into()
    }
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
        // A form cannot be sent again by a link.
        let looks = parts.method == Method::GET;
        let next =
            || Trouble::SignIn { next: if looks { parts.uri.to_string() } else { "/".to_owned() } };
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
    let asked = filter.chosen();
    for organization in in_path.chain(asked) {
        if let Err(trouble) = viewer.sees(organization) {
            return trouble.into_response();
        }
    }
    next.run(request).await
}

/// Counts what the menu tells, as far as its reader sees, and what they chose.
pub(super) async fn count_what_waits(
    State(console): State<Console>,
    Query(filter): Query<Filter>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe()
        && let Some(viewer) = request.extensions_mut().get_mut::<Viewer>()
    {
        match console.operator.glance(viewer.rights.reach(), filter.chosen()).await {
            Ok(glance) => viewer.waits = Waits::of(&glance, &viewer.reader),
            Err(error) => return Trouble::from(error).into_response(),
        }
    }
    next.run(request).await
}

/// The organization that a list is narrowed to. Left out or empty: all that the viewer has.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Filter {
    pub(super) org: Option<String>,
}

impl Filter {
    pub(super) fn chosen(&self) -> Option<&str> {
        self.org.as_deref().filter(|key| !key.is_empty())
    }
}
