//! What each verb does to users and groups, and what the service says of itself.

use http::Method;
use scim_relay_sdk::scim::{Attribute, AttributeType, ResourceKind, Returned, Schema, Schemas};
use serde_json::{Value, json};

use crate::relay::{PUBLIC_URL, Relay};

const JSON: &str = "application/scim+json; charset=utf-8";

#[tokio::test]
async fn a_user_is_made_read_replaced_changed_and_deleted() {
    let relay = Relay::start().await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "Ada@example.com",
        "externalId": "e-1",
        "password": "geheim",
    });
    let made = relay.post("/Users", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let one = format!("/Users/{}", made.id());
    let location = format!("{PUBLIC_URL}/scim/lillevik/v2{one}");
    assert_eq!(made.header("location"), location);
    assert_eq!(made.header("etag"), "W/\"1\"");
    assert_eq!(made.header("content-type"), JSON);
    let user = made.json();
    assert_eq!(
        (&user["meta"]["location"], &user["meta"]["version"]),
        (&json!(location), &json!("W/\"1\""))
    );
    assert!(user.get("password").is_none());

    let read = relay.get(&one).await;
    assert_eq!((read.status, read.json()), (200, user));

    let replaced = relay.put(&one, &json!({ "userName": "ada", "title": "Countess" })).await;
    assert_eq!((replaced.status, replaced.header("etag")), (200, "W/\"2\""));
    assert!(replaced.json().get("externalId").is_none(), "{}", replaced.text);

    let patch = json!({ "Operations": [{ "op": "replace", "path": "title", "value": "Dr" }] });
    let patched = relay.patch(&one, &patch).await;
    assert_eq!((patched.status, patched.header("etag")), (200, "W/\"3\""));
    assert_eq!(patched.json()["title"], "Dr");
    // The same again changes nothing, and says so.
    assert_eq!(relay.patch(&one, &patch).await.header("etag"), "W/\"3\"");

    let found = relay.get("/Users?filter=userName%20eq%20%22ADA%22&count=5").await.json();
    assert_eq!((&found["totalResults"], &found["itemsPerPage"]), (&json!(1), &json!(1)));
    assert_eq!(found["Resources"][0]["title"], "Dr");

    let deleted = relay.delete(&one).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    for gone in [relay.get(&one).await, relay.delete(&one).await] {
        gone.refusal(404);
    }
    let none = relay.get("/Users").await;
    assert_eq!(none.json()["totalResults"], 0);
}

#[tokio::test]
async fn a_group_keeps_its_members_and_a_patch_of_it_is_answered_with_them() {
    let relay = Relay::start().await;
    let (ada, bea) = (relay.user("ada").await, relay.user("bea").await);
    let group = format!("/Groups/{}", relay.group("class-1a", &[&ada]).await);

    let add =
        json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": bea }] }] });
    let patched = relay.patch(&group, &add).await;
    assert_eq!((patched.status, patched.version()), (200, "2"));
    assert_eq!(patched.json(), relay.get(&group).await.json());

    let remove = json!({ "Operations": [{ "op": "remove", "path": format!("members[value eq \"{ada}\"]") }] });
    let asked = relay.patch(&format!("{group}?attributes=members"), &remove).await;
    assert_eq!(asked.status, 200);
    let members = asked.json()["members"].clone();
    assert_eq!(members.as_array().map(Vec::len), Some(1));
    assert_eq!((&members[0]["value"], &members[0]["type"]), (&json!(bea), &json!("User")));
    assert!(asked.json().get("displayName").is_none());

    let without = relay.get(&format!("{group}?excludedAttributes=members")).await.json();
    assert!(without.get("members").is_none() && without["displayName"] == "class-1a");
    let of_bea = relay.get(&format!("/Users/{bea}")).await.json();
    assert_eq!(of_bea["groups"][0]["display"], "class-1a");

    let renamed = relay.put(&group, &json!({ "displayName": "class-2a", "members": [] })).await;
    assert_eq!(renamed.status, 200);
    assert!(renamed.json().get("members").is_none(), "{}", renamed.text);
    assert_eq!(relay.delete(&group).await.status, 204);
}

