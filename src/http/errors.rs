//! Refusals as a client gets them (RFC 7644 section 3.12).
//!
//! What the client reads and what the log says are apart: the cause of a 500 is logged here under
//! an id and never sent.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use scim_relay_sdk::scim;
use uuid::Uuid;

use super::call::SCIM_JSON;
use super::outcome::Deviations;
use crate::directory::DirectoryError;
use crate::store::StoreError;

/// A store that takes no writes is asked again after so long.
const BUSY: Duration = Duration::from_secs(5);

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Failure {
    error: scim::Error,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(status: u16, detail: &str) -> Self {
        scim::Error::new(status, None, detail).into()
    }

    /// One answer for every kind of bad token, so that nothing can be told from it.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "a valid bearer token for this organization is needed")
    }

    pub(super) fn too_many(wait: Duration) -> Self {
        let error = scim::Error::new(429, None, "too many requests; try again later");
        Self { error, retry_after: Some(wait) }
    }

    /// As one operation of a bulk tells it.
    pub(super) fn error(&self) -> &scim::Error {
        &self.error
    }

    /// We failed. `cause` is for the log.
    pub(super) fn internal(cause: &str) -> Self {
        let id = Uuid::new_v4();
        tracing::error!(request_id = %id, cause, "a request failed");
        Self::new(500, &format!("internal error; the relay's log says more at {id}"))
    }
}

impl From<scim::Error> for Failure {
    fn from(error: scim::Error) -> Self {
        Self { error, retry_after: None }
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Scim(error) => error.into(),
            DirectoryError::Store(StoreError::Busy(cause)) => {
                tracing::warn!(cause, "a request was put off: the store is busy");
                let detail = "the relay cannot store anything just now; try again";
                Self { error: scim::Error::new(503, None, detail), retry_after: Some(BUSY) }
            }
            DirectoryError::Store(StoreError::Damaged(cause)) => {
                tracing::error!(cause, "a request was put off: the database cannot be read");
                let detail = "the relay cannot read what it has stored; its log says more";
                Self { error: scim::Error::new(503, None, detail), retry_after: Some(BUSY) }
            }
            DirectoryError::Store(broken) => Self::internal(&broken.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = self.error.to_json().to_string();
        let mut response = (status, [(header::CONTENT_TYPE, SCIM_JSON)], body).into_response();
        response.extensions_mut().insert(Deviations(self.error.quirks));
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750 section 3.
            let challenge = HeaderValue::from_static("Bearer realm=\"scim-relay\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds, and never so early that it is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(failure: Failure) -> (Response<()>, String) {
        let (parts, body) = failure.into_response().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(parts, ()), String::from_utf8(bytes.into()).unwrap())
    }

    #[tokio::test]
    async fn a_broken_store_keeps_its_cause_to_the_log() {
        let broken = StoreError::Broken("no such column: shoe_size".to_owned());
        let (response, text) = body(DirectoryError::Store(broken).into()).await;
        assert_eq!(response.status(), 500);
        assert!(!text.contains("shoe_size"), "{text}");
        assert!(text.contains("internal error"), "{text}");
    }

    #[tokio::test]
    async fn a_busy_store_asks_for_patience() {
        let busy = StoreError::Busy("database or disk is full".to_owned());
        let (response, text) = body(DirectoryError::Store(busy).into()).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert!(!text.contains("disk"), "{text}");
    }

    #[tokio::test]
    async fn the_wait_is_rounded_up() {
        let (response, _) = body(Failure::too_many(Duration::from_millis(1_200))).await;
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        let (response, _) = body(Failure::too_many(Duration::ZERO)).await;
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
