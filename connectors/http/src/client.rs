//! One client for each connector: a pool of connections and the rules that every request keeps.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tower_service::Service;

use crate::dial::{Dial, DialError, causes, find};
use crate::response::{BodyError, Response, read};
use crate::url::origin;
use crate::{ClientError, Guard, SendError, Url};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("scim-relay/", env!("CARGO_PKG_VERSION")));

/// How long an unused connection is kept. Short enough that the other side, or a firewall between,
/// has seldom closed it already.
const IDLE: Duration = Duration::from_secs(20);

/// What a client is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Certificates in PEM form that are trusted besides the system's.
    pub ca: Option<Vec<u8>>,
    pub guard: Guard,
    /// For one exchange: connecting, sending and reading the whole answer.
    pub timeout: Duration,
    /// Connections that are kept open.
    pub concurrency: usize,
}

/// Sends requests. Follows no redirect, knows no proxy, never sends anything twice.
pub struct Client {
    pool: legacy::Client<HttpsConnector<Dial>, Full<Bytes>>,
    connector: HttpsConnector<Dial>,
    timeout: Duration,
}

/// What [`Client::reach`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    pub peer: SocketAddr,
    tls: Option<ProtocolVersion>,
}

impl Client {
    /// Makes a client; connects to nothing yet.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(options.ca.as_deref())?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Dial::new(options.guard));
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.concurrency)
            .build(connector.clone());
        Ok(Self { pool, connector, timeout: options.timeout })
    }

    /// Sends `request`, whose URI is absolute, and reads the answer.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response, SendError> {
        let target = origin(request.uri());
        let mut request = request.map(Full::new);
        request.headers_mut().entry(header::USER_AGENT).or_insert(USER_AGENT);
        // Set once the request has a connection, that is, right before it is written.
        let connection = capture_connection(&mut request);

        let (mut head, mut body) = (None, BytesMut::new());
        let exchange = async {
            let (parts, incoming) = self.pool.request(request).await?.into_parts();
            head = Some(parts);
            Ok(read(incoming, &mut body).await)
        };
        let ended = tokio::time::timeout(self.timeout, exchange).await;

        if let Some(parts) = head {
            let body_error = match ended {
                Ok(read) => read.unwrap_or(Ok(())).err(),
                Err(_) => Some(BodyError::TooSlow),
            };
            return Ok(Response {
                status: parts.status,
                headers: parts.headers,
                body: body.freeze(),
                body_error,
            });
        }
        let sent = connection.connection_metadata().is_some();
        Err(match ended {
            Ok(failed) => unanswered(target, failed.err()),
            Err(_) if sent => SendError::Timeout { target, after: self.timeout },
            Err(_) => SendError::ConnectTimeout { target, after: self.timeout },
        })
    }

    /// Opens a connection, with TLS where the URL says so, and closes it without a request.
    pub async fn reach(&self, url: &Url) -> Result<Reached, SendError> {
        let target = url.origin();
        let mut connector = self.connector.clone();
        let connecting = async {
            poll_fn(|context| connector.poll_ready(context)).await?;
            connector.call(url.uri().clone()).await
        };
        let stream = match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(not_connected(target, &*error)),
            Err(_) => return Err(SendError::ConnectTimeout { target, after: self.timeout }),
        };
        let (peer, tls) = match &stream {
            MaybeHttpsStream::Http(tcp) => (tcp.inner().peer_addr(), None),
            MaybeHttpsStream::Https(stream) => {
                let (tcp, session) = stream.inner().get_ref();
                (tcp.inner().inner().peer_addr(), session.protocol_version())
            }
        };
        let peer = peer.map_err(|error| SendError::Connect { target, source: error.into() })?;
        Ok(Reached { peer, tls })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// `10.0.0.5:443, TLS 1.3`
impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = match self.tls {
            None => "clear text",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(_) => "TLS",
        };
        write!(f, "{}, {tls}", self.peer)
    }
}

/// The provider is named here rather than taken from the process, where a second crate with
/// another opinion would make this panic.
fn tls(ca: Option<&[u8]>) -> Result<ClientConfig, ClientError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots(ca)?).with_no_client_auth())
}

fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a certificate of the system was not read");
    }
    // The system's own store may hold certificates that rustls does not take; the rest is enough.
    roots.add_parsable_certificates(native.certs);

    let Some(pem) = ca else { return Ok(roots) };
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ClientError(format!("it is not a file of PEM certificates: {error}")))?;
    if certificates.is_empty() {
        return Err(ClientError("it holds no certificate in PEM form".to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| {
            ClientError(format!("one of its certificates is unusable: {error}"))
        })?;
    }
    Ok(roots)
}

/// A request that got no answer: not even sent, or nobody knows.
fn unanswered(target: String, error: Option<legacy::Error>) -> SendError {
    use std::error::Error as _;

    let Some(error) = error else {
        // Not reached: without an error there was a head.
        return SendError::Unanswered { target, source: "no answer".into() };
    };
    match error.source() {
        Some(cause) if error.is_connect() => not_connected(target, cause),
        Some(cause) => SendError::Unanswered { target, source: causes(cause).into() },
        None => SendError::Unanswered { target, source: error.into() },
    }
}

/// No connection: what [`Dial`] did not fail at, TLS did.
fn not_connected(target: String, error: &(dyn std::error::Error + 'static)) -> SendError {
    match find::<DialError>(error) {
        Some(DialError::Address(refused)) => SendError::Address { target, source: refused.clone() },
        Some(DialError::Tcp(what)) => SendError::Connect { target, source: what.clone().into() },
        None => SendError::Tls { target, source: causes(error).into() },
    }
}
