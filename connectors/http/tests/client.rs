//! The client against servers that behave, and against some that do not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use scim_relay_http::{BodyError, Client, Guard, MAX_BODY, Network, Options, SendError, Url};
use scim_relay_sdk::connector::{Decision, DeliveryError};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Long enough for a slow machine, and never waited for where an answer comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// For servers that let us wait: the test takes this long.
const IMPATIENCE: Duration = Duration::from_millis(150);

fn client(timeout: Duration) -> Client {
    guarded(timeout, Guard::default())
}

fn guarded(timeout: Duration, guard: Guard) -> Client {
    Client::new(Options { ca: None, guard, timeout, concurrency: 2 }).expect("the client is made")
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).expect("a valid request")
}

/// A server for one connection; its address. The thread ends with the connection.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client connects");
        serve(stream);
    });
    address.to_string()
}

/// Reads until the end of the request's head.
fn read_head(stream: &mut TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
}

/// Waits until the other side has gone.
fn wait_for_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).ok();
}

#[tokio::test]
async fn an_answer_has_status_headers_and_body() {
    let server = MockServer::start().await;
    let agent = format!("scim-relay/{}", env!("CARGO_PKG_VERSION"));
    Mock::given(method("GET"))
        .and(header("user-agent", agent.as_str()))
        .respond_with(ResponseTemplate::new(201).insert_header("x-a", "b").set_body_string("made"))
        .mount(&server)
        .await;

    let response = client(PATIENCE).send(get(&server.uri())).await.unwrap();

    assert_eq!(response.status, StatusCode::CREATED);
    assert_eq!(response.headers["x-a"], "b");
    assert_eq!(response.body, "made");
    assert_eq!(response.body_error, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = MockServer::start().await;
    let trap = format!("{}/trap", server.uri());
    Mock::given(path("/hook"))
        .respond_with(ResponseTemplate::new(307).insert_header("location", trap.as_str()))
        .mount(&server)
        .await;
    Mock::given(path("/trap"))
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&server)
        .await;

    let response = client(PATIENCE).send(get(&format!("{}/hook", server.uri()))).await.unwrap();

    assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_and_the_status_still_counts() {
    let server = MockServer::start().await;
    Mock::given(path("/fits"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; MAX_BODY]))
        .mount(&server)
        .await;
    Mock::given(path("/too-long"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; MAX_BODY + 1]))
        .mount(&server)
        .await;
    let client = client(PATIENCE);

    let fits = client.send(get(&format!("{}/fits", server.uri()))).await.unwrap();
    assert_eq!((fits.body.len(), fits.body_error), (MAX_BODY, None));
    let long = client.send(get(&format!("{}/too-long", server.uri()))).await.unwrap();
    assert_eq!((long.status.as_u16(), long.body_error), (200, Some(BodyError::TooLong)));
    assert!(long.body.len() <= MAX_BODY);
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_deadline_and_its_status_counts() {
    let address = server(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nslow").ok();
        wait_for_end(&mut stream);
    });

    let response = client(IMPATIENCE).send(get(&format!("http://{address}/"))).await.unwrap();

    assert_eq!((response.status.as_u16(), &response.body[..]), (200, &b"slow"[..]));
    assert_eq!(response.body_error, Some(BodyError::TooSlow));
}

#[tokio::test]
async fn an_answer_that_is_cut_off_keeps_its_status() {
    let address = server(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").ok();
    });

    let response = client(PATIENCE).send(get(&format!("http://{address}/"))).await.unwrap();

    assert!(matches!(response.body_error, Some(BodyError::CutOff(_))), "{response:?}");
}

#[tokio::test]
async fn no_answer_in_time_leaves_the_outcome_in_doubt() {
    let address = server(|mut stream| wait_for_end(&mut stream));

    let error = client(IMPATIENCE).send(get(&format!("http://{address}/"))).await.unwrap_err();

    assert!(matches!(error, SendError::Timeout { .. }), "{error:?}");
    assert!(DeliveryError::from(error).is_in_doubt());
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_leaves_the_outcome_in_doubt() {
    let address = server(|mut stream| read_head(&mut stream));

    let error = client(PATIENCE).send(get(&format!("http://{address}/"))).await.unwrap_err();

    assert!(matches!(error, SendError::Unanswered { .. }), "{error:?}");
    assert!(DeliveryError::from(error).is_in_doubt());
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let address = server(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"220 mail.example ESMTP\r\n").ok();
    });

    let error = client(PATIENCE).send(get(&format!("http://{address}/"))).await.unwrap_err();

    assert!(error.may_be_done(), "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_was_never_sent_and_pauses_the_target() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    let error = client(PATIENCE).send(get(&format!("http://{address}/"))).await.unwrap_err();

    assert!(matches!(error, SendError::Connect { .. }), "{error:?}");
    let error = DeliveryError::from(error);
    assert_eq!(error.decision(), Decision::PauseTarget);
    assert!(
        error.chain().contains(&format!("cannot connect to http://{address}")),
        "{}",
        error.chain()
    );
    assert!(error.chain().contains("refused"), "{}", error.chain());
}

#[tokio::test]
async fn a_name_that_leads_nowhere_was_never_sent() {
    let error = client(PATIENCE).send(get("http://nobody.invalid/")).await.unwrap_err();

    assert!(!error.may_be_done(), "{error:?}");
    assert_eq!(DeliveryError::from(error).decision(), Decision::PauseTarget);
}

/// However the address is written, it is checked as the number that is connected to.
#[tokio::test]
async fn a_metadata_address_is_refused_in_every_spelling() {
    let client = client(PATIENCE);
    for host in [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fe80::1]",
        "0.0.0.0",
        "[::]",
    ] {
        let url = format!("http://{host}/latest/meta-data");
        let error = client.send(get(&url)).await.unwrap_err();
        assert!(matches!(error, SendError::Address { .. }), "{host}: {error:?}");
        assert_eq!(DeliveryError::from(error).decision(), Decision::PauseTarget);
    }
}

/// What a name is worth is decided after it was resolved: nothing was checked when it was saved.
#[tokio::test]
async fn a_name_that_leads_out_of_the_allowed_networks_is_refused() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&server)
        .await;
    let guard = Guard::new(Some(vec![Network::parse("10.20.0.0/16").unwrap()]));
    let client = guarded(PATIENCE, guard);

    for host in ["localhost", "127.0.0.1"] {
        let url = format!("http://{host}:{}/", server.address().port());
        let error = client.send(get(&url)).await.unwrap_err();
        assert!(matches!(error, SendError::Address { .. }), "{host}: {error:?}");
        let text = DeliveryError::from(error).chain();
        assert!(text.contains("it is in none of `allow_networks`"), "{text}");
    }
}

#[tokio::test]
async fn reaching_a_target_sends_it_nothing() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&server)
        .await;

    let reached = client(PATIENCE).reach(&Url::parse(&server.uri()).unwrap()).await.unwrap();

    assert_eq!(reached.to_string(), format!("{}, clear text", server.address()));
    assert!(server.received_requests().await.unwrap_or_default().is_empty());
}
