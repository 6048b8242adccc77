//! The files as written: every key and its default, and nothing about how keys fit together.
//!
//! Each key's comment is also the comment above it in `config.example.toml` and
//! `connector.example.toml`; a test compares those files' defaults with these.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use scim_relay_sdk::connector::{Period, Rate, Secret, Size};
use scim_relay_sdk::scim::{self, AttributeType, Filter, ResourceKind};
use serde::{Deserialize, Deserializer, de};

use super::oidc::Written as Oidc;
use super::safety::Safety;
use super::{Orphans, Schedule, UnsaidMembers};

/// The main file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    /// Where identity providers reach the relay.
    pub(super) public_url: Option<String>,
    /// Where the relay keeps its state.
    pub(super) data_dir: PathBuf,
    /// The connector files.
    pub(super) connectors: String,
    /// The time zone of every schedule.
    pub(super) timezone: String,
    pub(super) listener: Listener,
    pub(super) console: Console,
    pub(super) admin: Admin,
    pub(super) store: Store,
    pub(super) retention: Retention,
    pub(super) passwords: Passwords,
    /// Who may push to the relay.
    pub(super) organizations: BTreeMap<String, Organization>,
}

/// The keys of the main file that stand above its first table.
pub(super) const FILE_TOP: &[&str] = &["public_url", "data_dir", "connectors", "timezone"];

pub(super) const CONNECTORS: &str = "connectors.d/*.toml";

impl Default for File {
    fn default() -> Self {
        Self {
            public_url: None,
            data_dir: "/var/lib/scim-relay".into(),
            connectors: CONNECTORS.to_owned(),
            timezone: "UTC".to_owned(),
            listener: Listener::default(),
            console: Console::default(),
            admin: Admin::default(),
            store: Store::default(),
            retention: Retention::default(),
            passwords: Passwords::default(),
            organizations: BTreeMap::new(),
        }
    }
}

/// The SCIM service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Listener {
    #[serde(deserialize_with = "address")]
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
    /// Whether a proxy in front of the relay does TLS.
    pub(super) behind_proxy: bool,
    /// The largest request.
    pub(super) max_body: Size,
    pub(super) rate_limit: RateLimit,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            behind_proxy: false,
            max_body: Size(1 << 20),
            rate_limit: RateLimit::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// The certificate and its chain, as PEM.
    pub(super) certificate: PathBuf,
    /// Its private key, as PEM.
    pub(super) key: PathBuf,
}

/// How often one organization may ask.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    pub(super) per_second: u32,
    pub(super) burst: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 100, burst: 200 }
    }
}

/// The web console, the metrics and the health checks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Console {
    #[serde(deserialize_with = "address")]
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
    /// Whether a proxy in front of the console does TLS.
    pub(super) behind_proxy: bool,
    /// What people type to reach it.
    pub(super) url: Option<String>,
    /// Where people can sign in besides with a password.
    pub(super) oidc: Option<Oidc>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8081)),
            tls: None,
            behind_proxy: false,
            url: None,
            oidc: None,
        }
    }
}

/// Where the command line reaches the daemon.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    pub(super) socket: PathBuf,
}

impl Default for Admin {
    fn default() -> Self {
        Self { socket: "/run/scim-relay/admin.sock".into() }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) url: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite".to_owned() }
    }
}

/// How long things are kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    pub(super) changes: Period,
    pub(super) reports: Period,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self { changes: Period::from_secs(90 * DAY), reports: Period::from_secs(365 * DAY) }
    }
}

/// What becomes of passwords that a provider sends.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Passwords {
    /// What they are sealed with until they are passed on.
    pub(super) key: Option<Secret>,
}

/// One tenant; its key is part of its address.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Organization {
    /// Its name for people.
    pub(super) name: Option<String>,
    /// The language of those who named none.
    pub(super) locale: Option<String>,
    /// Whether requests that leave the RFCs are refused.
    pub(super) strict: bool,
    /// What a PUT of a group that says nothing of its members does to them.
    pub(super) members: UnsaidMembers,
    /// Extension attributes that its provider may send.
    pub(super) schemas: Vec<Schema>,
}

/// An extension schema (RFC 7643 section 3.3).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schema {
    pub(super) id: String,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) resource: SchemaOf,
    pub(super) attributes: Vec<Attribute>,
}

/// The resource type that an extension belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum SchemaOf {
    #[default]
    User,
    Group,
}

