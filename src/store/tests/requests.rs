//! The ring of a provider's last requests.

use std::time::Duration;

use scim_relay_sdk::scim::{Quirk, ResourceKind};
use serde_json::json;

use super::kit::Kit;
use crate::store::{
    KEPT_REQUESTS, KeptBody, NewRequest, OrgId, RequestFilter, RequestRow, Store, Stored, TokenId,
};

const ALL: RequestFilter =
    RequestFilter { after: None, only: None, failed: false, limit: KEPT_REQUESTS };

fn kept(text: &str) -> KeptBody {
    KeptBody { json: Some(text.to_owned()), cut: false, length: text.len() as u64 }
}

fn get(kit: &Kit, organization: OrgId, path: &str) -> NewRequest {
    NewRequest {
        organization,
        at: kit.now(),
        took: Duration::from_micros(1_500),
        method: "GET".to_owned(),
        path: path.to_owned(),
        status: 200,
        token: TokenId(1),
        user_agent: None,
        peer: None,
        subject: None,
        quirks: Vec::new(),
        scim_type: None,
        detail: None,
        request: KeptBody::default(),
        answer: KeptBody::default(),
    }
}

async fn read(kit: &Kit, organization: OrgId, filter: RequestFilter) -> Vec<RequestRow> {
    kit.store.requests(organization, filter).await.unwrap()
}

async fn paths(kit: &Kit, organization: OrgId, filter: RequestFilter) -> Vec<String> {
    read(kit, organization, filter).await.into_iter().map(|row| row.path).collect()
}

#[tokio::test]
async fn what_was_recorded_is_read_whole_after_a_restart() {
    let kit = Kit::new().await;
    let token = kit.new_token();
    let token = kit.store.add_token(token).await.unwrap();
    let ada = kit.user("ada").await;
    let request = NewRequest {
        method: "PATCH".to_owned(),
        status: 400,
        token,
        user_agent: Some("Entra".to_owned()),
        peer: Some("192.0.2.1".to_owned()),
        subject: Some((ada.kind, ada.id)),
        quirks: vec![Quirk::CapitalOp, Quirk::StringBoolean],
        scim_type: Some("invalidValue".to_owned()),
        detail: Some("`x` is no boolean".to_owned()),
        request: KeptBody { cut: true, length: 9_000, ..kept("{\"a\":1}") },
        answer: kept("{\"status\":\"400\"}"),
        ..get(&kit, kit.north, "/Users/1?count=1")
    };
    kit.store.record_requests(vec![request]).await.unwrap();
    let kit = kit.reopened().await;
    let row = read(&kit, kit.north, ALL).await.remove(0);
    assert_eq!(
        serde_json::to_value(&row).unwrap(),
        json!({
            "id": 1,
            "at": kit.now(),
            "milliseconds": 1.5,
            "method": "PATCH",
            "path": "/Users/1?count=1",
            "status": 400,
            "token": "scimr_abc_",
            "token_name": "entra",
            "user_agent": "Entra",
            "peer": "192.0.2.1",
            "resource": format!("User/{}", ada.id),
            "name": "ada",
            "quirks": ["capital_op", "string_boolean"],
            "scim_type": "invalidValue",
            "detail": "`x` is no boolean",
            "request": { "a": 1 },
            "request_length": 9_000,
            "request_cut": true,
            "answer": { "status": "400" },
            "answer_length": 16,
            "answer_cut": false,
        })
    );
}

