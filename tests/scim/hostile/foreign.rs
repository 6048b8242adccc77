//! Another organization's ids, in every place where an id fits: none of them answers otherwise than
//! one that never was.

use http::Method;
use serde_json::{Value, json};

use crate::relay::{Answer, Relay};

const NEVER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What is different between two answers that are meant to be the same: ids, instants, versions.
fn without_chance(answer: &Answer, id: &str) -> String {
    let mut text = answer.text.replace(id, "ID");
    if let Ok(mut body) = serde_json::from_str::<Value>(&text)
        && let Some(own) = body["id"].as_str().map(str::to_owned)
    {
        body["meta"]["created"] = Value::Null;
        body["meta"]["lastModified"] = Value::Null;
        text = body.to_string().replace(&own, "OWN");
    }
    format!("{} {text}", answer.status)
}

#[tokio::test]
async fn an_id_of_others_is_one_that_never_was_wherever_it_is_written() {
    let mut relay = Relay::start().await;
    let theirs = relay.user("secret-name").await;
    let their_group = relay.post("/Groups", &json!({ "displayName": "secret-group" })).await.id();
    let mine = relay.token.clone();
    let (token, _) = relay.new_token(1, false, None).await;
    let bearer = format!("Bearer {token}");
    let ask = async |method: &Method, path: &str, body: &Value| {
        let headers = [("authorization", bearer.as_str())];
        let path = format!("/scim/storvik/v2{path}");
        relay.raw(method.clone(), &path, &headers, body.to_string()).await
    };
    let group = ask(&Method::POST, "/Groups", &json!({ "displayName": "choir" })).await.id();
    let user = ask(&Method::POST, "/Users", &json!({ "userName": "bea" })).await.id();
    let patch = |operation: Value| {
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [operation] })
    };
    let requests = |id: &str| {
        let member = json!([{ "value": id }]);
        let manager = json!({ "value": id });
        vec![
            (Method::POST, "/Groups".to_owned(), json!({ "displayName": "x", "members": member })),
            (
                Method::PUT,
                format!("/Groups/{group}"),
                json!({ "displayName": "choir", "members": member }),
            ),
            (
                Method::PATCH,
                format!("/Groups/{group}"),
                patch(json!({ "op": "add", "path": "members", "value": member })),
            ),
            (
                Method::PATCH,
                format!("/Groups/{group}"),
                patch(json!({ "op": "replace", "value": { "members": member } })),
            ),
            (
                Method::PATCH,
                format!("/Groups/{group}"),
                patch(json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") })),
            ),
            (
                Method::PATCH,
                format!("/Groups/{group}"),
                patch(json!({ "op": "remove", "path": "members", "value": member })),
            ),
            (
                Method::PUT,
                format!("/Users/{user}"),
                json!({ "userName": "bea", ENTERPRISE: { "manager": manager } }),
            ),
            (Method::GET, format!("/Groups/{id}"), Value::Null),
            (Method::GET, format!("/Users/{id}?attributes=id"), Value::Null),
            (Method::GET, format!("/Users?filter=id%20eq%20%22{id}%22"), Value::Null),
            (Method::GET, format!("/Users?filter=groups.value%20eq%20%22{id}%22"), Value::Null),
            (Method::GET, format!("/Groups?filter=members.value%20eq%20%22{id}%22"), Value::Null),
            (
                Method::GET,
                format!("/Groups?filter=members%5Bvalue%20eq%20%22{id}%22%5D"),
                Value::Null,
            ),
            (
                Method::POST,
                "/.search".to_owned(),
                json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
                    "filter": format!("id eq \"{id}\""),
                }),
            ),
        ]
    };
    for theirs in [&theirs, &their_group] {
        for (foreign, unknown) in requests(theirs).into_iter().zip(requests(NEVER)) {
            let (method, path, body) = &foreign;
            let foreign = ask(method, path, body).await;
            assert!(!foreign.text.contains("secret"), "{method} {path} {}", foreign.text);
            let (_, path, body) = &unknown;
            let unknown = ask(method, path, body).await;
            // A version moves with every change of the group or user of ours.
            let (left, right) = (without_chance(&foreign, theirs), without_chance(&unknown, NEVER));
            let version = |text: &str| {
                text.split("W/")
                    .map(|part| {
                        part.trim_start_matches(|c: char| c.is_ascii_digit() || "\\\"".contains(c))
                    })
                    .collect::<String>()
            };
            assert_eq!(version(&left), version(&right), "{method} {path}");
        }
    }
    relay.token = mine;
    let untouched = relay.get(&format!("/Users/{theirs}")).await;
    assert_eq!(untouched.header("etag"), "W/\"1\"");
    assert!(untouched.json().get("groups").is_none(), "{}", untouched.text);
}

#[tokio::test]
async fn names_and_anchors_are_taken_in_one_organization_alone() {
    let mut relay = Relay::start().await;
    let body = json!({ "userName": "ada", "externalId": "1" });
    let first = relay.post("/Users", &body).await;
    (relay.token, _) = relay.new_token(1, false, None).await;
    let bearer = format!("Bearer {}", relay.token);
    let headers = [("authorization", bearer.as_str())];
    let path = "/scim/storvik/v2/Users";
    let second = relay.raw(Method::POST, path, &headers, body.to_string()).await;
    assert_eq!((first.status, second.status), (201, 201), "{}", second.text);
    // Their version is no version of ours.
    let one = format!("{path}/{}", second.id());
    let put = [headers[0], ("if-match", "W/\"7\"")];
    relay.raw(Method::PUT, &one, &put, body.to_string()).await.refusal(412);
    let page = relay.raw(Method::GET, path, &headers, "").await.json();
    assert_eq!(
        (&page["totalResults"], &page["Resources"][0]["id"]),
        (&json!(1), &json!(second.id()))
    );
}
