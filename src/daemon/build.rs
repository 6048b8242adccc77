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
use crate::config::{Config, ConnectorConfig, Diagnostic, Organization, Tls, UnsaidMembers};
use crate::delivery::{Backoff, Engine, LaneSettings, Shared};
use crate::directory::{Directory, Rules};
use crate::http::{self, Limits};
use crate::oidc::Provider;
use crate::operator::Runtime;
use crate::store::{Paused, Registration, Result, Store};
use crate::vault::{KeyId, Vault};

/// The enabled connectors of a configuration, made and not yet running.
pub(super) struct Connectors {
    made: Vec<(ConnectorConfig, Arc<dyn Connector>)>,
    /// For those that ask for passwords.
    vault: Option<Arc<Vault>>,
    oidc: Option<Arc<Provider>>,
}

/// Makes every enabled connector, or says all that is wrong with them.
pub(super) fn connectors(
    config: &Config,
    credentials: Option<&Path>,
) -> std::result::Result<Connectors, Vec<Diagnostic>> {
    let mut made = Vec::new();
    let mut wrong = Vec::new();
    for connector in config.connectors.iter().filter(|connector| connector.enabled) {
        match connector.build(credentials) {
            Ok(built) => made.push((connector.clone(), built)),
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    let vault = config.vault(credentials).map_err(|diagnostic| wrong.push(diagnostic));
    let oidc = config.oidc(credentials).map_err(|diagnostic| wrong.push(diagnostic));
    match (vault, oidc) {
        (Ok(vault), Ok(oidc)) if wrong.is_empty() => {
            Ok(Connectors { made, vault: vault.map(Arc::new), oidc: oidc.map(Arc::new) })
        }
        _ => Err(wrong),
    }
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
    let Connectors { made, vault, oidc } = connectors;
    let registrations =
        made.iter().map(|(config, connector)| registration(config, connector.as_ref()));
    shared.store.register(registrations.collect()).await?;
    let rows = shared.store.connectors().await?;
    let lanes = made
        .into_iter()
        .filter_map(|(config, connector)| {
            let row = rows.iter().find(|row| row.name == config.name)?;
            let vault = vault.clone().filter(|_| config.settings.wants_password());
            Some(lane(config, connector, row.id, row.paused.clone(), vault))
        })
        .collect();
    Ok(Runtime {
        config,
        engine: Engine::start(shared, lanes),
        organizations,
        connectors: ArcSwap::from_pointee(
            rows.into_iter().map(|row| (row.name.into(), row.id)).collect(),
        ),
        vault,
        oidc,
    })
}

impl Connectors {
    /// The key that passwords are sealed with, if any are.
    pub(super) fn key(&self) -> Option<KeyId> {
        self.vault.as_ref().map(|vault| vault.id())
    }
}

/// Drops the passwords that were sealed with another key than this one. To be called once nobody
/// seals with another.
pub(super) async fn drop_what_cannot_be_opened(
    key: Option<KeyId>,
    store: &Arc<dyn Store>,
) -> Result<()> {
    let dropped = store.passwords_open_with(key).await?;
    if dropped > 0 {
        tracing::warn!(
            passwords = dropped,
            "dropped passwords that wait to be passed on: the key they were sealed with is not the one that is configured"
        );
    }
    Ok(())
}

fn registration(config: &ConnectorConfig, connector: &dyn Connector) -> Registration {
    Registration {
        name: config.name.clone(),
        kind: config.settings.kind(),
        every_event: connector.semantics() == Semantics::EveryEvent,
        members: connector.wants_members(),
        reads_groups: connector.reads().groups || config.scope.reads_groups(),
        passwords: config.settings.wants_password(),
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
    vault: Option<Arc<Vault>>,
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
        safety: config.safety,
        vault,
        paused,
    }
}

/// What each organization's provider reaches.
pub(super) fn directories(
    runtime: &Runtime,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
) -> Vec<Directory> {
    let configured = &runtime.config.organizations;
    runtime
        .organizations
        .iter()
        .filter_map(|(key, id)| {
            let Organization { info, strict, members } = configured.get(key)?;
            let (store, clock) = (Arc::clone(store), clock.clone());
            let vault = runtime.vault.clone().filter(|_| runtime.config.wants_passwords(key));
            let keep_members = *members == UnsaidMembers::Keep;
            let rules = Rules { strict: *strict, keep_members };
            let url = &runtime.config.public_url;
            let directory = Directory::new(store, clock, *id, Arc::clone(info), rules, url);
            Some(directory.passing_passwords(vault))
        })
        .collect()
}

pub(super) fn limits(config: &Config) -> Limits {
    Limits { max_body: config.listener.max_body, rate: config.listener.rate_limit }
}

pub(super) fn tls(
    files: Option<&Tls>,
) -> std::result::Result<Option<Arc<ArcSwap<ServerConfig>>>, StartError> {
    let Some(files) = files else { return Ok(None) };
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
