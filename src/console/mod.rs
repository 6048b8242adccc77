//! The web console: pages for administrators, owners and the help desk. The private listener has
//! metrics and health, too, for machines, which need no sign-in and show no person's data.
//!
//! To add a page: 1. a file in `pages/` with its data (a struct that is [`page::Content`]), its
//! handlers, and `routes()`, wrapped in [`viewer::needs`] so that its right is said with it; 2. its
//! template in `templates/`, which extends `base.html` and uses the macros of `parts.html`; 3. its
//! line in [`pages::routes`]; 4. a sample of its data in its tests, which draw it.
//!
//! A request comes through these layers: `be_strict` (headers), the session, `draw_trouble` (what went
//! wrong becomes a page), CSRF, `within_reach` (no other organization), `count_what_waits` (for the
//! menu). How a page lives is said in [`live`].

mod addresses;
mod assets;
mod forms;
mod icons;
mod live;
mod metrics;
mod notices;
mod page;
mod pages;
mod reader;
mod session;
mod templates;
mod trouble;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::HeaderMap;
use minijinja::Environment;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::http::{Health, health_router};
use crate::metrics::Metrics;
use crate::operator::Operator;

use forms::Forms;
use live::Live;
use notices::{Notice, Notices};
use reader::Reader;
use trouble::Trouble;
use viewer::Viewer;

/// What every page works with. Cheap to clone.
#[derive(Clone)]
struct Console {
    operator: Operator,
    templates: Arc<Environment<'static>>,
    notices: Notices,
    forms: Forms,
    live: Live,
}

impl Console {
    /// The habits of whoever sent these headers.
    fn reader(&self, headers: &HeaderMap) -> Reader {
        Reader::of(headers, &self.operator.timezone(), self.operator.now())
    }

    /// Tells on the next page what was done.
    fn tell(&self, viewer: &Viewer, notice: Notice) {
        self.notices.leave(viewer.session, notice);
    }
}

/// The pages, and `/metrics`, `/healthz`, `/readyz`.
/// What lives runs among `tasks`, until `stop`.
pub fn router(
    operator: Operator,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> Router {
    let machines = metrics::router(operator.clone(), metrics).merge(health_router(health));
    let templates = templates::load().expect("the templates are tested");
    let console = Console {
        operator,
        templates: Arc::new(templates),
        notices: Notices::default(),
        forms: Forms::default(),
        live: Live::new(stop, tasks),
    };
    pages::routes()
        .merge(live::routes())
        .fallback(async || Trouble::NotFound)
        .layer(from_fn_with_state(console.clone(), viewer::count_what_waits))
        .layer(from_fn(viewer::within_reach))
        .layer(same_site(&console.operator.console().url))
        .layer(from_fn_with_state(console.clone(), page::draw_trouble))
        .layer(from_fn_with_state(console.clone(), session::recognise))
        .route("/static/{name}", get(assets::serve))
        .layer(from_fn(page::be_strict))
        .with_state(console)
        .merge(machines)
}

type Refusal = fn(ProtectionError) -> Response;

/// Nothing is changed by what another site sends; a browser says where a request comes from. A proxy
/// may change the Host that it is compared with, so the console's own address is named, too.
fn same_site(url: &str) -> CsrfLayer<Refusal> {
    let refusal: Refusal = |_| Trouble::Foreign.into_response();
    let own = || CsrfLayer::new().with_rejection_response(refusal);
    own().add_trusted_origin(url).unwrap_or_else(|_| own())
}
