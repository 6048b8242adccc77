//! One name is one account, however it is written; and writes that say nothing new.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::relay::Relay;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn user(name: &str) -> Value {
    json!({ "schemas": [USER], "userName": name })
}

async fn found(relay: &Relay, name: &str) -> Value {
    let filter = format!("userName eq {}", json!(name));
    let encoded = utf8_percent_encode(&filter, NON_ALPHANUMERIC);
    relay.get(&format!("/Users?filter={encoded}")).await.json()["totalResults"].clone()
}

#[tokio::test]
async fn spellings_of_one_name_are_one_account() {
    let relay = Relay::start().await;
    for (one, other) in [
        ("ada", "ADA"),
        ("\u{e5}se", "a\u{30a}se"),
        ("kari", "\u{212a}ari"),
        ("bea", "\u{ff42}\u{ff45}\u{ff41}"),
        ("οδυσσευς", "ΟΔΥΣΣΕΥΣ"),
    ] {
        assert_eq!(relay.post("/Users", &user(one)).await.status, 201, "{one}");
        let refusal = relay.post("/Users", &user(other)).await.refusal(409);
        assert_eq!(refusal["scimType"], "uniqueness", "{other}");
        assert_eq!((found(&relay, one).await, found(&relay, other).await), (json!(1), json!(1)));
    }
}

#[tokio::test]
async fn names_that_only_look_alike_are_two_and_eq_finds_one() {
    let relay = Relay::start().await;
    let names = ["masse", "maße", "ida", "ıda", "ada", "ada ", "аda"];
    for name in names {
        assert_eq!(relay.post("/Users", &user(name)).await.status, 201, "{name}");
    }
    for name in names {
        assert_eq!(found(&relay, name).await, 1, "{name}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict_for_every_verb() {
    let relay = Relay::start().await;
    relay.user("ada").await;
    let one = format!("/Users/{}", relay.user("bea").await);
    let operations = json!([
        { "op": "replace", "path": "title", "value": "Dr" },
        { "op": "replace", "path": "userName", "value": "ADA" },
    ]);
    let before = relay.get(&one).await.json();
    for answer in [
        relay.put(&one, &user("Ada")).await,
        relay.patch(&one, &json!({ "schemas": [PATCH], "Operations": operations })).await,
        relay.post("/Users", &user("ada")).await,
    ] {
        assert_eq!(answer.refusal(409)["scimType"], "uniqueness");
    }
    assert_eq!(relay.get(&one).await.json(), before, "a failed change leaves nothing behind");
    // Its own name in another spelling is not taken.
    assert_eq!(relay.put(&one, &user("BEA")).await.json()["userName"], "BEA");
}

#[tokio::test]
async fn what_a_client_says_of_id_meta_and_groups_is_ignored() {
    let relay = Relay::start().await;
    let other = relay.user("ada").await;
    let mut body = user("bea");
    body["id"] = json!(other);
    body["meta"] = json!({ "version": "W/\"9\"", "location": "https://elsewhere" });
    body["groups"] = json!([{ "value": other }]);
    let made = relay.post("/Users", &body).await;
    assert_eq!(made.status, 201);
    let one = format!("/Users/{}", made.id());
    assert_ne!(made.id(), other);
    assert_eq!(made.json()["meta"]["version"], "W/\"1\"");
    assert_eq!(made.json().get("groups"), None);
    assert_eq!(relay.put(&one, &body).await.id(), made.id());
}

#[tokio::test]
async fn a_write_that_says_nothing_new_makes_no_version() {
    let relay = Relay::start().await;
    let mut body = user("ada");
    body["emails"] = json!([{ "value": "a@x", "type": "work", "primary": true }]);
    let made = relay.post("/Users", &body).await.json();
    let one = format!("/Users/{}", made["id"].as_str().unwrap());
    relay.clock.set(1_000);
    let email = json!({ "value": "a@x", "type": "work" });
    for operation in [
        json!({ "op": "add", "path": "emails", "value": [email] }),
        json!({ "op": "replace", "path": "userName", "value": "ada" }),
        json!({ "op": "remove", "path": "title" }),
        json!({ "op": "remove", "path": "emails[type eq \"home\"]" }),
    ] {
        let patch = json!({ "schemas": [PATCH], "Operations": [operation] });
        let answer = relay.patch(&one, &patch).await;
        assert_eq!((answer.status, answer.json()), (200, made.clone()), "{patch}");
    }
    assert_eq!(relay.put(&one, &made).await.json(), made);
    let nothing = json!({ "schemas": [PATCH], "Operations": [] });
    assert_eq!(relay.patch(&one, &nothing).await.json(), made);
}
