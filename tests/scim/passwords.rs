//! A password is taken, and never given back (RFC 7643 section 4.1.1: writeOnly, returned never).

use http::Method;
use scim_relay::clock::Clock as _;
use scim_relay::store::{ConnectorId, Registration, Room};
use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::relay::{Answer, Relay, Setting};

const CANARY: &str = "c4n4ry";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

fn ada() -> Value {
    json!({ "userName": "ada", "password": CANARY })
}

fn patch(operation: &Value) -> Value {
    json!({ "Operations": [operation] })
}

#[track_caller]
fn taken(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let shown = answer.text.contains(CANARY) || answer.text.contains("\"password\"");
    assert!(!shown, "{}", answer.text);
}

/// A relay with a connector that asks for passwords.
async fn passing_on() -> (Relay, ConnectorId) {
    let relay = Relay::with(Setting { passes_passwords: true, ..Setting::default() }).await;
    let asking = Registration {
        name: "directory".to_owned(),
        kind: "ldap",
        every_event: false,
        members: false,
        reads_groups: false,
        passwords: true,
        enabled: true,
        backfills: true,
        fingerprint: String::new(),
        organizations: vec!["lillevik".into()],
    };
    let ids = relay.store.register(vec![asking]).await.unwrap();
    (relay, ids[0])
}

/// What the connector would be given for this person.
async fn passed_on(relay: &Relay, connector: ConnectorId, id: &str) -> Option<String> {
    let claims = relay
        .store
        .claim(connector, Room { rows: 10, retries: 10 }, relay.clock.now())
        .await
        .unwrap();
    let mut found = None;
    for claim in claims {
        let case = relay.store.case(&claim).await.unwrap().unwrap();
        if case.key.id.to_string() == id {
            let vault = relay.vault.as_ref().unwrap();
            let opened = case.password.and_then(|sealed| vault.open(&case.key, &sealed));
            found = opened.map(|password| password.expose_secret().to_owned());
        }
    }
    found
}

#[tokio::test]
async fn it_is_in_no_answer_whatever_is_asked_for() {
    let (relay, _) = passing_on().await;
    let made = relay.post("/Users?attributes=userName,password", &ada()).await;
    taken(&made, 201);
    let one = format!("/Users/{}", made.id());
    taken(&relay.get(&one).await, 200);
    for query in ["attributes=password", "attributes=PASSWORD", "excludedAttributes=userName"] {
        taken(&relay.get(&format!("{one}?{query}")).await, 200);
        taken(&relay.get(&format!("/Users?{query}")).await, 200);
    }
    taken(&relay.get(&format!("{one}?attributes={USER}:password")).await, 200);
    let operation = json!({ "op": "replace", "path": "password", "value": CANARY });
    taken(&relay.patch(&format!("{one}?attributes=password"), &patch(&operation)).await, 200);
    taken(&relay.put(&one, &ada()).await, 200);
    let bulk = json!({ "schemas": [BULK], "Operations": [{ "method": "PUT", "path": one, "data": ada() }] });
    taken(&relay.post("/Bulk", &bulk).await, 200);
}

#[tokio::test]
async fn it_cannot_be_found_out_by_filters_or_by_order() {
    let (relay, _) = passing_on().await;
    relay.post("/Users", &ada()).await;
    for filter in [
        "password pr",
        "not (password pr)",
        "password eq \"c4n4ry\"",
        "userName pr and PASSWORD sw \"c\"",
        "password co \"4\" or userName pr",
        "urn:ietf:params:scim:schemas:core:2.0:User:password gt \"a\"",
    ] {
        let path = format!("/Users?filter={}", filter.replace(' ', "%20").replace('"', "%22"));
        let refused = relay.get(&path).await.refusal(400);
        assert_eq!(refused["scimType"], "invalidFilter", "{filter}");
    }
    for path in ["/Users", "/"] {
        relay.get(&format!("{path}?sortBy=password")).await.refusal(400);
        relay.get(&format!("{path}?filter=password%20pr")).await.refusal(400);
        let search = json!({ "schemas": [SEARCH], "filter": "password sw \"c\"" });
        let path = path.trim_end_matches('/');
        relay.post(&format!("{path}/.search"), &search).await.refusal(400);
        let search = json!({ "schemas": [SEARCH], "attributes": ["password", "userName"] });
        taken(&relay.post(&format!("{path}/.search"), &search).await, 200);
    }
}

