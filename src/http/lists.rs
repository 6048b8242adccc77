//! Lists and searches: of users, of groups, and at the root of both (RFC 7644 sections 3.4.2 and
//! 3.4.3).

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header;
use scim_relay_sdk::scim::{ListQuery, ResourceKind, ResourceType};

use super::call::{Call, Question, SCIM_JSON};
use super::errors::Failure;
use super::outcome::Deviations;

/// What an address lists.
#[derive(Clone, Copy)]
pub(super) struct Kinds(pub(super) &'static [ResourceKind]);

type Answer = Result<Response, Failure>;

pub(super) async fn list(Extension(kinds): Extension<Kinds>, call: Call) -> Answer {
    let query = ListQuery::parse(&call.query, &types(&call, kinds))?;
    answer(&call, query).await
}

/// A search reads, whatever its method says.
pub(super) async fn search(
    Extension(kinds): Extension<Kinds>,
    call: Call,
    Question(body): Question,
) -> Answer {
    let query = ListQuery::parse_search(body, &types(&call, kinds))?;
    answer(&call, query).await
}

fn types(call: &Call, kinds: Kinds) -> Vec<&ResourceType> {
    kinds.0.iter().map(|kind| call.ty(*kind)).collect()
}

async fn answer(call: &Call, query: ListQuery) -> Answer {
    let body = call.caller.directory.list(&query).await?;
    let deviations = Extension(Deviations(query.quirks.kinds()));
    Ok((deviations, [(header::CONTENT_TYPE, SCIM_JSON)], body).into_response())
}
