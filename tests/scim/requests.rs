//! What is kept of requests and answers, and what of them is not.

use std::fs;
use std::time::Duration;

use http::Method;
use scim_relay::store::{RequestFilter, RequestRow};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::relay::{Relay, Setting};

const CANARY: &str = "Kanari-4711!";

impl Relay {
    /// The requests of `lillevik` once there are so many.
    async fn kept(&self, count: usize) -> Vec<RequestRow> {
        self.kept_of(0, count).await
    }

    async fn kept_of(&self, whose: usize, count: usize) -> Vec<RequestRow> {
        let mut recorded = self.store.recorded();
        loop {
            recorded.mark_unchanged();
            let filter = RequestFilter { after: None, only: None, failed: false, limit: 1_000 };
            let rows = self.store.requests(self.organizations[whose], filter).await.unwrap();
            if rows.len() >= count {
                assert_eq!(rows.len(), count, "{rows:#?}");
                return rows;
            }
            let told = timeout(Duration::from_mins(1), recorded.changed()).await;
            assert!(told.is_ok(), "{rows:#?}");
        }
    }
}

#[tokio::test]
async fn a_request_is_kept_with_its_answer_and_what_it_was_about() {
    let relay = Relay::start().await;
    relay.clock.set(1_000);
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    let user = json!({ "schemas": [core], "userName": "ada", "active": "True" });
    let headers = [("user-agent", "Entra"), ("cookie", CANARY)];
    let made = relay.send(Method::POST, "/Users/", &headers, &user).await;
    assert_eq!(made.status, 201);
    let row = relay.kept(1).await.remove(0);
    assert_eq!((row.at.as_second(), row.status, row.method.as_str()), (1_000, 201, "POST"));
    assert_eq!((row.path.as_str(), row.user_agent.as_deref()), ("/Users", Some("Entra")));
    assert_eq!(row.resource, Some(format!("User/{}", made.id())));
    assert_eq!((row.name.as_deref(), row.peer.as_deref()), (Some("ada"), Some("127.0.0.1")));
    assert_eq!(row.quirks, ["string_boolean"]);
    assert!(relay.token.starts_with(&row.token) && row.token.len() < 20, "{}", row.token);
    assert_eq!((row.token_name.as_str(), row.milliseconds > 0.0), ("test", true));
    assert_eq!((row.request, row.request_cut), (Some(user.clone()), false));
    assert_eq!(row.request_length, user.to_string().len() as u64);
    assert_eq!((row.answer, row.answer_length), (Some(made.json()), made.text.len() as u64));
    assert_eq!((row.scim_type, row.detail), (None, None));
}

#[tokio::test]
async fn a_refusal_is_kept_with_its_reason() {
    let relay = Relay::with(Setting { max_body: 100, ..Setting::default() }).await;
    let nobody = "/Users/0199a2b4-7c1e-7d3a-9f00-3f2b6c5d4e10";
    relay.user("ada").await;
    relay.post("/Users", &json!({ "userName": "ADA" })).await.refusal(409);
    relay.get(nobody).await.refusal(404);
    let xml = [("content-type", "text/xml")];
    relay.ask(Method::POST, "/Users", &xml, "<password>x</password>").await.refusal(415);
    relay.ask(Method::POST, "/Users", &[], "{\"password\":\"x\"").await.refusal(400);
    relay.ask(Method::POST, "/Users", &[], " ".repeat(101)).await.refusal(413);
    relay.get("/nowhere").await.refusal(404);
    let rows = relay.kept(7).await;
    let told: Vec<_> = rows[1..]
        .iter()
        .map(|row| {
            (row.status, row.scim_type.as_deref(), row.request.is_some(), row.request_length)
        })
        .collect();
    assert_eq!(
        told,
        [
            (409, Some("uniqueness"), true, 18),
            (404, None, false, 0),
            (415, None, false, 22),
            (400, Some("invalidSyntax"), false, 15),
            (413, None, false, 101),
            (404, None, false, 0),
        ]
    );
    assert!(rows[1..].iter().all(|row| row.detail.is_some() && row.answer.is_some()), "{rows:#?}");
    assert_eq!(rows[1].name.as_deref(), Some("ADA"), "what was sent names it");
    assert_eq!(rows[2].resource, Some(nobody.replace("/Users", "User")));
}

#[tokio::test]
async fn of_a_long_body_the_beginning_is_kept() {
    let relay = Relay::start().await;
    let many: Vec<Value> =
        (0..900).map(|number| json!({ "value": format!("{number}@example.com") })).collect();
    let body = json!({ "userName": "ada", "emails": many });
    let made = relay.post("/Users", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.text.len() > 20_000);
    let row = relay.kept(1).await.remove(0);
    let emails = |body: &Option<Value>| body.as_ref().unwrap()["emails"].as_array().unwrap().len();
    for emails in [emails(&row.request), emails(&row.answer)] {
        assert!((100..400).contains(&emails), "{emails}");
    }
    assert_eq!((row.request_cut, row.answer_cut), (true, true));
    assert_eq!(row.request_length, body.to_string().len() as u64);
    assert_eq!(row.answer_length, made.text.len() as u64);
}

