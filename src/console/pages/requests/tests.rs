//! The pages in each of their states.

use serde_json::json;

use super::list::{Choose, List, Which};
use super::one::One;
use crate::console::page::sample::{drawn, main_of, viewer};
use crate::operator::Rights;
use crate::store::RequestRow;

/// A change of somebody.
pub(super) fn row(id: i64) -> RequestRow {
    RequestRow {
        id,
        at: "2026-11-18T07:12:04Z".parse().unwrap(),
        milliseconds: 11.25,
        method: "PATCH".to_owned(),
        path: "/Users/01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        status: 200,
        token: "scimr_7Hq2xxxxxxxx_".to_owned(),
        token_name: "Entra ID production".to_owned(),
        user_agent: Some("Microsoft Entra".to_owned()),
        peer: Some("20.91.40.12".to_owned()),
        resource: Some("User/01890a5d-ac96-774b-bcce-b302099a8057".to_owned()),
        name: Some("kari.nordli".to_owned()),
        quirks: vec!["capital_op".to_owned()],
        scim_type: None,
        detail: None,
        request: Some(json!({
            "Operations": [{ "op": "Replace", "path": "password", "value": "[redacted]" }],
        })),
        request_length: 180,
        request_cut: false,
        answer: Some(json!({ "id": "01890a5d-ac96-774b-bcce-b302099a8057", "active": true })),
        answer_length: 900,
        answer_cut: false,
    }
}

fn refused() -> RequestRow {
    RequestRow {
        method: "POST".to_owned(),
        path: "/Users".to_owned(),
        status: 409,
        at: "2026-11-17T22:10:00Z".parse().unwrap(),
        resource: None,
        name: Some("oskar.holm".to_owned()),
        scim_type: Some("uniqueness".to_owned()),
        detail: Some("another user has the userName <oskar.holm>".to_owned()),
        token_name: String::new(),
        peer: None,
        user_agent: None,
        quirks: Vec::new(),
        request: None,
        request_length: 70_000,
        answer: Some(json!({ "status": "409" })),
        answer_cut: true,
        ..row(2)
    }
}

fn list(which: Which, rows: &[RequestRow], next: Option<i64>) -> List {
    let which = Which { org: "lillevik".to_owned(), ..which };
    let viewer = viewer(Rights::administrator());
    List::new(&viewer, which, "Lillevik kommune".to_owned(), rows, next)
}

#[test]
fn a_list_is_in_words_and_by_day() {
    insta::assert_snapshot!(main_of(&list(
        Which::default(),
        &[row(3), row(2), refused()],
        Some(2)
    )));
}

#[test]
fn an_empty_list_says_why() {
    let html = drawn(&list(Which::default(), &[], None));
    assert!(html.contains("No requests yet") && html.contains("/integrations"));
    let filtered = Which { q: "nobody".to_owned(), ..Which::default() };
    let html = drawn(&list(filtered, &[], None));
    assert!(html.contains("Nothing here matches"));
}

#[test]
fn whoever_has_several_organizations_chooses() {
    let organizations = vec![
        ("/requests?org=lillevik".to_owned(), "Lillevik kommune".to_owned()),
        ("/requests?org=solvang".to_owned(), "Solvang skole".to_owned()),
    ];
    let html = drawn(&Choose { organizations });
    assert!(html.contains("Lillevik kommune") && html.contains("Solvang skole"));
}

#[test]
fn one_request_has_both_bodies_and_what_they_mean() {
    insta::assert_snapshot!(main_of(&One::new("lillevik", row(3))));
}

#[test]
fn a_refusal_says_what_it_means_and_what_to_do() {
    let html = main_of(&One::new("lillevik", refused()));
    assert!(html.contains("Somebody else has that name already"));
    assert!(html.contains("&lt;oskar.holm&gt;"), "what was sent is text");
    assert!(html.contains("only the beginning") && html.contains("could not be read"));
}
