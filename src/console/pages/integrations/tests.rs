//! The pages of integrations, drawn in each of their states.

use jiff::SignedDuration;

use super::*;
use crate::console::live::Update;
use crate::console::page::sample::{drawn, main_of, viewer};
use crate::operator::{Calls, Reachability, Rights, TokenLine};
use crate::store::{CallRow, TokenId};
use crate::token::{Refusal, Stranger};

pub(super) fn now() -> Timestamp {
    viewer(Rights::administrator()).reader.now
}

pub(super) fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// Made a year ago, used lately, good for another year.
pub(super) fn token(id: i64, name: &str) -> TokenLine {
    TokenLine {
        id,
        organization: "lillevik".to_owned(),
        name: name.to_owned(),
        prefix: format!("scimr_{id}Hq2_"),
        read_only: false,
        created: now() - days(365),
        made_by: Some("ingrid@lillevik.example".to_owned()),
        expires: Some(now() + days(365)),
        last_used: Some(now() - days(1)),
        revoked: None,
        replaced_by: None,
        state: "active".to_owned(),
    }
}

pub(super) fn call(id: i64, request: &str, status: u16) -> CallRow {
    let (method, path) = request.split_once(' ').unwrap();
    CallRow {
        id,
        at: now() - SignedDuration::from_secs(600 - id),
        method: method.to_owned(),
        path: path.to_owned(),
        status,
        token: TokenId(1),
        peer: Some("20.91.40.12".to_owned()),
        detail: None,
        body: None,
        bulk: None,
    }
}

pub(super) fn calls(rows: &[CallRow]) -> Calls {
    Calls::new(rows.iter().rev().cloned().collect(), None)
}

fn one(tokens: Vec<TokenLine>, calls: &Calls, reachability: Reachability) -> One {
    let integration = Integration {
        key: "lillevik".to_owned(),
        name: "Lillevik kommune".to_owned(),
        endpoint: "https://scim.lillevik.example/scim/lillevik/v2".to_owned(),
        locale: Some("nb-NO".to_owned()),
        tokens,
    };
    let viewer = viewer(Rights::administrator());
    One::new(&viewer, true, integration, calls, reachability, None, Some(Language::English))
}

fn public(tokens: Vec<TokenLine>, calls: &Calls) -> String {
    main_of(&one(tokens, calls, Reachability::Public)).replace("&#x2f;", "/")
}

#[test]
fn the_page_of_an_organization() {
    let soon = TokenLine { expires: Some(now() + days(9)), ..token(1, "Entra ID production") };
    let unused = TokenLine { last_used: None, read_only: true, ..token(2, "Test <tenant>") };
    let gone = TokenLine {
        state: "revoked".to_owned(),
        revoked: Some(now() - days(30)),
        ..token(3, "Old")
    };
    let refused =
        CallRow { detail: Some("`userName` is taken".to_owned()), ..call(2, "POST /Users", 409) };
    let rows = [call(1, "GET /Users", 200), refused, call(3, "POST /Groups", 201)];
    insta::assert_snapshot!(public(vec![soon, unused, gone], &calls(&rows)));
}

#[test]
fn what_is_most_pressing_stands_on_top() {
    let none = calls(&[]);
    let ended = TokenLine { state: "expired".to_owned(), ..token(1, "Entra") };
    let soon = |id| TokenLine { expires: Some(now() + days(29)), ..token(id, "Entra") };
    let replaced = TokenLine { replaced_by: Some(2), ..soon(1) };
    for (tokens, expected) in [
        (vec![], Some("There is no token yet")),
        (vec![ended.clone()], Some("No token works any more")),
        (vec![soon(1)], Some("“Entra” runs out soon")),
        (vec![token(1, "Entra"), ended], None),
        (vec![replaced, token(2, "Entra")], None),
    ] {
        let html = public(tokens, &none);
        let headings =
            ["There is no token yet", "No token works any more", "“Entra” runs out soon"];
        for heading in headings {
            assert_eq!(html.contains(heading), expected == Some(heading), "{heading}: {html}");
        }
    }
}

#[test]
fn a_token_that_was_replaced_is_not_rotated_again() {
    let old = TokenLine { replaced_by: Some(2), expires: Some(now() + days(1)), ..token(1, "A") };
    let html = public(vec![old, token(2, "A")], &calls(&[]));
    assert!(!html.contains("tokens/1/rotate") && html.contains("tokens/2/rotate"));
    assert!(html.contains("tokens/1/revoke") && html.contains("Replaced"));
}

