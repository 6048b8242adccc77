//! A directory server, over ldap3: the only file that knows the library.
//!
//! Rules that its behaviour forces: every operation has a time limit, a connection whose operation
//! failed in transport is never used again (the answer may still come, and a request may still be
//! carried out), and the driver's task belongs to its connection and dies with it.

use std::collections::{BTreeMap, HashSet};
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::exop::PasswordModify;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, ResultEntry, SearchOptions,
    StdStream,
};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time;

use crate::error::{Fault, Refusal, code};
use crate::tls;
use crate::transport::{
    Attributes, Entry, Modification, NewName, Query, Scope, Secret, Sink, Transport, Values,
};

/// More connections give no more throughput: the server has one writer.
const MAX_CONNECTIONS: usize = 4;
/// Entries in a page of a listing.
const PAGE: i32 = 500;
/// How long a connection may be silent before the kernel asks whether the peer is still there, and
/// how often it asks again.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(10);

/// How to get to a server, and as whom.
pub(crate) struct Server {
    /// TLS from the first byte.
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Given with `tls`, and without it for StartTLS.
    pub(crate) config: Option<Arc<ClientConfig>>,
    pub(crate) bind_dn: String,
    pub(crate) password: SecretString,
    /// For each step: connecting with its handshake and bind, and every operation.
    pub(crate) timeout: Duration,
}

pub(crate) struct Client {
    server: Server,
    url: String,
    slots: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

/// A connection that is bound, and its driver.
struct Connection {
    ldap: Ldap,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A connection in use by one operation. It goes back to the pool through [`Lease::settle`] only,
/// so one whose operation was cut off is dropped.
struct Lease<'a> {
    client: &'a Client,
    connection: Connection,
    /// It was used before, so the server may have closed it without our knowing yet.
    reused: bool,
    _slot: SemaphorePermit<'a>,
}

impl Client {
    pub(crate) fn new(server: Server, concurrency: usize) -> Self {
        let scheme = if server.tls { "ldaps" } else { "ldap" };
        let host = if server.host.contains(':') {
            format!("[{}]", server.host)
        } else {
            server.host.clone()
        };
        let url = format!("{scheme}://{host}:{}", server.port);
        let slots = Semaphore::new(concurrency.clamp(1, MAX_CONNECTIONS));
        Self { server, url, slots, idle: Mutex::default() }
    }

    async fn lease(&self) -> Result<Lease<'_>, Fault> {
        let slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let (connection, reused) = loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut connection) = kept else { break (self.connect().await?, false) };
            // The server may have closed it meanwhile.
            if !connection.ldap.is_closed() {
                break (connection, true);
            }
        };
        Ok(Lease { client: self, connection, reused, _slot: slot })
    }

    /// A new connection: TCP, TLS, bind, all within one time limit.
    async fn connect(&self) -> Result<Connection, Fault> {
        time::timeout(self.server.timeout, self.open()).await.unwrap_or_else(|_| Err(self.silent()))
    }

    fn silent(&self) -> Fault {
        Fault::Unreachable {
            what: format!("{} did not answer within {:?}", self.url, self.server.timeout),
            source: io::Error::from(io::ErrorKind::TimedOut).into(),
        }
    }

    async fn open(&self) -> Result<Connection, Fault> {
        let server = &self.server;
        let stream = self.dial().await.map_err(|source| Fault::Unreachable {
            what: format!("{} cannot be reached", self.url),
            source: source.into(),
        })?;
        let mut settings = LdapConnSettings::new()
            .set_conn_timeout(server.timeout)
            .set_std_stream(StdStream::Tcp(stream));
        if let Some(config) = &server.config {
            settings = settings.set_config(Arc::clone(config)).set_starttls(!server.tls);
        }
        // The stream is ours, so the URL tells the library the scheme and the certificate's name
        // only; an IPv6 literal is checked by our own verifier instead.
        let url = if server.host.contains(':') {
            self.url.replace(&format!("[{}]", server.host), "literal.invalid")
        } else {
            self.url.clone()
        };
        let (driver, ldap) = LdapConnAsync::with_settings(settings, &url)
            .await
            .map_err(|error| self.not_opened(error))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the driver belongs to its connection and is aborted with it"
        )]
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.drive().await {
                tracing::debug!(%error, "an LDAP connection ended");
            }
        });
        let mut connection = Connection { ldap, driver };
        let bound = connection
            .ldap
            .with_timeout(server.timeout)
            .simple_bind(&server.bind_dn, server.password.expose_secret())
            .await
            .map_err(|error| self.not_opened(error))?;
        match bound.rc {
            0 => {
                tracing::debug!(url = self.url, "connected to the directory and bound");
                Ok(connection)
            }
            // Too busy, or not yet up.
            3 | 11 | 51 | 52 | 80 => Err(Fault::Unreachable {
                what: format!("{} takes no bind now", self.url),
                source: refusal(bound).to_string().into(),
            }),
            _ => Err(Fault::Setup {
                what: format!(
                    "{} refuses to let `{}` in: {}; check bind_dn, bind_password and whether the \
                     account is locked or expired",
                    self.url,
                    server.bind_dn,
                    refusal(bound)
                ),
            }),
        }
    }

    async fn dial(&self) -> io::Result<std::net::TcpStream> {
        let stream = TcpStream::connect((self.server.host.as_str(), self.server.port)).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(
            &TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_AGAIN),
        )?;
        // A peer whose packets are dropped on the way must not hold a connection for a quarter of
        // an hour.
        socket.set_tcp_user_timeout(Some(self.server.timeout))?;
        stream.into_std()
    }

    /// Tells a server that is not there from one that must not be believed.
    fn not_opened(&self, error: LdapError) -> Fault {
        if let Some(certificate) = certificate_error(&error) {
            return Fault::Setup {
                what: format!(
                    "the certificate of {} is not accepted: {}",
                    self.url,
                    tls::explain(certificate)
                ),
            };
        }
        match error {
            LdapError::Timeout { .. } => self.silent(),
            // What is answered to StartTLS; without it nothing may be sent.
            LdapError::LdapResult { result } => {
                Fault::Setup { what: format!("{} refuses StartTLS: {}", self.url, refusal(result)) }
            }
            LdapError::DNSName { source } => Fault::Setup {
                what: format!("{} has no name that a certificate could have: {source}", self.url),
            },
            error => Fault::Unreachable {
                what: format!("no connection to {} could be made", self.url),
                source: error.into(),
            },
        }
    }
}

