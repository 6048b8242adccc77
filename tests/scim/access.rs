//! Who is let in, and how often.

use http::Method;
use scim_relay::token::Refusal;
use serde_json::json;

use crate::relay::{Answer, Relay, Setting};

const USERS: &str = "/scim/lillevik/v2/Users";

/// The one answer to everybody who has no good token.
#[track_caller]
fn check_unauthorized(answer: &Answer) {
    let body = answer.refusal(401);
    assert_eq!(body["detail"], "a valid bearer token for this organization is needed");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"scim-relay\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.headers.contains_key("server"));
}

#[tokio::test]
async fn without_a_token_every_address_answers_the_same() {
    let relay = Relay::start().await;
    for path in [
        USERS,
        "/scim/lillevik/v2/Schemas",
        "/scim/lillevik/v2/nowhere",
        "/scim/lillevik/v2/%55sers",
        "/scim/lillevik/v2/Users;x",
        "//scim/lillevik/v2/Users",
        "/scim/nobody/v2/Users",
        "/scim/",
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::OPTIONS] {
            check_unauthorized(&relay.raw(method, path, &[], "{").await);
        }
    }
    assert_eq!(relay.raw(Method::GET, "/", &[], "").await.status, 404);
}

#[tokio::test]
async fn only_one_bearer_header_with_a_known_token_is_let_in() {
    let relay = Relay::start().await;
    let good = format!("Bearer {}", relay.token);
    let (other, upper) = (scim_relay::token::generate(), relay.token.to_uppercase());
    let other = secrecy::ExposeSecret::expose_secret(&other.text).to_owned();
    for bad in [
        "non-token".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer  {}", relay.token),
        format!("Bearer\t{}", relay.token),
        format!("Basic {}", relay.token),
        format!("Bearer {upper}"),
        format!("Bearer {other}"),
        format!("Bearer {}", "x".repeat(10_000)),
    ] {
        check_unauthorized(&relay.raw(Method::GET, USERS, &[("authorization", &bad)], "").await);
    }
    let twice = [("authorization", good.as_str()), ("authorization", &good)];
    check_unauthorized(&relay.raw(Method::GET, USERS, &twice, "").await);
    for elsewhere in ["cookie", "x-api-key"] {
        check_unauthorized(&relay.raw(Method::GET, USERS, &[(elsewhere, &good)], "").await);
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {}", relay.token);
        let answer = relay.raw(Method::GET, USERS, &[("authorization", &header)], "").await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_token_of_another_organization_is_an_unknown_one() {
    let relay = Relay::start().await;
    let (theirs, _) = relay.new_token(1, false, None).await;
    let bearer = format!("Bearer {theirs}");
    let header = [("authorization", bearer.as_str())];
    assert_eq!(relay.raw(Method::GET, "/scim/storvik/v2/Users", &header, "").await.status, 200);
    check_unauthorized(&relay.raw(Method::GET, USERS, &header, "").await);
    check_unauthorized(&relay.raw(Method::GET, "/scim/nobody/v2/Users", &header, "").await);
}

#[tokio::test]
async fn a_revoked_token_is_dead_at_once_on_open_connections_too() {
    let relay = Relay::start().await;
    let (token, id) = relay.new_token(0, false, None).await;
    let bearer = format!("Bearer {token}");
    let header = [("authorization", bearer.as_str())];
    assert_eq!(relay.raw(Method::GET, USERS, &header, "").await.status, 200);
    let now = scim_relay::clock::Clock::now(&*relay.clock);
    assert!(relay.store.end_token(relay.organizations[0], id, now, true).await.unwrap());
    relay.book.reload(&*relay.store).await.unwrap();
    check_unauthorized(&relay.raw(Method::GET, USERS, &header, "").await);
}

#[tokio::test]
async fn an_expired_token_is_unknown() {
    let relay = Relay::start().await;
    let (token, _) = relay.new_token(0, false, Some(100)).await;
    let bearer = format!("Bearer {token}");
    relay.clock.set(99);
    let header = [("authorization", bearer.as_str())];
    assert_eq!(relay.raw(Method::GET, USERS, &header, "").await.status, 200);
    relay.clock.set(100);
    check_unauthorized(&relay.raw(Method::GET, USERS, &header, "").await);
}

#[tokio::test]
async fn a_token_that_may_only_read_writes_nothing() {
    let mut relay = Relay::start().await;
    let id = relay.user("ada").await;
    (relay.token, _) = relay.new_token(0, true, None).await;
    let one = format!("/Users/{id}");
    assert_eq!(relay.get(&one).await.status, 200);
    let body = json!({ "userName": "bea" });
    relay.post("/Users", &body).await.refusal(403);
    relay.put(&one, &body).await.refusal(403);
    relay.patch(&one, &body).await.refusal(403);
    relay.delete(&one).await.refusal(403);
    assert_eq!(relay.get("/Users").await.json()["totalResults"], 1);
}

#[tokio::test]
async fn the_rate_of_one_organization_leaves_another_alone() {
    let relay = Relay::with(Setting { per_second: 1, burst: 2, ..Setting::default() }).await;
    let (theirs, _) = relay.new_token(1, false, None).await;
    assert_eq!(relay.get("/Users").await.status, 200);
    assert_eq!(relay.get("/Users").await.status, 200);
    let refused = loop {
        let answer = relay.get("/Users").await;
        if answer.status != 200 {
            break answer;
        }
    };
    refused.refusal(429);
    assert_eq!(refused.header("retry-after"), "1");
    let bearer = format!("Bearer {theirs}");
    let header = [("authorization", bearer.as_str())];
    assert_eq!(relay.raw(Method::GET, "/scim/storvik/v2/Users", &header, "").await.status, 200);
}

#[tokio::test]
async fn whoever_guesses_is_slowed_down_and_a_good_token_is_not() {
    let relay = Relay::start().await;
    let bad = [("authorization", "Bearer x")];
    let mut unauthorized = 0;
    let refused = loop {
        let answer = relay.raw(Method::GET, USERS, &bad, "").await;
        if answer.status != 401 {
            break answer;
        }
        unauthorized += 1;
        assert!(unauthorized < 5_000, "nobody slows it down");
    };
    refused.refusal(429);
    assert!(unauthorized >= 100, "{unauthorized}");
    assert_eq!(relay.get("/Users").await.status, 200);
}

#[tokio::test]
async fn the_first_use_of_a_token_is_in_the_audit_log() {
    let relay = Relay::start().await;
    relay.clock.set(1_000);
    relay.get("/Users").await;
    relay.scim.upkeep().await.unwrap();
    relay.get("/Users").await;
    relay.scim.upkeep().await.unwrap();
    let rows = relay.store.audit_log(10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].action.as_str(), rows[0].organization.as_deref()),
        ("token.first_use", Some("lillevik"))
    );
    assert!(relay.token.contains(&rows[0].subject));
    let used = relay.store.tokens().await.unwrap()[0].last_used;
    assert_eq!(used.map(jiff::Timestamp::as_second), Some(1_000));
}

