//! Filters and paths that cost or pretend: refused before anything is evaluated, or taken
//! literally.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::relay::{Answer, Relay, Setting};

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn filtered(relay: &Relay, filter: &str) -> Answer {
    relay.get(&format!("/Users?filter={}", encoded(filter))).await
}

/// As `POST /.search`, whose body has no bound but its own.
async fn searched(relay: &Relay, filter: &str) -> Answer {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"];
    relay.post("/Users/.search", &json!({ "schemas": schemas, "filter": filter })).await
}

#[tokio::test]
async fn a_filter_that_is_too_large_or_too_deep_is_not_evaluated() {
    let relay = Relay::with(Setting { max_body: 1024 * 1024, ..Setting::default() }).await;
    relay.user("ada").await;
    let terms = |count: usize| vec!["title pr"; count].join(" or ");
    let nested = |open: &str, depth: usize, close: &str| {
        format!("{}title pr{}", open.repeat(depth), close.repeat(depth))
    };
    for filter in [
        terms(10_000),
        nested("(", 1_000, ")"),
        nested("not (", 1_000, ")"),
        nested("emails[", 1_000, "]"),
        format!("{}x", "not (".repeat(1_500)),
        "(".repeat(10_000),
        "emails[type eq ".repeat(1_000),
        format!("userName eq \"{}\"", "\\\\".repeat(20_000)),
    ] {
        assert_eq!(searched(&relay, &filter).await.refusal(400)["scimType"], "invalidFilter");
        // In a line of a request, which has a limit of its own, the same holds.
        if encoded(&filter).len() < 60_000 {
            let answer = filtered(&relay, &filter).await;
            assert_eq!(answer.refusal(400)["scimType"], "invalidFilter");
            assert!(answer.text.len() < 4096, "{}", answer.text);
        }
    }
    // As many as there may be are evaluated.
    let answer = searched(&relay, &terms(900)).await;
    assert_eq!((answer.status, &answer.json()["totalResults"]), (200, &json!(0)));
}

#[tokio::test]
async fn a_path_without_end_is_an_invalid_one() {
    let relay = Relay::with(Setting { max_body: 1024 * 1024, ..Setting::default() }).await;
    let one = format!("/Users/{}", relay.user("ada").await);
    for path in [
        "emails[".repeat(5_000),
        format!("emails[{}", "(".repeat(5_000)),
        format!("emails[{}type pr{}]", "not (".repeat(5_000), ")".repeat(5_000)),
        format!("name{}", ".name".repeat(5_000)),
        format!("urn{}", ":a".repeat(50_000)),
        "x".repeat(100_000),
        "\u{0}".to_owned(),
        "userName\r\nx".to_owned(),
        "../Users".to_owned(),
    ] {
        for operation in [
            json!({ "op": "replace", "path": path, "value": "x" }),
            json!({ "op": "remove", "path": path }),
        ] {
            let patch = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "path": "title", "value": "Dr" }, operation],
            });
            let answer = relay.patch(&one, &patch).await;
            let refusal = answer.refusal(400);
            let kind = refusal["scimType"].as_str().unwrap();
            assert!(["invalidPath", "invalidFilter"].contains(&kind), "{kind}");
            assert!(answer.text.len() < 4096, "{}", answer.text.len());
        }
    }
    assert!(relay.get(&one).await.json().get("title").is_none(), "the first operation stayed");
}

#[tokio::test]
async fn nothing_in_a_value_is_a_wildcard_or_a_statement() {
    let relay = Relay::start().await;
    for name in ["a%b", "a_b", "axb", "a*b", "a'b", "a\\b", "a\"b"] {
        relay.user(name).await;
    }
    for (filter, found) in [
        ("userName co \"%\"", 1),
        ("userName sw \"a_\"", 1),
        ("userName ew \"_b\"", 1),
        ("userName eq \"a%\"", 0),
        ("userName sw \"%\"", 0),
        ("userName co \"*\"", 1),
        ("userName co \".\"", 0),
        ("userName eq \"a'b\"", 1),
        ("userName eq \"a\\\\b\"", 1),
        ("userName eq \"a\\\"b\"", 1),
        ("userName eq \"' OR '1'='1\"", 0),
        ("userName eq \"x'; DROP TABLE resource; --\"", 0),
        ("externalId eq \"' UNION SELECT 1 --\"", 0),
        ("id eq \"' OR 1=1 --\"", 0),
        ("userName eq \"\\u0000\"", 0),
        ("userName co \"\\u0000\"", 0),
        ("userName co \"${jndi:x}\"", 0),
        ("userName co \"(a+)+$\"", 0),
    ] {
        let answer = filtered(&relay, filter).await;
        assert_eq!(answer.status, 200, "{filter}: {}", answer.text);
        assert_eq!(answer.json()["totalResults"], found, "{filter}");
    }
    assert_eq!(relay.get("/Users").await.json()["totalResults"], 7);
}

#[tokio::test]
async fn a_password_cannot_be_asked_for() {
    let relay = Relay::start().await;
    let body = json!({ "userName": "ada", "password": "hunter2" });
    let one = format!("/Users/{}", relay.post("/Users", &body).await.id());
    for condition in ["pr", "eq \"hunter2\"", "sw \"h\"", "co \"2\"", "ne \"x\"", "gt \"a\""] {
        for name in ["password", "PASSWORD", "urn:ietf:params:scim:schemas:core:2.0:User:password"]
        {
            for filter in
                [format!("{name} {condition}"), format!("not (title pr and {name} {condition})")]
            {
                let answer = filtered(&relay, &filter).await;
                assert_eq!(answer.refusal(400)["scimType"], "invalidFilter", "{filter}");
            }
        }
    }
    relay.get("/Users?sortBy=password").await.refusal(400);
    let named = "attributes=password,PassWord,urn:ietf:params:scim:schemas:core:2.0:User:password";
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "password", "value": "hunter3" }] });
    for answer in [
        relay.get(&format!("{one}?{named}")).await,
        relay.get(&format!("/Users?{named}")).await,
        relay.send(Method::PUT, &format!("{one}?{named}"), &[], &body).await,
        relay.send(Method::PATCH, &format!("{one}?{named}"), &[], &patch).await,
    ] {
        assert!(answer.status < 300, "{}", answer.text);
        assert!(!answer.text.to_lowercase().contains("password"), "{}", answer.text);
        assert!(!answer.text.contains("hunter"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_page_is_bounded_whatever_is_asked_for() {
    let relay = Relay::start().await;
    relay.user("ada").await;
    let most = "99999999999999999999999999";
    for (query, found) in [
        (format!("startIndex={most}"), 0),
        (format!("startIndex=-{most}"), 1),
        (format!("count={most}"), 1),
        (format!("count=-{most}"), 0),
        ("startIndex=-9223372036854775808&count=9223372036854775807".to_owned(), 1),
        ("startIndex=9223372036854775807&count=1000".to_owned(), 0),
        ("startIndex=18446744073709551615".to_owned(), 0),
    ] {
        let answer = relay.get(&format!("/Users?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let page = answer.json();
        assert_eq!(page["totalResults"], 1, "{query}");
        let shown = page["Resources"].as_array().map_or(0, Vec::len);
        assert_eq!(shown, found, "{query}");
    }
    for query in ["startIndex=1e9", "count=0x10", "count=%00", "startIndex=NaN", "count=1%2C5"] {
        relay.get(&format!("/Users?{query}")).await.refusal(400);
    }
    let names = vec!["userName"; 2_000].join(",");
    relay.get(&format!("/Users?attributes={names}")).await.refusal(400);
}
