//! What is kept can be served and put back, and nothing has changed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use scim_relay_sdk::scim::{ENTERPRISE_URN, USER_URN, normalize};
use scim_relay_sdk::testing::laws;
use serde_json::{Map, Value, json};

use crate::{generate, groups, users};

/// A value that fits somewhere, or nowhere.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => generate::word().prop_map(Value::from),
        1 => select(vec!["True", "False", "", " ", "2026-11-22T08:30:00Z", "AAAA", "\u{e5}\u{30a}"])
            .prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => Just(Value::Null),
        2 => vec(generate::entry(), 0..4).prop_map(Value::from),
        1 => generate::entry(),
        1 => generate::word().prop_map(|word| json!({ "familyName": word, "FORMATTED": word })),
        1 => generate::word().prop_map(|word| json!({ "department": word, "manager": word })),
    ]
}

/// A body of the names that providers send, in their cases and forms.
fn body() -> impl Strategy<Value = Value> {
    let key = select(vec![
        "externalId",
        "name",
        "NAME.givenName",
        "displayName",
        "title",
        "active",
        "emails",
        "phoneNumbers",
        "addresses",
        "roles",
        "roles.value",
        "x509Certificates",
        "photos",
        "groups",
        "id",
        "meta",
        "members",
        "colour",
        ENTERPRISE_URN,
        USER_URN,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        "schemas",
        "urn:scim-relay:params:scim:schemas:extension:building:2.0:User",
        "password",
    ]);
    let some = prop_oneof![3 => generate::word().prop_map(Value::from), 1 => value()];
    (vec((key, value()), 0..6), some).prop_map(|(pairs, name)| {
        let mut body: Map<String, Value> =
            pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        body.insert("userName".to_owned(), name.clone());
        body.entry("displayName").or_insert(name);
        Value::Object(body)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn what_is_served_and_put_back_changes_nothing(body in body()) {
        laws::a_body_is_kept_as_it_is_served(body.to_string().as_bytes());
    }
}

/// The generator is good for something: most bodies are kept.
#[test]
fn many_of_these_bodies_are_kept() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let kept = |_| {
        let body = body().new_tree(&mut runner).expect("a body").current();
        usize::from(normalize(body.clone(), &users()).is_ok() || normalize(body, &groups()).is_ok())
    };
    let kept: usize = (0..200).map(kept).sum();
    assert!(kept >= 60, "{kept} of 200");
}
