//! The SCIM service: what identity providers talk to.
//!
//! `server` takes connections and `tls` makes them private; `gate` is what every request passes,
//! with `auth` and `limits`; `routes` is the page of addresses, `resources`, `lists`, `bulk` and
//! `discovery` answer them, reading with `call` and refusing with `errors`; `record` keeps what
//! passed. `health` is for load balancers. Knows nothing of connectors, queues and SQL.

mod auth;
mod bulk;
mod call;
mod discovery;
mod errors;
mod gate;
mod health;
mod limits;
mod lists;
mod outcome;
mod record;
mod resources;
mod routes;
mod server;
mod tls;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::store::{self, AuditRow, OrgId, Store};
use crate::token::TokenBook;

pub use health::{Health, router as health_router};
pub use limits::Limits;
pub use routes::router;
pub use server::{Busy, Listen, Options, Peer, serve};
pub use tls::{TlsError, load as load_tls};

/// What the requests share.
pub struct Scim {
    organizations: ArcSwap<HashMap<Arc<str>, Directory>>,
    limits: ArcSwap<limits::Limiter>,
    guesses: limits::Guesses,
    turns: limits::Turns,
    tokens: Arc<TokenBook>,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    store: Arc<dyn Store>,
    recorder: Arc<record::Recorder>,
}

impl Scim {
    /// Serves nobody until [`replace`](Self::replace) says whom.
    pub fn new(
        store: Arc<dyn Store>,
        tokens: Arc<TokenBook>,
        metrics: Arc<Metrics>,
        clock: SharedClock,
        limits: Limits,
    ) -> Self {
        let recorder = Arc::new(record::Recorder::new(metrics.requests_dropped.clone()));
        Self {
            organizations: ArcSwap::default(),
            limits: ArcSwap::from_pointee(limits::Limiter::new(limits)),
            guesses: limits::Guesses::default(),
            turns: limits::Turns::default(),
            tokens,
            metrics,
            clock,
            store,
            recorder,
        }
    }

    /// A new configuration: it holds for the requests that come from now on.
    pub fn replace(&self, organizations: Vec<Directory>, limits: Limits) {
        let by_key =
            organizations.into_iter().map(|one| (Arc::clone(&one.info().key), one)).collect();
        self.organizations.store(Arc::new(by_key));
        // The counts start afresh, so only where the rule is another one.
        if self.limits.load().limits() != limits {
            self.limits.store(Arc::new(limits::Limiter::new(limits)));
        }
    }

    /// Writes what was asked and answered into the store's ring, until `stop`, and then what is left.
    pub async fn record(&self, stop: &CancellationToken) {
        self.recorder.run(&*self.store, stop).await;
    }

    /// To be called every few seconds: writes down when tokens were used, and forgets whoever has
    /// not been heard of lately.
    pub async fn upkeep(&self) -> store::Result<()> {
        self.limits.load().forget_the_quiet();
        self.guesses.forget_the_quiet();
        for first in self.tokens.flush(&*self.store).await? {
            let row = AuditRow {
                at: first.at,
                actor: "scim-relay".to_owned(),
                from: None,
                action: "token.first_use".to_owned(),
                organization: self.key_of(first.organization).map(|key| key.to_string()),
                subject: first.lookup.to_string(),
                detail: None,
            };
            self.store.audit(row).await?;
        }
        Ok(())
    }

    fn key_of(&self, organization: OrgId) -> Option<Arc<str>> {
        let organizations = self.organizations.load();
        organizations
            .values()
            .find(|directory| directory.organization() == organization)
            .map(|directory| Arc::clone(&directory.info().key))
    }
}
