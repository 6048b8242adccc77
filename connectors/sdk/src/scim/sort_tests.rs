//! The order of values, by what the schema says of them.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::scim::{ENTERPRISE_URN, ResourceKind, Schema, Schemas, USER_URN};

const URN: &str = "urn:x:1.0:User";

/// The builtin types, and a user extension with one attribute of each kind that they lack.
fn schemas() -> Schemas {
    let attribute = |name, kind| Attribute::new(name, kind, "");
    let schema = Schema {
        id: URN.to_owned(),
        name: "X".to_owned(),
        description: String::new(),
        attributes: vec![
            attribute("size", AttributeType::Integer),
            attribute("weight", AttributeType::Decimal),
            attribute("born", AttributeType::DateTime),
            attribute("marks", AttributeType::Integer).multi_valued(),
            attribute("secret", AttributeType::String).returned(Returned::Never),
        ],
    };
    Schemas::with([(ResourceKind::User, schema)])
}

fn parse(by: &str, order: Option<&str>) -> Result<SortBy, Error> {
    let schemas = schemas();
    SortBy::parse(by, order, &ResourceKind::ALL.map(|kind| schemas.of(kind)))
}

/// The users in the order in which they are listed, by their names.
fn sorted(by: &str, order: Option<&str>, users: &Value) -> String {
    let (schemas, sort) = (schemas(), parse(by, order).unwrap());
    let ty = schemas.of(ResourceKind::User);
    let mut users: Vec<_> = users.as_array().unwrap().iter().filter_map(Value::as_object).collect();
    users.sort_by(|one, other| sort.compare(&sort.key(one, ty), &sort.key(other, ty)));
    let names = users.iter().filter_map(|user| user["userName"].as_str());
    names.collect::<Vec<_>>().join(" ")
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
fn check(by: &str, users: Value, ascending: &str, descending: &str) {
    assert_eq!(sorted(by, None, &users), ascending, "{by}");
    assert_eq!(sorted(by, Some("Descending"), &users), descending, "{by}");
}

/// Users with this attribute of the extension, named by their places.
fn with(name: &str, values: &[Value]) -> Value {
    let user = |(index, value): (usize, &Value)| json!({ "userName": index.to_string(), URN: { name: value } });
    values.iter().enumerate().map(user).collect()
}

#[test]
fn text_ignores_case_unless_it_is_exact() {
    let users = || {
        json!([
            { "userName": "b", "externalId": "b" }, { "userName": "A", "externalId": "C" },
            { "userName": "Å", "externalId": "a" }, { "userName": "C", "externalId": "B" },
        ])
    };
    check("userName", users(), "A b C Å", "Å C b A");
    check("externalId", users(), "C A Å b", "b Å A C");
    check(&format!("{USER_URN}:USERNAME"), users(), "A b C Å", "Å C b A");
}

#[test]
fn what_has_no_value_is_last_ascending_and_first_descending() {
    let users = json!([
        { "userName": "0" }, { "userName": "1", "title": "b" }, { "userName": "2", "title": "" },
        { "userName": "3", "title": "a" }, { "userName": "4", "title": null },
    ]);
    check("title", users, "3 1 0 2 4", "0 2 4 1 3");
}

#[test]
fn equals_keep_the_order_of_creation() {
    let user = |name: &str, title: &str| json!({ "userName": name, "title": title });
    let users = json!([user("0", "b"), user("1", "a"), user("2", "B"), user("3", "A")]);
    check("title", users, "1 3 0 2", "0 2 1 3");
}

#[test]
fn of_several_values_the_primary_one_counts_else_the_first() {
    let users = json!([
        { "userName": "0", "emails": [{ "value": "d" }, { "value": "b", "primary": true }] },
        { "userName": "1", "emails": [{ "value": "c", "primary": false }, { "value": "a" }] },
        { "userName": "2", "emails": [{ "value": "A", "type": "work" }] },
        { "userName": "3", "emails": [] },
    ]);
    check("emails", users.clone(), "2 0 1 3", "3 1 0 2");
    check("emails.value", users.clone(), "2 0 1 3", "3 1 0 2");
    check("emails.type", users, "2 0 1 3", "0 1 3 2");
    check(
        &format!("{URN}:marks"),
        with("marks", &[json!([9, 1]), json!([2]), json!([])]),
        "1 0 2",
        "2 0 1",
    );
}

#[test]
fn parts_and_extensions_are_named_by_paths() {
    let user = |name: &str, family: &str, manager: &str| {
        json!({
            "userName": name, "name": { "familyName": family },
            ENTERPRISE_URN: { "manager": { "value": manager } },
        })
    };
    let users = json!([user("0", "b", "x"), user("1", "a", "y")]);
    check("name.familyName", users.clone(), "1 0", "0 1");
    check(&format!("{ENTERPRISE_URN}:manager"), users, "0 1", "1 0");
}

#[test]
fn numbers_booleans_and_dates_have_their_own_order() {
    let path = |name: &str| format!("{URN}:{name}");
    check(&path("size"), with("size", &[json!(10), json!(-9), json!(9)]), "1 2 0", "0 2 1");
    let weights = [json!(1.5), json!(-2), json!(-0.0), json!(0), json!(1e9)];
    check(&path("weight"), with("weight", &weights), "1 2 3 0 4", "4 0 2 3 1");
    let born = ["2026-01-01T00:00:00+02:00", "2025-12-31T23:00:00Z", "2025-12-31T21:59:59.9Z"];
    check(&path("born"), with("born", &born.map(Value::from)), "2 0 1", "1 0 2");
    let users = json!([{ "userName": "0", "active": true }, { "userName": "1", "active": false }]);
    check("active", users, "1 0", "0 1");
}

#[test]
fn a_type_without_the_attribute_has_no_value() {
    let (schemas, sort) = (schemas(), parse("userName", None).unwrap());
    let Value::Object(group) = json!({ "userName": "a" }) else { unreachable!() };
    assert_eq!(sort.key(&group, schemas.of(ResourceKind::Group)), SortKey::Missing);
}

#[test]
fn what_has_no_order_is_refused() {
    for (by, expected) in [
        ("colour", "`colour` is not an attribute of a User or Group"),
        ("name.colour", "`name.colour` is not an attribute"),
        ("user name", "is not an attribute path"),
        ("name", "`name` is complex"),
        ("meta", "`meta` is complex"),
        ("addresses", "`addresses` is complex"),
        (ENTERPRISE_URN, "is complex"),
        ("password", "nothing can be sorted by `password`"),
        ("urn:x:1.0:User:secret", "nothing can be sorted by"),
    ] {
        let error = parse(by, None).unwrap_err();
        assert_eq!(
            (error.status, error.scim_type),
            (400, Some(crate::scim::ScimType::InvalidPath))
        );
        assert!(error.detail.contains(expected), "{by}: {}", error.detail);
    }
    let error = parse("userName", Some("sideways")).unwrap_err();
    assert!(error.detail.contains("not `sideways`"), "{}", error.detail);
}

#[test]
fn an_order_is_written_as_one_text() {
    assert_eq!(parse("EMAILS", None).unwrap().to_string(), "emails.value ascending");
    let family = parse("name.FamilyName", Some("DESCENDING")).unwrap();
    assert_eq!(family.to_string(), "name.familyName descending");
}

proptest! {
    #[test]
    fn decimals_have_the_order_of_numbers(one in any::<f64>(), other in any::<f64>()) {
        prop_assume!(one.is_finite() && other.is_finite());
        prop_assert_eq!(ordered(one).cmp(&ordered(other)), one.partial_cmp(&other).unwrap());
    }

    #[test]
    fn a_key_is_the_same_after_it_was_written(text in any::<String>(), number in any::<f64>(), second in any::<i64>()) {
        for key in [
            SortKey::Text(text.clone()), SortKey::Decimal(ordered(number)), SortKey::Missing,
            SortKey::Integer(second), SortKey::Instant(i128::from(second) * 1_000_000_007),
            SortKey::Boolean(true),
        ] {
            let written = serde_json::to_vec(&key).unwrap();
            prop_assert_eq!(serde_json::from_slice::<SortKey>(&written).unwrap(), key);
        }
    }

    #[test]
    fn nothing_that_is_stored_breaks_the_order(value in "[a-z]{0,3}", depth in 0..3_usize) {
        let shapes = [json!(value), json!([value]), json!([{ "value": value, "primary": 1 }]), json!(7)];
        let mut user = Map::new();
        for name in ["userName", "emails", "name", "active", "meta"] {
            user.insert(name.to_owned(), shapes[depth].clone());
        }
        let schemas = schemas();
        for by in ["userName", "emails", "name.familyName", "active", "meta.created"] {
            parse(by, None).unwrap().key(&user, schemas.of(ResourceKind::User));
        }
    }
}
