//! The configuration: from the files as written to what can run.
//!
//! `file` is what may be written, `read` turns TOML into it and finds every mistake in one go,
//! `check` and `connector` find what does not fit together, and [`Config`] is what is left. A
//! mistake is a [`Diagnostic`]: file, line, the spot, and what to do. The kinds of connectors come
//! in as a list of [`Kind`]s, so nothing here knows one by name.

mod check;
mod connector;
mod diagnostic;
mod file;
mod kinds;
mod load;
mod mask;
mod oidc;
mod passwords;
mod read;
mod safety;
mod schedule;
mod schemas;
mod secrets;
mod shown;
mod source;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use scim_relay_sdk::connector::{OrganizationInfo, Rate, Scope, Secret};
use serde::Deserialize;

use crate::safety::Safety;

pub use diagnostic::{Diagnostic, Place, Severity, Spot, render};
pub use kinds::{AnySettings, Kind};
pub use load::load;
pub use mask::sounds_secret;
pub use oidc::{Oidc, OidcRule};
pub use schedule::{Schedule, ScheduleError};
pub use secrets::{SystemSecrets, credentials_directory};
pub use shown::Piece;

/// A configuration that can run. Paths are absolute.
#[derive(Clone, Debug)]
pub struct Config {
    /// The main file.
    pub file: PathBuf,
    /// Where identity providers reach the relay; no slash at the end.
    pub public_url: String,
    pub data_dir: PathBuf,
    /// The zone of every schedule, and of the days in `[[safety.window]]`.
    pub timezone: TimeZone,
    pub listener: Listener,
    pub console: Console,
    pub admin_socket: PathBuf,
    pub retention: Retention,
    pub organizations: BTreeMap<Arc<str>, Organization>,
    /// Where the key is that passwords are sealed with.
    password_key: Option<Secret>,
    /// By name.
    pub connectors: Vec<ConnectorConfig>,
}

impl Config {
    /// Where the provider of an organization reaches it.
    pub fn endpoint(&self, organization: &str) -> String {
        format!("{}/scim/{organization}/v2", self.public_url)
    }
}

/// One tenant.
#[derive(Clone, Debug)]
pub struct Organization {
    pub info: Arc<OrganizationInfo>,
    /// Requests of its provider that leave the RFCs are refused.
    pub strict: bool,
    pub members: UnsaidMembers,
}

/// What becomes of a group's members when a PUT says nothing of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnsaidMembers {
    /// They leave: what a PUT leaves out is cleared (RFC 7644 section 3.5.1).
    #[default]
    Replace,
    /// They stay; an empty list empties the group.
    Keep,
}

/// The SCIM service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// A proxy in front of the relay does TLS.
    pub behind_proxy: bool,
    /// The largest request, in bytes.
    pub max_body: usize,
    pub rate_limit: RateLimit,
}

/// The console, the metrics and the health checks.
#[derive(Clone, Debug)]
pub struct Console {
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// A proxy in front of it does TLS, and says who asks.
    pub behind_proxy: bool,
    /// What people type to reach it; no slash at the end.
    pub url: String,
    /// Where people can sign in besides with a password.
    pub oidc: Option<Oidc>,
}

impl Console {
    /// Whether browsers reach it by https.
    pub fn is_private(&self) -> bool {
        self.tls.is_some() || self.behind_proxy
    }
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How often one organization may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub changes: Duration,
    pub reports: Duration,
}

/// One connector: what is general about it, and the settings of its kind.
#[derive(Clone)]
pub struct ConnectorConfig {
    /// Its file's stem.
    pub name: String,
    pub file: PathBuf,
    pub enabled: bool,
    /// Whose resources it delivers.
    pub organizations: Vec<Arc<OrganizationInfo>>,
    pub scope: Scope,
    pub limits: Limits,
    pub retry: Retry,
    pub reconcile: Reconcile,
    pub safety: Safety,
    pub settings: Arc<dyn AnySettings>,
    /// A hash of the file, so that a reload knows what changed.
    pub fingerprint: String,
    /// The file itself, to say where a mistake is that shows only when the connector is built.
    source: Arc<source::Source>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Deliveries at once.
    pub concurrency: usize,
    pub rate: Option<Rate>,
    /// How long one delivery may take.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The pause after a first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// For how long one item is tried before it is parked.
    pub give_up_after: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reconcile {
    /// None: only on demand.
    pub schedule: Option<Schedule>,
    /// Whether what differs is put right.
    pub repair: bool,
    pub orphans: Orphans,
}

/// What reconciliation does about entries that belong to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orphans {
    Report,
    Deprovision,
}

impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorConfig")
            .field("name", &self.name)
            .field("kind", &self.settings.kind())
            .field("file", &self.file)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}
