//! `strict = true`: what deviates is refused by name, nothing is written, and it is counted.

use scim_relay::directory::Rules;
use serde_json::{Value, json};

use crate::relay::{Relay, Setting};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

async fn strict() -> Relay {
    Relay::with(Setting { rules: Rules { strict: true, ..Rules::default() }, ..Setting::default() })
        .await
}

fn counted(relay: &Relay, quirk: &str) -> bool {
    let line =
        format!("scim_relay_quirks_total{{organization=\"lillevik\",quirk=\"{quirk}\"}} 1\n");
    relay.metrics.text().contains(&line)
}

/// A user as the RFC has it.
async fn ada(relay: &Relay) -> Value {
    let body =
        json!({ "schemas": [USER], "userName": "ada", "id": "mine", "meta": {}, "groups": [] });
    let answer = relay.post("/Users", &body).await;
    // Read-only attributes are ignored, strict or not (RFC 7644 section 3.3).
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_request_by_the_letter_is_carried_out() {
    let relay = strict().await;
    let user = ada(&relay).await;
    let one = format!("/Users/{}", user["id"].as_str().unwrap());
    let body = json!({ "schemas": [PATCH], "Operations": [
        { "op": "add", "path": "emails", "value": [{ "value": "a@x", "type": "work" }] },
        { "op": "replace", "path": "emails[type eq \"work\"].primary", "value": true },
        { "op": "replace", "value": { "active": false, "name": { "givenName": "Ada" } } },
        { "op": "remove", "path": "title" },
    ] });
    assert_eq!(relay.patch(&one, &body).await.status, 200);
    let whole = relay.get(&one).await.json();
    assert_eq!(relay.put(&one, &whole).await.status, 200);
    assert_eq!(relay.get("/Users?filter=active%20eq%20false").await.json()["totalResults"], 1);
    assert!(!relay.metrics.text().contains("quirks_total{"), "{}", relay.metrics.text());
}

#[tokio::test]
async fn a_deviation_in_a_body_is_refused_by_name_and_counted() {
    let relay = strict().await;
    for (quirk, body) in [
        ("missing_schemas", json!({ "userName": "eve" })),
        ("unknown_attribute", json!({ "schemas": [USER], "userName": "eve", "shoeSize": 42 })),
        ("string_boolean", json!({ "schemas": [USER], "userName": "eve", "active": "True" })),
    ] {
        let refusal = relay.post("/Users", &body).await.refusal(400);
        assert_eq!(refusal["scimType"], "invalidSyntax");
        assert!(refusal["detail"].as_str().unwrap().contains(quirk), "{refusal}");
        assert!(counted(&relay, quirk), "{quirk}");
    }
    assert_eq!(relay.get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn a_deviation_in_a_change_leaves_the_resource_alone() {
    let relay = strict().await;
    let user = ada(&relay).await;
    let one = format!("/Users/{}", user["id"].as_str().unwrap());
    let body = json!({ "schemas": [PATCH], "Operations": [
        { "op": "replace", "path": "title", "value": "Dr" },
        { "op": "Replace", "path": "nickName", "value": "A" },
    ] });
    let refusal = relay.patch(&one, &body).await.refusal(400);
    let detail = refusal["detail"].as_str().unwrap();
    assert!(detail.contains("capital_op (`Operations[1].op`"), "{detail}");
    let body = json!({ "schemas": [USER], "userName": "ada", "roles": "admin" });
    relay.put(&one, &body).await.refusal(400);
    assert!(counted(&relay, "capital_op") && counted(&relay, "single_value"));
    assert_eq!(relay.get(&one).await.json(), user);
}

#[tokio::test]
async fn a_deviation_in_a_filter_is_one_too() {
    let relay = strict().await;
    ada(&relay).await;
    let refusal = relay.get("/Users?filter=active%20eq%20%22True%22").await.refusal(400);
    assert!(refusal["detail"].as_str().unwrap().contains("string_boolean (`active`"), "{refusal}");
    assert!(counted(&relay, "string_boolean"));
}

#[tokio::test]
async fn without_strict_the_same_is_carried_out_and_counted_also_where_it_fails() {
    let relay = Relay::start().await;
    let body = json!({ "schemas": [USER], "userName": "ada", "active": "True" });
    assert_eq!(relay.post("/Users", &body).await.status, 201);
    assert!(counted(&relay, "string_boolean"));
    // Refused for another reason, and counted all the same.
    let body = json!({ "schemas": [USER], "userName": "ada", "roles": "admin" });
    relay.post("/Users", &body).await.refusal(409);
    let body = json!({ "schemas": [USER], "shoeSize": 42, "title": 1 });
    relay.post("/Users", &body).await.refusal(400);
    assert!(counted(&relay, "single_value") && counted(&relay, "unknown_attribute"));
    let answer = relay.get("/Users?filter=emails.primary%20eq%20%22false%22").await;
    assert_eq!(answer.status, 200);
    assert!(relay.metrics.text().contains("quirk=\"string_boolean\"} 2\n"));
}

#[tokio::test]
async fn a_deviation_in_a_question_is_refused_too() {
    let relay = strict().await;
    let look_up = "/Users?filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22a%22";
    let refusal = relay.get(look_up).await.refusal(400);
    assert!(refusal["detail"].as_str().unwrap().contains("compared_value_path"), "{refusal}");
    let refusal = relay.post("/.search", &json!({ "count": 1 })).await.refusal(400);
    assert!(refusal["detail"].as_str().unwrap().contains("missing_schemas"), "{refusal}");
    let urn = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
    assert_eq!(relay.post("/.search", &json!({ "schemas": [urn] })).await.status, 200);
    assert!(counted(&relay, "compared_value_path") && counted(&relay, "missing_schemas"));
}
