//! The private listener: metrics and health. It shows no person's data.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use crate::http::{Health, health_router};
use crate::metrics::Metrics;
use crate::operator::Operator;

#[derive(Clone)]
struct Console {
    operator: Operator,
    metrics: Arc<Metrics>,
}

/// `/metrics`, `/healthz`, `/readyz`.
pub fn router(operator: Operator, metrics: Arc<Metrics>, health: Arc<Health>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .with_state(Console { operator, metrics })
        .merge(health_router(health))
}

async fn metrics_text(State(console): State<Console>) -> Response {
    if let Err(error) = console.operator.refresh_gauges().await {
        tracing::warn!(%error, "cannot bring the gauges up to date");
        return (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], console.metrics.text()).into_response()
}
