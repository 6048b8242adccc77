//! `/metrics`, for Prometheus. It shows no person's data.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use crate::metrics::Metrics;
use crate::operator::Operator;

#[derive(Clone)]
struct Measured {
    operator: Operator,
    metrics: Arc<Metrics>,
}

pub(super) fn router(operator: Operator, metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(text)).with_state(Measured { operator, metrics })
}

async fn text(State(measured): State<Measured>) -> Response {
    if let Err(error) = measured.operator.refresh_gauges().await {
        tracing::warn!(%error, "cannot bring the gauges up to date");
        return (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], measured.metrics.text()).into_response()
}
