//! Every address of the admin socket, on one page, and the operator's function behind each.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{self, FromRequest, FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::people;
use super::wire::{
    AccountWish, Answered, Done, EntryQuery, MadeAccount, MadeToken, Overlap, PauseWish,
    PreviewWish, Reconciliation, Refusal, Rejection, Resync, Rows, TokenWish, Touching,
};
use crate::http::Peer;
use crate::operator::{
    AccountLine, Actor, ConnectorLine, Decision, DecisionTaken, HeldQuery, Link, NewPassword,
    NewTokenRequest, Operator, OperatorError, Pausing, Previewed, QueueEntry, QueuePage,
    QueueQuery, Reach, RequestQuery, Rotation, Status, Subject, TokenLine, TraceQuery, Traced,
};
use crate::reconcile::Report;
use crate::store::{HeldPage, RequestRow};

/// A longer one is a slip of the pen, and would leave the calendar.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// When the daemon ends.
#[derive(Clone)]
struct Stop(CancellationToken);

/// The operator's functions under `/v1`. A request has a [`Peer`] as its extension. Whoever waits
/// for something waits no longer than until `stop`.
pub fn router(operator: Operator, stop: CancellationToken) -> Router {
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/organizations/{organization}/tokens", get(list_tokens).post(create_token))
        .route("/organizations/{organization}/tokens/{id}/rotate", post(rotate_token))
        .route("/organizations/{organization}/tokens/{id}/revoke", post(revoke_token))
        .route("/organizations/{organization}/requests", get(requests))
        .route("/organizations/{organization}/requests/next", get(next_requests))
        .route("/organizations/{organization}/requests/{id}", get(request))
        .route("/organizations/{organization}/trace", get(trace))
        .route("/connectors", get(list_connectors))
        .route("/connectors/{connector}/test", post(test_connector))
        .route("/connectors/{connector}/pause", post(pause_connector))
        .route("/connectors/{connector}/resume", post(resume_connector))
        .route("/connectors/{connector}/forget", post(forget_connector))
        .route("/connectors/{connector}/reconcile", post(reconcile))
        .route("/connectors/{connector}/resync", post(resync))
        .route("/connectors/{connector}/preview", post(preview))
        .route("/accounts", get(list_accounts).post(create_account))
        .route("/accounts/{email}/remove", post(remove_account))
        .route("/accounts/{email}/link", post(link_for_password))
        .route("/held", get(held))
        .route("/held/approve", post(approve))
        .route("/held/reject", post(reject))
        .route("/queue", get(queue))
        .route("/queue/entry", get(queue_entry))
        .route("/queue/retry", post(retry))
        .route("/queue/skip", post(skip));
    Router::new()
        .nest("/v1", v1)
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(Extension(Stop(stop)))
        .with_state(operator)
}

type Reply<T> = Result<Json<T>, Answer>;

async fn status(State(operator): State<Operator>) -> Reply<Status> {
    Ok(Json(operator.status().await?))
}

async fn list_tokens(
    State(operator): State<Operator>,
    Path(organization): Path<String>,
) -> Reply<Vec<TokenLine>> {
    Ok(Json(operator.list_tokens(&organization).await?))
}

async fn create_token(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(organization): Path<String>,
    Body(wish): Body<TokenWish>,
) -> Reply<MadeToken> {
    let lifetime = wish.expires_in.map(bounded).transpose()?;
    let expires = lifetime.map(|lifetime| operator.now() + lifetime);
    let TokenWish { name, read_only, .. } = wish;
    let request = NewTokenRequest { organization, name, expires, read_only };
    let token = operator.create_token(&actor(peer), &request).await?;
    Ok(Json(MadeToken { token }))
}

async fn rotate_token(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path((organization, id)): Path<(String, i64)>,
    Body(Overlap { overlap }): Body<Overlap>,
) -> Reply<MadeToken> {
    let rotation = Rotation { overlap: bounded(overlap)?, expires: None };
    let token = operator.rotate_token(&actor(peer), &organization, id, rotation).await?;
    Ok(Json(MadeToken { token }))
}

