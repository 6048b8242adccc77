//! TLS: whom the client believes.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, Stream};
use scim_relay_http::{Client, Guard, Options, Reached, Response, SendError, Url};
use scim_relay_sdk::connector::{Decision, DeliveryError};
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server with a certificate for `name`, and the CA that issued it.
struct Server {
    port: u16,
    ca: String,
}

impl Server {
    /// Serves one connection and answers one request with "ok".
    fn start(name: &str) -> Self {
        let (config, ca) = identity(name);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            serve(stream, ServerConnection::new(Arc::new(config)).unwrap());
        });
        Self { port, ca }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }
}

/// A certificate for `name`, and the PEM of a CA of its own.
fn identity(name: &str) -> (ServerConfig, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (config, issuer.pem())
}

/// Errors are the client's decision to leave.
fn serve(mut tcp: TcpStream, mut session: ServerConnection) {
    let mut tls = Stream::new(&mut session, &mut tcp);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match tls.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").ok();
}

fn client(ca: Option<&str>, timeout: Duration) -> Client {
    let ca = ca.map(|pem| pem.as_bytes().to_vec());
    Client::new(Options { ca, guard: Guard::default(), timeout, concurrency: 1 }).unwrap()
}

async fn get(client: &Client, url: &str) -> Result<Response, SendError> {
    client.send(Request::get(url).body(Bytes::new()).unwrap()).await
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_it_is_named() {
    let server = Server::start("localhost");

    let response = get(&client(Some(&server.ca), PATIENCE), &server.url()).await.unwrap();

    assert_eq!(response.body, "ok");
}

#[tokio::test]
async fn an_unknown_ca_is_not_trusted_and_nothing_is_sent() {
    let server = Server::start("localhost");

    let error = get(&client(None, PATIENCE), &server.url()).await.unwrap_err();

    assert!(matches!(error, SendError::Tls { .. }), "{error:?}");
    assert!(!error.may_be_done());
    let error = DeliveryError::from(error);
    assert_eq!(error.decision(), Decision::PauseTarget);
    assert!(error.chain().contains("its CA known or named with `ca`"), "{}", error.chain());
    assert!(error.chain().contains("UnknownIssuer"), "{}", error.chain());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let server = Server::start("elsewhere.example");

    let error = get(&client(Some(&server.ca), PATIENCE), &server.url()).await.unwrap_err();

    assert!(matches!(error, SendError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart_from_one_that_is_down() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", plain.local_addr().unwrap().port());
    thread::spawn(move || {
        let (mut stream, _) = plain.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).ok();
    });

    let error = get(&client(None, PATIENCE), &url).await.unwrap_err();

    assert!(matches!(error, SendError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_greets_was_sent_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", silent.local_addr().unwrap().port());

    let error = get(&client(None, Duration::from_millis(150)), &url).await.unwrap_err();

    assert!(matches!(error, SendError::ConnectTimeout { .. }), "{error:?}");
    assert!(!error.may_be_done());
}

#[tokio::test]
async fn reaching_a_target_shakes_hands() {
    let server = Server::start("localhost");
    let client = client(Some(&server.ca), PATIENCE);

    let reached: Reached = client.reach(&Url::parse(&server.url()).unwrap()).await.unwrap();

    assert_eq!(reached.to_string(), format!("{}, TLS 1.3", reached.peer));
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    let make = |pem: &str| {
        let options = Options {
            ca: Some(pem.as_bytes().to_vec()),
            guard: Guard::default(),
            timeout: PATIENCE,
            concurrency: 1,
        };
        Client::new(options).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(make("hello"), "it holds no certificate in PEM form");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(make(broken).starts_with("one of its certificates is unusable"));
}

#[tokio::test]
async fn http_2_is_spoken_with_those_who_can() {
    let (mut config, ca) = identity("localhost");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let tls = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
        let answer = |request: Request<Incoming>| async move {
            let version = format!("{:?}", request.version());
            Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(version))))
        };
        http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(tls), service_fn(answer))
            .await
            .ok();
        // The answer is what ends the test.
        std::future::pending::<()>().await;
    };
    let client = client(Some(&ca), PATIENCE);

    let response = tokio::select! {
        response = get(&client, &url) => response.unwrap(),
        () = serve => unreachable!("it serves for ever"),
    };

    assert_eq!(response.body, "HTTP/2.0");
}
