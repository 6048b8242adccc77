//! Groups and who is in them, as a provider writes and reads them (RFC 7643 sections 4.1.2, 4.2).

use http::Method;
use scim_relay::directory::Rules;
use serde_json::{Value, json};

use crate::relay::{PUBLIC_URL, Relay, Setting};

fn patch(operation: &Value) -> Value {
    json!({ "Operations": [operation] })
}

fn add(ids: &[&str]) -> Value {
    let members: Vec<_> = ids.iter().map(|id| json!({ "value": id })).collect();
    patch(&json!({ "op": "add", "path": "members", "value": members }))
}

fn address(endpoint: &str, id: &str) -> String {
    format!("{PUBLIC_URL}/scim/lillevik/v2/{endpoint}/{id}")
}

async fn members(relay: &Relay, group: &str) -> Vec<Value> {
    let group = relay.get(&format!("/Groups/{group}")).await.json();
    group.get("members").map_or_else(Vec::new, |all| all.as_array().unwrap().clone())
}

#[tokio::test]
async fn members_are_users_and_groups_and_served_as_they_are() {
    let relay = Relay::start().await;
    let (ada, class) = (relay.user("ada").await, relay.group("class", &[]).await);
    // Whatever a client says of them beside the id: the wrong kind, another's name and address.
    let body = json!({ "displayName": "school", "members": [
        { "value": ada, "type": "Group", "display": "Mallory", "$ref": "https://evil.example" },
        { "value": class, "type": "User" },
    ] });
    let made = relay.post("/Groups", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let expected = json!([
        { "value": ada, "$ref": address("Users", &ada), "display": "ada", "type": "User" },
        { "value": class, "$ref": address("Groups", &class), "display": "class", "type": "Group" },
    ]);
    assert_eq!(made.json()["members"], expected);
    assert_eq!(relay.get(&format!("/Groups/{}", made.id())).await.json()["members"], expected);
    let found = relay.get("/Groups?filter=displayName%20eq%20%22school%22").await.json();
    assert_eq!(found["Resources"][0]["members"], expected);
}

#[tokio::test]
async fn who_joins_a_group_is_read_anew() {
    let relay = Relay::start().await;
    let ada = relay.user("ada").await;
    let path = format!("/Users/{ada}");
    let read = async |tag: &str| relay.ask(Method::GET, &path, &[("if-none-match", tag)], "").await;
    let alone = relay.get(&path).await.header("etag").to_owned();
    assert_eq!(read(&alone).await.status, 304);
    let class = relay.group("class", &[&ada]).await;
    let joined = read(&alone).await;
    assert_eq!(joined.status, 200, "{}", joined.text);
    let tag = joined.header("etag");
    assert_eq!(joined.json()["meta"]["version"], tag);
    assert_eq!(read(tag).await.status, 304);
    relay.delete(&format!("/Groups/{class}")).await;
    assert_eq!(read(tag).await.status, 200);
    // The user itself is what it was, for whoever wants to write it.
    let body = json!({ "userName": "ada", "title": "Countess" }).to_string();
    assert_eq!(relay.ask(Method::PUT, &path, &[("if-match", tag)], body).await.status, 200);
}

#[tokio::test]
async fn a_user_lists_its_groups_direct_and_indirect() {
    let relay = Relay::start().await;
    let ada = relay.user("ada").await;
    let class = relay.group("class", &[&ada]).await;
    let year = relay.group("year", &[&class]).await;
    let group = |id: &str, display: &str, word: &str| json!({ "value": id, "$ref": address("Groups", id), "display": display, "type": word });
    let expected = json!([group(&class, "class", "direct"), group(&year, "year", "indirect")]);
    let user = relay.get(&format!("/Users/{ada}")).await.json();
    assert_eq!(user["groups"], expected);
    let found = relay.get("/Users?filter=userName%20eq%20%22ada%22").await.json();
    assert_eq!(found["Resources"][0]["groups"], expected);
    for (filter, count) in [
        (format!("groups eq \"{year}\""), 1),
        ("groups.display eq \"year\"".to_owned(), 1),
        (format!("groups[value eq \"{year}\" and type eq \"direct\"]"), 0),
    ] {
        let query = filter.replace(' ', "%20").replace('"', "%22");
        let found = relay.get(&format!("/Users?filter={query}")).await.json();
        assert_eq!(found["totalResults"], count, "{filter}");
    }
}

#[tokio::test]
async fn a_circle_of_groups_is_kept_and_harmless() {
    let relay = Relay::start().await;
    let ada = relay.user("ada").await;
    let choir = relay.group("choir", &[&ada]).await;
    let band = relay.group("band", &[&choir]).await;
    let closed = relay.patch(&format!("/Groups/{choir}"), &add(&[&band])).await;
    assert_eq!(closed.status, 200, "{}", closed.text);
    let user = relay.get(&format!("/Users/{ada}")).await.json();
    let groups: Vec<_> = user["groups"].as_array().unwrap().iter().map(|g| &g["value"]).collect();
    assert_eq!(groups, [&json!(choir), &json!(band)]);
    // A group in itself says nothing at all.
    relay.patch(&format!("/Groups/{choir}"), &add(&[&choir])).await.refusal(400);
}

#[tokio::test]
async fn members_are_shown_as_far_as_they_are_asked_for() {
    let relay = Relay::start().await;
    let ada = relay.user("ada").await;
    let group = format!("/Groups/{}", relay.group("choir", &[&ada]).await);
    for (query, expected) in [
        ("attributes=members.value", json!([{ "value": ada }])),
        ("attributes=members.display,members.type", json!([{ "display": "ada", "type": "User" }])),
        (
            "excludedAttributes=members.display,members.$ref",
            json!([{ "value": ada, "type": "User" }]),
        ),
        ("attributes=displayName", Value::Null),
        ("excludedAttributes=members", Value::Null),
    ] {
        let shown = relay.get(&format!("{group}?{query}")).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert_eq!(shown.json()["members"], expected, "{query}");
    }
}

#[tokio::test]
async fn a_repeated_add_is_no_change() {
    let relay = Relay::start().await;
    let ada = relay.user("ada").await;
    let group = format!("/Groups/{}", relay.group("choir", &[&ada]).await);
    let before = relay.get(&group).await;
    relay.clock.set(60);
    for body in [
        add(&[&ada]),
        add(&[]),
        patch(&json!({ "op": "remove", "path": "members[value eq \"x\"]" })),
    ] {
        let again = relay.patch(&group, &body).await;
        assert_eq!((again.status, again.header("etag")), (200, before.header("etag")), "{body}");
    }
    assert_eq!(relay.get(&group).await.text, before.text);
}

/// RFC 7644 section 3.5.2.2: whoever fulfils the filter leaves.
#[tokio::test]
async fn members_are_removed_by_any_filter() {
    let relay = Relay::start().await;
    let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
    let class = relay.group("class", &[]).await;
    let all = [&*ada, &*bea, &*class];
    for (filter, left) in [
        ("type eq \"User\"".to_owned(), vec![&class]),
        ("type eq \"User\" or display eq \"Class\"".to_owned(), vec![]),
        ("display eq \"class\"".to_owned(), vec![&ada, &bea]),
        ("display eq \"nobody\"".to_owned(), vec![&ada, &bea, &class]),
        ("value pr".to_owned(), vec![]),
        (format!("value sw \"{ada}\""), vec![&bea, &class]),
        (format!("not (value eq \"{ada}\")"), vec![&ada]),
        (format!("value eq \"{ada}\" and type eq \"User\""), vec![&bea, &class]),
        (format!("value eq \"{ada}\" and type eq \"Group\""), vec![&ada, &bea, &class]),
    ] {
        let choir = relay.group("choir", &all).await;
        let remove = json!({ "op": "remove", "path": format!("members[{filter}]") });
        let removed = relay.patch(&format!("/Groups/{choir}"), &patch(&remove)).await;
        assert_eq!(removed.status, 200, "{filter}: {}", removed.text);
        let members = members(&relay, &choir).await;
        let values: Vec<_> = members.iter().map(|one| one["value"].as_str().unwrap()).collect();
        assert_eq!(values, left, "{filter}");
    }
    let choir = format!("/Groups/{}", relay.group("choir", &all).await);
    for filter in ["password pr", "$ref pr", "value gt 5"] {
        let remove = json!({ "op": "remove", "path": format!("members[{filter}]") });
        let refused = relay.patch(&choir, &patch(&remove)).await;
        assert_eq!(refused.status, 400, "{filter}");
        assert_eq!(refused.json()["scimType"], "invalidFilter", "{filter}");
    }
}

#[tokio::test]
async fn a_change_of_members_is_a_new_version() {
    let relay = Relay::start().await;
    let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
    let group = format!("/Groups/{}", relay.group("choir", &[&ada]).await);
    let change = async |version: &str, body: &Value| {
        relay.send(Method::PATCH, &group, &[("if-match", version)], body).await
    };
    relay.clock.set(60);
    let first = change("W/\"1\"", &add(&[&bea])).await;
    assert_eq!((first.status, first.version()), (200, "2"));
    // Whoever still holds the version before is told so, and nothing is written.
    let remove = patch(&json!({ "op": "remove", "path": "members" }));
    change("W/\"1\"", &remove).await.refusal(412);
    let read = relay.get(&group).await;
    assert_eq!(read.json()["members"].as_array().map(Vec::len), Some(2));
    assert_eq!(read.json()["meta"]["version"], first.header("etag"));
    assert_eq!(read.json()["meta"]["lastModified"], "1970-01-01T00:01:00Z");
    let put = json!({ "displayName": "choir", "members": [] });
    let stale = relay.send(Method::PUT, &group, &[("if-match", "W/\"1\"")], &put).await;
    stale.refusal(412);
    assert_eq!(change("W/\"2\"", &remove).await.status, 200);
    let known = relay.ask(Method::GET, &group, &[("if-none-match", "W/\"2\"")], "").await;
    assert_eq!((known.status, known.json().get("members")), (200, None));
}

#[tokio::test]
async fn who_is_deleted_leaves_and_who_is_renamed_stays_under_the_new_name() {
    let relay = Relay::start().await;
    let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
    let inner = relay.group("inner", &[&ada]).await;
    let outer = relay.group("outer", &[&bea, &inner]).await;
    relay
        .put(&format!("/Users/{bea}"), &json!({ "userName": "bea", "displayName": "Bea B" }))
        .await;
    assert_eq!(members(&relay, &outer).await[0]["display"], "Bea B");
    assert_eq!(relay.delete(&format!("/Users/{bea}")).await.status, 204);
    assert_eq!(relay.delete(&format!("/Groups/{inner}")).await.status, 204);
    let left = relay.get(&format!("/Groups/{outer}")).await;
    assert_eq!((left.json().get("members"), left.header("etag")), (None, "W/\"3\""));
    assert!(relay.get(&format!("/Users/{ada}")).await.json().get("groups").is_none());
}

#[tokio::test]
async fn a_patch_that_replaces_a_group_without_its_members_leaves_them() {
    let relay = Relay::start().await;
    let ada = relay.user("ada").await;
    let group = relay.group("choir", &[&ada]).await;
    let rename = patch(&json!({ "op": "replace", "value": { "displayName": "chorus" } }));
    assert_eq!(relay.patch(&format!("/Groups/{group}"), &rename).await.status, 200);
    assert_eq!(members(&relay, &group).await.len(), 1);
    let empty = patch(&json!({ "op": "replace", "value": { "members": [] } }));
    assert_eq!(relay.patch(&format!("/Groups/{group}"), &empty).await.status, 200);
    assert!(members(&relay, &group).await.is_empty());
}

#[tokio::test]
async fn a_put_without_members_clears_them_or_keeps_them_as_the_organization_has_it() {
    // (rule, the body's members, how many are left of two)
    for (keep_members, given, left) in [
        (false, None, 0),
        (false, Some(Value::Null), 0),
        (true, None, 2),
        (true, Some(Value::Null), 2),
        (true, Some(json!([])), 0),
        (false, Some(json!([])), 0),
    ] {
        let rules = Rules { keep_members, ..Rules::default() };
        let relay = Relay::with(Setting { rules, ..Setting::default() }).await;
        let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
        let group = relay.group("choir", &[&ada, &bea]).await;
        let mut body = json!({ "displayName": "chorus", "externalId": "c" });
        if let Some(given) = &given {
            body["members"] = given.clone();
        }
        let put = relay.put(&format!("/Groups/{group}"), &body).await;
        assert_eq!((put.status, put.version()), (200, "2"));
        let answered = put.json().get("members").map_or(0, |all| all.as_array().unwrap().len());
        let kept = members(&relay, &group).await.len();
        assert_eq!((answered, kept), (left, left), "keep = {keep_members}: {given:?}");
        let only = json!({ "displayName": "chorus", "members": [{ "value": ada }] });
        relay.put(&format!("/Groups/{group}"), &only).await;
        assert_eq!(members(&relay, &group).await.len(), 1);
    }
}