#[test]
fn an_address_that_no_provider_can_call_says_so() {
    let page = |reachability| main_of(&one(vec![token(1, "A")], &calls(&[]), reachability));
    assert!(!page(Reachability::Public).contains("public_url"));
    assert!(page(Reachability::Loopback).contains("Only this machine itself can call"));
    assert!(page(Reachability::ClearText).contains("over https only"));
}

#[test]
fn the_self_test_says_what_went_wrong_in_words() {
    let bad =
        |detail: &str| CallRow { detail: Some(detail.to_owned()), ..call(1, "GET /Users", 401) };
    let stranger = |refusal| {
        let from = Some([203, 0, 113, 9].into());
        Calls::new(Vec::new(), Some(Stranger { at: now(), refusal, from }))
    };
    for (calls, expected) in [
        (calls(&[]), "Waits for its first call"),
        (calls(&[bad("an expired token")]), "came with an expired token, “Entra”."),
        (calls(&[call(1, "GET /Nowhere", 404)]), "it was refused (404)"),
        (
            stranger(Refusal::Malformed),
            "a call from 203.0.113.9 came without a token of this relay",
        ),
        (stranger(Refusal::Unknown), "came with a token that does not open this address"),
    ] {
        let html = public(vec![token(1, "Entra")], &calls);
        assert!(html.contains(expected), "{expected}: {html}");
    }
    let done = public(vec![token(1, "Entra")], &calls(&[call(7, "GET /Users", 200)]));
    assert!(done.contains("1 of 4 steps done"), "{done}");
    assert!(done.contains("/organizations/lillevik/requests/7"), "{done}");
}

#[test]
fn what_ticks_while_somebody_looks_is_sent_as_text_and_state() {
    let updates = |rows: &[CallRow]| {
        let reader = viewer(Rights::administrator()).reader;
        Updates::from(&Test::new(&reader, "lillevik", &calls(rows), &[], None))
    };
    let before = updates(&[call(1, "GET /Users", 200)]);
    assert_eq!(before["t2"], Update::default().state("now"));
    let after = updates(&[call(1, "GET /Users", 200), call(2, "POST /Users", 201)]);
    assert_eq!(after["t2"], Update::default().state("done"));
    assert_eq!(after["t2-text"], Update::text("Last at 09:32"));
    assert_eq!(after["test-bar"], Update::text("2 of 4 steps done").value(2));
    assert_ne!(before["say"], after["say"], "a step that is done is read aloud");
}

#[test]
fn guides_are_in_the_organizations_language_unless_another_is_asked_for() {
    let viewer = viewer(Rights::administrator());
    let page = |locale: Option<&str>, wanted| {
        let integration = Integration {
            key: "lillevik".to_owned(),
            name: "<b>Lillevik".to_owned(),
            endpoint: "https://scim.example/scim/lillevik/v2".to_owned(),
            locale: locale.map(str::to_owned),
            tokens: Vec::new(),
        };
        let calls = calls(&[]);
        main_of(&One::new(&viewer, false, integration, &calls, Reachability::Public, None, wanted))
    };
    let german = page(Some("de-AT"), None);
    assert!(german.contains("<div lang=\"de\">") && german.contains("Anwendung erstellen"));
    assert!(german.contains("„&lt;b&gt;Lillevik Relay“"), "{german}");
    let french = page(Some("de"), Some(Language::French));
    assert!(french.contains("<div lang=\"fr\">") && french.contains("Créer l&#x27;application"));
    assert!(page(Some("fi"), None).contains("<div lang=\"en\">"), "as the reader reads");
}

#[test]
fn several_organizations_are_a_list_and_none_says_where_they_come_from() {
    let row = |key: &str, tokens, last_used| Row {
        key: key.to_owned(),
        name: format!("The {key} schools"),
        endpoint: format!("https://scim.example/scim/{key}/v2"),
        tokens,
        last_used,
    };
    let rows = vec![row("lillevik", 2, Some(now() - days(1))), row("solvang", 0, None)];
    insta::assert_snapshot!(main_of(&All { rows }));
    assert!(drawn(&All { rows: Vec::new() }).contains("There is no organization yet"));
}
