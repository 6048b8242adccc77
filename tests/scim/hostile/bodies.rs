//! Bodies that are too large, too deep, too many, or no text at all.

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::relay::{Relay, Setting};

const MIB: usize = 1024 * 1024;

async fn roomy() -> Relay {
    Relay::with(Setting { max_body: MIB, ..Setting::default() }).await
}

/// Sends the head and then `piece` until as much as `total` is out or nobody listens any more;
/// meanwhile reads the answer.
async fn pour(relay: &Relay, head: &str, piece: &[u8], total: usize) -> String {
    let head = format!(
        "POST /scim/lillevik/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{head}\r\n",
        relay.token
    );
    let stream = TcpStream::connect(relay.address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let pouring = async {
        let mut result = writing.write_all(head.as_bytes()).await;
        let mut sent = 0;
        while result.is_ok() && sent < total {
            result = writing.write_all(piece).await;
            sent += piece.len();
        }
    };
    let mut answer = Vec::new();
    // That it hung up on us while we wrote is no error here.
    let ((), _) = tokio::join!(pouring, reading.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_however_they_are_announced() {
    let relay = roomy().await;
    let total = 100 * MIB;
    let plain = vec![b' '; MIB];
    let mut chunk = format!("{MIB:x}\r\n").into_bytes();
    chunk.extend_from_slice(&plain);
    chunk.extend_from_slice(b"\r\n");
    for (head, piece) in [
        (format!("content-length: {total}\r\n"), &plain),
        ("transfer-encoding: chunked\r\n".to_owned(), &chunk),
    ] {
        let text = pour(&relay, &head, piece, total).await;
        assert!(text.starts_with("HTTP/1.1 413 "), "{head}{text}");
        assert!(text.contains("urn:ietf:params:scim:api:messages:2.0:Error"), "{text}");
    }
    assert_eq!(relay.get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn a_length_that_is_a_lie_is_no_second_request() {
    let relay = roomy().await;
    let body = "{\"userName\":\"ada\"}";
    let bearer = format!("host: x\r\nauthorization: Bearer {}\r\n", relay.token);
    let post = format!("POST /scim/lillevik/v2/Users HTTP/1.1\r\n{bearer}");
    // More was announced than comes before the client hangs up its end.
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let short = format!("{post}content-length: 1000\r\n\r\n{body}");
    stream.write_all(short.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
    // Less: what is left over is no request of anybody's.
    let text = relay.talk(&format!("{post}content-length: 2\r\n\r\n{{}}GARBAGE\r\n\r\n")).await;
    assert_eq!(text.matches("HTTP/1.1 ").count(), 2, "{text}");
    assert!(text.contains("HTTP/1.1 400 Bad Request"), "{text}");
    for confusion in [
        "content-length: 18\r\ntransfer-encoding: chunked\r\n",
        "content-length: 18\r\ncontent-length: 2\r\n",
        "content-length: -1\r\n",
        "content-length: 99999999999999999999999\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\nxyz\r\n",
    ] {
        let text = relay.talk(&format!("{post}{confusion}\r\n{body}")).await;
        let refused = text.is_empty() || text.starts_with("HTTP/1.1 4");
        assert!(refused && text.matches("HTTP/1.1 ").count() <= 1, "{confusion}{text}");
    }
    assert_eq!(relay.get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn ten_thousand_levels_are_no_json_of_ours_wherever_they_are() {
    let relay = roomy().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let deep = 10_000;
    let lists = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let objects = format!("{}1{}", "{\"a\":".repeat(deep), "}".repeat(deep));
    let open = "{\"emails\":[".repeat(deep);
    for nested in [&lists, &objects, &open] {
        let value = |before: &str| format!("{before}{nested}}}");
        for (method, path, body) in [
            (Method::POST, "/Users", value("{\"userName\":\"x\",\"name\":")),
            (Method::PUT, one.as_str(), value("{\"userName\":\"x\",\"emails\":")),
            (Method::PATCH, one.as_str(), value("{\"Operations\":")),
            (Method::POST, "/Bulk", value("{\"Operations\":")),
            (Method::POST, "/.search", value("{\"filter\":")),
            (Method::POST, "/Groups", nested.clone()),
        ] {
            let answer = relay.ask(method.clone(), path, &[], body).await;
            assert_eq!(answer.refusal(400)["scimType"], "invalidSyntax", "{method} {path}");
        }
    }
    assert_eq!(relay.get(&one).await.json()["userName"], "ada");
}

#[tokio::test]
async fn twenty_thousand_operations_are_too_many() {
    let relay = roomy().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]);
    let operation = json!({ "op": "remove", "path": "title" });
    let patch = json!({ "schemas": schemas, "Operations": vec![operation; 20_000] });
    relay.patch(&one, &patch).await.refusal(413);

    let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]);
    let operation = json!({ "method": "DELETE", "path": "/Users/1" });
    let bulk = json!({ "schemas": schemas, "Operations": vec![operation; 20_000] });
    relay.post("/Bulk", &bulk).await.refusal(413);
    assert_eq!(relay.get(&one).await.header("etag"), "W/\"1\"");
}

#[tokio::test]
async fn values_without_end_are_bounded_one_by_one() {
    let relay = roomy().await;
    let (long, many) = ("x".repeat(100 * 1024), vec![json!({ "value": "a" }); 2_000]);
    let numbered: Vec<Value> =
        (0..2_000).map(|number| json!({ "value": number.to_string() })).collect();
    for (name, value) in [
        ("title", json!(long)),
        ("displayName", json!(long)),
        ("externalId", json!(long)),
        ("password", json!(long)),
        ("emails", json!(many)),
        ("roles", json!(numbered)),
        ("emails", json!([{ "value": long }])),
    ] {
        let answer = relay.post("/Users", &json!({ "userName": "ada", name: value })).await;
        let body = answer.refusal(400);
        assert_eq!(body["scimType"], "invalidValue", "{name}");
        assert!(answer.text.len() < 4096, "{name}: {} bytes", answer.text.len());
    }
    let answer = relay.post("/Users", &json!({ "userName": long })).await;
    assert_eq!(answer.refusal(400)["scimType"], "invalidValue");
}

#[tokio::test]
async fn what_is_no_text_is_no_json() {
    let relay = roomy().await;
    for body in [
        &b"{\"userName\":\"\\ud800\"}"[..],
        b"{\"userName\":\"\\udc00\\ud800\"}",
        b"{\"userName\":\"\\ud800x\"}",
        b"{\"\\ud800\":1,\"userName\":\"x\"}",
        b"{\"userName\":\"\xff\"}",
        b"{\"userName\":\"\xed\xa0\x80\"}",
        b"{\"userName\":\"\xc0\xaf\"}",
        b"{\"userName\":\"a\0b\"}",
        b"{\"userName\":\"a\nb\"}",
        b"\xef\xbb\xbf{\"userName\":\"bom\"}",
        b"{\"userName\":'x'}",
        b"{\"userName\":\"x\",}",
        b"{\"userName\":NaN}",
        b"{\"userName\":\"x\"}{\"userName\":\"y\"}",
    ] {
        let shown = String::from_utf8_lossy(body).into_owned();
        let answer = relay.ask(Method::POST, "/Users", &[], body.to_vec()).await;
        assert_eq!(answer.refusal(400)["scimType"], "invalidSyntax", "{shown}");
    }
    assert_eq!(relay.get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn a_body_is_utf_8() {
    let relay = roomy().await;
    let body = "{\"userName\":\"ada\"}";
    for charset in ["utf-16", "UTF-16LE", "\"iso-8859-1\"", "utf-7", "utf-32"] {
        let given = format!("application/scim+json; charset={charset}");
        let answer = relay.ask(Method::POST, "/Users", &[("content-type", &given)], body).await;
        answer.refusal(415);
    }
    for (index, charset) in ["utf-8", "UTF-8", "\"utf-8\"", "utf8", "us-ascii"].iter().enumerate() {
        let given = format!("application/json;v=1; Charset={charset}");
        let body = json!({ "userName": index.to_string() }).to_string();
        let answer = relay.ask(Method::POST, "/Users", &[("content-type", &given)], body).await;
        assert_eq!(answer.status, 201, "{charset}: {}", answer.text);
    }
}
