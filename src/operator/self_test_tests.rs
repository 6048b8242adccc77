//! The self-test, by what providers really send.

use serde::Deserialize;

use super::*;
use crate::token::Refusal;

/// What identity providers say, as the conformance tests replay it to a relay.
macro_rules! conversation {
    ($name:literal) => {
        include_str!(concat!("../../tests/conversations/", $name, ".toml"))
    };
}

#[derive(Deserialize)]
struct Conversation {
    step: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    request: String,
    status: u16,
    body: Option<String>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A call that arrived at the second of its id.
fn call(id: i64, request: &str, status: u16) -> CallRow {
    let (method, path) = request.split_once(' ').unwrap();
    CallRow {
        id,
        at: at(id),
        method: method.to_owned(),
        path: path.to_owned(),
        status,
        token: TokenId(1),
        peer: Some(format!("192.0.2.{id}")),
        detail: None,
        body: None,
        bulk: None,
    }
}

fn calls(rows: impl IntoIterator<Item = CallRow>) -> Calls {
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.reverse();
    Calls::new(rows, None)
}

/// A letter for each milestone: `t`odo, `n`ow, `d`one, `b`ad.
fn letters(progress: [Progress; 4]) -> String {
    let letter = |one| match one {
        Progress::Todo => 't',
        Progress::Now => 'n',
        Progress::Done { .. } => 'd',
        Progress::Bad { .. } => 'b',
    };
    progress.map(letter).iter().collect()
}

#[test]
fn what_providers_really_send_ticks_what_it_is() {
    let told = [
        ("connection", conversation!("entra-connection-test"), "dntt"),
        ("first cycle", conversation!("entra-initial-cycle"), "dddn"),
        ("on demand", conversation!("entra-provision-on-demand"), "dddd"),
        ("later cycles", conversation!("entra-incremental-cycle"), "dddd"),
        ("newer dialect", conversation!("entra-flagged-cycle"), "dddd"),
        ("Okta's test", conversation!("okta-spec-test"), "ddnt"),
        ("Okta's assignment", conversation!("okta-assignment"), "ddnd"),
        ("Okta's group push", conversation!("okta-push-group"), "dddn"),
        ("Google", conversation!("google"), "ddnd"),
        ("authentik", conversation!("authentik"), "dddd"),
        ("JumpCloud", conversation!("jumpcloud"), "dddd"),
        ("OneLogin", conversation!("onelogin"), "dddd"),
    ];
    for (name, text, expected) in told {
        let conversation: Conversation = toml::from_str(text).unwrap();
        // Whoever has no good token is not among the calls.
        let said = conversation.step.into_iter().filter(|said| said.status != UNAUTHORIZED);
        let rows = (1..)
            .zip(said)
            .map(|(id, said)| CallRow { body: said.body, ..call(id, &said.request, said.status) });
        assert_eq!(letters(calls(rows).progress(None)), expected, "{name}");
    }
}

#[test]
fn somebody_is_switched_off_in_any_providers_words() {
    for (body, expected) in [
        (r#"{"active": false, "userName": "ada"}"#, true),
        (r#"{"Active": "False"}"#, true),
        (r#"{"active": true}"#, false),
        (r#"{"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}"#, true),
        (r#"{"operations": [{"op": "replace", "value": {"active": false}}]}"#, true),
        (r#"{"Operations": [{"op": "replace", "path": "active", "value": true}]}"#, false),
        (r#"{"Operations": [{"op": "replace", "path": "title", "value": "inactive"}]}"#, false),
        (r#"{"Operations": [{"op": "add", "value": {"title": "active"}}]}"#, false),
        ("not JSON", false),
    ] {
        assert_eq!(says_inactive(Some(body)), expected, "{body}");
    }
    assert!(!says_inactive(None));
}

#[test]
fn each_step_waits_for_its_turn() {
    assert_eq!(letters(calls([]).progress(None)), "nttt");
    let search = call(1, "POST /Users/.search", 200);
    assert_eq!(letters(calls([search]).progress(None)), "dntt", "a search makes nobody");
    let deletion = call(1, "DELETE /Users/1", 204);
    assert_eq!(letters(calls([deletion]).progress(None)), "dntd");
    let refused = call(2, "POST /Users", 409);
    let rows = [call(1, "GET /Users?filter=x", 200), refused];
    assert_eq!(letters(calls(rows).progress(None)), "dbtt");
}

#[test]
fn what_comes_in_bulk_ticks_what_went_well_in_it() {
    let bulk = |operations: &str| CallRow {
        bulk: Some(format!("{{\"Operations\": [{operations}]}}")),
        ..call(1, "POST /Bulk", 200)
    };
    let operation = |method, place, status| {
        let location = format!("https://scim.example/scim/lillevik/v2/{place}/1");
        format!(r#"{{"method": "{method}", "location": "{location}", "status": "{status}"}}"#)
    };
    let made = operation("POST", "Users", "201");
    for (operations, expected) in [
        (made.clone(), "ddnt"),
        (format!("{made}, {}", operation("PUT", "Groups", "200")), "dddn"),
        (format!("{made}, {}", operation("DELETE", "Users", "204")), "ddnd"),
        (operation("POST", "Users", "409"), "dntt"),
        (operation("DELETE", "Groups", "204"), "dntt"),
        (String::new(), "dntt"),
    ] {
        assert_eq!(letters(calls([bulk(&operations)]).progress(None)), expected, "{operations}");
    }
}

#[test]
fn a_refusal_is_forgotten_once_it_has_worked() {
    let refused =
        CallRow { detail: Some("`userName` is missing".to_owned()), ..call(2, "POST /Users", 400) };
    let [_, person, ..] = calls([call(1, "GET /Users", 200), refused.clone()]).progress(None);
    let why =
        WhyNot::Refused { request: 2, status: 400, detail: Some("`userName` is missing".into()) };
    assert_eq!(person, Progress::Bad { at: at(2), why });
    let [_, person, ..] = calls([refused, call(3, "POST /Users", 201)]).progress(None);
    assert_eq!(person, Progress::Done { at: at(3), request: 3 });
}

#[test]
fn only_what_came_since_then_counts() {
    let all = calls([call(1, "GET /Users", 200), call(5, "POST /Users", 201)]);
    assert_eq!(letters(all.progress(Some(at(5)))), "ddnt");
    assert_eq!(letters(all.progress(Some(at(6)))), "nttt");
}

#[test]
fn a_token_that_has_ended_breaks_what_worked_and_a_stranger_does_not() {
    let expired = CallRow { detail: Some("an expired token".into()), ..call(2, "GET /Users", 401) };
    let mut all = calls([call(1, "GET /Users", 200), expired]);
    let why =
        WhyNot::BadToken { request: 2, token: TokenId(1), what: "an expired token".to_owned() };
    assert_eq!(all.progress(None)[0], Progress::Bad { at: at(2), why });
    let stranger = Stranger { at: at(9), refusal: Refusal::Malformed, from: None };
    all.stranger = Some(stranger.clone());
    all.rows.insert(0, call(3, "GET /Users", 200));
    assert_eq!(letters(all.progress(None)), "dntt");
    all.rows.clear();
    let why = WhyNot::Stranger(stranger);
    assert_eq!(all.progress(None)[0], Progress::Bad { at: at(9), why });
    assert_eq!(letters(all.progress(Some(at(10)))), "nttt");
}

#[test]
fn a_token_was_last_used_where_its_last_good_call_came_from() {
    let other = CallRow { token: TokenId(2), ..call(3, "GET /Users", 200) };
    let all = calls([call(1, "GET /Users", 200), call(2, "GET /Users", 401), other]);
    assert_eq!(all.last_use(1), Some((at(1), Some("192.0.2.1"))));
    assert_eq!(all.last_use(2), Some((at(3), Some("192.0.2.3"))));
    assert_eq!(all.last_use(3), None);
}
