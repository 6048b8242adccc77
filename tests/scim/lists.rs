//! Lists over the socket: filters, orders, pages by index and by cursor, searches, and the root.

use http::Method;
use serde_json::{Value, json};

use crate::relay::{Answer, Relay, Setting};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// A query string of these parameters, coded as a client would.
fn query(parameters: &[(&str, &str)]) -> String {
    let coded = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", coded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Relay {
    async fn list(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.get(&format!("{path}?{}", query(parameters))).await
    }
}

/// The names of those listed, in their order.
#[track_caller]
fn names(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["schemas"], json!([LIST]));
    let listed = body["Resources"].as_array().unwrap();
    assert_eq!(body["itemsPerPage"], listed.len());
    let name = |one: &Value| {
        let name = one.get("userName").or_else(|| one.get("displayName"));
        name.and_then(Value::as_str).unwrap_or("?").to_owned()
    };
    listed.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn refused(answer: &Answer, scim_type: &str, expected: &str) {
    let body = answer.refusal(400);
    assert_eq!(body["scimType"], scim_type, "{body}");
    assert!(body["detail"].as_str().unwrap().contains(expected), "{body}");
}

async fn school() -> Relay {
    let relay = Relay::start().await;
    for (name, family, title) in
        [("cleo", "Berg", "b"), ("Abe", "aas", ""), ("bo", "Dahl", "A"), ("dag", "Berg", "c")]
    {
        let body = json!({ "userName": name, "name": { "familyName": family }, "title": title });
        assert_eq!(relay.post("/Users", &body).await.status, 201);
    }
    let bo = relay.list("/Users", &[("filter", "userName eq \"bo\"")]).await.json();
    let bo = bo["Resources"][0]["id"].as_str().unwrap().to_owned();
    relay.group("staff", &[&bo]).await;
    relay.group("alumni", &[]).await;
    relay
}

/// RFC 7644 section 3.4.2.3.
#[tokio::test]
async fn a_list_comes_in_the_order_that_is_asked_for() {
    let relay = school().await;
    for (by, order, expected) in [
        ("userName", "ascending", "Abe bo cleo dag"),
        ("USERNAME", "Descending", "dag cleo bo Abe"),
        ("name.familyName", "ascending", "Abe cleo dag bo"),
        ("title", "ascending", "bo cleo dag Abe"),
        ("title", "descending", "Abe dag cleo bo"),
        ("meta.created", "descending", "cleo Abe bo dag"),
        ("groups.display", "ascending", "bo cleo Abe dag"),
    ] {
        let answer = relay.list("/Users", &[("sortBy", by), ("sortOrder", order)]).await;
        assert_eq!(names(&answer), expected, "{by} {order}");
        let page = [("sortBy", by), ("sortOrder", order), ("startIndex", "2"), ("count", "2")];
        let answer = relay.list("/Users", &page).await;
        let expected: Vec<_> = expected.split(' ').skip(1).take(2).collect();
        assert_eq!(names(&answer), expected.join(" "), "{by} {order}");
        assert_eq!(answer.json()["totalResults"], 4);
    }
    assert_eq!(names(&relay.list("/Groups", &[("sortBy", "displayName")]).await), "alumni staff");
    for by in ["colour", "password", "name", "members"] {
        refused(&relay.list("/Users", &[("sortBy", by)]).await, "invalidPath", by);
    }
    let sideways = [("sortBy", "title"), ("sortOrder", "sideways")];
    refused(&relay.list("/Users", &sideways).await, "invalidValue", "sideways");
}

#[tokio::test]
async fn nobody_comes_in_any_order() {
    let relay = school().await;
    for (path, of) in [("/Users", "Group"), ("/Groups", "User"), ("", "Cat")] {
        let filter = format!("meta.resourceType eq \"{of}\"");
        let list = [("filter", filter.as_str()), ("sortBy", "displayName")];
        let answer = relay.list(path, &list).await;
        assert_eq!(names(&answer), "", "{path}");
        assert_eq!(answer.json()["totalResults"], 0);
    }
}