impl Lease<'_> {
    /// The handle for one operation, with its time limit.
    fn operation(&mut self) -> &mut Ldap {
        self.connection.ldap.with_timeout(self.client.server.timeout)
    }

    async fn find(mut self, query: &Query<'_>, limit: usize) -> Result<Vec<Entry>, Fault> {
        let size = i32::try_from(limit).unwrap_or(i32::MAX);
        let stream = self
            .operation()
            .with_search_options(SearchOptions::new().sizelimit(size))
            .streaming_search(
                query.base,
                scope(query.scope),
                &query.filter.to_string(),
                query.attributes.to_vec(),
            )
            .await;
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => return self.settle(Err(error)),
        };
        let mut entries = Vec::new();
        loop {
            match stream.next().await {
                // A server that ignores the limit is cut off together with its connection.
                Ok(Some(_)) if entries.len() >= limit => return Ok(entries),
                // A reference points to another server, which is not asked.
                Ok(Some(item)) if item.is_ref() || item.is_intermediate() => {}
                Ok(Some(item)) => entries.push(entry(item)?),
                Ok(None) => break,
                Err(error) => return self.settle(Err(error)),
            }
        }
        let result = stream.finish().await;
        drop(stream);
        match self.settle(Ok(result))? {
            LdapResult { rc: 0, .. } => Ok(entries),
            LdapResult { rc: code::SIZE_LIMIT_EXCEEDED, .. } if entries.len() >= limit => {
                Ok(entries)
            }
            result => Err(Fault::Refusal(refusal(result))),
        }
    }

    /// Gives the connection back if the server answered on it, whatever it said.
    fn settle<T>(self, outcome: Result<T, LdapError>) -> Result<T, Fault> {
        let answer = outcome.map_err(transport_fault)?;
        let mut idle = self.client.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(self.connection);
        Ok(answer)
    }
}

#[async_trait]
impl Transport for Client {
    fn place(&self) -> &str {
        &self.url
    }

    fn identity(&self) -> Option<&str> {
        Some(&self.server.bind_dn)
    }

    fn has_containers(&self) -> bool {
        true
    }

