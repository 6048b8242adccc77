//! Every address of the SCIM service (RFC 7644 section 3.2), on one page.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use scim_relay_sdk::scim::ResourceKind;
use tower::Layer;

use super::errors::Failure;
use super::lists::Kinds;
use super::{Scim, bulk, discovery, gate, lists, resources};

/// The service. Whatever is asked for passes the gate first, so that who has no token learns
/// nothing, not even which addresses there are.
pub fn router(scim: Arc<Scim>) -> Router {
    let base = Router::new()
        .route("/ServiceProviderConfig", get(discovery::service_provider_config))
        .route("/ResourceTypes", get(discovery::resource_types))
        .route("/ResourceTypes/{id}", get(discovery::resource_type))
        .route("/Schemas", get(discovery::schemas))
        .route("/Schemas/{id}", get(discovery::schema))
        .merge(lists("/Users", "/Users/.search", &[ResourceKind::User]))
        .merge(resource(ResourceKind::User, "/Users", "/Users/{id}"))
        .merge(lists("/Groups", "/Groups/.search", &[ResourceKind::Group]))
        .merge(resource(ResourceKind::Group, "/Groups", "/Groups/{id}"))
        .merge(lists("/", "/.search", &ResourceKind::ALL))
        .route("/Bulk", post(bulk::carry_out).with_state(Arc::clone(&scim)))
        .route("/Me", any(nobody));
    let routes = Router::new()
        .nest("/scim/{organization}/v2", base)
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method);
    Router::new().fallback_service(from_fn_with_state(scim, gate::pass).layer(routes))
}

fn resource(kind: ResourceKind, all: &str, one: &str) -> Router {
    let one_methods = get(resources::read)
        .put(resources::replace)
        .patch(resources::patch)
        .delete(resources::delete);
    Router::new().route(all, post(resources::create)).route(one, one_methods).layer(Extension(kind))
}

fn lists(all: &str, search: &str, kinds: &'static [ResourceKind]) -> Router {
    Router::new()
        .route(all, get(lists::list))
        .route(search, post(lists::search))
        .layer(Extension(Kinds(kinds)))
}

async fn nothing_here() -> Failure {
    Failure::new(404, "there is nothing at this address")
}

/// axum adds `Allow` (RFC 9110 section 15.5.6).
async fn wrong_method() -> Failure {
    Failure::new(405, "this address does not take this method")
}

/// RFC 7644 section 3.11 has this answer for a service provider without `/Me`.
async fn nobody() -> Failure {
    Failure::new(501, "a token stands for an organization and not for a person: there is no /Me")
}