#[tokio::test]
async fn an_id_of_another_organization_is_one_that_never_was() {
    let mut relay = Relay::start().await;
    let theirs = relay.user("ada").await;
    let never = "01890a5d-ac96-774b-bcce-b302099a8057";
    (relay.token, _) = relay.new_token(1, false, None).await;
    let bearer = format!("Bearer {}", relay.token);
    let patch = json!({ "Operations": [{ "op": "replace", "path": "title", "value": "x" }] });
    for (method, body) in [
        (Method::GET, Value::Null),
        (Method::PUT, json!({ "userName": "x" })),
        (Method::PATCH, patch),
        (Method::DELETE, Value::Null),
    ] {
        let mut texts = Vec::new();
        for id in [theirs.as_str(), never] {
            let path = format!("/scim/storvik/v2/Users/{id}");
            let headers = [("authorization", bearer.as_str()), ("if-match", "W/\"1\"")];
            let answer = relay.raw(method.clone(), &path, &headers, body.to_string()).await;
            answer.refusal(404);
            texts.push(answer.text.replace(id, "ID"));
        }
        assert_eq!(texts[0], texts[1], "{method}");
    }
}

#[tokio::test]
async fn attributes_are_chosen_on_every_verb() {
    let relay = Relay::start().await;
    let body = json!({ "userName": "ada", "title": "Dr", "nickName": "a" });
    let only = |answer: Value| {
        let keys: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["schemas", "id", "title"], "{answer}");
    };
    let made = relay.post("/Users?attributes=title", &body).await;
    only(made.json());
    let one = format!("/Users/{}?attributes=title", made.id());
    only(relay.get(&one).await.json());
    only(relay.put(&one, &body).await.json());
    let patch = json!({ "Operations": [{ "op": "remove", "path": "nickName" }] });
    only(relay.patch(&one, &patch).await.json());
    only(relay.get("/Users?ATTRIBUTES=title").await.json()["Resources"][0].clone());
}

#[tokio::test]
async fn versions_spare_a_read_and_guard_a_write() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let same = relay.ask(Method::GET, &one, &[("if-none-match", "W/\"1\"")], "").await;
    assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", "W/\"1\""));
    let other = relay.ask(Method::GET, &one, &[("if-none-match", "W/\"7\"")], "").await;
    assert_eq!(other.status, 200);

    let body = json!({ "userName": "ada", "title": "Dr" });
    for stale in ["W/\"7\"", "nonsense", "\"7\", \"8\""] {
        relay.send(Method::PUT, &one, &[("if-match", stale)], &body).await.refusal(412);
        relay.ask(Method::DELETE, &one, &[("if-match", stale)], "").await.refusal(412);
    }
    let twice = [("if-match", "W/\"7\""), ("if-match", "W/\"1\"")];
    assert_eq!(relay.send(Method::PUT, &one, &twice, &body).await.status, 200);
    assert_eq!(relay.ask(Method::DELETE, &one, &[("if-match", "*")], "").await.status, 204);
}

