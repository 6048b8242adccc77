//! Users and groups: the verbs of RFC 7644 section 3, over the directory.

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use scim_relay_sdk::scim::{Projection, ResourceKind};

use super::call::{Call, Document, Id, SCIM_JSON};
use super::errors::Failure;
use super::outcome::{Deviations, Outcome, Outcomes};
use crate::directory::Served;

type Kind = Extension<ResourceKind>;
type Answer = Result<Response, Failure>;

/// How many members a group may have and still be the answer to a PATCH of it.
const MEMBERS_SENT_BACK: usize = 100;

/// RFC 7644 section 3.4.1; a client that has this version already is spared it.
pub(super) async fn read(Extension(kind): Kind, call: Call, Id(id): Id) -> Answer {
    let projection = call.projection(call.ty(kind))?;
    let served = call.caller.directory.get(kind, &id, &projection).await?;
    call.precondition.admits(&served.etag)?;
    let (status, with_body) = if call.precondition.spares(&served.etag) {
        (StatusCode::NOT_MODIFIED, false)
    } else {
        (StatusCode::OK, true)
    };
    Ok(answer(status, with_body, served, None))
}

/// RFC 7644 section 3.3.
pub(super) async fn create(Extension(kind): Kind, call: Call, Document(body): Document) -> Answer {
    let editor = call.caller.editor()?;
    let projection = call.projection(call.ty(kind))?;
    let served = editor.create(kind, body, &projection).await?;
    Ok(answer(StatusCode::CREATED, true, served, Some("created")))
}

/// RFC 7644 section 3.5.1.
pub(super) async fn replace(
    Extension(kind): Kind,
    call: Call,
    Id(id): Id,
    Document(body): Document,
) -> Answer {
    let editor = call.caller.editor()?;
    let projection = call.projection(call.ty(kind))?;
    let served = editor.replace(kind, &id, body, &call.precondition, &projection).await?;
    Ok(answer(StatusCode::OK, true, served, Some("updated")))
}

/// RFC 7644 section 3.5.2: what was changed is sent back, or nothing. Whoever adds a member to a
/// great group does not want to read all of them, unless attributes are asked for.
pub(super) async fn patch(
    Extension(kind): Kind,
    call: Call,
    Id(id): Id,
    Document(body): Document,
) -> Answer {
    let editor = call.caller.editor()?;
    let ty = call.ty(kind);
    let mut projection = call.projection(ty)?;
    let unread = kind == ResourceKind::Group
        && !projection.is_asked()
        && call.caller.directory.has_more_members(&id, MEMBERS_SENT_BACK).await?;
    if unread {
        projection = Projection::parse(None, Some("members"), ty)?;
    }
    let served = editor.patch(kind, &id, body, &call.precondition, &projection).await?;
    let status = if unread { StatusCode::NO_CONTENT } else { StatusCode::OK };
    Ok(answer(status, !unread, served, Some("updated")))
}

/// RFC 7644 section 3.6.
pub(super) async fn delete(Extension(kind): Kind, call: Call, Id(id): Id) -> Answer {
    let editor = call.caller.editor()?;
    let id = editor.delete(kind, &id, &call.precondition).await?;
    Ok((StatusCode::NO_CONTENT, Extension(Outcomes::from(Outcome::deleted(kind, id))))
        .into_response())
}

fn answer(
    status: StatusCode,
    with_body: bool,
    served: Served,
    verb: Option<&'static str>,
) -> Response {
    let Served { kind, id, body, etag, location, quirks, changed } = served;
    let mut response = if with_body {
        (status, [(header::CONTENT_TYPE, SCIM_JSON)], body).into_response()
    } else {
        status.into_response()
    };
    let headers = response.headers_mut();
    for (name, text) in [(header::ETAG, &etag), (header::LOCATION, &location)] {
        let value = HeaderValue::from_str(text).expect("made of our own address and a number");
        headers.insert(name, value);
    }
    let outcome = Outcome { kind, id, verb: verb.filter(|_| changed) };
    response.extensions_mut().insert(Outcomes::from(outcome));
    response.extensions_mut().insert(Deviations(quirks));
    response
}
