//! What the service says of itself (RFC 7644 section 4).

use axum::response::{IntoResponse, Response};
use http::header;
use scim_relay_sdk::scim::{self, LIST_URN};
use serde_json::{Value, json};

use super::auth::Caller;
use super::call::{Call, Id, SCIM_JSON};
use super::errors::Failure;

type Answer = Result<Response, Failure>;

pub(super) async fn service_provider_config(call: Call) -> Answer {
    unfiltered(&call)?;
    let Caller { directory, max_body, .. } = &call.caller;
    let passes_passwords = directory.passes_passwords();
    Ok(answer(&scim::service_provider_config(directory.base(), *max_body, passes_passwords)))
}

pub(super) async fn resource_types(call: Call) -> Answer {
    unfiltered(&call)?;
    Ok(answer(&list(&all_types(&call))))
}

pub(super) async fn resource_type(call: Call, Id(id): Id) -> Answer {
    unfiltered(&call)?;
    Ok(answer(&named(&id, &all_types(&call))?))
}

pub(super) async fn schemas(call: Call) -> Answer {
    unfiltered(&call)?;
    Ok(answer(&list(&all_schemas(&call))))
}

pub(super) async fn schema(call: Call, Id(id): Id) -> Answer {
    unfiltered(&call)?;
    Ok(answer(&named(&id, &all_schemas(&call))?))
}

fn all_types(call: &Call) -> Vec<Value> {
    let directory = &call.caller.directory;
    scim::resource_types(&directory.info().schemas, directory.base())
}

fn all_schemas(call: &Call) -> Vec<Value> {
    let directory = &call.caller.directory;
    let all = directory.info().schemas.all();
    all.map(|schema| scim::schema_json(schema, directory.base())).collect()
}

/// RFC 7644 section 4: a filter here is answered with 403, lest a client takes a part for the
/// whole.
fn unfiltered(call: &Call) -> Result<(), Failure> {
    match call.parameter("filter") {
        None => Ok(()),
        Some(_) => Err(Failure::new(403, "this address takes no filter")),
    }
}

/// URNs ignore case.
fn named(id: &str, all: &[Value]) -> Result<Value, Failure> {
    let is = |one: &Value| one["id"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(id));
    all.iter().find(|one| is(one)).cloned().ok_or_else(|| scim::Error::not_found(id).into())
}

fn list(all: &[Value]) -> Value {
    json!({
        "schemas": [LIST_URN],
        "totalResults": all.len(),
        "startIndex": 1,
        "itemsPerPage": all.len(),
        "Resources": all,
    })
}

fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, SCIM_JSON)], body.to_string()).into_response()
}
