//! Lines, headers and paths that are not what they seem.

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::relay::Relay;

/// Sends these bytes, and reads what comes back until the relay hangs up.
async fn talk(relay: &Relay, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    // It may hang up before all is sent.
    drop(stream.write_all(sent).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

fn get(relay: &Relay, target: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {}\r\n{headers}\r\n",
        relay.token
    )
    .into_bytes()
}

#[tokio::test]
async fn a_path_in_disguise_is_never_let_in_without_a_token() {
    let relay = Relay::start().await;
    let id = relay.user("ada").await;
    for path in [
        "/scim/lillevik/v2/Users/",
        "/scim/lillevik/v2/%55sers",
        "/scim/lillevik/v2/Users%2f",
        "/scim%2flillevik%2fv2%2fUsers",
        "/%73cim/lillevik/v2/Users",
        "//scim/lillevik/v2/Users",
        "/./scim/lillevik/v2/Users",
        "/x/../scim/lillevik/v2/Users",
        "/scim/lillevik/v2/x/../Users",
        "/scim/lillevik/v2/%2e%2e/v2/Users",
        "/scim/lillevik/v2/Users;jsessionid=1",
        "/scim/lillevik/v2/Users%00",
        "/scim/lillevik/v2/Users%0d%0a",
        "/scim/lillevik/v2/Users?access_token=x",
        "/SCIM/lillevik/v2/Users",
        "/scim/LILLEVIK/v2/Users",
        "/scim/lillevik/V2/Users",
        "/scim/lillevik/v2//Users",
        "/scim/lillevik/v2/Users//",
        "http://evil.example/scim/lillevik/v2/Users",
    ] {
        for path in [path.to_owned(), format!("{}/{id}", path.trim_end_matches('/'))] {
            let text = talk(
                &relay,
                format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .await;
            let refused = ["400", "401", "404"]
                .iter()
                .any(|status| text.starts_with(&format!("HTTP/1.1 {status} ")));
            assert!(refused && !text.contains("ada"), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn the_method_is_the_one_in_the_first_line() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    for header in ["x-http-method-override", "x-http-method", "x-method-override", "_method"] {
        let answer = relay.ask(Method::GET, &one, &[(header, "DELETE")], "").await;
        assert_eq!(answer.status, 200, "{header}");
        let body = json!({ "userName": header }).to_string();
        let headers = [(header, "DELETE"), ("content-type", "application/json")];
        let query = format!("{one}?_method=DELETE");
        relay.ask(Method::POST, &query, &headers, body).await.refusal(405);
    }
    assert_eq!(relay.get(&one).await.status, 200);
}

#[tokio::test]
async fn what_is_no_utf_8_names_nothing() {
    let relay = Relay::start().await;
    for path in ["/Users/%ff", "/Users/%c0%af", "/Users/%ed%a0%80", "/Groups/%ff%fe"] {
        relay.get(path).await.refusal(404);
        relay.delete(path).await.refusal(404);
    }
    for query in ["filter=%ff", "filter=userName%20eq%20%22%ff%22", "attributes=%c0", "x=%ff"] {
        relay.get(&format!("/Users?{query}")).await.refusal(400);
    }
    let raw =
        [&get(&relay, "/scim/lillevik/v2/Users/", "")[..29], b"\xff HTTP/1.1\r\nhost: x\r\n\r\n"]
            .concat();
    let text = talk(&relay, &raw).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
}

#[tokio::test]
async fn an_id_puts_no_line_into_the_answer() {
    let relay = Relay::start().await;
    let never = "01890a5d-ac96-774b-bcce-b302099a8057";
    for id in [
        "%0d%0aset-cookie:%20a=b",
        &format!("{never}%0d%0aset-cookie:%20a=b"),
        "%0aset-cookie:a=b",
        "%00",
        "%E5%98%8D%E5%98%8Aset-cookie:a=b",
        "%3Cscript%3E",
        "..%2f..%2fetc%2fpasswd",
        &"9".repeat(5_000),
    ] {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer =
                relay.ask(method, &format!("/Users/{id}"), &[], "{\"userName\":\"x\"}").await;
            assert!([400, 404].contains(&answer.status), "{id}: {}", answer.text);
            assert!(answer.headers.get("set-cookie").is_none(), "{id}");
            assert!(answer.headers.get("location").is_none(), "{id}");
            assert!(answer.text.len() < 4096 && !answer.text.contains('\n'), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn an_address_in_an_answer_is_the_configured_one() {
    let relay = Relay::start().await;
    let body = json!({ "userName": "ada" });
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "host=evil.example;proto=gopher"),
        ("x-original-url", "/scim/storvik/v2/Users"),
        ("origin", "https://evil.example"),
    ];
    let answer = relay.send(Method::POST, "/Users", &headers, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(answer.header("location").starts_with("https://scim.example/scim/lillevik/"));
    assert!(!answer.text.contains("evil") && !format!("{:?}", answer.headers).contains("evil"));
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_request_has_bounds_before_it_is_one() {
    let relay = Relay::start().await;
    let users = "/scim/lillevik/v2/Users";
    let many = "x-one-of-many: a\r\n".repeat(2_000);
    let long = format!("x-long: {}\r\n", "a".repeat(1024 * 1024));
    let token = format!("x: y\r\nauthorization: Bearer {}\r\n", "a".repeat(60_000));
    let line = format!("{users}?x={}", "a".repeat(1024 * 1024));
    for (what, request, statuses) in [
        ("2,000 headers", get(&relay, users, &many), &["431", "400"][..]),
        ("a header of a megabyte", get(&relay, users, &long), &["431", "400"]),
        ("a line of a megabyte", get(&relay, &line, ""), &["414", "431", "400"]),
        ("two tokens", get(&relay, users, &token), &["401", "431"]),
    ] {
        let text = talk(&relay, &request).await;
        let refused = statuses.iter().any(|one| text.starts_with(&format!("HTTP/1.1 {one} ")));
        assert!(refused || text.is_empty(), "{what}: {}", &text[..text.len().min(400)]);
    }
    let huge = format!("Bearer {}", "a".repeat(60_000));
    let answer = relay.raw(Method::GET, users, &[("authorization", &huge)], "").await;
    assert!([401, 431].contains(&answer.status), "{}", answer.text);

    for garbage in [
        &b"GET /\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET  /scim HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /scim HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n",
        b"GET /scim HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /scim HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        let text = talk(&relay, garbage).await;
        let shown = String::from_utf8_lossy(garbage);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{shown}: {text}");
    }
    assert_eq!(relay.get("/Users").await.status, 200);
}
