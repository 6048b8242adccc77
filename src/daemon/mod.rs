//! The one place where the house is put together: configuration in, a running daemon out.
//!
//! `build` makes what the configuration describes, `lifecycle` runs it until a signal, `reload`
//! swaps it for another, `upkeep` is what happens every few seconds.

pub mod admin;
mod build;
pub mod connectors;
mod descriptors;
mod follow;
mod history;
mod lifecycle;
mod reload;
pub mod telemetry;
mod upkeep;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, Diagnostic};
use crate::delivery;
use crate::http::{self, Health, Scim, TlsError};
use crate::metrics::Metrics;
use crate::operator::{Operator, Runtime};
use crate::store::sqlite::SqliteStore;
use crate::store::{Lost, Store, StoreError};
use crate::token::TokenBook;

/// How long what is under way may take once the daemon stops: requests first, and deliveries for what
/// they leave of it. `TimeoutStopSec` in the unit is longer.
const DRAIN: Duration = Duration::from_secs(15);

/// A running daemon.
pub struct Daemon {
    /// systemd's credentials, where there are any.
    credentials: Option<PathBuf>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    tokens: Arc<TokenBook>,
    scim: Arc<Scim>,
    health: Arc<Health>,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    console_tls: Option<Arc<ArcSwap<ServerConfig>>>,
    runtime: Arc<ArcSwap<Runtime>>,
    operator: Operator,
    scim_address: SocketAddr,
    console_address: SocketAddr,
    /// Stops taking requests.
    listening: CancellationToken,
    servers: TaskTracker,
    /// What every lane shares, its stop signals among it.
    lanes: delivery::Shared,
    /// Ends what belongs to one configuration: its schedules.
    generation: ArcSwap<CancellationToken>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the configuration cannot be used")]
    Config(Vec<Diagnostic>),
    #[error("{}{}", .0, remedy(.0))]
    Store(#[from] StoreError),
    #[error("cannot listen on {address}: {source}; {}", advice(.source))]
    Listen { address: String, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn remedy(error: &StoreError) -> &'static str {
    match error {
        StoreError::Busy(_) => {
            "; make room on the disk that has `data_dir`, see that this user may write there, and \
             start again"
        }
        StoreError::Damaged(_) | StoreError::Broken(_) | StoreError::Open(_) => "",
    }
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another process has it, perhaps a scim-relay that is running already"
        }
        std::io::ErrorKind::PermissionDenied => {
            "choose a port above 1023 or a place this user may write, or let systemd pass the socket"
        }
        _ => "see the address in the configuration",
    }
}

impl StartError {
    /// 78 for a configuration that cannot be used, 65 for a database that cannot (sysexits.h), else
    /// 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Tls(_) => 78,
            Self::Store(StoreError::Damaged(_)) => 65,
            Self::Store(_) | Self::Listen { .. } => 1,
        }
    }
}

