//! People, filters and paths that mean something to the builtin schemas, with few enough values
//! that they often meet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use scim_relay_sdk::scim::{AttrPath, Attributes, CompareOp, ENTERPRISE_URN, Filter, USER_URN};
use serde_json::{Value, json};

pub(crate) const OPERATORS: [CompareOp; 9] = [
    CompareOp::Eq,
    CompareOp::Ne,
    CompareOp::Co,
    CompareOp::Sw,
    CompareOp::Ew,
    CompareOp::Gt,
    CompareOp::Ge,
    CompareOp::Lt,
    CompareOp::Le,
];

/// A short word, now and then in capitals.
pub(crate) fn word() -> impl Strategy<Value = String> {
    select(vec!["ada", "ADA", "adam", "bo", "da", "a", "work", "home"]).prop_map(str::to_owned)
}

pub(crate) fn instant() -> impl Strategy<Value = &'static str> {
    select(vec![
        "2026-11-22T08:30:00Z",
        "2026-11-22T09:30:00+01:00",
        "2026-11-22T08:30:00.5Z",
        "2027-01-01T00:00:00Z",
    ])
}

/// An e-mail address, a telephone number: whatever has a value and a type.
pub(crate) fn entry() -> impl Strategy<Value = Value> {
    let kind = option::of(select(vec!["work", "home"]));
    (word(), option::of(word()), kind, option::of(any::<bool>())).prop_map(
        |(value, display, kind, primary)| {
            let entry =
                json!({ "value": value, "display": display, "type": kind, "primary": primary });
            without_nulls(entry)
        },
    )
}

/// The attributes of a person, as they are kept.
pub(crate) fn person() -> impl Strategy<Value = Attributes> {
    let name = (option::of(word()), option::of(word()));
    (
        word(),
        option::of(word()),
        option::of(any::<bool>()),
        option::of(word()),
        name,
        vec(entry(), 0..4),
        option::of(word()),
    )
        .prop_map(
            |(user_name, external_id, active, title, (family, given), emails, department)| {
                let person = json!({
                    "externalId": external_id, "userName": user_name,
                    "name": { "familyName": family, "givenName": given },
                    "title": title, "active": active, "emails": emails,
                    ENTERPRISE_URN: { "department": department },
                });
                let ty = crate::users();
                scim_relay_sdk::scim::normalize(without_nulls(person), &ty)
                    .expect("a person is one")
                    .attributes
            },
        )
}

/// What says nothing is left out.
pub(crate) fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(attributes) = &mut value {
        for inner in attributes.values_mut() {
            *inner = without_nulls(inner.take());
        }
        attributes.retain(|_, inner| !inner.is_null());
    }
    value
}

/// What an attribute that is filtered by may be compared with.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Truth,
    Instant,
}

fn path(text: &str) -> AttrPath {
    AttrPath::parse(text, None).expect("a path is one")
}

/// A comparison that the schema allows.
fn comparison(of: &'static [(&'static str, Kind)]) -> impl Strategy<Value = Filter> {
    (select(of), select(&OPERATORS[..]), word(), any::<bool>(), instant(), 0..12_u8).prop_map(
        |((name, kind), op, word, truth, instant, rare)| {
            let path = path(name);
            let value = match (rare, kind) {
                (0, _) => return Filter::Present(path),
                (1, _) => Value::Null,
                (_, Kind::Text) => word.into(),
                (_, Kind::Truth) => truth.into(),
                (_, Kind::Instant) => instant.into(),
            };
            let searches = matches!(op, CompareOp::Co | CompareOp::Sw | CompareOp::Ew);
            let fits = match (&value, kind) {
                (Value::Null, _) | (_, Kind::Truth) => {
                    matches!(op, CompareOp::Eq | CompareOp::Ne)
                }
                (_, Kind::Instant) => !searches,
                (_, Kind::Text) => true,
            };
            let op = if fits { op } else { CompareOp::Eq };
            Filter::Compare { path, op, value }
        },
    )
}

/// `leaf`s joined by `and`, `or` and `not`.
fn logic(leaf: impl Strategy<Value = Filter> + 'static) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Filter::And),
            several.prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

/// A filter of the entries of `emails`.
pub(crate) fn entry_filter() -> impl Strategy<Value = Filter> {
    logic(comparison(&[
        ("value", Kind::Text),
        ("type", Kind::Text),
        ("display", Kind::Text),
        ("primary", Kind::Truth),
    ]))
}

/// A filter of people that the schema allows.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    const ENTERPRISE: &str =
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    const QUALIFIED: &str = "urn:ietf:params:scim:schemas:core:2.0:User:userName";
    assert!(ENTERPRISE.starts_with(ENTERPRISE_URN) && QUALIFIED.starts_with(USER_URN));
    let plain = comparison(&[
        ("userName", Kind::Text),
        ("USERNAME", Kind::Text),
        (QUALIFIED, Kind::Text),
        ("externalId", Kind::Text),
        ("title", Kind::Text),
        ("active", Kind::Truth),
        ("name.familyName", Kind::Text),
        ("emails", Kind::Text),
        ("emails.type", Kind::Text),
        ("emails.primary", Kind::Truth),
        ("meta.created", Kind::Instant),
        (ENTERPRISE, Kind::Text),
    ]);
    let selected = entry_filter()
        .prop_map(|filter| Filter::ValuePath { path: path("emails"), filter: Box::new(filter) });
    logic(prop_oneof![4 => plain, 1 => selected])
}
