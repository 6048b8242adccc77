//! Many at once.

use futures_util::future::join_all;
use http::Method;
use serde_json::json;

use crate::relay::Relay;

fn count(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_who_name_the_same_version_one_wins() {
    let relay = Relay::start().await;
    let one = format!("/Users/{}", relay.user("ada").await);
    let racers = (0..20).map(|racer| {
        let (relay, one) = (&relay, &one);
        async move {
            let body = json!({ "userName": "ada", "title": format!("racer {racer}") });
            relay.send(Method::PUT, one, &[("if-match", "W/\"1\"")], &body).await.status
        }
    });
    let statuses = join_all(racers).await;
    assert_eq!((count(&statuses, 200), count(&statuses, 412)), (1, 19), "{statuses:?}");
    assert_eq!(relay.get(&one).await.header("etag"), "W/\"2\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_who_create_one_name_one_succeeds() {
    let relay = Relay::start().await;
    let racers = (0..20).map(|racer| {
        let relay = &relay;
        let name = if racer % 2 == 0 { "ada" } else { "ADA" };
        async move { relay.post("/Users", &json!({ "userName": name })).await }
    });
    let answers = join_all(racers).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!((count(&statuses, 201), count(&statuses, 409)), (1, 19), "{statuses:?}");
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(answer.refusal(409)["scimType"], "uniqueness");
    }
    assert_eq!(relay.get("/Users").await.json()["totalResults"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_added_at_once_are_all_there() {
    let relay = Relay::start().await;
    let mut users = Vec::new();
    for index in 0..10 {
        users.push(relay.user(&format!("u{index}")).await);
    }
    let group = format!("/Groups/{}", relay.group("g", &[]).await);
    let adding = users.iter().map(|id| {
        let (relay, group) = (&relay, &group);
        let operation = json!({ "op": "add", "path": "members", "value": [{ "value": id }] });
        async move { relay.patch(group, &json!({ "Operations": [operation] })).await.status }
    });
    let statuses = join_all(adding).await;
    assert_eq!(count(&statuses, 200), 10, "{statuses:?}");
    assert_eq!(relay.get(&group).await.json()["members"].as_array().unwrap().len(), 10);
}
