//! What is taken as a body, and how much of it.

use http::Method;
use serde_json::json;

use crate::relay::{Relay, Setting};

#[tokio::test]
async fn bodies_are_json_by_any_of_its_names() {
    let relay = Relay::start().await;
    let types = [None, Some("application/json"), Some("application/scim+json; charset=utf-8")];
    for (index, given) in types.into_iter().enumerate() {
        let header: Vec<_> = given.map(|given| ("content-type", given)).into_iter().collect();
        let body = json!({ "userName": format!("u{index}") }).to_string();
        let answer = relay.ask(Method::POST, "/Users", &header, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    for header in [("content-type", "text/xml"), ("content-encoding", "gzip")] {
        let answer = relay.ask(Method::POST, "/Users", &[header], "{\"userName\":\"x\"}").await;
        answer.refusal(415);
    }
}

#[tokio::test]
async fn what_is_not_json_is_invalid_syntax() {
    let relay = Relay::start().await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let utf16: Vec<u8> = "{\"userName\":\"x\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [
        Vec::new(),
        b"{".to_vec(),
        b"{\"userName\":\"ada\"} x".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"{\"userName\":\"\xff\"}".to_vec(),
        deep.into_bytes(),
        utf16,
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        let answer = relay.ask(Method::POST, "/Users", &[], body).await;
        assert_eq!(answer.refusal(400)["scimType"], "invalidSyntax", "{shown}");
    }
}

#[tokio::test]
async fn a_key_that_is_given_twice_leaves_open_which_is_meant() {
    let relay = Relay::start().await;
    for body in [
        "{\"userName\":\"first\",\"userName\":\"last\"}",
        "{\"userName\":\"first\",\"USERNAME\":\"last\"}",
        "{\"userName\":\"a\",\"emails\":[{\"value\":\"a@x\",\"Value\":\"b@x\"}]}",
    ] {
        let refusal = relay.ask(Method::POST, "/Users", &[], body).await.refusal(400);
        assert_eq!(refusal["scimType"], "invalidSyntax");
        assert!(refusal["detail"].as_str().unwrap().contains("given twice"), "{refusal}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_announced_length() {
    let relay = Relay::with(Setting { max_body: 100, ..Setting::default() }).await;
    // Not a byte of it is sent: the announcement is enough.
    let head = format!(
        "POST /scim/lillevik/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 101\r\n\r\n",
        relay.token
    );
    let text = relay.talk(&head).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.contains("larger than 100 bytes"), "{text}");
    let fits = format!("{{\"userName\":\"{}\"}}", "x".repeat(85));
    assert_eq!(fits.len(), 100);
    assert_eq!(relay.ask(Method::POST, "/Users", &[], fits).await.status, 201);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_where_it_crosses_it() {
    let relay = Relay::with(Setting { max_body: 100, ..Setting::default() }).await;
    let chunk = format!("40\r\n{}\r\n", " ".repeat(64));
    // Two chunks, and no end in sight.
    let head = format!(
        "POST /scim/lillevik/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         transfer-encoding: chunked\r\n\r\n{chunk}{chunk}",
        relay.token
    );
    let text = relay.talk(&head).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}

#[tokio::test]
async fn a_body_is_not_read_for_a_stranger() {
    let relay = Relay::start().await;
    let head = "POST /scim/lillevik/v2/Users HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\
                expect: 100-continue\r\n\r\n";
    let text = relay.talk(head).await;
    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
}
