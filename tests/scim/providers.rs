//! What Entra and Okta really send, end to end.

use serde_json::{Value, json};

use crate::relay::Relay;

const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH_URN], "Operations": operations })
}

#[tokio::test]
async fn entra_disables_with_a_word_and_capital_letters() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let body = patch(json!([{ "op": "Replace", "path": "active", "value": "False" }]));
    let answer = relay.patch(&one, &body).await;
    assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(false)));
}

#[tokio::test]
async fn entra_writes_paths_as_keys() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let department = format!("{ENTERPRISE}:department");
    let value = json!({ "displayName": "Ada", "name.givenName": "Ada", department: "IT" });
    let user = relay.patch(&one, &patch(json!([{ "op": "Add", "value": value }]))).await.json();
    assert_eq!(user["name"]["givenName"], "Ada");
    assert_eq!(user[ENTERPRISE]["department"], "IT");
}

#[tokio::test]
async fn entra_replaces_a_mail_address_that_is_not_there_yet() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let path = "emails[type eq \"work\"].value";
    let body = patch(json!([{ "op": "Replace", "path": path, "value": "ada@example.com" }]));
    let user = relay.patch(&one, &body).await.json();
    assert_eq!(user["emails"], json!([{ "value": "ada@example.com", "type": "work" }]));
}

#[tokio::test]
async fn entra_removes_the_members_it_lists_and_no_others() {
    let relay = Relay::start().await;
    let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
    let group = format!("/Groups/{}", relay.group("g", &[&ada, &bea]).await);
    let value = json!([{ "$ref": null, "value": ada }]);
    let body = patch(json!([{ "op": "Remove", "path": "members", "value": value }]));
    assert_eq!(relay.patch(&group, &body).await.status, 200);
    let members = relay.get(&group).await.json()["members"].clone();
    assert_eq!(members.as_array().unwrap().len(), 1);
    assert_eq!(members[0]["value"], json!(bea));
}

#[tokio::test]
async fn entra_leaves_its_flag_and_a_slash_in_the_address() {
    let relay = Relay::start().await;
    relay.user("ada").await;
    for path in [
        "/Users?aadOptscim062020",
        "/Users/?aadOptscim062020&filter=userName+eq+%22ada%22",
        "//Users?aadOptscim062020&count=1",
    ] {
        let answer = relay.get(path).await;
        assert_eq!((answer.status, &answer.json()["totalResults"]), (200, &json!(1)), "{path}");
    }
}

#[tokio::test]
async fn a_look_up_that_finds_nobody_is_an_empty_list() {
    let relay = Relay::start().await;
    let answer =
        relay.get("/Users?filter=userName%20eq%20%22nobody%22&startIndex=1&count=100").await;
    let list = answer.json();
    assert_eq!(
        (answer.status, &list["totalResults"], &list["itemsPerPage"]),
        (200, &json!(0), &json!(0))
    );
}

#[tokio::test]
async fn okta_deactivates_without_a_path() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let body = patch(json!([{ "op": "replace", "value": { "active": false } }]));
    assert_eq!(relay.patch(&one, &body).await.json()["active"], false);
}

#[tokio::test]
async fn okta_replaces_a_user_with_what_it_read() {
    let relay = Relay::start().await;
    let id = relay.user("ada").await;
    let one = format!("/Users/{id}");
    let mut user = relay.get(&one).await.json();
    user["groups"] = json!([]);
    user["title"] = json!("Dr");
    user["password"] = json!("geheim");
    let answer = relay.put(&one, &user).await;
    assert_eq!((answer.status, answer.id()), (200, id));
    assert!(!answer.text.contains("geheim"));
}

#[tokio::test]
async fn okta_renames_a_group_with_its_id_in_the_value() {
    let relay = Relay::start().await;
    let id = relay.group("old", &[]).await;
    let group = format!("/Groups/{id}");
    let value = json!({ "id": id, "displayName": "new" });
    let body = patch(json!([{ "op": "replace", "value": value }]));
    assert_eq!(relay.patch(&group, &body).await.status, 200);
    assert_eq!(relay.get(&group).await.json()["displayName"], "new");
}

#[tokio::test]
async fn okta_pushes_all_members_at_once() {
    let relay = Relay::start().await;
    let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
    let group = format!("/Groups/{}", relay.group("g", &[&ada]).await);
    let push =
        |members: Value| patch(json!([{ "op": "replace", "path": "members", "value": members }]));
    relay.patch(&group, &push(json!([{ "value": bea }]))).await;
    assert_eq!(relay.get(&group).await.json()["members"][0]["value"], json!(bea));
    relay.patch(&group, &push(json!([]))).await;
    assert!(relay.get(&group).await.json().get("members").is_none());
}

/// scim-sanity adds such a member, and so do clients that name people by their own ids.
#[tokio::test]
async fn what_is_no_id_is_left_out_of_an_addition_and_refused_in_a_replacement() {
    let relay = Relay::start().await;
    let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
    let group = format!("/Groups/{}", relay.group("g", &[&ada]).await);
    let write = |op: &str, other: &str| {
        let value = json!([{ "value": other }, { "value": bea }]);
        patch(json!([{ "op": op, "path": "members", "value": value }]))
    };
    let members = async || relay.get(&group).await.json()["members"].as_array().unwrap().len();

    relay.patch(&group, &write("replace", "employee 7")).await.refusal(400);
    // This one might be somebody who was deleted, or another organization's.
    relay.patch(&group, &write("add", "01a20138-d9be-77c0-8e37-0820ada14c4a")).await.refusal(400);
    assert_eq!(members().await, 1);

    assert_eq!(relay.patch(&group, &write("add", "employee 7")).await.status, 200);
    assert_eq!(members().await, 2);
    assert!(relay.metrics.text().contains("quirk=\"unknown_member\"} 1"));
}
