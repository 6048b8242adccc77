//! Many writes in one request (RFC 7644 section 3.7).

use std::time::{Duration, Instant};

use http::Method;
use scim_relay::directory::Rules;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::relay::{Answer, PUBLIC_URL, Relay, Setting};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
fn request(operations: Value) -> Value {
    json!({ "schemas": [REQUEST], "Operations": operations })
}

fn user(bulk_id: &str, data: &Value) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data })
}

fn named(name: &str) -> Value {
    user(name, &json!({ "userName": name }))
}

fn statuses(operations: &Value) -> Vec<&str> {
    operations.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect()
}

/// The last piece of an operation's location.
fn id(operation: &Value) -> &str {
    operation["location"].as_str().unwrap().rsplit('/').next().unwrap()
}

impl Relay {
    async fn bulk(&self, operations: Value) -> Value {
        Self::operations(&self.post("/Bulk", &request(operations)).await)
    }

    #[track_caller]
    fn operations(answer: &Answer) -> Value {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/scim+json; charset=utf-8");
        let mut body = answer.json();
        assert_eq!(body["schemas"], json!([RESPONSE]));
        body["Operations"].take()
    }

    async fn count(&self, path: &str) -> u64 {
        self.get(path).await.json()["totalResults"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn every_operation_has_its_entry_in_the_order_in_which_they_were_sent() {
    let relay = Relay::start().await;
    let (old, gone) = (relay.user("old").await, relay.user("gone").await);
    let patch = json!({ "Operations": [{ "op": "replace", "path": "title", "value": "Dr" }] });
    let done = relay
        .bulk(json!([
            named("ada"),
            { "method": "PUT", "path": format!("/Users/{old}"), "bulkId": "mine",
              "data": { "userName": "new" } },
            { "method": "PATCH", "path": format!("/Users/{old}"), "data": patch },
            { "method": "DELETE", "path": format!("/Users/{gone}") },
        ]))
        .await;
    let ada = id(&done[0]).to_owned();
    let at = |id: &str| format!("{PUBLIC_URL}/scim/lillevik/v2/Users/{id}");
    assert_eq!(
        done,
        json!([
            { "method": "POST", "bulkId": "ada", "location": at(&ada), "version": "W/\"1\"",
              "status": "201" },
            { "method": "PUT", "bulkId": "mine", "location": at(&old), "version": "W/\"2\"",
              "status": "200" },
            { "method": "PATCH", "location": at(&old), "version": "W/\"3\"", "status": "200" },
            { "method": "DELETE", "location": at(&gone), "status": "204" },
        ])
    );
    assert_eq!(relay.get(&format!("/Users/{ada}")).await.json()["userName"], "ada");
    let old = relay.get(&format!("/Users/{old}")).await.json();
    assert_eq!((&old["userName"], &old["title"]), (&json!("new"), &json!("Dr")));
    relay.get(&format!("/Users/{gone}")).await.refusal(404);
}

#[tokio::test]
async fn references_to_what_the_request_makes_become_ids_whatever_comes_first() {
    let relay = Relay::start().await;
    let add = json!({ "Operations": [
        { "op": "add", "path": "members", "value": [{ "value": "bulkId:ada" }] },
        { "op": "remove", "path": "members[value eq \"bulkId:bea\"]" },
    ] });
    let managed =
        json!({ "userName": "bea", ENTERPRISE: { "manager": { "value": "bulkId:ada" } } });
    let done = relay
        .bulk(json!([
            { "method": "PATCH", "path": "/Groups/bulkId:staff", "data": add },
            { "method": "POST", "path": "/Groups", "bulkId": "staff",
              "data": { "displayName": "staff", "members": [{ "value": "bulkId:bea" }] } },
            user("bea", &managed),
            named("ada"),
        ]))
        .await;
    assert_eq!(statuses(&done), ["200", "201", "201", "201"]);
    let (staff, bea, ada) = (id(&done[1]), id(&done[2]), id(&done[3]));
    assert_eq!(id(&done[0]), staff, "the location is the real one");
    let bea = relay.get(&format!("/Users/{bea}")).await.json();
    assert_eq!(bea[ENTERPRISE]["manager"]["value"], ada);
    let members = relay.get(&format!("/Groups/{staff}")).await.json()["members"].clone();
    assert_eq!(members.as_array().map(Vec::len), Some(1));
    assert_eq!(members[0]["value"], ada);
}

#[tokio::test]
async fn an_operation_that_fails_says_why_and_the_others_go_on() {
    let relay = Relay::start().await;
    relay.user("taken").await;
    let never = "01890a5d-ac96-774b-bcce-b302099a8057";
    let group = |bulk_id: &str, member: &str| {
        let data = json!({ "displayName": bulk_id, "members": [{ "value": member }] });
        json!({ "method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data })
    };
    let inner = request(json!([named("inner")]));
    let cases = [
        (named("taken"), 409, Some("uniqueness"), "another user"),
        (user("nameless", &json!({})), 400, Some("invalidValue"), "userName"),
        (group("g", "bulkId:taken"), 409, None, "`bulkId:taken`, and that POST failed"),
        (group("h", "bulkId:nobody"), 400, Some("invalidValue"), "bulkId `nobody`"),
        (group("i", "bulkId:i"), 409, None, "circle"),
        (group("j", never), 400, Some("invalidValue"), never),
        (json!({ "method": "DELETE", "path": format!("/Users/{never}") }), 404, None, never),
        (
            json!({ "method": "POST", "path": "/Bulk", "bulkId": "b", "data": inner }),
            400,
            Some("invalidPath"),
            "`/Bulk`",
        ),
        (json!({ "method": "DELETE", "path": "/Me" }), 400, Some("invalidPath"), "`/Me`"),
        (json!({ "method": "GET", "path": "/Users" }), 400, Some("invalidValue"), "`GET`"),
    ];
    let mut operations: Vec<Value> = cases.iter().map(|(one, ..)| one.clone()).collect();
    operations.push(named("last"));
    let done = relay.bulk(operations.into()).await;
    assert_eq!(done[cases.len()]["status"], "201");
    for ((sent, status, scim_type, words), entry) in cases.iter().zip(done.as_array().unwrap()) {
        assert_eq!(entry["status"], status.to_string(), "{sent} {entry}");
        let response = &entry["response"];
        assert_eq!(response["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(response["status"], entry["status"]);
        assert_eq!(response["scimType"].as_str(), *scim_type, "{sent}");
        assert!(response["detail"].as_str().unwrap().contains(words), "{sent} {response}");
        assert_eq!(entry.get("location").is_some(), *status == 404, "{entry}");
    }
    assert_eq!((relay.count("/Users").await, relay.count("/Groups").await), (2, 0));
}

#[tokio::test]
async fn after_as_many_failures_as_it_names_nothing_more_is_attempted() {
    let relay = Relay::start().await;
    relay.user("taken").await;
    let again = |bulk_id: &str| user(bulk_id, &json!({ "userName": "taken" }));
    let mut body = request(json!([named("a"), again("x"), named("b"), again("y"), named("c")]));
    body["failOnErrors"] = json!(2);
    let done = Relay::operations(&relay.post("/Bulk", &body).await);
    assert_eq!(statuses(&done), ["201", "409", "201", "409"]);
    assert_eq!(relay.count("/Users").await, 3);
}

#[tokio::test]
async fn a_version_guards_one_operation() {
    let relay = Relay::start().await;
    let path = format!("/Users/{}", relay.user("ada").await);
    let put = |version: &str| {
        let data = json!({ "userName": "ada", "title": version });
        json!({ "method": "PUT", "path": path, "version": version, "data": data })
    };
    let done = relay
        .bulk(json!([
            put("W/\"7\""),
            put("W/\"1\""),
            put("W/\"1\""),
            { "method": "DELETE", "path": path, "version": "W/\"1\"" },
        ]))
        .await;
    assert_eq!(statuses(&done), ["412", "200", "412", "412"]);
    assert_eq!(relay.get(&path).await.json()["title"], "W/\"1\"");
}

#[tokio::test]
async fn what_is_no_bulk_request_changes_nothing() {
    let relay = Relay::with(Setting { max_body: 256 * 1024, ..Setting::default() }).await;
    let many = |count: usize| {
        let delete = json!({ "method": "DELETE", "path": "/Users/x" });
        request(std::iter::repeat_n(delete, count).collect())
    };
    for (body, status, words) in [
        (json!({ "Operations": [named("a")] }), 400, "BulkRequest"),
        (request(json!([named("a"), named("a")])), 400, "the bulkId `a`"),
        (request(json!([named("a"), "x"])), 400, "not a JSON object"),
        (many(1001), 413, "maxOperations"),
        (request(json!([user("a", &json!({ "x": "x".repeat(256 * 1024) }))])), 413, "262144"),
    ] {
        let refusal = relay.post("/Bulk", &body).await.refusal(status);
        assert!(refusal["detail"].as_str().unwrap().contains(words), "{refusal}");
    }
    relay.ask(Method::POST, "/Bulk", &[], "{").await.refusal(400);
    relay.ask(Method::POST, "/Bulk", &[("content-type", "text/plain")], "").await.refusal(415);
    let get = relay.get("/Bulk").await;
    get.refusal(405);
    assert_eq!(get.header("allow"), "POST");
    assert_eq!(relay.count("/Users").await, 0);

    let config = relay.get("/ServiceProviderConfig").await.json();
    assert_eq!(
        config["bulk"],
        json!({ "supported": true, "maxOperations": 1000, "maxPayloadSize": 256 * 1024 })
    );
    let done = Relay::operations(&relay.post("/Bulk", &many(1000)).await);
    assert_eq!(statuses(&done), ["404"; 1000]);
}

#[tokio::test]
async fn another_organization_is_out_of_reach() {
    let mut relay = Relay::start().await;
    let theirs = relay.user("ada").await;
    let home = relay.token.clone();
    let (token, _) = relay.new_token(1, false, None).await;
    let patch = json!({ "Operations": [{ "op": "add", "path": "title", "value": "x" }] });
    let member = json!({ "displayName": "g", "members": [{ "value": theirs }] });
    let body = request(json!([
        { "method": "PATCH", "path": format!("/Users/{theirs}"), "data": patch },
        { "method": "DELETE", "path": format!("/Users/{theirs}") },
        { "method": "DELETE", "path": format!("/scim/lillevik/v2/Users/{theirs}") },
        { "method": "DELETE", "path": format!("/Users/../../../lillevik/v2/Users/{theirs}") },
        { "method": "POST", "path": "/Groups", "bulkId": "g", "data": member },
    ]));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let path = "/scim/storvik/v2/Bulk";
    let answer = relay.raw(Method::POST, path, &headers, body.to_string()).await;
    assert_eq!(statuses(&Relay::operations(&answer)), ["404", "404", "400", "400", "400"]);
    relay.token = home;
    let user = relay.get(&format!("/Users/{theirs}")).await;
    assert_eq!((user.status, user.header("etag")), (200, "W/\"1\""));
}

#[tokio::test]
async fn a_token_that_may_only_read_sends_no_bulk() {
    let mut relay = Relay::start().await;
    (relay.token, _) = relay.new_token(0, true, None).await;
    relay.post("/Bulk", &request(json!([named("a")]))).await.refusal(403);
    assert_eq!(relay.count("/Users").await, 0);
}

#[tokio::test]
async fn each_operation_is_counted_with_its_own_deviations() {
    let relay = Relay::start().await;
    let off = json!({ "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
    relay
        .bulk(json!([
            named("ada"),
            named("bea"),
            { "method": "PATCH", "path": "/Users/bulkId:ada", "data": off },
            { "method": "PATCH", "path": "/Users/bulkId:bea", "data": off },
            { "method": "DELETE", "path": "/Users/bulkId:bea" },
            { "method": "POST", "path": "/Groups", "bulkId": "g", "data": { "displayName": "g" } },
            { "method": "DELETE", "path": "/Users/nobody" },
        ]))
        .await;
    let text = relay.metrics.text();
    for line in [
        "http_requests_total{organization=\"lillevik\",method=\"POST\",resource=\"bulk\",status=\"200\"} 1",
        "changes_total{organization=\"lillevik\",resource=\"User\",verb=\"created\"} 2",
        "changes_total{organization=\"lillevik\",resource=\"User\",verb=\"updated\"} 2",
        "changes_total{organization=\"lillevik\",resource=\"User\",verb=\"deleted\"} 1",
        "changes_total{organization=\"lillevik\",resource=\"Group\",verb=\"created\"} 1",
        "quirks_total{organization=\"lillevik\",quirk=\"string_boolean\"} 2",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_bulk_goes_no_faster_than_its_organization_may() {
    let relay = Relay::with(Setting { per_second: 20, burst: 5, ..Setting::default() }).await;
    let started = Instant::now();
    let operations: Vec<Value> = (0..15).map(|index| named(&format!("u{index}"))).collect();
    let done = relay.bulk(operations.into()).await;
    assert_eq!(statuses(&done), ["201"; 15]);
    // Five at once, and ten more at twenty a second.
    assert!(started.elapsed() >= Duration::from_millis(450), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_line_of_bulks_is_short_and_whoever_finds_no_place_is_told_when_to_come_again() {
    let relay = Relay::start().await;
    let unfinished = format!(
        "POST /scim/lillevik/v2/Bulk HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 100\r\n\r\n{{",
        relay.token
    );
    let mut line = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(unfinished.as_bytes()).await.unwrap();
        line.push(stream);
    }
    let small = request(json!([{ "method": "DELETE", "path": "/Users/nobody" }]));
    let until = async |status: u16| {
        loop {
            let answer = relay.post("/Bulk", &small).await;
            if answer.status == status {
                break answer;
            }
            assert!([200, 429].contains(&answer.status), "{}", answer.text);
        }
    };
    let refused = until(429).await;
    refused.refusal(429);
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(relay.post("/Users", &json!({ "userName": "ada" })).await.status, 201);
    drop(line);
    until(200).await;
}

#[tokio::test]
async fn whoever_hangs_up_half_way_leaves_whole_operations() {
    let mut setting = Setting { per_second: 1, burst: 5, ..Setting::default() };
    setting.options.drain_timeout = Duration::from_mins(10);
    let relay = Relay::with(setting).await;
    // All of them would take eight minutes.
    let operations: Vec<Value> = (0..500).map(|index| named(&format!("u{index}"))).collect();
    let body = request(operations.into()).to_string();
    let head = format!(
        "POST /scim/lillevik/v2/Bulk HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n",
        relay.token,
        body.len()
    );
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let written = async || relay.store.population(relay.organizations[0]).await.unwrap().0;
    while written().await < 2 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    // The server ends when nobody is being answered any more.
    relay.stop.cancel();
    relay.tasks.close();
    relay.tasks.wait().await;
    assert!(written().await < 500, "it went on for nobody");
}

#[tokio::test]
async fn a_store_that_fails_half_way_is_told_by_each_operation_that_it_failed() {
    let relay = Relay::with(Setting { per_second: 2, burst: 2, ..Setting::default() }).await;
    let operations: Vec<Value> = (0..4).map(|index| named(&format!("u{index}"))).collect();
    let close = async {
        let organization = relay.organizations[0];
        while relay.store.population(organization).await.unwrap().0 == 0 {
            tokio::task::yield_now().await;
        }
        relay.store.close().await;
    };
    let (done, ()) = tokio::join!(relay.bulk(operations.into()), close);
    let statuses = statuses(&done);
    assert_eq!((statuses.len(), statuses[0], statuses[3]), (4, "201", "503"));
    assert!(done[3]["response"]["detail"].as_str().unwrap().contains("try again"), "{done}");
}

#[tokio::test]
async fn a_bulk_ends_with_its_token() {
    let mut relay = Relay::with(Setting { per_second: 2, burst: 2, ..Setting::default() }).await;
    let (token, id) = relay.new_token(0, false, None).await;
    relay.token = token;
    let operations: Vec<Value> = (0..4).map(|index| named(&format!("u{index}"))).collect();
    let [organization, _] = relay.organizations;
    let revoke = async {
        while relay.store.population(organization).await.unwrap().0 == 0 {
            tokio::task::yield_now().await;
        }
        let now = scim_relay::clock::Clock::now(&*relay.clock);
        assert!(relay.store.end_token(organization, id, now, true).await.unwrap());
        relay.book.reload(&*relay.store).await.unwrap();
    };
    let (done, ()) = tokio::join!(relay.bulk(operations.into()), revoke);
    let statuses = statuses(&done);
    assert_eq!((statuses.len(), statuses[0], statuses[3]), (4, "201", "401"));
}

#[tokio::test]
async fn where_nothing_can_be_done_the_whole_may_be_sent_again() {
    let relay = Relay::start().await;
    relay.store.close().await;
    let refused = relay.post("/Bulk", &request(json!([named("ada"), named("bea")]))).await;
    refused.refusal(503);
    assert_eq!(refused.header("retry-after"), "5");
}

#[tokio::test]
async fn a_strict_organization_refuses_the_operations_that_deviate() {
    let rules = Rules { strict: true, ..Rules::default() };
    let relay = Relay::with(Setting { rules, ..Setting::default() }).await;
    let user = |name: &str, active: Value| {
        let schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
        user(name, &json!({ "schemas": schemas, "userName": name, "active": active }))
    };
    let done = relay.bulk(json!([user("ada", json!("True")), user("bea", json!(true))])).await;
    assert_eq!(statuses(&done), ["400", "201"]);
    let detail = done[0]["response"]["detail"].as_str().unwrap();
    assert!(detail.contains("string_boolean"), "{detail}");
    let counted = "quirks_total{organization=\"lillevik\",quirk=\"string_boolean\"} 1";
    assert!(relay.metrics.text().contains(counted));
}
