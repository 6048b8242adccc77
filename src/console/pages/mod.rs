//! The pages, one file each.

mod account;
mod activity;
pub(super) mod connectors;
pub(super) mod integrations;
mod oidc;
pub(super) mod overview;
mod people;
mod preferences;
pub(super) mod queue;
pub(super) mod requests;
mod settings;
mod sign_in;
mod welcome;

use axum::Router;

use super::Console;

/// Every page, by its own routes.
pub(super) fn routes() -> Router<Console> {
    Router::new()
        .merge(activity::routes())
        .merge(account::routes())
        .merge(connectors::routes())
        .merge(integrations::routes())
        .merge(oidc::routes())
        .merge(overview::routes())
        .merge(people::routes())
        .merge(preferences::routes())
        .merge(settings::routes())
        .merge(sign_in::routes())
        .merge(welcome::routes())
        .merge(queue::routes())
        .merge(requests::routes())
}
