//! From the configuration to what runs.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use scim_relay_sdk::connector::{Connector, Semantics};
use tokio::net::TcpListener;

use super::StartError;
use crate::clock::SharedClock;
use crate::config::{Config, ConnectorConfig, Diagnostic, FirstRun};
use crate::delivery::{Backoff, Engine, LaneSettings, Shared};
use crate::directory::Directory;
use crate::http::{self, Limits};
use crate::operator::Runtime;
use crate::store::{Paused, Registration, Result, Store};

/// The enabled connectors of a configuration, made and not yet running.
pub(super) struct Connectors(Vec<(ConnectorConfig, Arc<dyn Connector>)>);

/// Makes every enabled connector, or says all that is wrong with them.
pub(super) fn connectors(
    config: &Config,
    credentials: Option<&Path>,
) -> std::result::Result<Connectors, Vec<Diagnostic>> {
    let mut built = Vec::new();
    let mut wrong = Vec::new();
    for connector in config.connectors.iter().filter(|connector| connector.enabled) {
        match connector.build(credentials) {
            Ok(made) => built.push((connector.clone(), made)),
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    if wrong.is_empty() { Ok(Connectors(built)) } else { Err(wrong) }
}

/// Registers what the configuration names with the store, and starts the lanes.
pub(super) async fn runtime(
    config: Config,
    connectors: Connectors,
    shared: &Shared,
) -> Result<Runtime> {
    let keys: Vec<Arc<str>> = config.organizations.keys().cloned().collect();
    let ids = shared.store.organizations(keys.iter().map(ToString::to_string).collect()).await?;
    let organizations: BTreeMap<_, _> = keys.into_iter().zip(ids).collect();
    let registrations =
        connectors.0.iter().map(|(config, connector)| registration(config, connector.as_ref()));
    shared.store.register(registrations.collect()).await?;
    let rows = shared.store.connectors().await?;
    let lanes = connectors
        .0
        .into_iter()
        .filter_map(|(config, connector)| {
            let row = rows.iter().find(|row| row.name == config.name)?;
            Some(lane(config, connector, row.id, row.paused.clone()))
        })
        .collect();
    Ok(Runtime {
        config,
        engine: Engine::start(shared, lanes),
        organizations,
        // Those whose file is gone, too: what they left can still be looked at.
        connectors: rows.into_iter().map(|row| (row.name.into(), row.id)).collect(),
    })
}

fn registration(config: &ConnectorConfig, connector: &dyn Connector) -> Registration {
    Registration {
        name: config.name.clone(),
        kind: config.settings.kind(),
        every_event: connector.semantics() == Semantics::EveryEvent,
        members: connector.wants_members(),
        reads_groups: connector.reads().groups || config.scope.reads_groups(),
        enabled: true,
        backfills: connector.backfills(),
        fingerprint: config.fingerprint.clone(),
        organizations: config.organizations.iter().map(|info| Arc::clone(&info.key)).collect(),
    }
}

fn lane(
    config: ConnectorConfig,
    connector: Arc<dyn Connector>,
    id: crate::store::ConnectorId,
    paused: Option<Paused>,
) -> LaneSettings {
    LaneSettings {
        id,
        name: config.name.into(),
        connector,
        scope: config.scope,
        organizations: config
            .organizations
            .into_iter()
            .map(|info| (Arc::clone(&info.key), info))
            .collect::<HashMap<_, _>>(),
        concurrency: config.limits.concurrency,
        rate: config.limits.rate,
        timeout: config.limits.timeout,
        backoff: Backoff { first: config.retry.first, longest: config.retry.longest },
        give_up_after: config.retry.give_up_after,
        take_over: config.first_run == FirstRun::Go,
        paused,
    }
}

/// What each organization's provider reaches.
pub(super) fn directories(
    runtime: &Runtime,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
) -> Vec<Directory> {
    let infos = &runtime.config.organizations;
    runtime
        .organizations
        .iter()
        .filter_map(|(key, id)| {
            let info = infos.get(key)?;
            let (store, clock) = (Arc::clone(store), clock.clone());
            Some(Directory::new(store, clock, *id, Arc::clone(info), &runtime.config.public_url))
        })
        .collect()
}

pub(super) fn limits(config: &Config) -> Limits {
    Limits { max_body: config.listener.max_body, rate: config.listener.rate_limit }
}

pub(super) fn tls(
    config: &Config,
) -> std::result::Result<Option<Arc<ArcSwap<ServerConfig>>>, StartError> {
    let Some(files) = &config.listener.tls else { return Ok(None) };
    let loaded = http::load_tls(&files.certificate, &files.key)?;
    Ok(Some(Arc::new(ArcSwap::from_pointee(loaded))))
}

/// The SCIM listener: a socket that systemd passes wins over the configured address.
pub(super) fn listener(address: SocketAddr) -> std::result::Result<TcpListener, StartError> {
    let failed =
        |source| StartError::Listen { address: "the socket systemd passed".to_owned(), source };
    match listenfd::ListenFd::from_env().take_tcp_listener(0).map_err(failed)? {
        Some(passed) => {
            passed.set_nonblocking(true).map_err(failed)?;
            TcpListener::from_std(passed).map_err(failed)
        }
        None => bind(address),
    }
}

pub(super) fn bind(address: SocketAddr) -> std::result::Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { address: address.to_string(), source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

pub(super) fn address(listener: &TcpListener) -> std::result::Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|source| StartError::Listen { address: "the listener".to_owned(), source })
}