impl Daemon {
    /// Opens the store, migrates it, makes the connectors, starts their lanes, and listens. When
    /// it returns, a request would be answered.
    pub async fn start(
        config: Config,
        credentials: Option<PathBuf>,
        lost: Lost,
    ) -> Result<Self, StartError> {
        let clock = SystemClock::shared();
        let metrics = Arc::new(Metrics::default());
        let store = open_store(&config, lost, &metrics).await?;
        let tokens = Arc::new(TokenBook::default());
        tokens.reload(store.as_ref()).await?;
        let lanes = delivery::Shared {
            store: Arc::clone(&store),
            clock: clock.clone(),
            dice: delivery::dice,
            metrics: Arc::clone(&metrics),
            tasks: TaskTracker::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
        };
        let tls = build::tls(config.listener.tls.as_ref())?;
        let console_tls = build::tls(config.console.tls.as_ref())?;
        let scim_listener = build::listener(config.listener.address)?;
        let console_listener = build::bind(config.console.address)?;
        let connectors =
            build::connectors(&config, credentials.as_deref()).map_err(StartError::Config)?;

        let limits = build::limits(&config);
        let scim = Arc::new(Scim::new(
            Arc::clone(&store),
            Arc::clone(&tokens),
            Arc::clone(&metrics),
            clock.clone(),
            limits,
        ));
        build::drop_what_cannot_be_opened(connectors.key(), &store).await?;
        let runtime = build::runtime(config, connectors, &lanes).await?;
        scim.replace(build::directories(&runtime, &store, &clock), limits);
        let runtime = Arc::new(ArcSwap::from_pointee(runtime));
        let operator = Operator::new(
            Arc::clone(&store),
            clock.clone(),
            Arc::clone(&metrics),
            Arc::clone(&tokens),
            Arc::clone(&runtime),
        );
        let health = Arc::new(Health::new(Arc::clone(&store)));
        let daemon = Self {
            credentials,
            scim_address: build::address(&scim_listener)?,
            console_address: build::address(&console_listener)?,
            store,
            clock,
            metrics,
            tokens,
            scim,
            health,
            tls,
            console_tls,
            runtime,
            operator,
            listening: CancellationToken::new(),
            servers: TaskTracker::new(),
            lanes,
            generation: ArcSwap::from_pointee(CancellationToken::new()),
            reloading: tokio::sync::Mutex::new(()),
        };
        daemon.serve(scim_listener, console_listener).await?;
        daemon.keep_time();
        daemon.lanes.tasks.spawn(upkeep::run(
            daemon.lanes.clone(),
            Arc::clone(&daemon.scim),
            daemon.operator.clone(),
            Arc::clone(&daemon.runtime),
        ));
        daemon.lanes.tasks.spawn(follow::run(daemon.lanes.clone()));
        let (scim, stop) = (Arc::clone(&daemon.scim), daemon.lanes.soft.clone());
        daemon.lanes.tasks.spawn(async move { scim.record(&stop).await });
        daemon.health.set_ready(true);
        Ok(daemon)
    }

    async fn serve(
        &self,
        scim: tokio::net::TcpListener,
        console: tokio::net::TcpListener,
    ) -> Result<(), StartError> {
        let socket = self.runtime.load().config.admin_socket.clone();
        admin::serve(&socket, self.operator.clone(), self.listening.clone(), &self.servers)
            .await
            .map_err(|source| StartError::Listen { address: socket.display().to_string(), source })?;
        let options = http::Options::default();
        let max_connections = descriptors::for_clients(options.max_connections);
        let options = http::Options { max_connections, ..options };
        let public = http::router(Arc::clone(&self.scim))
            .merge(http::health_router(Arc::clone(&self.health)));
        self.servers.spawn(http::serve(
            scim,
            self.tls.clone(),
            public,
            self.listening.clone(),
            options,
        ));
        let private = crate::console::router(
            self.operator.clone(),
            Arc::clone(&self.metrics),
            Arc::clone(&self.health),
            self.listening.clone(),
            self.servers.clone(),
        );
        self.servers.spawn(http::serve(
            console,
            self.console_tls.clone(),
            private,
            self.listening.clone(),
            http::Options { max_connections: 200, ..http::Options::default() },
        ));
        Ok(())
    }

    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    pub fn scim_address(&self) -> SocketAddr {
        self.scim_address
    }

    pub fn console_address(&self) -> SocketAddr {
        self.console_address
    }
}

async fn open_store(
    config: &Config,
    lost: Lost,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn Store>, StartError> {
    let folder = config.data_dir.clone();
    let histogram = metrics.commit_duration.clone();
    let opened = tokio::task::spawn_blocking(move || {
        SqliteStore::open_with(&folder, lost, move |took, _| histogram.observe(took.as_secs_f64()))
    });
    let store =
        opened.await.map_err(|_| StoreError::Broken("opening the store panicked".to_owned()))??;
    Ok(Arc::new(store))
}
