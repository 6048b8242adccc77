//! What is taken, what is given up, and what it may hold on to.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body_util::BodyExt;
use jiff::Timestamp;
use scim_relay_sdk::connector::OrganizationInfo;

use super::*;
use crate::store::sqlite::SqliteStore;
use crate::store::{RequestFilter, TokenId};

const NORTH: OrgId = OrgId(1);
const SOUTH: OrgId = OrgId(2);
const MEBIBYTE: usize = 1 << 20;

fn recorder() -> Arc<Recorder> {
    Arc::new(Recorder::new(Counter::default()))
}

fn of(organization: OrgId) -> Of {
    let info = OrganizationInfo {
        key: "lillevik".into(),
        name: String::new(),
        locale: None,
        schemas: Arc::default(),
    };
    Of { organization, info: Arc::new(info), token: TokenId(1), refusal: None }
}

fn ended() -> Ended {
    Ended { took: Duration::ZERO, id: None, quirks: Vec::new() }
}

/// Lets a request pass: its method and path, its body, the status of the answer, and its body.
fn passes(
    recorder: &Arc<Recorder>,
    organization: OrgId,
    (method, path, sent): (Method, &str, Bytes),
    status: u16,
    answer: Body,
) -> Response {
    let request = Request::builder().method(method).uri(format!("/scim/lillevik/v2{path}"));
    let mut request = request.body(Body::empty()).unwrap();
    let asked = Asked::new(recorder, &mut request, Timestamp::UNIX_EPOCH);
    request.extensions().get::<SeenBody>().unwrap().set(&sent);
    let response = Response::builder().status(status).body(answer).unwrap();
    watch(recorder, asked, of(organization), ended(), response)
}

fn gets(recorder: &Arc<Recorder>, organization: OrgId, path: &str) {
    drop(passes(recorder, organization, (Method::GET, path, Bytes::new()), 200, Body::empty()));
}

/// What waits, as it would be written.
fn waiting(recorder: &Recorder) -> Vec<NewRequest> {
    let seen = mem::take(&mut *recorder.waiting());
    seen.into_values().flatten().map(Sighting::redacted).collect()
}

#[test]
fn whoever_has_the_most_gives_up_what_tells_the_least() {
    let recorder = recorder();
    let post = (Method::POST, "/Users", Bytes::new());
    drop(passes(&recorder, NORTH, post.clone(), 201, Body::empty()));
    drop(passes(&recorder, NORTH, post, 429, Body::empty()));
    gets(&recorder, SOUTH, "/theirs");
    for number in 0..1_000 {
        gets(&recorder, NORTH, &format!("/{number}"));
    }
    assert_eq!(recorder.dropped.get(), 1_003 - MOST as u64);
    let rows = waiting(&recorder);
    let (theirs, ours): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.organization == SOUTH);
    assert_eq!((theirs.len(), ours.len()), (1, MOST - 1));
    assert_eq!((ours[0].method.as_str(), ours[0].status), ("POST", 201), "a write stays");
    assert!(ours.iter().all(|row| row.status != 429));
    assert_eq!(ours[MOST - 2].path, "/999", "the newest stay");
}

#[test]
fn where_only_writes_come_the_oldest_goes() {
    let recorder = recorder();
    for number in 0..=MOST {
        let post = (Method::POST, &*format!("/{number}"), Bytes::new());
        drop(passes(&recorder, NORTH, post, 201, Body::empty()));
    }
    assert_eq!(waiting(&recorder)[0].path, "/1");
}