/// RFC 7644 section 3.4.2.4.
#[tokio::test]
async fn a_page_by_index_keeps_to_its_edges() {
    let relay = school().await;
    for (start, count, expected, index) in [
        ("1", "10", "cleo Abe bo dag", 1),
        ("-7", "1", "cleo", 1),
        ("0", "1", "cleo", 1),
        ("4", "10", "dag", 4),
        ("5", "10", "", 5),
        ("2", "0", "", 2),
        ("2", "-3", "", 2),
        ("99999999999999999999", "99999999999999999999", "", i64::MAX),
    ] {
        let answer = relay.list("/Users", &[("startIndex", start), ("count", count)]).await;
        assert_eq!(names(&answer), expected, "{start} {count}");
        let body = answer.json();
        assert_eq!((&body["totalResults"], &body["startIndex"]), (&json!(4), &json!(index)));
        assert!(body.get("nextCursor").is_none());
    }
    for wrong in ["x", "1.5", "1e9"] {
        refused(&relay.list("/Users", &[("count", wrong)]).await, "invalidValue", "`count`");
    }
}

/// RFC 9865.
#[tokio::test]
async fn cursors_lead_from_the_first_page_to_the_last() {
    let relay = school().await;
    let of_both = "userName pr or displayName pr";
    for (path, mut list, expected) in [
        ("/Users", vec![], "cleo Abe|bo dag"),
        ("/Users", vec![("sortBy", "userName"), ("sortOrder", "descending")], "dag cleo|bo Abe"),
        ("/Users", vec![("sortBy", "title")], "bo cleo|dag Abe"),
        ("/Users", vec![("filter", "userName co \"a\"")], "Abe dag"),
        ("/Users", vec![("filter", "userName eq \"x\"")], ""),
        ("", vec![("filter", of_both), ("sortBy", "displayName")], "alumni staff|cleo Abe|bo dag"),
    ] {
        list.push(("count", "2"));
        let (mut pages, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = [list.as_slice(), &[("cursor", cursor.as_str())]].concat();
            let answer = relay.list(path, &page).await;
            pages.push(names(&answer));
            let body = answer.json();
            assert!(body.get("startIndex").is_none() && body["totalResults"].is_number());
            let Some(next) = body["nextCursor"].as_str() else { break };
            // RFC 3986 section 2.3: it needs no coding.
            assert_eq!(query(&[("cursor", next)]), format!("cursor={next}"));
            cursor = next.to_owned();
            assert!(pages.len() < 9);
        }
        assert_eq!(pages.join("|"), expected, "{path} {list:?}");
    }
    let total = relay.list("/Users", &[("cursor", ""), ("count", "0")]).await;
    assert_eq!((names(&total).as_str(), &total.json()["totalResults"]), ("", &json!(4)));
    assert!(total.json().get("nextCursor").is_none());
}

#[tokio::test]
async fn a_cursor_that_was_not_handed_out_for_this_list_is_refused() {
    let mut relay = school().await;
    let first = relay.list("/Users", &[("cursor", ""), ("count", "1")]).await.json();
    let cursor = first["nextCursor"].as_str().unwrap().to_owned();
    let forged = format!("{}A", &cursor[..cursor.len() - 1]);
    for (path, list) in [
        ("/Users", vec![("cursor", "nonsense")]),
        ("/Users", vec![("cursor", forged.as_str())]),
        ("/Groups", vec![("cursor", cursor.as_str())]),
        ("", vec![("cursor", cursor.as_str())]),
        ("/Users", vec![("cursor", cursor.as_str()), ("filter", "userName pr")]),
        ("/Users", vec![("cursor", cursor.as_str()), ("sortBy", "userName")]),
    ] {
        refused(&relay.list(path, &list).await, "invalidCursor", "no cursor of this list");
    }
    let too_many = [("cursor", cursor.as_str()), ("count", "1001")];
    refused(&relay.list("/Users", &too_many).await, "invalidCount", "between 0 and 1000");
    let two = [("cursor", cursor.as_str()), ("startIndex", "1")];
    refused(&relay.list("/Users", &two).await, "invalidValue", "not both");
    // That of another organization tells no more than one that was made up.
    (relay.token, _) = relay.new_token(1, false, None).await;
    let bearer = format!("Bearer {}", relay.token);
    let path = format!("/scim/storvik/v2/Users?{}", query(&[("cursor", &cursor)]));
    let theirs = relay.raw(Method::GET, &path, &[("authorization", &bearer)], "").await;
    refused(&theirs, "invalidCursor", "no cursor of this list");
}