#[tokio::test]
async fn the_newest_come_last_and_filters_leave_out_the_rest() {
    let kit = Kit::new().await;
    let refused = NewRequest { status: 404, ..get(&kit, kit.north, "/b") };
    let batch = vec![
        get(&kit, kit.north, "/a"),
        refused,
        get(&kit, kit.south, "/theirs"),
        get(&kit, kit.north, "/c"),
    ];
    kit.store.record_requests(batch).await.unwrap();
    assert_eq!(paths(&kit, kit.north, ALL).await, ["/a", "/b", "/c"]);
    for (filter, expected) in [
        (RequestFilter { limit: 2, ..ALL }, &["/b", "/c"][..]),
        (RequestFilter { after: Some(2), ..ALL }, &["/c"]),
        (RequestFilter { after: Some(4), ..ALL }, &[]),
        (RequestFilter { failed: true, ..ALL }, &["/b"]),
        (RequestFilter { only: Some(1), ..ALL }, &["/a"]),
        // Another organization's.
        (RequestFilter { only: Some(3), ..ALL }, &[]),
    ] {
        assert_eq!(paths(&kit, kit.north, filter).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn whoever_reads_on_skips_none_however_many_came() {
    let kit = Kit::new().await;
    let batch = (1..=10).map(|number| NewRequest {
        status: if number % 2 == 0 { 404 } else { 200 },
        ..get(&kit, kit.north, &number.to_string())
    });
    kit.store.record_requests(batch.collect()).await.unwrap();
    for (failed, expected) in [
        (false, &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"][..]),
        (true, &["2", "4", "6", "8", "10"]),
    ] {
        let (mut last, mut seen) = (0, Vec::new());
        loop {
            let filter = RequestFilter { after: Some(last), only: None, failed, limit: 3 };
            let rows = read(&kit, kit.north, filter).await;
            let Some(row) = rows.last() else { break };
            last = row.id;
            seen.extend(rows.into_iter().map(|row| row.path));
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn each_organization_has_a_ring_of_its_own() {
    let kit = Kit::new().await;
    kit.store.record_requests(vec![get(&kit, kit.south, "/theirs")]).await.unwrap();
    for round in 0..3 {
        let batch = (0..400).map(|number| get(&kit, kit.north, &format!("/{round}-{number}")));
        kit.store.record_requests(batch.collect()).await.unwrap();
    }
    let kept = paths(&kit, kit.north, ALL).await;
    assert_eq!((kept.len(), kept[0].as_str()), (KEPT_REQUESTS, "/0-200"));
    assert_eq!(kept[KEPT_REQUESTS - 1], "/2-399");
    assert_eq!(kit.rows("request"), KEPT_REQUESTS as i64 + 1, "theirs is there still");
}

#[tokio::test]
async fn what_is_too_old_is_forgotten_piece_by_piece() {
    let kit = Kit::new().await;
    let batch = (0..700).map(|_| get(&kit, kit.north, "/old")).collect();
    kit.store.record_requests(batch).await.unwrap();
    let before = kit.now() + Duration::from_secs(1);
    kit.pass(Duration::from_secs(1));
    kit.store.record_requests(vec![get(&kit, kit.north, "/young")]).await.unwrap();
    assert!(kit.store.forget_requests(before).await.unwrap(), "one piece is not all");
    assert!(!kit.store.forget_requests(before).await.unwrap());
    assert_eq!(paths(&kit, kit.north, ALL).await, ["/young"]);
}

#[tokio::test]
async fn a_name_is_the_resource_s_own_or_what_was_sent() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[]).await;
    let gone = kit.user("gone").await;
    kit.delete(&gone).await;
    let of = |one: &Stored| NewRequest {
        subject: Some((one.kind, one.id)),
        ..get(&kit, kit.north, "/")
    };
    let sent = |text| NewRequest { request: kept(text), ..get(&kit, kit.north, "/") };
    let elsewhere = NewRequest { organization: kit.south, ..of(&ada) };
    let wrong_kind = NewRequest { subject: Some((ResourceKind::Group, ada.id)), ..of(&ada) };
    let batch = vec![
        of(&ada),
        of(&choir),
        of(&gone),
        sent("{\"userName\":\"eve\"}"),
        sent("{\"displayName\":7}"),
        sent("[]"),
        wrong_kind,
        elsewhere,
    ];
    kit.store.record_requests(batch).await.unwrap();
    let rows = read(&kit, kit.north, ALL).await;
    let names: Vec<_> = rows.iter().map(|row| row.name.as_deref()).collect();
    let expected = [Some("ada"), Some("choir"), Some("gone"), Some("eve"), Some("7"), None, None];
    assert_eq!(names, expected);
    let theirs = read(&kit, kit.south, ALL).await;
    assert_eq!(theirs[0].name, None, "another organization's resource has no name here");
}

#[tokio::test]
async fn at_a_glance_only_changes_that_may_switch_somebody_off_have_their_body() {
    let kit = Kit::new().await;
    let off = || kept("{\"Active\":\"False\"}");
    let sent = |method: &str, path, status, request| NewRequest {
        method: method.to_owned(),
        status,
        request,
        ..get(&kit, kit.north, path)
    };
    let batch = vec![
        sent("PUT", "/Users/1?attributes=id", 200, off()),
        sent("PUT", "/Users/1", 200, kept("{\"title\":\"x\"}")),
        sent("PUT", "/Users/1", 400, off()),
        sent("PUT", "/Groups/1", 200, off()),
        sent("POST", "/Users", 201, off()),
        NewRequest { answer: kept("{}"), ..sent("POST", "/Bulk", 200, off()) },
        NewRequest { answer: kept("{}"), ..sent("POST", "/Bulk", 400, off()) },
        NewRequest { organization: kit.south, ..sent("PUT", "/Users/2", 200, off()) },
    ];
    kit.store.record_requests(batch).await.unwrap();
    let calls = kit.store.calls(kit.north).await.unwrap();
    let ids: Vec<_> = calls.iter().map(|call| call.id).collect();
    assert_eq!(ids, [7, 6, 5, 4, 3, 2, 1], "newest first, and nobody else's");
    let with_body = calls.iter().filter(|call| call.body.is_some());
    assert_eq!(with_body.map(|call| call.id).collect::<Vec<_>>(), [1]);
    let bulks = calls.iter().filter(|call| call.bulk.is_some());
    assert_eq!(bulks.map(|call| call.id).collect::<Vec<_>>(), [6]);
}

#[tokio::test]
async fn whoever_waits_for_new_ones_is_told() {
    let kit = Kit::new().await;
    let mut recorded = kit.store.recorded();
    assert!(!recorded.has_changed().unwrap());
    kit.store.record_requests(vec![get(&kit, kit.north, "/a")]).await.unwrap();
    assert!(recorded.has_changed().unwrap());
    recorded.mark_unchanged();
    kit.store.close().await;
    kit.store.record_requests(vec![get(&kit, kit.north, "/b")]).await.unwrap_err();
    assert!(!recorded.has_changed().unwrap(), "nothing was recorded");
}