#[tokio::test]
async fn an_answer_passes_as_it_is_and_its_beginning_is_kept() {
    let recorder = recorder();
    let get = || (Method::GET, "/", Bytes::new());
    let short = passes(&recorder, NORTH, get(), 200, Body::from("{\"a\":1}"));
    assert_eq!(short.body().size_hint().exact(), Some(7), "it is announced as before");
    assert_eq!(short.into_body().collect().await.unwrap().to_bytes(), "{\"a\":1}");

    let pieces = ["{\"a\":[1", ",2],", "\"b\":3}"].map(|piece| Ok::<_, axum::Error>(piece.into()));
    let pieces: Vec<Result<Bytes, _>> = pieces.into();
    let streamed = passes(&recorder, NORTH, get(), 200, Body::from_stream(stream::iter(pieces)));
    assert_eq!(streamed.into_body().collect().await.unwrap().to_bytes(), "{\"a\":[1,2],\"b\":3}");

    let kept: Vec<_> = waiting(&recorder).into_iter().map(|row| row.answer).collect();
    assert_eq!(
        (kept[0].json.as_deref(), kept[0].length, kept[0].cut),
        (Some("{\"a\":1}"), 7, false)
    );
    assert_eq!((kept[1].json.as_deref(), kept[1].length), (Some("{\"a\":[1,2],\"b\":3}"), 17));
}

#[tokio::test]
async fn a_big_answer_is_neither_copied_nor_held() {
    let recorder = recorder();
    let free = recorder.room.free();
    let member = format!("{{\"value\":\"{}\"}},", "x".repeat(36));
    let big = format!("{{\"members\":[{}{{}}]}}", member.repeat(450_000));
    let (length, big) = (big.len(), Bytes::from(big));
    assert!(length > 20 * 1_000_000);
    let frames: Vec<_> = [big.slice(..3), big.slice(3..)].map(Ok::<_, axum::Error>).into();
    for answer in [Body::from(big), Body::from_stream(stream::iter(frames))] {
        let get = (Method::GET, "/Groups/1", Bytes::new());
        let mut response = passes(&recorder, NORTH, get, 200, answer);
        while let Some(frame) = response.body_mut().frame().await {
            drop(frame.unwrap());
            assert!(free - recorder.room.free() < 10_000);
        }
        drop(response);
        let row = waiting(&recorder).remove(0);
        assert_eq!((row.answer.length, row.answer.cut), (length as u64, true));
        let kept = row.answer.json.unwrap();
        assert!((7_000..8_300).contains(&kept.len()), "{}", kept.len());
    }
    assert_eq!(recorder.room.free(), free);
}

#[tokio::test]
async fn bodies_hold_on_to_so_much_and_no_more() {
    let recorder = recorder();
    let free = recorder.room.free();
    let sent = Bytes::from([b"\"", &b"x".repeat(MEBIBYTE - 2)[..], b"\""].concat());
    let post = || (Method::POST, "/Users", sent.clone());
    // Answers that nobody reads.
    let unread: Vec<_> =
        (0..20).map(|_| passes(&recorder, NORTH, post(), 201, Body::from("{}"))).collect();
    assert_eq!(recorder.room.free(), free - 8 * MEBIBYTE);
    drop(unread);
    let rows = waiting(&recorder);
    assert_eq!(rows.len(), 20);
    let known = rows.iter().filter(|row| row.request.length == MEBIBYTE as u64).count();
    assert_eq!(known, 8);
    assert_eq!(recorder.room.free(), free);

    let long = Bytes::from(vec![b' '; MEBIBYTE + 1]);
    drop(passes(&recorder, NORTH, (Method::POST, "/Users", long), 400, Body::empty()));
    assert_eq!(recorder.room.free(), free, "too long to be looked through");
}

#[tokio::test]
async fn what_waits_is_written_together_and_what_is_left_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), |_, _| {}).unwrap();
    let (recorder, stop) = (recorder(), CancellationToken::new());
    let all = RequestFilter { after: None, only: None, failed: false, limit: 1_000 };
    let written = async || store.requests(NORTH, all).await.unwrap().len();
    let mut recorded = store.recorded();
    let run = async { recorder.run(&store, &stop).await };
    let test = async {
        for number in 0..100 {
            gets(&recorder, NORTH, &format!("/{number}"));
        }
        assert_eq!(written().await, 0);
        while written().await < 100 {
            recorded.changed().await.unwrap();
        }
        gets(&recorder, NORTH, "/last");
        stop.cancel();
    };
    tokio::join!(run, test);
    assert_eq!(written().await, 101);
    assert_eq!(recorder.dropped.get(), 0);

    store.close().await;
    gets(&recorder, NORTH, "/lost");
    recorder.run(&store, &stop).await;
    assert_eq!(recorder.dropped.get(), 1);
}