    async fn find(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Entry>, Fault> {
        loop {
            let lease = self.lease().await?;
            let reused = lease.reused;
            match lease.find(query, limit).await {
                // The server closed it while nobody looked: a restart, a limit on idle ones. There
                // are as many of them as the pool is large, then comes a new one.
                Err(Fault::NotSent { .. } | Fault::Lost { closed: true, .. }) if reused => {}
                found => return found,
            }
        }
    }

    /// On a connection of its own, so that deliveries go on meanwhile.
    async fn list(&self, query: &Query<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut connection = self.connect().await?;
        let adapters: Vec<Box<dyn Adapter<_, _>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
        let mut stream = connection
            .ldap
            .with_timeout(self.server.timeout)
            .streaming_search_with(
                adapters,
                query.base,
                scope(query.scope),
                &query.filter.to_string(),
                query.attributes.to_vec(),
            )
            .await
            .map_err(transport_fault)?;
        while let Some(item) = stream.next().await.map_err(transport_fault)? {
            sink(entry(item)?);
        }
        // Entries that were cut off are told here and nowhere else; a reference, too, stands for
        // entries that were not listed.
        let result = stream.finish().await;
        if result.rc == 0 && result.refs.is_empty() {
            return Ok(());
        }
        let mut refusal = refusal(result);
        if refusal.code == 0 {
            refusal.code = code::REFERRAL;
        }
        Err(Fault::Refusal(refusal))
    }

    async fn add(&self, dn: &str, attributes: Attributes) -> Result<(), Fault> {
        let mut lease = self.lease().await?;
        let attributes = attributes
            .into_iter()
            .map(|(name, values)| (name.into_bytes(), values.into_iter().collect::<HashSet<_>>()))
            .collect();
        let outcome = lease.operation().add(dn, attributes).await;
        success(lease.settle(outcome)?)
    }

    async fn modify(&self, dn: &str, changes: Vec<Modification>) -> Result<(), Fault> {
        let mut lease = self.lease().await?;
        let set = |values: Values| values.into_iter().collect::<HashSet<_>>();
        let changes = changes
            .into_iter()
            .map(|change| match change {
                Modification::Add(name, values) => Mod::Add(name.into_bytes(), set(values)),
                Modification::Delete(name, values) => Mod::Delete(name.into_bytes(), set(values)),
            })
            .collect();
        let outcome = lease.operation().modify(dn, changes).await;
        success(lease.settle(outcome)?)
    }

    async fn write_secret(&self, dn: &str, secret: Secret) -> Result<(), Fault> {
        let mut lease = self.lease().await?;
        let outcome = match secret {
            Secret::Password(password) => {
                let request = PasswordModify {
                    user_id: Some(dn),
                    old_pass: None,
                    new_pass: Some(password.expose_secret()),
                };
                lease.operation().extended(request).await.map(|answer| answer.1)
            }
            Secret::Attribute(name, values) => {
                let values = values.into_iter().collect();
                lease.operation().modify(dn, vec![Mod::Replace(name.into_bytes(), values)]).await
            }
        };
        success(lease.settle(outcome)?)
    }

    async fn rename(&self, dn: &str, to: &NewName) -> Result<(), Fault> {
        let mut lease = self.lease().await?;
        let parent = to.parent.as_deref();
        let outcome = lease.operation().modifydn(dn, &to.rdn, to.delete_old, parent).await;
        success(lease.settle(outcome)?)
    }

    async fn delete(&self, dn: &str) -> Result<(), Fault> {
        let mut lease = self.lease().await?;
        let outcome = lease.operation().delete(dn).await;
        success(lease.settle(outcome)?)
    }
}

fn scope(scope: Scope) -> ldap3::Scope {
    match scope {
        Scope::Base => ldap3::Scope::Base,
        Scope::Subtree => ldap3::Scope::Subtree,
    }
}

fn success(result: LdapResult) -> Result<(), Fault> {
    if result.rc == 0 { Ok(()) } else { Err(Fault::Refusal(refusal(result))) }
}

fn refusal(result: LdapResult) -> Refusal {
    Refusal { code: result.rc, text: result.text, matched: result.matched, referrals: result.refs }
}

fn transport_fault(error: LdapError) -> Fault {
    match error {
        LdapError::OpSend { .. } => Fault::NotSent { source: error.into() },
        error => {
            let closed = !matches!(error, LdapError::Timeout { .. });
            Fault::Lost { source: error.into(), closed }
        }
    }
}

/// The verdict on a certificate, which the library hides in an I/O error.
fn certificate_error(error: &LdapError) -> Option<&rustls::CertificateError> {
    let inner = match error {
        LdapError::Io { source } => source.get_ref()?.downcast_ref::<rustls::Error>(),
        other => other.source().and_then(|source| source.downcast_ref::<rustls::Error>()),
    };
    match inner {
        Some(rustls::Error::InvalidCertificate(certificate)) => Some(certificate),
        _ => None,
    }
}

/// An entry as it came over the wire (RFC 4511 section 4.5.2). The library's own reader panics on
/// a malformed one, and parts values that are text from those that are not.
fn entry(item: ResultEntry) -> Result<Entry, Fault> {
    read_entry(item).ok_or_else(|| Fault::Lost {
        source: "the server sent a malformed entry".into(),
        closed: false,
    })
}

fn read_entry(item: ResultEntry) -> Option<Entry> {
    let mut parts = item.0.match_id(4)?.expect_constructed()?.into_iter();
    let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
    // A server may send an attribute in several parts.
    let mut attributes: BTreeMap<String, Values> = BTreeMap::new();
    for attribute in parts.next()?.expect_constructed()? {
        let mut pair = attribute.expect_constructed()?.into_iter();
        let name = String::from_utf8(pair.next()?.expect_primitive()?).ok()?;
        let values = attributes.entry(name).or_default();
        for value in pair.next()?.expect_constructed()? {
            values.push(value.expect_primitive()?);
        }
    }
    Some(Entry::new(dn, attributes.into_iter().collect()))
}