async fn revoke_token(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path((organization, id)): Path<(String, i64)>,
) -> Reply<Done> {
    operator.revoke_token(&actor(peer), &organization, id, None).await?;
    Ok(Json(Done {}))
}

async fn requests(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(organization): Path<String>,
    Query(query): Query<RequestQuery>,
) -> Reply<Vec<RequestRow>> {
    Ok(Json(operator.requests(&actor(peer), &organization, &query).await?))
}

/// Waits for them, but not beyond the daemon's end.
async fn next_requests(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Extension(Stop(stop)): Extension<Stop>,
    Path(organization): Path<String>,
    Query(query): Query<RequestQuery>,
) -> Reply<Vec<RequestRow>> {
    let actor = actor(peer);
    let next = operator.next_requests(&actor, &organization, &query);
    let next = stop.run_until_cancelled(next).await;
    Ok(Json(next.unwrap_or_else(|| Ok(Vec::new()))?))
}

async fn request(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path((organization, id)): Path<(String, i64)>,
) -> Reply<RequestRow> {
    Ok(Json(operator.request(&actor(peer), &organization, id).await?))
}

async fn trace(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(organization): Path<String>,
    Query(query): Query<TraceQuery>,
) -> Reply<Traced> {
    Ok(Json(operator.trace(&actor(peer), &organization, &query).await?))
}

async fn list_connectors(State(operator): State<Operator>) -> Reply<Vec<ConnectorLine>> {
    Ok(Json(operator.list_connectors().await?))
}

async fn test_connector(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(connector): Path<String>,
) -> Reply<Answered> {
    let tested = operator.test_connector(&actor(peer), &connector).await?;
    if tested.answered {
        return Ok(Json(Answered { summary: tested.said }));
    }
    Err(OperatorError::Target(tested.said).into())
}

async fn pause_connector(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(connector): Path<String>,
    Body(PauseWish { why }): Body<PauseWish>,
) -> Reply<Pausing> {
    Ok(Json(operator.pause_connector(&actor(peer), &connector, why).await?))
}

async fn resume_connector(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(connector): Path<String>,
) -> Reply<Pausing> {
    Ok(Json(operator.resume_connector(&actor(peer), &connector).await?))
}

async fn forget_connector(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(connector): Path<String>,
) -> Reply<Done> {
    operator.forget_connector(&actor(peer), &connector).await?;
    Ok(Json(Done {}))
}

async fn reconcile(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(connector): Path<String>,
    Body(Reconciliation { dry_run }): Body<Reconciliation>,
) -> Reply<Report> {
    Ok(Json(operator.reconcile(&actor(peer), &connector, dry_run).await?))
}

async fn resync(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(connector): Path<String>,
    Body(wish): Body<Resync>,
) -> Reply<Rows> {
    let subject = wish.subject.as_ref().map(|subject| (subject.kind, subject.name.as_str()));
    let organization = wish.organization.as_deref();
    let rows = operator.resync(&actor(peer), &connector, organization, subject).await?;
    Ok(Json(Rows { rows }))
}

async fn preview(
    State(operator): State<Operator>,
    Path(connector): Path<String>,
    Body(PreviewWish { organization, subject }): Body<PreviewWish>,
) -> Reply<Vec<Previewed>> {
    let subject = Subject { connector, organization, kind: subject.kind, name: subject.name };
    Ok(Json(operator.preview(&subject).await?))
}

async fn list_accounts(State(operator): State<Operator>) -> Reply<Vec<AccountLine>> {
    Ok(Json(operator.accounts().await?))
}

async fn create_account(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Body(AccountWish { account, password }): Body<AccountWish>,
) -> Reply<MadeAccount> {
    let (actor, email) = (actor(peer), account.email.clone());
    let password = password.as_deref().map(NewPassword::new).transpose()?;
    let has_one = password.is_some();
    operator.create_account(&actor, account, password).await?;
    let link = if has_one { None } else { Some(operator.link_for_password(&actor, &email).await?) };
    Ok(Json(MadeAccount { link }))
}

async fn remove_account(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(email): Path<String>,
) -> Reply<Done> {
    operator.remove_account(&actor(peer), &email).await?;
    Ok(Json(Done {}))
}