impl From<SchemaOf> for ResourceKind {
    fn from(of: SchemaOf) -> Self {
        match of {
            SchemaOf::User => Self::User,
            SchemaOf::Group => Self::Group,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attribute {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Type,
    #[serde(default)]
    pub(super) multi_valued: bool,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) case_exact: bool,
    #[serde(default)]
    pub(super) mutability: Mutability,
    pub(super) returned: Option<Returned>,
    #[serde(default)]
    pub(super) canonical_values: Vec<String>,
    #[serde(default)]
    pub(super) sub_attributes: Vec<Attribute>,
    #[serde(default)]
    pub(super) description: String,
}

/// The words of RFC 7643 section 2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Type {
    String,
    Boolean,
    Decimal,
    Integer,
    DateTime,
    Binary,
    Reference,
    Complex,
}

impl From<Type> for AttributeType {
    fn from(written: Type) -> Self {
        match written {
            Type::String => Self::String,
            Type::Boolean => Self::Boolean,
            Type::Decimal => Self::Decimal,
            Type::Integer => Self::Integer,
            Type::DateTime => Self::DateTime,
            Type::Binary => Self::Binary,
            Type::Reference => Self::Reference,
            Type::Complex => Self::Complex,
        }
    }
}

/// RFC 7643 section 7; what nobody could write is of no use here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mutability {
    #[default]
    ReadWrite,
    Immutable,
    WriteOnly,
}

impl From<Mutability> for scim::Mutability {
    fn from(written: Mutability) -> Self {
        match written {
            Mutability::ReadWrite => Self::ReadWrite,
            Mutability::Immutable => Self::Immutable,
            Mutability::WriteOnly => Self::WriteOnly,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Returned {
    Always,
    Never,
    Default,
    Request,
}

impl From<Returned> for scim::Returned {
    fn from(written: Returned) -> Self {
        match written {
            Returned::Always => Self::Always,
            Returned::Never => Self::Never,
            Returned::Default => Self::Default,
            Returned::Request => Self::Request,
        }
    }
}

/// What every connector file has besides the section of its kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConnectorFile {
    /// Whose resources it delivers; all when left out.
    pub(super) organizations: Option<Vec<String>>,
    /// Whether it runs.
    pub(super) enabled: bool,
    pub(super) scope: Scope,
    pub(super) limits: Limits,
    pub(super) retry: Retry,
    pub(super) reconcile: Reconcile,
    pub(super) safety: Safety,
}

/// The keys of a connector file that stand above its first table.
pub(super) const CONNECTOR_TOP: &[&str] = &["organizations", "enabled"];

impl Default for ConnectorFile {
    fn default() -> Self {
        Self {
            organizations: None,
            enabled: true,
            scope: Scope::default(),
            limits: Limits::default(),
            retry: Retry::default(),
            reconcile: Reconcile::default(),
            safety: Safety::default(),
        }
    }
}

/// SCIM filters (RFC 7644 section 3.4.2.2); a kind without one is in scope whole.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Scope {
    pub(super) users: Option<Filter>,
    pub(super) groups: Option<Filter>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Deliveries at once.
    pub(super) concurrency: usize,
    /// Deliveries in a time.
    pub(super) rate: Option<Rate>,
    /// How long one delivery may take.
    pub(super) timeout: Period,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrency: 8, rate: None, timeout: Period::from_secs(10) }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// The pause after a first failure; it doubles with each further one.
    pub(super) first: Period,
    /// The longest pause.
    pub(super) longest: Period,
    /// For how long one item is tried before it is parked for a person.
    pub(super) give_up_after: Period,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Period::from_secs(5),
            longest: Period::from_secs(3_600),
            give_up_after: Period::from_secs(7 * 86_400),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reconcile {
    /// When the target is compared with the store; only on demand when left out.
    pub(super) schedule: Option<Schedule>,
    /// Whether what differs is put right.
    pub(super) repair: bool,
    /// What becomes of entries that belong to nobody.
    pub(super) orphans: Orphans,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self { schedule: None, repair: true, orphans: Orphans::Report }
    }
}

/// A socket address, with a sentence for those who write a name or leave out the port.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        de::Error::custom(format!(
            "`{text}` is not an address to listen on; write an IP address and a port, like \
             \"127.0.0.1:8080\" or \"[::]:8443\""
        ))
    })
}
