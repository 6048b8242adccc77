//! Bulk (RFC 7644 section 3.7): its operations are carried out one after another, each as if it
//! had come alone: atomic by itself, counted, and held to the rate of its organization.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, header};
use scim_relay_sdk::scim::{
    BULK_RESPONSE_URN, Bulk, BulkStep, BulkWrite, Projection, Quirk, ResourceKind,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Scim;
use super::auth::{self, Caller};
use super::call::{self, Call, SCIM_JSON, Unread};
use super::errors::Failure;
use super::limits::Place;
use super::outcome::{Deviations, Outcome, Outcomes};
use crate::directory::{Directory, Precondition, Served};

/// Answers with what came of each operation, in the order in which they were sent. One that was
/// not attempted is not listed.
pub(super) async fn carry_out(
    State(scim): State<Arc<Scim>>,
    headers: HeaderMap,
    call: Call,
    place: Place,
    body: Unread,
) -> Result<Response, Failure> {
    let directory = call.caller.directory.clone();
    let _turn = place.turn().await;
    let mut bulk = Bulk::parse(body.parse()?)?;

    let mut entries: Vec<Option<String>> = vec![None; bulk.len()];
    let (mut outcomes, mut deviations) = (Vec::new(), Vec::new());
    // The gate has let in the first one.
    let mut first = Some(call.caller);
    while let Some(BulkStep { index, method, bulk_id, write }) = bulk.next_step() {
        let caller = match first.take() {
            Some(caller) => Ok(caller),
            None => admit(&scim, &directory, &headers).await,
        };
        let path = write.as_ref().ok().and_then(BulkWrite::path);
        let written = match (caller, write) {
            (Ok(caller), Ok(write)) => Box::pin(perform(&caller, write)).await,
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(failure), _) => Err(failure),
        };
        let written = match written {
            // Nothing has been written, so the whole of it may be sent again.
            Err(failure) if outcomes.is_empty() && failure.error().status >= 500 => {
                return Err(failure);
            }
            written => written,
        };
        let resource = written.as_ref().ok().map(|written| written.outcome.id);
        bulk.settle(bulk_id.as_deref(), resource);
        let location = path.map(|path| format!("{}{path}", directory.base()));
        entries[index] = Some(entry(&method, bulk_id, location, &written));
        match written {
            Ok(written) => {
                outcomes.push(written.outcome);
                deviations.extend(written.quirks);
            }
            Err(failure) => deviations.extend_from_slice(&failure.error().quirks),
        }
    }
    let headers = [(header::CONTENT_TYPE, SCIM_JSON)];
    let extensions = (Extension(Outcomes(outcomes)), Extension(Deviations(deviations)));
    Ok((headers, extensions, answer(&entries)).into_response())
}

/// Taken before the body is read, so that no more bodies wait in memory than there are places.
impl FromRequestParts<Arc<Scim>> for Place {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, scim: &Arc<Scim>) -> Result<Self, Failure> {
        let organization = call::caller(parts)?.directory.organization();
        scim.turns.place(organization).map_err(Failure::too_many)
    }
}

/// Every operation counts as a request. A bulk that asks for more than there is to be had goes on
/// as fast as the organization may, instead of being refused half-way; and it ends with its token.
async fn admit(scim: &Scim, directory: &Directory, headers: &HeaderMap) -> Result<Caller, Failure> {
    loop {
        let admitted = scim.limits.load().admit(directory.organization());
        match admitted {
            Ok(()) => break,
            Err(wait) => sleep(wait).await,
        }
    }
    auth::authenticate(scim, &directory.info().key, headers).map_err(|_| Failure::unauthorized())
}

struct Written {
    status: u16,
    /// None of a resource that is gone.
    now: Option<Now>,
    outcome: Outcome,
    quirks: Vec<Quirk>,
}

struct Now {
    location: String,
    etag: String,
}

impl Written {
    fn of(status: u16, served: Served, verb: &'static str) -> Self {
        let Served { kind, id, etag, location, quirks, changed, .. } = served;
        let outcome = Outcome { kind, id, verb: changed.then_some(verb) };
        Self { status, now: Some(Now { location, etag }), outcome, quirks }
    }
}

async fn perform(caller: &Caller, write: BulkWrite) -> Result<Written, Failure> {
    let (editor, kind) = (caller.editor()?, write.kind());
    // The answer shows no resource, so nothing that could be long is read for it.
    let without = match kind {
        ResourceKind::User => "groups",
        ResourceKind::Group => "members",
    };
    let projection = Projection::parse(None, Some(without), caller.directory.resource_type(kind))?;
    let if_match = |version: Option<String>| Precondition::new(version.as_deref(), None);
    Ok(match write {
        BulkWrite::Create { data, .. } => {
            Written::of(201, editor.create(kind, data, &projection).await?, "created")
        }
        BulkWrite::Replace { id, version, data, .. } => {
            let version = if_match(version);
            let served = editor.replace(kind, &id, data, &version, &projection).await?;
            Written::of(200, served, "updated")
        }
        BulkWrite::Patch { id, version, data, .. } => {
            let version = if_match(version);
            let served = editor.patch(kind, &id, data, &version, &projection).await?;
            Written::of(200, served, "updated")
        }
        BulkWrite::Delete { id, version, .. } => {
            let id = editor.delete(kind, &id, &if_match(version)).await?;
            let outcome = Outcome::deleted(kind, id);
            Written { status: 204, now: None, outcome, quirks: Vec::new() }
        }
    })
}

/// One operation's part of the answer. `location` is where it was to write: all have one but a
/// POST that failed. A `response` comes with errors alone.
fn entry(
    method: &str,
    bulk_id: Option<String>,
    location: Option<String>,
    written: &Result<Written, Failure>,
) -> String {
    let mut entry = json!({ "method": method });
    if let Some(bulk_id) = bulk_id {
        entry["bulkId"] = bulk_id.into();
    }
    if let Some(location) = location {
        entry["location"] = location.into();
    }
    match written {
        Ok(Written { status, now, .. }) => {
            if let Some(Now { location, etag }) = now {
                entry["location"] = location.as_str().into();
                entry["version"] = etag.as_str().into();
            }
            entry["status"] = status.to_string().into();
        }
        Err(failure) => {
            let error = failure.error();
            entry["status"] = error.status.to_string().into();
            entry["response"] = error.to_json();
        }
    }
    Value::to_string(&entry)
}

fn answer(entries: &[Option<String>]) -> String {
    let operations: Vec<&str> = entries.iter().flatten().map(String::as_str).collect();
    let operations = operations.join(",");
    format!("{{\"schemas\":[\"{BULK_RESPONSE_URN}\"],\"Operations\":[{operations}]}}")
}