#[tokio::test]
async fn readiness_waits_for_the_word_and_for_the_store() {
    let relay = Relay::start().await;
    assert_eq!(relay.raw(Method::GET, "/healthz", &[], "").await.status, 200);
    assert_eq!(relay.raw(Method::GET, "/readyz", &[], "").await.status, 503);
    relay.health.set_ready(true);
    assert_eq!(relay.raw(Method::GET, "/readyz", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_store_that_is_closed_is_not_ready_and_takes_no_writes() {
    let relay = Relay::start().await;
    relay.health.set_ready(true);
    relay.store.close().await;
    let answer = relay.raw(Method::GET, "/readyz", &[], "").await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    let refused = relay.post("/Users", &json!({ "userName": "ada" })).await;
    refused.refusal(503);
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(relay.get("/Users").await.status, 200);
    assert_eq!(relay.raw(Method::GET, "/healthz", &[], "").await.status, 200);
}

#[tokio::test]
async fn whoever_is_turned_away_is_remembered_at_the_address_they_called() {
    let relay = Relay::start().await;
    relay.clock.set(1_000);
    let (theirs, _) = relay.new_token(1, false, None).await;
    let elsewhere = format!("Bearer {theirs}");
    let ended = format!("Bearer {}", relay.new_token(0, false, Some(999)).await.0);
    let stranger = |key| relay.book.stranger(key).map(|stranger| stranger.refusal);
    let knock = async |header: &str, path: &str| {
        let answer = relay.raw(Method::GET, path, &[("authorization", header)], "").await;
        check_unauthorized(&answer);
    };
    knock(&ended, USERS).await;
    assert_eq!(stranger("lillevik"), None, "its own token is none: the ring has it");
    knock("Bearer cut-off", USERS).await;
    assert_eq!(stranger("lillevik"), Some(Refusal::Malformed));
    knock(&elsewhere, USERS).await;
    assert_eq!(stranger("lillevik"), Some(Refusal::Unknown));
    assert_eq!(relay.book.stranger("lillevik").unwrap().from, Some([127, 0, 0, 1].into()));
    knock("Bearer cut-off", "/scim/nobody/v2/Users").await;
    assert_eq!((stranger("storvik"), stranger("nobody")), (None, None));
}
