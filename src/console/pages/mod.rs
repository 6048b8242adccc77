//! The pages, one file each.

mod preferences;

use axum::Router;

use super::Console;

/// Every page, by its own routes.
pub(super) fn routes() -> Router<Console> {
    Router::new().merge(preferences::routes())
}
