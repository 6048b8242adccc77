//! A projection shows what was asked for and what is always shown, and never more.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scim_relay_sdk::scim::{ENTERPRISE_URN, Projection, USER_URN};
use serde_json::{Value, json};

use crate::{generate, users};

/// Names of attributes, each with what it selects: an attribute and perhaps a sub-attribute.
const NAMES: [(&str, &str, Option<&str>); 12] = [
    ("userName", "userName", None),
    ("TITLE", "title", None),
    ("name", "name", None),
    ("name.familyName", "name", Some("familyName")),
    ("emails", "emails", None),
    ("emails.VALUE", "emails", Some("value")),
    ("emails.type", "emails", Some("type")),
    ("urn:ietf:params:scim:schemas:core:2.0:User:active", "active", None),
    (ENTERPRISE_URN, ENTERPRISE_URN, None),
    (
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        ENTERPRISE_URN,
        Some("department"),
    ),
    ("password", "", None),
    ("colour", "", None),
];

type Asked = Vec<(&'static str, &'static str, Option<&'static str>)>;

fn asked() -> impl Strategy<Value = Asked> {
    vec(select(&NAMES[..]), 0..5)
}

fn joined(asked: &Asked) -> String {
    asked.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(",")
}

/// Each simple value of a resource, with the attribute and the sub-attribute it is at.
fn leaves(resource: &Value) -> Vec<(String, Option<String>, Value)> {
    let mut leaves = Vec::new();
    for (name, value) in resource.as_object().expect("an object") {
        let entries = match value {
            Value::Array(entries) => entries.clone(),
            single => vec![single.clone()],
        };
        for entry in entries {
            match entry {
                Value::Object(subs) => leaves
                    .extend(subs.into_iter().map(|(sub, value)| (name.clone(), Some(sub), value))),
                simple => leaves.push((name.clone(), None, simple)),
            }
        }
    }
    leaves
}

fn names(asked: &Asked, attribute: &str, sub: Option<&str>) -> bool {
    asked.iter().any(|(_, name, part)| *name == attribute && (part.is_none() || *part == sub))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn exactly_what_is_asked_for_is_shown(
        person in generate::person(), only in asked(), without in asked(),
    ) {
        let mut whole = person;
        whole.insert("id".into(), "1".into());
        whole.insert("schemas".into(), json!([USER_URN]));
        whole.insert("password".into(), "secret".into());
        let whole = Value::Object(whole);
        let projection =
            Projection::parse(Some(&joined(&only)), Some(&joined(&without)), &users()).expect("one");
        let mut shown = whole.as_object().cloned().expect("an object");
        projection.apply(&mut shown, &users());

        let always = |name: &str| matches!(name, "id" | "schemas");
        let expected: Vec<_> = leaves(&whole)
            .into_iter()
            .filter(|(name, sub, _)| {
                let sub = sub.as_deref();
                name != "password"
                    && (always(name)
                        || (only.is_empty() || names(&only, name, sub)) && !names(&without, name, sub))
            })
            .collect();
        prop_assert_eq!(leaves(&Value::Object(shown)), expected, "{:?} {:?}", only, without);
    }
}