#[tokio::test]
async fn each_way_of_setting_one_brings_it_to_who_asks() {
    let ways: [(Method, Value); 6] = [
        (Method::PUT, json!({ "userName": "ada", "password": CANARY })),
        (Method::PUT, json!({ "userName": "ada", "PassWord": CANARY })),
        (Method::PATCH, patch(&json!({ "op": "replace", "path": "password", "value": CANARY }))),
        (Method::PATCH, patch(&json!({ "op": "Add", "path": "Password", "value": CANARY }))),
        (Method::PATCH, patch(&json!({ "op": "replace", "value": { "password": CANARY } }))),
        (
            Method::PATCH,
            patch(&json!({ "op": "add", "path": format!("{USER}:password"), "value": CANARY })),
        ),
    ];
    for (method, body) in ways {
        let (relay, connector) = passing_on().await;
        let id = relay.user("ada").await;
        let answer = relay.send(method, &format!("/Users/{id}"), &[], &body).await;
        taken(&answer, 200);
        assert_eq!(answer.header("etag"), "W/\"2\"", "{body}: it is a change");
        assert_eq!(passed_on(&relay, connector, &id).await.as_deref(), Some(CANARY), "{body}");
    }
    let (relay, connector) = passing_on().await;
    let id = relay.post("/Users", &ada()).await.id();
    assert_eq!(passed_on(&relay, connector, &id).await.as_deref(), Some(CANARY));
}

#[tokio::test]
async fn it_is_one_person_s_and_opens_for_nobody_else() {
    let (relay, connector) = passing_on().await;
    let (ada, bo) = (relay.post("/Users", &ada()).await.id(), relay.user("bo").await);
    assert_eq!(passed_on(&relay, connector, &bo).await, None);
    let log =
        relay.store.log(relay.organizations[0], scim_relay::store::RowId(1), 1).await.unwrap();
    assert!(
        log[0].attributes.contains(&"password".to_owned()) && !format!("{log:?}").contains(CANARY)
    );
    let key = |id: &str| ResourceKey {
        organization: "lillevik".into(),
        kind: ResourceKind::User,
        id: ResourceId::parse(id).unwrap(),
    };
    let vault = relay.vault.as_ref().unwrap();
    let sealed = vault.seal(&key(&ada), &CANARY.into());
    assert!(vault.open(&key(&bo), &sealed).is_none());
}

#[tokio::test]
async fn nothing_and_nonsense_are_no_passwords() {
    let (relay, connector) = passing_on().await;
    let id = relay.user("ada").await;
    let one = format!("/Users/{id}");
    for operation in [
        json!({ "op": "remove", "path": "password" }),
        json!({ "op": "replace", "path": "password", "value": null }),
        json!({ "op": "replace", "path": "password", "value": "" }),
    ] {
        taken(&relay.patch(&one, &patch(&operation)).await, 200);
        assert_eq!(relay.get(&one).await.header("etag"), "W/\"1\"", "{operation}");
    }
    for value in
        [json!(CANARY.repeat(20_000)), json!([CANARY]), json!({ "value": CANARY }), json!(7)]
    {
        let operation = json!({ "op": "replace", "path": "password", "value": value });
        let answer = relay.patch(&one, &patch(&operation)).await;
        assert!(
            matches!(answer.status, 400 | 413) && !answer.text.contains(CANARY),
            "{}",
            answer.text
        );
    }
    assert_eq!(passed_on(&relay, connector, &id).await, None);
}

#[tokio::test]
async fn where_nobody_asks_it_is_dropped_and_changes_nothing() {
    let relay = Relay::start().await;
    let made = relay.post("/Users", &ada()).await;
    taken(&made, 201);
    let operation = json!({ "op": "replace", "path": "password", "value": CANARY });
    let patched = relay.patch(&format!("/Users/{}", made.id()), &patch(&operation)).await;
    taken(&patched, 200);
    assert_eq!(patched.header("etag"), "W/\"1\"");
    let told = relay.get("/ServiceProviderConfig").await.json();
    assert_eq!(told["changePassword"]["supported"], false);
    let (relay, _) = passing_on().await;
    let told = relay.get("/ServiceProviderConfig").await.json();
    assert_eq!(told["changePassword"]["supported"], true);
}
