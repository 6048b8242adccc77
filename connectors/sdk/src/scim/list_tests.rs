//! What a client may ask of a list, and what it is told otherwise.

use serde_json::json;

use super::*;
use crate::scim::{ENTERPRISE_URN, Schemas};

/// `userName=ada&count=5`, without any coding.
fn parse_for(query: &str, kinds: &[ResourceKind]) -> Result<ListQuery, Error> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    let pairs: Vec<_> = query.split('&').filter(|text| !text.is_empty()).map(pair).collect();
    let schemas = Schemas::builtin();
    let types: Vec<_> = kinds.iter().map(|kind| schemas.of(*kind)).collect();
    ListQuery::parse(&pairs, &types)
}

fn parse(query: &str) -> Result<ListQuery, Error> {
    parse_for(query, &[ResourceKind::User])
}

fn search(body: Value) -> Result<ListQuery, Error> {
    let schemas = Schemas::builtin();
    ListQuery::parse_search(body, &[schemas.of(ResourceKind::User)])
}

#[track_caller]
fn check(query: &str, start: usize, count: usize) {
    let read = parse(query).unwrap();
    assert_eq!((read.start, read.count), (Start::Index(start), count), "{query}");
}

#[track_caller]
fn check_cursor(query: &str, cursor: Option<&str>, count: usize) {
    let read = parse(query).unwrap();
    assert_eq!((read.start, read.count), (Start::Cursor(cursor.map(str::to_owned)), count));
}

#[track_caller]
fn check_error(read: Result<ListQuery, Error>, scim_type: ScimType, expected: &str) {
    let error = read.unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{}", error.detail);
    assert!(error.detail.contains(expected), "{}", error.detail);
}

#[test]
fn pages_stay_within_bounds() {
    check("", 1, 100);
    check("startIndex=&count=", 1, 100);
    check("startindex=7&COUNT=20", 7, 20);
    check("startIndex=0&count=0", 1, 0);
    check("startIndex=-5&count=-1", 1, 0);
    check("startIndex=+3&count=5000", 3, 1000);
    check("startIndex=99999999999999999999999&count=99999999999999999999999", LARGEST, 1000);
    check("count=1&count=2", 1, 2);
}

#[test]
fn a_page_is_a_number() {
    for wrong in ["one", "1.5", "1e3", "-", "0x10", "1 2"] {
        for name in ["startIndex", "count"] {
            let expected = format!("`{name}` is not a whole number");
            check_error(parse(&format!("{name}={wrong}")), ScimType::InvalidValue, &expected);
        }
    }
}

#[test]
fn a_cursor_takes_the_place_of_an_index() {
    check_cursor("cursor", None, 100);
    check_cursor("cursor=&count=5", None, 5);
    check_cursor("CURSOR=abc&count=-1", Some("abc"), 0);
    check_cursor("cursor=abc&count=1000", Some("abc"), 1000);
    check_error(parse("cursor=&count=1001"), ScimType::InvalidCount, "between 0 and 1000");
    check_error(parse("cursor=&count=ten"), ScimType::InvalidCount, "not a whole number");
    check_error(parse("cursor=&startIndex=1"), ScimType::InvalidValue, "not both");
}

#[test]
fn filters_and_orders_are_held_against_the_type() {
    let query = parse("FILTER=userName pr&sortBy=NAME.familyname").unwrap();
    assert_eq!(query.filter.unwrap().to_string(), "userName pr");
    assert_eq!(query.sort.unwrap().to_string(), "name.familyName ascending");
    check_error(parse("filter=colour pr"), ScimType::InvalidFilter, "not an attribute of a User");
    check_error(parse("filter=userName"), ScimType::InvalidFilter, "byte 8");
    check_error(parse("sortBy=colour"), ScimType::InvalidPath, "not an attribute of a User");
}