/// RFC 7644 section 3.4.2.1.
#[tokio::test]
async fn the_root_lists_users_and_groups() {
    let relay = school().await;
    assert_eq!(names(&relay.get("").await), "cleo Abe bo dag staff alumni");
    assert_eq!(names(&relay.get("/?count=1&startIndex=5").await), "staff");
    for (filter, expected) in [
        ("meta.resourceType eq \"Group\"", "staff alumni"),
        ("meta.resourceType eq \"User\" and title pr", "cleo bo dag"),
        ("userName eq \"ABE\" or displayName eq \"staff\"", "Abe staff"),
        ("not (userName pr)", "staff alumni"),
        ("displayName ne \"staff\"", "cleo Abe bo dag alumni"),
        ("name.familyName eq \"berg\"", "cleo dag"),
    ] {
        assert_eq!(names(&relay.list("", &[("filter", filter)]).await), expected, "{filter}");
    }
    let shown = relay.list("", &[("attributes", "userName,members.value")]).await.json();
    let keys = |one: &Value| one.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&shown["Resources"][0]), ["schemas", "id", "userName"]);
    assert_eq!(keys(&shown["Resources"][4]), ["schemas", "id", "members"]);
    let unknown = relay.list("", &[("filter", "colour pr")]).await;
    refused(&unknown, "invalidFilter", "not an attribute of a User or Group");
}

/// RFC 7644 section 3.4.3.
#[tokio::test]
async fn a_search_asks_in_its_body_what_a_list_asks_in_its_address() {
    let relay = school().await;
    let berg = "name.familyName eq \"Berg\"";
    for (path, body, expected) in [
        ("/Users", json!({ "filter": berg }), "cleo dag"),
        ("/Users", json!({ "sortBy": "userName", "startIndex": 2, "count": 2 }), "bo cleo"),
        ("/Groups", json!({ "count": 1 }), "staff"),
        ("", json!({ "filter": "displayName pr or title eq \"a\"" }), "bo staff alumni"),
        ("", json!({ "cursor": "", "count": 5 }), "cleo Abe bo dag staff"),
    ] {
        let mut body = body;
        body["schemas"] = json!([SEARCH]);
        let answer = relay.post(&format!("{path}/.search"), &body).await;
        assert_eq!(names(&answer), expected, "{path} {body}");
    }
    let body = json!({ "schemas": [SEARCH], "attributes": ["title"], "filter": berg });
    let listed = relay.post("/Users/.search", &body).await.json()["Resources"].clone();
    assert_eq!((&listed[0]["title"], listed[0].get("userName")), (&json!("b"), None));
    let body = json!({ "schemas": [SEARCH], "excludedAttributes": ["name", "title"] });
    let listed = relay.post("/Users/.search", &body).await.json()["Resources"].clone();
    assert!(listed[0].get("name").is_none() && listed[0].get("userName").is_some());

    for (body, scim_type) in [
        (json!({ "attributes": "title" }), "invalidSyntax"),
        (json!({ "filter": 7 }), "invalidSyntax"),
        (json!({ "count": "7" }), "invalidValue"),
        (json!({ "filter": "userName" }), "invalidFilter"),
        (json!({ "schemas": [LIST] }), "invalidSyntax"),
        (json!([]), "invalidSyntax"),
    ] {
        refused(&relay.post("/Users/.search", &body).await, scim_type, "");
    }
    relay.ask(Method::POST, "/.search", &[("content-type", "text/plain")], "x").await.refusal(415);
    refused(&relay.ask(Method::POST, "/.search", &[], "{").await, "invalidSyntax", "not JSON");
    let large = "x".repeat(70_000);
    relay.ask(Method::POST, "/.search", &[], large).await.refusal(413);
}

#[tokio::test]
async fn a_search_is_a_read() {
    let mut relay = school().await;
    (relay.token, _) = relay.new_token(0, true, None).await;
    let body = json!({ "filter": "active eq \"True\"" });
    assert_eq!(relay.post("/Users/.search", &body).await.status, 200);
    relay.post("/Users", &json!({ "userName": "x" })).await.refusal(403);
    let text = relay.metrics.text();
    assert!(text.contains("quirk=\"string_boolean\"} 1"), "{text}");
}

#[tokio::test]
async fn a_filter_without_measure_is_refused() {
    let relay = Relay::with(Setting { max_body: 1 << 20, ..Setting::default() }).await;
    for (filter, expected) in [
        (vec!["id pr"; 10_000].join(" or "), "longer than"),
        (vec!["id pr"; 1_500].join(" or "), "more than 1000"),
        ("(".repeat(1_000), "nested deeper"),
        (format!("emails[{}", "(value pr and ".repeat(900)), "nested deeper"),
        (format!("userName eq \"{}", "\\".repeat(8_000)), "expected a value"),
    ] {
        let body = json!({ "schemas": [SEARCH], "filter": filter });
        refused(&relay.post("/.search", &body).await, "invalidFilter", expected);
    }
}