#[tokio::test]
async fn what_is_not_there_or_not_offered_is_said_in_scim() {
    let relay = Relay::start().await;
    for path in ["/nowhere", "/Users/a/b", "/Users/no-uuid", "/Users/%FF", "/Schemas/urn:x"] {
        relay.get(path).await.refusal(404);
    }
    let long = relay.get(&format!("/Users/{}", "x".repeat(9_000))).await;
    long.refusal(404);
    assert!(long.text.len() < 4_096);
    for path in ["/Me"] {
        relay.post(path, &json!({})).await.refusal(501);
    }
    relay.get("/Me").await.refusal(501);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let relay = Relay::start().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/Users", "GET,HEAD,POST"),
        (Method::POST, "/Users/x", "GET,HEAD,PUT,PATCH,DELETE"),
        (Method::PATCH, "/Groups", "GET,HEAD,POST"),
        (Method::POST, "", "GET,HEAD"),
        (Method::GET, "/.search", "POST"),
        (Method::GET, "/Users/.search", "POST"),
        (Method::POST, "/Schemas", "GET,HEAD"),
        (Method::DELETE, "/ServiceProviderConfig", "GET,HEAD"),
        (Method::PUT, "/ResourceTypes/User", "GET,HEAD"),
    ] {
        let answer = relay.ask(method, path, &[("x-http-method-override", "GET")], "").await;
        answer.refusal(405);
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn the_service_describes_itself() {
    let relay = Relay::start().await;
    let config = relay.get("/ServiceProviderConfig").await;
    assert_eq!((config.status, config.header("content-type")), (200, JSON));
    assert_eq!(config.json()["patch"]["supported"], true);
    let types = relay.get("/ResourceTypes").await.json();
    assert_eq!((&types["totalResults"], &types["Resources"][0]["id"]), (&json!(2), &json!("User")));
    assert_eq!(relay.get("/ResourceTypes/User").await.json()["endpoint"], "/Users");
    let schemas = relay.get("/Schemas").await.json();
    assert_eq!(schemas["totalResults"], schemas["Resources"].as_array().unwrap().len());
    let urn = "urn:ietf:params:scim:schemas:core:2.0:User";
    for spelling in [urn.to_owned(), urn.replace(':', "%3A")] {
        let schema = relay.get(&format!("/Schemas/{spelling}")).await.json();
        assert_eq!(schema["id"], urn);
    }
    for path in ["/Schemas", "/ResourceTypes", "/ServiceProviderConfig"] {
        relay.get(&format!("{path}?filter=id%20pr")).await.refusal(403);
    }
}

#[tokio::test]
async fn whoever_asks_for_plain_json_gets_it_labelled_so() {
    let relay = Relay::start().await;
    let plain = relay.ask(Method::GET, "/Users", &[("accept", "application/json")], "").await;
    assert_eq!(plain.header("content-type"), "application/json; charset=utf-8");
    let both = [("accept", "application/json, application/scim+json")];
    assert_eq!(relay.ask(Method::GET, "/Users", &both, "").await.header("content-type"), JSON);
}

#[tokio::test]
async fn requests_changes_and_quirks_are_counted_without_names() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let patch = json!({ "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
    relay.patch(&one, &patch).await;
    relay.patch(&one, &patch).await;
    relay.delete(&one).await;
    relay.get("/nowhere").await;
    relay.raw(Method::GET, "/scim/x/v2/Users", &[], "").await;
    let text = relay.metrics.text();
    for line in [
        "http_requests_total{organization=\"lillevik\",method=\"POST\",resource=\"User\",status=\"201\"} 1",
        "http_requests_total{organization=\"lillevik\",method=\"GET\",resource=\"other\",status=\"404\"} 1",
        "http_requests_total{organization=\"unknown\",method=\"GET\",resource=\"User\",status=\"401\"} 1",
        "changes_total{organization=\"lillevik\",resource=\"User\",verb=\"created\"} 1",
        "changes_total{organization=\"lillevik\",resource=\"User\",verb=\"updated\"} 1",
        "changes_total{organization=\"lillevik\",resource=\"User\",verb=\"deleted\"} 1",
        "quirks_total{organization=\"lillevik\",quirk=\"string_boolean\"} 2",
        "http_request_duration_seconds_count 6",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("ada"));
}

#[tokio::test]
async fn a_patch_of_a_great_group_is_answered_without_its_members() {
    let relay = Relay::start().await;
    let mut members = Vec::new();
    for index in 0..101 {
        members.push(relay.user(&format!("u{index}")).await);
    }
    let most: Vec<&str> = members[..100].iter().map(String::as_str).collect();
    let group = format!("/Groups/{}", relay.group("school", &most).await);
    let add = |id: &str| json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": id }] }] });

    // It was not great yet.
    let patched = relay.patch(&group, &add(&members[100])).await;
    assert_eq!(patched.status, 200);
    assert_eq!(patched.json()["members"].as_array().map(Vec::len), Some(101));

    let patched = relay.patch(&group, &add(&members[0])).await;
    assert_eq!(
        (patched.status, patched.text.as_str(), patched.header("etag")),
        (204, "", "W/\"2\"")
    );
    assert!(!patched.headers.contains_key("content-type"));

    // What is asked for is sent.
    let named = relay.patch(&format!("{group}?attributes=displayName"), &add(&members[0])).await;
    assert_eq!((named.status, &named.json()["displayName"]), (200, &json!("school")));
}

#[tokio::test]
async fn what_was_secret_stays_so_when_its_schema_leaves_the_configuration() {
    let relay = Relay::start().await;
    let urn = "urn:example:1.0:User";
    let text = |name| Attribute::new(name, AttributeType::String, "");
    let with = |attributes| {
        let (id, name) = (urn.to_owned(), "X".to_owned());
        let schema = Schema { id, name, description: String::new(), attributes };
        Schemas::with([(ResourceKind::User, schema)])
    };
    let note = text("note");
    relay.declare(with(vec![note.clone(), text("pin").returned(Returned::Never)]));
    let body = json!({ "userName": "ada", urn: { "note": "n", "pin": "7351" } });
    let user = format!("/Users/{}", relay.post("/Users", &body).await.id());
    for schemas in [with(vec![note]), Schemas::builtin()] {
        relay.declare(schemas);
        for path in [user.as_str(), "/Users", &format!("/Users?attributes={urn}:pin")] {
            let answer = relay.get(path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert!(!answer.text.contains("7351"), "{path}: {}", answer.text);
        }
    }
    assert!(!relay.get(&user).await.text.contains(urn));
}
