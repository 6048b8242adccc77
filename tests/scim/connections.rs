//! How connections begin, are bounded, and end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use scim_relay::http::{Options, Peer, load_tls, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsConnector;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::relay::{Relay, Setting};

/// Short, and yet long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(300);

fn setting(options: Options) -> Setting {
    Setting { options, ..Setting::default() }
}

#[tokio::test]
async fn headers_that_do_not_come_to_an_end_close_the_connection() {
    let options = Options { header_timeout: SHORT, ..Options::default() };
    let relay = Relay::with(setting(options)).await;
    relay.talk("GET /scim/lillevik/v2/Users HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let options = Options { idle_timeout: SHORT, ..Options::default() };
    let relay = Relay::with(setting(options)).await;
    assert_eq!(relay.talk("").await, "");
    // The beginning of HTTP/2's preface, and no more of it.
    assert_eq!(relay.talk("PRI * HT").await, "");
}

#[tokio::test]
async fn a_handshake_that_does_not_begin_is_closed() {
    let files = Files::new();
    let options = Options { handshake_timeout: SHORT, ..Options::default() };
    let server = Server::start(Some(files.first()), options).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let options = Options { max_connections: 1, ..Options::default() };
    let relay = Relay::with(setting(options)).await;
    let first = TcpStream::connect(relay.address).await.unwrap();
    let mut second = TcpStream::connect(relay.address).await.unwrap();
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0; 1];
    assert!(tokio::time::timeout(SHORT, second.read(&mut byte)).await.is_err(), "it was served");
    drop(first);
    assert_eq!(second.read(&mut byte).await.unwrap(), 1);
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_closes_the_rest() {
    let relay = Relay::start().await;
    let mut idle = TcpStream::connect(relay.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);

    let mut busy = TcpStream::connect(relay.address).await.unwrap();
    let body = "{\"userName\":\"ada\"}";
    let head = format!(
        "POST /scim/lillevik/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        relay.token,
        body.len()
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    // Now the handler waits for the body.
    let mut buffer = [0; 1024];
    let read = busy.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 100 "));

    relay.stop.cancel();
    assert_eq!(idle.read(&mut buffer).await.unwrap(), 0, "the idle connection is closed");
    while TcpStream::connect(relay.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    busy.write_all(body.as_bytes()).await.unwrap();
    let mut text = String::new();
    busy.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 201 "), "{text}");
    relay.tasks.close();
    relay.tasks.wait().await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let options = Options { drain_timeout: SHORT, ..Options::default() };
    let relay = Relay::with(setting(options)).await;
    let mut stuck = TcpStream::connect(relay.address).await.unwrap();
    let head = format!(
        "POST /scim/lillevik/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 10\r\nexpect: 100-continue\r\n\r\n",
        relay.token
    );
    stuck.write_all(head.as_bytes()).await.unwrap();
    assert!(stuck.read(&mut [0; 1024]).await.unwrap() > 0);
    relay.stop.cancel();
    relay.tasks.close();
    relay.tasks.wait().await;
    assert_eq!(stuck.read(&mut [0; 1024]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_certificate_is_swapped_without_a_restart() {
    let files = Files::new();
    let tls =
        Arc::new(ArcSwap::from_pointee(load_tls(&files.certificates[0], &files.keys[0]).unwrap()));
    let server = Server::start(Some(Arc::clone(&tls)), Options::default()).await;
    assert_eq!(server.over_tls(&files.certificates[0], b"http/1.1").await.unwrap(), "tcp");
    assert!(load_tls(&files.certificates[1], &files.keys[0]).is_err());
    tls.store(Arc::new(load_tls(&files.certificates[1], &files.keys[1]).unwrap()));
    assert_eq!(server.over_tls(&files.certificates[1], b"http/1.1").await.unwrap(), "tcp");
    assert!(server.over_tls(&files.certificates[0], b"http/1.1").await.is_err());
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_agreed_on() {
    let files = Files::new();
    let server = Server::start(Some(files.first()), Options::default()).await;
    assert_eq!(server.over_tls(&files.certificates[0], b"h2").await.unwrap(), "tcp");
    // Its requests have tasks of their own, and a drain ends all the same.
    server.stop.cancel();
    server.tasks.close();
    server.tasks.wait().await;
}

#[tokio::test]
async fn a_socket_file_tells_who_is_at_the_other_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let tasks = TaskTracker::new();
    tasks.spawn(serve(listener, None, who(), CancellationToken::new(), Options::default()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with(&format!("pid {}", std::process::id())), "{text}");
}

/// Answers with who asks.
fn who() -> Router {
    Router::new().route(
        "/",
        get(|Extension(peer): Extension<Peer>| async move {
            match peer {
                Peer::Address(_) => "tcp".to_owned(),
                Peer::Process { pid, .. } => format!("pid {}", pid.unwrap_or_default()),
            }
        }),
    )
}

/// Two certificates for localhost.
struct Files {
    _folder: tempfile::TempDir,
    certificates: Vec<PathBuf>,
    keys: Vec<PathBuf>,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut certificates, mut keys) = (Vec::new(), Vec::new());
        for name in ["first", "second"] {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let write = |suffix: &str, text: String| {
                let path = folder.path().join(format!("{name}.{suffix}"));
                std::fs::write(&path, text).unwrap();
                path
            };
            certificates.push(write("crt", made.cert.pem()));
            keys.push(write("key", made.signing_key.serialize_pem()));
        }
        Self { _folder: folder, certificates, keys }
    }

    fn first(&self) -> Arc<ArcSwap<rustls::ServerConfig>> {
        Arc::new(ArcSwap::from_pointee(load_tls(&self.certificates[0], &self.keys[0]).unwrap()))
    }
}

struct Server {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    async fn start(tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>, options: Options) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(serve(listener, tls, who(), stop.clone(), options));
        Self { address, stop, tasks }
    }

    /// What the server says to a client that trusts this certificate alone.
    async fn over_tls(&self, trusted: &PathBuf, protocol: &[u8]) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let request = Request::get("https://localhost/").body(Empty::<Bytes>::new()).unwrap();
        let response = if protocol == b"h2" {
            let io = TokioIo::new(stream);
            let (mut send, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            self.tasks.spawn(connection);
            send.send_request(request).await.unwrap()
        } else {
            let (mut send, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            self.tasks.spawn(connection);
            send.send_request(request).await.unwrap()
        };
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8(body.into()).unwrap())
    }
}
