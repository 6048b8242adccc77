//! `/healthz` and `/readyz`, for service managers and load balancers. They tell nothing else, not
//! even a version: anybody may ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{StatusCode, header};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::store::Store;

/// How long the store may take to say that it takes writes.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long its answer holds, so that nobody makes it write by asking.
const FRESH: Duration = Duration::from_secs(1);

/// Whether requests would be answered.
pub struct Health {
    store: Arc<dyn Store>,
    ready: AtomicBool,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Health {
    /// Not ready until [`set_ready`](Self::set_ready).
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, ready: AtomicBool::new(false), last: Mutex::new(None) }
    }

    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    async fn writable(&self) -> bool {
        // Whoever comes second waits for the answer that the first one gets.
        let mut last = self.last.lock().await;
        if let Some((at, writable)) = *last
            && at.elapsed() < FRESH
        {
            return writable;
        }
        let writable = matches!(timeout(PATIENCE, self.store.writable()).await, Ok(Ok(())));
        *last = Some((Instant::now(), writable));
        writable
    }
}

/// For the public listener and the private one.
pub fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { plain(StatusCode::OK, "alive\n") }))
        .route("/readyz", get(ready))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> Plain {
    if !health.ready.load(Ordering::Relaxed) {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or stopping\n");
    }
    if !health.writable().await {
        return plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: nothing can be stored just now\n",
        );
    }
    plain(StatusCode::OK, "ready\n")
}

type Plain = (StatusCode, [(header::HeaderName, &'static str); 2], &'static str);

fn plain(status: StatusCode, text: &'static str) -> Plain {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text)
}