#[tokio::test]
async fn an_organization_sees_its_own_and_strangers_fill_no_ring() {
    let relay = Relay::start().await;
    let users = "/scim/lillevik/v2/Users";
    let (expired, _) = relay.new_token(0, false, Some(100)).await;
    let (theirs, _) = relay.new_token(1, false, None).await;
    relay.clock.set(200);
    for token in ["", "x", &scim_relay_token(), &expired, &theirs] {
        let bearer = format!("Bearer {token}");
        let header = [("authorization", bearer.as_str())];
        relay.raw(Method::GET, users, &header, "").await.refusal(401);
    }
    relay.raw(Method::GET, users, &[], "").await.refusal(401);
    let own = relay.kept(1).await.remove(0);
    assert_eq!((own.status, own.detail.as_deref()), (401, Some("an expired token")));
    assert_eq!(own.path, "/Users");
    assert!(expired.starts_with(&own.token));
    let theirs = relay.kept_of(1, 1).await.remove(0);
    assert_eq!(theirs.path, users, "at another address than their own");
    assert_eq!(
        theirs.detail.as_deref(),
        Some("a token of this organization at another one's address")
    );
}

/// In the form of a token of ours, and none.
fn scim_relay_token() -> String {
    secrecy::ExposeSecret::expose_secret(&scim_relay::token::generate().text).to_owned()
}

#[tokio::test]
async fn no_password_and_no_token_reaches_the_disk() {
    let relay = Relay::start().await;
    let id = relay.user("ada").await;
    let one = format!("/Users/{id}");
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    let filter = "/Users?filter=password%20eq%20%22Kanari-4711!%22";
    let operation = |operation: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [operation],
        })
    };
    relay.post("/Users", &json!({ "userName": "bea", "PassWord": CANARY })).await;
    relay.post("/Users", &json!({ "userName": "ada", "password": CANARY })).await;
    relay.post("/Users", &json!({ "password": CANARY })).await;
    relay.put(&one, &json!({ "userName": "ada", format!("{core}:password"): CANARY })).await;
    relay.put(&one, &json!({ "userName": 1, "title": relay.token, "password": [CANARY] })).await;
    for (path, value) in [
        (json!("password"), json!(CANARY)),
        (json!(format!("{core}:Password")), json!(CANARY)),
        (json!(format!("password[value eq \"{CANARY}\"]")), json!("x")),
        (json!(null), json!({ "password": CANARY })),
        (json!(null), json!(json!({ "password": CANARY }).to_string())),
    ] {
        relay
            .patch(&one, &operation(json!({ "op": "replace", "path": path, "value": value })))
            .await;
    }
    let data = json!({ "userName": "eve", "password": CANARY });
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{ "method": "POST", "path": "/Users", "bulkId": "1", "data": data }],
    });
    relay.post("/Bulk", &bulk).await;
    relay.get(filter).await;
    relay.ask(Method::POST, "/Users", &[], format!("{{\"password\":\"{CANARY}\"")).await;
    relay.get(&format!("/Users?access_token={}", relay.token)).await;
    relay.ask(Method::GET, "/Users", &[("cookie", CANARY), ("user-agent", &relay.token)], "").await;
    let rows = relay.kept(16).await;
    assert_eq!(rows.iter().filter(|row| row.request.is_some()).count(), 12);

    let (public, secret) = relay.token.split_at(18);
    let mut everything = Vec::new();
    for file in fs::read_dir(relay.folder.path()).unwrap() {
        everything.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let has = |text: &str| everything.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!has("Kanari") && !has(secret));
    assert!(has(public), "which token it was may be known");
    let shown = serde_json::to_string(&rows).unwrap();
    assert!(!shown.contains(secret) && shown.contains("[redacted]"), "{shown}");
}

#[tokio::test]
async fn a_store_that_takes_nothing_costs_no_answer() {
    let relay = Relay::start().await;
    assert_eq!(relay.get("/Users").await.status, 200);
    relay.kept(1).await;
    relay.store.close().await;
    assert_eq!(relay.get("/Users").await.status, 200);
    relay.stop.cancel();
    relay.tasks.close();
    relay.tasks.wait().await;
    assert_eq!(relay.metrics.requests_dropped.get(), 1);
}

#[tokio::test]
async fn what_was_seen_last_is_written_at_the_end() {
    let relay = Relay::start().await;
    assert_eq!(relay.get("/Users").await.status, 200);
    relay.stop.cancel();
    relay.tasks.close();
    relay.tasks.wait().await;
    assert_eq!(relay.kept(1).await[0].path, "/Users");
}
