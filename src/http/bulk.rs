//! Bulk (RFC 7644 section 3.7): its operations are carried out one after another, each as if it
//! had come alone: atomic by itself, counted, and held to the rate of its organization.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use scim_relay_sdk::scim::{
    BULK_RESPONSE_URN, Bulk, BulkStep, BulkWrite, Projection, Quirk, ResourceKind,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Scim;
use super::call::{Call, SCIM_JSON, Unread};
use super::errors::Failure;
use super::outcome::{Deviations, Outcome, Outcomes};
use crate::directory::{Directory, DirectoryError, Editor, Precondition, Result, Served};
use crate::store::OrgId;

/// Answers with what came of each operation, in the order in which they were sent. One that was
/// not attempted is not listed.
pub(super) async fn carry_out(
    State(scim): State<Arc<Scim>>,
    call: Call,
    body: Unread,
) -> std::result::Result<Response, Failure> {
    let directory = &call.caller.directory;
    let organization = directory.organization();
    let editor = call.caller.editor()?;
    let _turn = scim.turns.take(organization).await;
    let mut bulk = Bulk::parse(body.parse()?)?;

    let mut entries: Vec<Option<String>> = vec![None; bulk.len()];
    let (mut outcomes, mut deviations) = (Vec::new(), Vec::new());
    // The gate has let in the first one.
    let mut admitted = true;
    while let Some(BulkStep { index, method, bulk_id, write }) = bulk.next_step() {
        if !std::mem::take(&mut admitted) {
            wait_for_admission(&scim, organization).await;
        }
        let path = write.as_ref().ok().and_then(BulkWrite::path);
        let written = match write {
            Ok(write) => Box::pin(perform(&editor, directory, write)).await,
            Err(error) => Err(error.into()),
        };
        let written = match written {
            Ok(written) => Ok(written),
            // Nothing has been written, so the whole of it may be tried again.
            Err(error @ DirectoryError::Store(_)) if outcomes.is_empty() => {
                return Err(error.into());
            }
            Err(error) => Err(Failure::from(error)),
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

/// Every operation counts as a request. A bulk that asks for more than there is to be had goes on
/// as fast as the organization may, instead of being refused half-way.
async fn wait_for_admission(scim: &Scim, organization: OrgId) {
    loop {
        let Err(wait) = scim.limits.load().admit(organization) else { return };
        sleep(wait).await;
    }
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

async fn perform(editor: &Editor<'_>, directory: &Directory, write: BulkWrite) -> Result<Written> {
    let kind = write.kind();
    // The answer shows no resource, so nothing that could be long is read for it.
    let without = match kind {
        ResourceKind::User => "groups",
        ResourceKind::Group => "members",
    };
    let projection = Projection::parse(None, Some(without), directory.resource_type(kind))?;
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
    written: &std::result::Result<Written, Failure>,
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