async fn link_for_password(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Path(email): Path<String>,
) -> Reply<Link> {
    Ok(Json(operator.link_for_password(&actor(peer), &email).await?))
}

async fn held(State(operator): State<Operator>, Query(query): Query<HeldQuery>) -> Reply<HeldPage> {
    Ok(Json(operator.held(&Reach::Everywhere, &query).await?))
}

async fn approve(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Body(decision): Body<Decision>,
) -> Reply<DecisionTaken> {
    Ok(Json(operator.approve(&actor(peer), &Reach::Everywhere, &decision, None).await?))
}

async fn reject(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Body(Rejection { decision, reason }): Body<Rejection>,
) -> Reply<DecisionTaken> {
    let actor = actor(peer);
    Ok(Json(operator.reject(&actor, &Reach::Everywhere, &decision, &reason).await?))
}

async fn queue(
    State(operator): State<Operator>,
    Query(query): Query<QueueQuery>,
) -> Reply<QueuePage> {
    Ok(Json(operator.queue(&Reach::Everywhere, &query).await?))
}

async fn queue_entry(
    State(operator): State<Operator>,
    Query(EntryQuery { connector, organization, resource }): Query<EntryQuery>,
) -> Reply<QueueEntry> {
    Ok(Json(operator.queue_entry(&connector, organization.as_deref(), &resource).await?))
}

async fn retry(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Body(Touching { rows, .. }): Body<Touching>,
) -> Reply<Rows> {
    Ok(Json(Rows { rows: operator.retry(&actor(peer), &Reach::Everywhere, &rows).await? }))
}

async fn skip(
    State(operator): State<Operator>,
    Extension(peer): Extension<Peer>,
    Body(Touching { rows, reason }): Body<Touching>,
) -> Reply<Rows> {
    Ok(Json(Rows { rows: operator.skip(&actor(peer), &Reach::Everywhere, &rows, &reason).await? }))
}

async fn unknown(method: http::Method, uri: http::Uri) -> Answer {
    Answer {
        status: StatusCode::NOT_FOUND,
        error: format!(
            "the running scim-relay is version {} and does not know {method} {}; restart it, so \
             that it is of the same version as this command",
            env!("CARGO_PKG_VERSION"),
            uri.path()
        ),
    }
}

/// Who does it, for the audit log.
fn actor(peer: Peer) -> Actor {
    Actor::unix(match peer {
        Peer::Process { uid, .. } => match people::user_name(uid) {
            Some(name) => format!("user {name}"),
            None => format!("uid {uid}"),
        },
        Peer::Address(address) => format!("address {address}"),
    })
}

fn bounded(seconds: u64) -> Result<Duration, Answer> {
    let period = Duration::from_secs(seconds);
    if period > LONGEST {
        return Err(bad("that is more than a hundred years".to_owned()));
    }
    Ok(period)
}

/// An answer that is not what was asked for.
struct Answer {
    status: StatusCode,
    error: String,
}

fn bad(error: String) -> Answer {
    Answer { status: StatusCode::BAD_REQUEST, error }
}

impl From<OperatorError> for Answer {
    fn from(error: OperatorError) -> Self {
        let status = match &error {
            OperatorError::NotFound(_) => StatusCode::NOT_FOUND,
            OperatorError::Invalid(_) => StatusCode::BAD_REQUEST,
            OperatorError::Target(_) => StatusCode::BAD_GATEWAY,
            OperatorError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, error: error.to_string() }
    }
}

impl From<JsonRejection> for Answer {
    fn from(rejection: JsonRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl From<PathRejection> for Answer {
    fn from(rejection: PathRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl From<QueryRejection> for Answer {
    fn from(rejection: QueryRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, Json(Refusal { error: self.error })).into_response()
    }
}

/// axum's extractors, whose refusals are JSON as every other answer.
struct Body<T>(T);
struct Path<T>(T);
struct Query<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Answer;

    async fn from_request(request: Request, state: &S) -> Result<Self, Answer> {
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        let extract::Path(path) = extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        let extract::Query(query) = extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}
