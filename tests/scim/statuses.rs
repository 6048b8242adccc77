//! One table of requests and the status that each is answered with (RFC 7644 sections 3.1 and
//! 3.12, RFC 9110).

use http::Method;
use serde_json::json;

use crate::relay::{PUBLIC_URL, Relay, Setting};

const NEVER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const JSON: &str = "application/scim+json; charset=utf-8";

/// `ADA` and `GROUP` stand for ids. Each line leaves everything as it was but for what it says; ada
/// is at version 1 until the line that replaces her.
type Line = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    u16,
    &'static str,
);

const TABLE: &[Line] = &[
    // Reads.
    ("GET", "/Users", &[], "", 200, ""),
    ("GET", "/Users/ADA", &[], "", 200, ""),
    ("GET", "/Users/ADA", &[("accept", "text/html")], "", 200, ""),
    ("GET", "/Users/ADA", &[("accept", "nonsense")], "", 200, ""),
    ("GET", "/Users/NEVER", &[], "", 404, ""),
    ("GET", "/Users/GROUP", &[], "", 404, ""),
    ("GET", "/Users/1", &[], "", 404, ""),
    ("GET", "/Users?filter=shoeSize%20eq%201", &[], "", 400, "invalidFilter"),
    ("GET", "/Users?filter=userName%20is%20%22a%22", &[], "", 400, "invalidFilter"),
    ("GET", "/Users?filter=userName%20eq%20%22%FF%22", &[], "", 400, "invalidSyntax"),
    ("GET", "/Users?count=many", &[], "", 400, "invalidValue"),
    ("GET", "/nowhere", &[], "", 404, ""),
    ("GET", "/Users/ADA/emails", &[], "", 404, ""),
    ("GET", "/Me", &[], "", 501, ""),
    ("PATCH", "/Me", &[], "{}", 501, ""),
    // Discovery takes no filter and no writes (RFC 7644 section 4).
    ("GET", "/ServiceProviderConfig", &[], "", 200, ""),
    ("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", &[], "", 200, ""),
    ("GET", "/ResourceTypes/Group", &[], "", 200, ""),
    ("GET", "/ResourceTypes/Ada", &[], "", 404, ""),
    ("GET", "/Schemas?filter=id%20pr", &[], "", 403, ""),
    ("GET", "/ResourceTypes?filter=id%20pr", &[], "", 403, ""),
    ("GET", "/Schemas?sortBy=id&startIndex=2&count=1", &[], "", 200, ""),
    ("POST", "/Schemas", &[], "{}", 405, ""),
    ("PUT", "/ServiceProviderConfig", &[], "{}", 405, ""),
    ("PATCH", "/ResourceTypes/User", &[], "{}", 405, ""),
    ("DELETE", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", &[], "", 405, ""),
    // Methods.
    ("PUT", "/Users", &[], "{}", 405, ""),
    ("DELETE", "/Groups", &[], "", 405, ""),
    ("POST", "/Users/ADA", &[], "{}", 405, ""),
    ("OPTIONS", "/Users", &[], "", 405, ""),
    ("TRACE", "/Users", &[], "", 405, ""),
    ("DELETE", "/Users/.search", &[], "", 405, ""),
    ("PATCH", "/", &[], "{}", 405, ""),
    ("BREW", "/Users/ADA", &[], "", 405, ""),
    ("GET", "/Bulk", &[], "", 405, ""),
    // Bodies.
    ("POST", "/Users", &[], "{", 400, "invalidSyntax"),
    ("POST", "/Users", &[], "", 400, "invalidSyntax"),
    ("POST", "/Users", &[], "[]", 400, "invalidSyntax"),
    ("POST", "/Users", &[], r#"{"displayName":"x"}"#, 400, "invalidValue"),
    ("POST", "/Users", &[], r#"{"userName":1}"#, 400, "invalidValue"),
    ("POST", "/Users", &[], r#"{"userName":"ADA"}"#, 409, "uniqueness"),
    ("POST", "/Users", &[("content-type", "text/plain")], r#"{"userName":"x"}"#, 415, ""),
    ("POST", "/Users", &[("content-encoding", "gzip")], r#"{"userName":"x"}"#, 415, ""),
    (
        "POST",
        "/Groups",
        &[],
        r#"{"displayName":"x","members":[{"value":"NEVER"}]}"#,
        400,
        "invalidValue",
    ),
    ("PUT", "/Users/NEVER", &[], r#"{"userName":"x"}"#, 404, ""),
    ("PUT", "/Users/ADA", &[], r#"{"userName":""}"#, 400, "invalidValue"),
    ("PATCH", "/Users/ADA", &[], r#"{"Operations":{}}"#, 400, "invalidSyntax"),
    ("PATCH", "/Users/ADA", &[], r#"{"Operations":[{"op":"copy"}]}"#, 400, "invalidSyntax"),
    ("PATCH", "/Users/ADA", &[], r#"{"Operations":[{"op":"remove"}]}"#, 400, "noTarget"),
    (
        "PATCH",
        "/Users/ADA",
        &[],
        r#"{"Operations":[{"op":"add","path":"shoe","value":1}]}"#,
        400,
        "invalidPath",
    ),
    (
        "PATCH",
        "/Users/ADA",
        &[],
        r#"{"Operations":[{"op":"replace","path":"id","value":"x"}]}"#,
        400,
        "mutability",
    ),
    (
        "PATCH",
        "/Users/NEVER",
        &[],
        r#"{"Operations":[{"op":"add","path":"title","value":"x"}]}"#,
        404,
        "",
    ),
    ("DELETE", "/Users/NEVER", &[], "", 404, ""),
    // Versions of a read.
    ("GET", "/Users/ADA", &[("if-none-match", "W/\"1\"")], "", 304, ""),
    ("GET", "/Users/ADA", &[("if-none-match", "\"7\", \"1\"")], "", 304, ""),
    ("GET", "/Users/ADA", &[("if-none-match", "*")], "", 304, ""),
    ("HEAD", "/Users/ADA", &[("if-none-match", "W/\"1\"")], "", 304, ""),
    ("GET", "/Users/ADA", &[("if-none-match", "W/\"2\"")], "", 200, ""),
    ("GET", "/Users/ADA", &[("if-none-match", "1")], "", 200, ""),
    ("GET", "/Users/ADA", &[("if-match", "W/\"1\"")], "", 200, ""),
    ("GET", "/Users/ADA", &[("if-match", "W/\"2\"")], "", 412, ""),
    // Versions of a write.
    ("PUT", "/Users/ADA", &[("if-match", "W/\"2\"")], r#"{"userName":"ada"}"#, 412, ""),
    ("PUT", "/Users/ADA", &[("if-match", "1")], r#"{"userName":"ada"}"#, 412, ""),
    ("PUT", "/Users/ADA", &[("if-none-match", "*")], r#"{"userName":"ada"}"#, 412, ""),
    (
        "PATCH",
        "/Users/ADA",
        &[("if-match", "\"0\", \"2\"")],
        r#"{"Operations":[{"op":"add","path":"title","value":"x"}]}"#,
        412,
        "",
    ),
    (
        "PATCH",
        "/Users/ADA",
        &[("if-none-match", "W/\"1\"")],
        r#"{"Operations":[{"op":"add","path":"title","value":"x"}]}"#,
        412,
        "",
    ),
    ("DELETE", "/Users/ADA", &[("if-match", "W/\"2\"")], "", 412, ""),
    ("DELETE", "/Users/ADA", &[("if-none-match", "*")], "", 412, ""),
    ("DELETE", "/Users/NEVER", &[("if-match", "*")], "", 404, ""),
    (
        "PUT",
        "/Users/ADA",
        &[("if-match", "W/\"2\", \"1\"")],
        r#"{"userName":"ada","title":"Dr"}"#,
        200,
        "",
    ),
    (
        "PATCH",
        "/Users/ADA",
        &[("if-match", "\"2\"")],
        r#"{"Operations":[{"op":"remove","path":"title"}]}"#,
        200,
        "",
    ),
    (
        "PATCH",
        "/Groups/GROUP",
        &[("if-match", "*")],
        r#"{"Operations":[{"op":"remove","path":"members"}]}"#,
        200,
        "",
    ),
    ("POST", "/Users", &[("if-none-match", "*")], r#"{"userName":"new"}"#, 201, ""),
    ("DELETE", "/Users/ADA", &[("if-match", "W/\"3\"")], "", 204, ""),
];

#[tokio::test]
async fn every_request_has_the_status_that_the_rfcs_give_it() {
    let relay = Relay::start().await;
    let ada = relay.user("ada").await;
    let group = relay.group("g", &[&relay.user("bea").await]).await;
    let place =
        |text: &str| text.replace("ADA", &ada).replace("GROUP", &group).replace("NEVER", NEVER);
    for (method, path, headers, body, status, scim_type) in TABLE {
        // The name of ada is compared without case.
        let sent = if *status == 409 { (*body).to_owned() } else { place(body) };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = relay.ask(method.clone(), &place(path), headers, sent).await;
        let line = format!("{method} {path} {headers:?} {body}: {}", answer.text);
        assert_eq!(answer.status, *status, "{line}");
        assert_eq!(answer.header("cache-control"), "no-store", "{line}");
        if *status < 400 {
            assert_eq!(answer.text.is_empty(), [204, 304].contains(status), "{line}");
            continue;
        }
        let refusal = answer.refusal(*status);
        assert_eq!(refusal["scimType"].as_str().unwrap_or_default(), *scim_type, "{line}");
        assert!(refusal["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{line}");
        assert_eq!(answer.headers.contains_key("allow"), *status == 405, "{line}");
        assert!(!answer.headers.contains_key("location"), "{line}");
    }
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    for path in [one.as_str(), "/Users", "/Schemas", "/Users/nobody"] {
        let get = relay.get(path).await;
        let head = relay.ask(Method::HEAD, path, &[], "").await;
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for name in ["content-type", "content-length", "etag", "location"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
}

#[tokio::test]
async fn location_and_version_are_those_of_meta_on_every_answer() {
    let relay = Relay::start().await;
    let body = json!({ "userName": "ada" });
    let made = relay.post("/Users", &body).await;
    let one = format!("/Users/{}", made.id());
    let add = json!({ "Operations": [{ "op": "add", "path": "title", "value": "Dr" }] });
    let answers =
        [made, relay.put(&one, &body).await, relay.patch(&one, &add).await, relay.get(&one).await];
    for answer in answers {
        let meta = answer.json()["meta"].clone();
        assert_eq!(answer.header("location"), format!("{PUBLIC_URL}/scim/lillevik/v2{one}"));
        assert_eq!(meta["location"], answer.header("location"));
        assert_eq!(meta["version"], answer.header("etag"));
        assert_eq!(answer.header("content-type"), JSON);
    }
}

#[tokio::test]
async fn of_many_who_replace_one_version_one_succeeds() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let writes = (0..20).map(|index| {
        let body = json!({ "userName": "ada", "title": index.to_string() });
        let (relay, one) = (&relay, &one);
        async move { relay.send(Method::PUT, one, &[("if-match", "W/\"1\"")], &body).await.status }
    });
    let mut statuses = futures_util::future::join_all(writes).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[412; 19][..]));
}

#[tokio::test]
async fn a_stranger_learns_nothing_from_a_status() {
    let relay = Relay::with(Setting { max_body: 10, ..Setting::default() }).await;
    let long = "x".repeat(100);
    for (method, path, body) in [
        ("POST", "/scim/lillevik/v2/Bulk", "{"),
        ("POST", "/scim/lillevik/v2/Users", long.as_str()),
        ("GET", "/scim/lillevik/v2/Me", ""),
        ("BREW", "/scim/lillevik/v2/Users", ""),
        ("DELETE", "/scim/lillevik/v2/Schemas", ""),
        ("GET", "/scim/lillevik/v2/Users?count=many", ""),
        ("GET", "/scim/lillevik/v1/Users", ""),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = relay.raw(method, path, &[("if-match", "1")], body.to_owned()).await;
        answer.refusal(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"scim-relay\"", "{path}");
    }
}
