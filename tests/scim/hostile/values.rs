//! Attributes that nobody may set, and values that mean something elsewhere.

use serde_json::{Value, json};

use crate::relay::Relay;

const NEVER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn presumptuous(name: &str) -> Value {
    json!({
        "userName": name, "id": NEVER, "externalId": "e",
        "meta": { "version": "W/\"99\"", "created": "1999-01-01T00:00:00Z", "location": "https://evil.example" },
        "groups": [{ "value": NEVER, "display": "admins" }],
        "isAdmin": true, "admin": true, "tenant": "storvik", "deleted": true, "version": 99,
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:evil:admin"],
        "urn:evil:admin": { "root": true }, "__proto__": { "x": 1 }, "constructor": "x",
    })
}

#[track_caller]
fn check_own(user: &Value, id: &str, version: u32) {
    assert_eq!(user["id"], id);
    assert_eq!(user["meta"]["version"], format!("W/\"{version}\""));
    assert_eq!(
        user["meta"]["location"],
        format!("https://scim.example/scim/lillevik/v2/Users/{id}")
    );
    assert_ne!(user["meta"]["created"], "1999-01-01T00:00:00Z");
    assert_eq!(user["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
    let known = ["schemas", "id", "externalId", "userName", "title", "meta"];
    let own = user.as_object().unwrap();
    assert!(own.keys().all(|name| known.contains(&name.as_str())), "{user}");
}

#[tokio::test]
async fn what_the_relay_says_of_a_resource_cannot_be_sent_along() {
    let relay = Relay::start().await;
    let made = relay.post("/Users", &presumptuous("ada")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.id();
    assert_ne!(id, NEVER);
    check_own(&made.json(), &id, 1);
    let one = format!("/Users/{id}");

    let put = relay.put(&one, &presumptuous("ada")).await;
    assert_eq!(put.status, 200, "{}", put.text);
    check_own(&put.json(), &id, 1);

    let mut values = presumptuous("ada");
    values["title"] = "Dr".into();
    let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]);
    for op in ["add", "replace"] {
        let patch = json!({ "schemas": schemas, "Operations": [{ "op": op, "value": values }] });
        let patched = relay.patch(&one, &patch).await;
        assert_eq!(patched.status, 200, "{}", patched.text);
        check_own(&patched.json(), &id, 2);
    }
    for path in ["id", "ID", "meta", "meta.version", "groups", "groups[value pr]", "groups.value"] {
        for op in ["add", "replace", "remove"] {
            let operation = json!({ "op": op, "path": path, "value": NEVER });
            let patch = json!({ "schemas": schemas, "Operations": [operation] });
            let answer = relay.patch(&one, &patch).await;
            assert_eq!(answer.refusal(400)["scimType"], "mutability", "{op} {path}");
        }
    }
    check_own(&relay.get(&one).await.json(), &id, 2);
    relay.get(&format!("/Users/{NEVER}")).await.refusal(404);
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_no_name() {
    let relay = Relay::start().await;
    for name in [
        json!(1),
        json!(null),
        json!([]),
        json!({}),
        json!(""),
        json!(" "),
        json!(true),
        json!(["ada"]),
    ] {
        relay.post("/Users", &json!({ "userName": name })).await.refusal(400);
        relay.post("/Groups", &json!({ "displayName": name })).await.refusal(400);
    }
    for anchor in [json!(1), json!(true), json!([]), json!({})] {
        let body = json!({ "userName": "ada", "externalId": anchor });
        let answer = relay.post("/Users", &body).await;
        assert!(
            answer.status == 400 || answer.json().get("externalId").is_none(),
            "{}",
            answer.text
        );
    }
    let active = json!({ "userName": "x", "active": "perhaps" });
    assert_eq!(relay.post("/Users", &active).await.refusal(400)["scimType"], "invalidValue");
    // An anchor is no id, and no other person's.
    let ada = relay.user("ada-1").await;
    let body = json!({ "userName": "bea", "externalId": ada });
    let bea = relay.post("/Users", &body).await.id();
    assert_eq!(relay.get(&format!("/Users/{ada}")).await.json()["userName"], "ada-1");
    assert_ne!(ada, bea);
}

#[tokio::test]
async fn a_name_that_means_something_elsewhere_is_a_name() {
    let relay = Relay::start().await;
    for name in [
        "../../etc/passwd",
        "cn=admin,dc=x",
        "*)(uid=*))(|(uid=*",
        "{{ 7 * 7 }}",
        "<img src=x onerror=alert(1)>",
        "$(reboot)",
        "-rf",
        "Robert'); DROP TABLE resource;--",
        "%s%s%n",
    ] {
        let made = relay.post("/Users", &json!({ "userName": name, "displayName": name })).await;
        assert_eq!(made.status, 201, "{name}: {}", made.text);
        let read = relay.get(&format!("/Users/{}", made.id())).await.json();
        assert_eq!((&read["userName"], &read["displayName"]), (&json!(name), &json!(name)));
    }
    for name in ["a\r\nb", "a\nb", "a\0b", "\r"] {
        for (endpoint, attribute) in
            [("/Users", "userName"), ("/Users", "displayName"), ("/Groups", "displayName")]
        {
            let mut body = json!({ "userName": "x", "displayName": "x" });
            body[attribute] = name.into();
            let answer = relay.post(endpoint, &body).await;
            assert_eq!(answer.refusal(400)["scimType"], "invalidValue", "{name:?}");
        }
    }
}