#[test]
fn of_several_types_one_must_know_an_attribute() {
    let both = |query: &str| parse_for(query, &ResourceKind::ALL);
    for good in ["filter=userName pr or members pr", "sortBy=nickName", "filter=displayName pr"] {
        assert!(both(good).is_ok(), "{good}");
    }
    check_error(both("filter=colour pr"), ScimType::InvalidFilter, "of a User or Group");
    check_error(both("filter=active gt true"), ScimType::InvalidFilter, "does not work");
    check_error(both("sortBy=colour"), ScimType::InvalidPath, "of a User or Group");
    check_error(both("sortBy=members.colour"), ScimType::InvalidPath, "of a User or Group");
    let query = both("attributes=userName").unwrap();
    let shown: Vec<_> = query.projections().map(|(kind, one)| (kind, one.is_asked())).collect();
    assert_eq!(shown, [(ResourceKind::User, true), (ResourceKind::Group, true)]);
}

#[test]
fn what_is_unknown_is_left_alone() {
    let query = parse("aadOptscim062020&page=7&sortOrder=Sideways&attributes=id,colour").unwrap();
    assert!(query.sort.is_none() && query.filter.is_none());
    let shown: Vec<_> = query.projections().map(|(kind, one)| (kind, one.is_asked())).collect();
    assert_eq!(shown, [(ResourceKind::User, true)]);
}

#[test]
fn a_search_asks_what_a_query_asks() {
    let body = json!({
        "schemas": [SEARCH_URN], "Filter": "userName sw \"a\"", "sortBy": "userName",
        "sortOrder": "descending", "startIndex": 3, "count": 7, "attributes": ["userName", "name"],
        "excludedAttributes": null, "future": {},
    });
    let query = "filter=userName sw \"a\"&sortBy=userName&sortOrder=descending&startIndex=3&count=7\
         &attributes=userName,name";
    assert_eq!(search(body).unwrap(), parse(query).unwrap());
    let cursor = json!({ "schemas": [SEARCH_URN], "cursor": "", "count": 5 });
    assert_eq!(search(cursor).unwrap(), parse("cursor&count=5").unwrap());
    assert_eq!(search(json!({ "schemas": [SEARCH_URN] })).unwrap(), parse("").unwrap());
    let negative = search(json!({ "schemas": [SEARCH_URN], "startIndex": -1, "count": -1 }));
    assert_eq!(negative.unwrap(), parse("startIndex=-1&count=-1").unwrap());
}

#[test]
fn a_search_has_the_types_of_rfc_7644_section_3_4_3() {
    for (name, wrong) in [
        ("filter", json!(7)),
        ("sortBy", json!(["userName"])),
        ("sortOrder", json!(true)),
        ("cursor", json!(1)),
        ("attributes", json!("userName")),
        ("attributes", json!([1])),
        ("excludedAttributes", json!({})),
        ("schemas", json!(SEARCH_URN)),
    ] {
        check_error(search(json!({ name: wrong })), ScimType::InvalidSyntax, name);
    }
    for wrong in [json!("1"), json!(1.5), json!(true), json!([1])] {
        check_error(search(json!({ "count": wrong })), ScimType::InvalidValue, "`count`");
        check_error(search(json!({ "startIndex": wrong })), ScimType::InvalidValue, "`startIndex`");
        check_error(search(json!({ "cursor": "", "count": wrong })), ScimType::InvalidCount, "");
    }
    check_error(search(json!([])), ScimType::InvalidSyntax, "a JSON object");
    let other = json!({ "schemas": [LIST_URN] });
    check_error(search(other), ScimType::InvalidSyntax, "`schemas` of a search");
}

#[test]
fn what_is_tolerated_is_noted() {
    let quirks = |query: Result<ListQuery, Error>| query.unwrap().quirks.kinds();
    assert_eq!(quirks(search(json!({}))), [Quirk::MissingSchemas]);
    assert_eq!(quirks(search(json!({ "schemas": [SEARCH_URN] }))), []);
    assert_eq!(quirks(parse("filter=active eq \"True\"")), [Quirk::StringBoolean]);
    assert_eq!(quirks(parse("filter=manager eq \"m\"")), [Quirk::UnqualifiedName]);
    assert_eq!(quirks(parse("sortBy=department")), [Quirk::UnqualifiedName]);
    let named = format!("sortBy={ENTERPRISE_URN}:department");
    assert_eq!(quirks(parse(&named)), []);
    let compared = parse("filter=emails[type eq \"work\"].value eq \"a\"");
    assert_eq!(quirks(compared), [Quirk::ComparedValuePath]);
    assert_eq!(quirks(parse("filter=emails[type eq \"work\"] and active eq true")), []);
}
