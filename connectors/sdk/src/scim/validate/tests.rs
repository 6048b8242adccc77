//! What becomes of a body, attribute by attribute.

#![expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]

use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::scim::schema::Schemas;
use crate::scim::{ENTERPRISE_URN, GROUP_URN, ScimType, USER_URN};

fn read(kind: ResourceKind, body: Value) -> Result<Normalized, Error> {
    normalize(body, Schemas::builtin().of(kind))
}

/// A user with `more` beside the name, and what is kept of it.
#[track_caller]
fn check(more: Value, expected: Value) -> Vec<Quirk> {
    let mut body = json!({ "schemas": [USER_URN], "userName": "ada" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let normalized = read(ResourceKind::User, body).unwrap();
    let mut kept = Value::Object(normalized.attributes);
    assert_eq!(kept.as_object_mut().unwrap().remove("userName"), Some(json!("ada")));
    assert_eq!(kept, expected);
    normalized.quirks.kinds()
}

#[track_caller]
fn check_error(more: Value, expected: &str) {
    let mut body = json!({ "userName": "ada" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let error = read(ResourceKind::User, body).unwrap_err();
    assert_eq!(error.status, 400);
    assert!(error.detail.contains(expected), "{}", error.detail);
}

#[test]
fn names_become_canonical() {
    let quirks = check(
        json!({ "NAME": { "givenname": "Ada" }, "Emails": [{ "VALUE": "a@x", "Type": "work" }] }),
        json!({ "name": { "givenName": "Ada" }, "emails": [{ "value": "a@x", "type": "work" }] }),
    );
    assert_eq!(quirks, []);
}

#[test]
fn one_attribute_is_given_once() {
    check_error(json!({ "title": "a", "TITLE": "b" }), "`title` is given twice");
    check_error(json!({ "USERNAME": "eve" }), "`userName` is given twice");
    check_error(json!({ "name": { "givenName": "a", "GivenName": "b" } }), "given twice");
}

#[test]
fn entra_says_booleans_in_text() {
    let quirks = check(json!({ "active": "False" }), json!({ "active": false }));
    assert_eq!(quirks, [Quirk::StringBoolean]);
    check_error(json!({ "active": "perhaps" }), "`active` is not a boolean: \"perhaps\"");
    check_error(json!({ "active": 1 }), "`active` is not a boolean");
}

#[test]
fn nothing_said_is_nothing_kept() {
    let quirks = check(
        json!({
            "title": null, "emails": [], "roles": [null, {}], "name": {}, "ims": [{ "type": "x" }],
            "phoneNumbers": [{ "value": null, "type": "work" }, { "value": "" }],
            "externalId": " ", "password": "", ENTERPRISE_URN: { "manager": "" },
        }),
        json!({}),
    );
    assert_eq!(quirks, [Quirk::EmptyValue, Quirk::BareManager]);
}

#[test]
fn what_a_client_may_not_write_is_ignored() {
    let quirks = check(
        json!({ "id": "1", "meta": { "version": "x" }, "groups": [], "isAdmin": true,
                "urn:okta:custom:1.0": { "a": 1 }, "schemas": ["urn:okta:custom:1.0"] }),
        json!({}),
    );
    assert_eq!(quirks, [Quirk::UnknownAttribute, Quirk::UnknownSchema, Quirk::MissingSchemas]);
}

#[test]
fn keys_may_be_paths() {
    let quirks = check(
        json!({
            "name.givenName": "Ada", "name": { "familyName": "L" },
            format!("{ENTERPRISE_URN}:department"): "Skole",
            format!("{USER_URN}:title"): "Dr",
        }),
        json!({
            "name": { "givenName": "Ada", "familyName": "L" }, "title": "Dr",
            ENTERPRISE_URN: { "department": "Skole" },
        }),
    );
    assert_eq!(quirks, [Quirk::DottedKey, Quirk::UnlistedSchema]);
}

#[test]
fn a_manager_may_be_a_bare_id() {
    let quirks = check(
        json!({ ENTERPRISE_URN.to_uppercase(): { "manager": "m-1" } }),
        json!({ ENTERPRISE_URN: { "manager": { "value": "m-1" } } }),
    );
    assert_eq!(quirks, [Quirk::BareManager, Quirk::UnlistedSchema]);
    check(
        json!({ ENTERPRISE_URN: { "manager": { "value": "m", "displayName": "M" } } }),
        json!({ ENTERPRISE_URN: { "manager": { "value": "m" } } }),
    );
}

#[test]
fn lists_hold_each_value_once_and_one_primary() {
    let quirks = check(
        json!({ "emails": [
            { "value": "a", "primary": true }, { "primary": true, "value": "a" },
            { "value": "b", "primary": "True" },
        ] }),
        json!({ "emails": [
            { "value": "a", "primary": true }, { "value": "b", "primary": false },
        ] }),
    );
    assert_eq!(quirks, [Quirk::StringBoolean, Quirk::ManyPrimaries]);
    let quirks = check(json!({ "roles": "admin" }), json!({ "roles": [{ "value": "admin" }] }));
    assert_eq!(quirks, [Quirk::SingleValue, Quirk::BareValue]);
}

#[test]
fn values_of_the_wrong_type_are_refused_by_name() {
    check_error(json!({ "externalId": 1 }), "`externalId` is not a string: 1");
    check_error(json!({ "externalId": {} }), "`externalId` is not a string");
    check_error(json!({ "externalId": [] }), "`externalId` is not a string");
    check_error(json!({ "name": "Ada" }), "`name` is not an object");
    check_error(json!({ "name": { "givenName": ["A"] } }), "`name.givenName` is not a string");
    check_error(json!({ "emails": [{ "value": 5 }] }), "`emails.value` is not a string");
    check_error(json!({ "emails": [[]] }), "`emails` is not an object");
    check_error(json!({ "x509Certificates": [{ "value": "a b" }] }), "is not base64");
    check_error(json!({ ENTERPRISE_URN: "x" }), "is not an object");
    check_error(json!({ "schemas": "x" }), "`schemas` is not a list");
    check_error(json!({ "password": 1 }), "`password` is not a string");
}

#[test]
fn size_is_limited() {
    check_error(json!({ "title": "x".repeat(70_000) }), "longer than 65536 bytes");
    let many: Vec<_> = (0..1001).map(|n| json!({ "value": n.to_string() })).collect();
    check_error(json!({ "emails": many }), "more than 1000 values");
}

#[test]
fn line_breaks_stay_out_of_names_and_addresses() {
    check_error(json!({ "displayName": "a\nBcc: b" }), "`displayName` contains a line break");
    check_error(json!({ "externalId": "a\0" }), "`externalId` contains");
    check_error(json!({ "displayName": "a\u{1b}[2J" }), "`displayName` contains");
    check_error(json!({ "emails": [{ "value": "a\r\n" }] }), "`emails.value` contains");
    check(json!({ "name": { "formatted": "a\nb" } }), json!({ "name": { "formatted": "a\nb" } }));
}

#[test]
fn a_user_name_can_be_seen_and_reads_one_way() {
    for hidden in ["a\u{200b}da", "\u{202e}ada", "ada\u{2066}", "a\u{ad}da", "\u{feff}ada"] {
        let error = read(ResourceKind::User, json!({ "userName": hidden })).unwrap_err();
        assert_eq!(error.detail, "`userName` contains a character that cannot be seen");
    }
    for inert in ["../../x", "cn=admin,dc=x", "*)(uid=*", "{{ 7 }}", "آدا", "阿达", "ada "] {
        let user = read(ResourceKind::User, json!({ "userName": inert })).unwrap();
        assert_eq!(user.attributes["userName"], inert);
    }
    // In a name for people they are kept, where some scripts need them.
    let joined = json!({ "displayName": "نام\u{200c}ها" });
    check(joined.clone(), joined);
}

#[test]
fn required_attributes_are_there_and_not_blank() {
    for name in [json!(null), json!(""), json!("  ")] {
        let error = read(ResourceKind::User, json!({ "userName": name })).unwrap_err();
        assert_eq!(error.scim_type, Some(ScimType::InvalidValue));
        assert!(error.detail.contains("`userName` is required"), "{}", error.detail);
    }
    let error = read(ResourceKind::Group, json!({ "members": [] })).unwrap_err();
    assert!(error.detail.contains("`displayName` is required"), "{}", error.detail);
    assert!(read(ResourceKind::User, json!([])).is_err());
}

#[test]
fn a_declared_extension_is_held_to_its_own_rules() {
    let urn = "urn:lillevik:school:2.0:User";
    let schema = Schema {
        id: urn.to_owned(),
        name: "School".to_owned(),
        description: String::new(),
        attributes: vec![
            Attribute::new("class", AttributeType::String, "").required(),
            Attribute::new("grade", AttributeType::Integer, ""),
            Attribute::new("since", AttributeType::DateTime, ""),
            Attribute::new("marks", AttributeType::Decimal, "").multi_valued(),
        ],
    };
    let schemas = Schemas::with([(ResourceKind::User, schema)]);
    let read = |own: Value| {
        normalize(json!({ "userName": "a", urn: own }), schemas.of(ResourceKind::User))
    };
    let own =
        json!({ "class": "1a", "grade": 3, "since": "2026-08-01T08:00:00Z", "marks": [1, 2.5] });
    assert_eq!(read(own.clone()).unwrap().attributes[urn], own);
    for (own, expected) in [
        (json!({ "grade": 3 }), "urn:lillevik:school:2.0:User:class` is required"),
        (json!({ "class": "a", "grade": "3.5" }), "grade` is not an integer"),
        (json!({ "class": "a", "grade": "" }), "grade` is not an integer"),
        (json!({ "class": "a", "grade": 3.5 }), "grade` is not an integer"),
        (json!({ "class": "a", "since": "today" }), "since` is not a date"),
        (json!({ "class": "a", "since": "2026-08-01" }), "since` is not a date"),
    ] {
        let error = read(own).unwrap_err();
        assert!(error.detail.contains(expected), "{}", error.detail);
    }
}

#[test]
fn members_and_password_are_kept_apart() {
    let group = json!({
        "schemas": [GROUP_URN, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "displayName": "1a",
        "members": [
            { "value": "u1", "type": "user", "display": "U" }, { "VALUE": "u1" },
            { "value": "g1", "type": "Group" }, "u2",
        ],
    });
    let normalized = read(ResourceKind::Group, group).unwrap();
    assert_eq!(Value::Object(normalized.attributes), json!({ "displayName": "1a" }));
    let member = |value: &str, kind| MemberValue { value: value.to_owned(), kind };
    assert_eq!(
        normalized.members,
        Some(vec![
            member("u1", Some(ResourceKind::User)),
            member("g1", Some(ResourceKind::Group)),
            member("u2", None),
        ])
    );
    assert_eq!(normalized.quirks.kinds(), [Quirk::BareValue, Quirk::UnknownSchema]);

    for members in [json!([{}]), json!([{ "value": 1 }]), json!([{ "value": "" }]), json!([7])] {
        let body = json!({ "displayName": "1a", "members": members });
        assert!(read(ResourceKind::Group, body).is_err(), "{members}");
    }
    let user = read(ResourceKind::User, json!({ "userName": "a", "password": "s" })).unwrap();
    assert_eq!(user.password.as_ref().map(ExposeSecret::expose_secret), Some("s"));
    assert!(!user.attributes.contains_key("password"));
}

#[test]
fn one_state_has_one_text() {
    let left = json!({ "title": "t", "name": { "givenName": "g", "familyName": "f" },
                       "userName": "u", "externalId": "e" });
    let right = json!({ "externalId": "e", "userName": "u",
                        "name": { "familyName": "f", "givenName": "g" }, "title": "t" });
    let text =
        |body| serde_json::to_string(&read(ResourceKind::User, body).unwrap().attributes).unwrap();
    assert_eq!(text(left), text(right.clone()));
    let pieces = json!({ "userName": "u", "name.givenName": "g", "name": { "familyName": "f" },
                         "externalId": "e", "title": "t" });
    assert_eq!(text(pieces), text(right));
    assert_eq!(
        text(json!({ "userName": "u", "roles": ["r"], "roles.value": "r" })),
        text(json!({ "userName": "u", "roles": ["r"] })),
    );
}

/// JSON whose keys are now and then those of a user.
pub(in crate::scim) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\[\\] .:]{0,8}".prop_map(Value::from),
        proptest::sample::select(vec!["True", "work", "add", "m-1"]).prop_map(Value::from),
    ];
    let key = prop_oneof![
        1 => "[a-zA-Z.:\\[\\]$]{0,6}".prop_map(String::from),
        4 => proptest::sample::select(vec![
            "userName", "name", "name.givenName", "emails", "value", "type", "primary", "manager",
            "members", "password", "active", "id", "schemas", ENTERPRISE_URN, USER_URN, "displayName",
            "emails[type eq \"work\"].value", "members[value eq \"x\"]", "addresses", "externalId",
        ])
        .prop_map(String::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_breaks_the_reader_and_what_it_keeps_is_kept_again(body in any_json()) {
        for kind in ResourceKind::ALL {
            let mut body = body.clone();
            if let Some(body) = body.as_object_mut() {
                body.retain(|key, _| !matches!(key.as_str(), "userName" | "displayName"));
                body.insert("userName".into(), "ada".into());
                body.insert("displayName".into(), "Ada".into());
            }
            if let Ok(first) = read(kind, body) {
                let again = read(kind, Value::Object(first.attributes.clone())).unwrap();
                prop_assert_eq!(first.attributes, again.attributes);
            }
        }
    }
}
