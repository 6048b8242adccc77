//! PATCH: each rule of RFC 7644 section 3.5.2, and each habit of the providers.

#![expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]

use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::scim::schema::Schemas;
use crate::scim::validate::tests::any_json;
use crate::scim::{ENTERPRISE_URN, ResourceKind, ScimType, USER_URN};

fn ada() -> Attributes {
    let user = json!({
        "userName": "ada",
        "name": { "familyName": "L", "givenName": "Ada" },
        "active": true,
        "emails": [
            { "value": "a@work", "type": "work", "primary": true },
            { "value": "a@home", "type": "home" },
        ],
        ENTERPRISE_URN: { "department": "Skole", "manager": { "value": "m", "$ref": "../Users/m" } },
    });
    user.as_object().cloned().unwrap()
}

pub(super) fn apply(
    kind: ResourceKind,
    current: &Attributes,
    operations: &Value,
) -> Result<Patched, Error> {
    let body = json!({ "schemas": [PATCH_URN], "Operations": operations });
    PatchRequest::parse(body)?.apply(current, Schemas::builtin().of(kind))
}

/// Applies the operations to Ada and compares the attributes named in `expected`; null means
/// that the attribute is gone. All others must be as they were.
#[track_caller]
fn check(operations: Value, expected: Value) -> Vec<Quirk> {
    let patched = apply(ResourceKind::User, &ada(), &operations)
        .unwrap_or_else(|error| panic!("{operations}: {error}"));
    let mut wanted = ada();
    for (name, value) in expected.as_object().unwrap().clone() {
        if value.is_null() {
            wanted.remove(&name);
        } else {
            wanted.insert(name, value);
        }
    }
    assert_eq!(Value::Object(patched.attributes), Value::Object(wanted), "{operations}");
    assert_eq!((patched.member_ops, patched.password.is_some()), (vec![], false));
    patched.quirks.kinds()
}

#[track_caller]
fn check_error(operations: Value, scim_type: ScimType, expected: &str) {
    let error = apply(ResourceKind::User, &ada(), &operations).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{}", error.detail);
    assert!(error.detail.contains(expected), "{}", error.detail);
}

#[test]
fn simple_attributes_are_set_and_removed() {
    check(json!([{ "op": "add", "path": "title", "value": "Dr" }]), json!({ "title": "Dr" }));
    check(
        json!([{ "op": "replace", "path": "ACTIVE", "value": false }]),
        json!({ "active": false }),
    );
    check(json!([{ "op": "remove", "path": "active" }]), json!({ "active": null }));
    check(json!([{ "op": "remove", "path": "title" }]), json!({}));
    check(json!([{ "op": "replace", "path": "active", "value": null }]), json!({ "active": null }));
}

/// A user with a thousand roles of a hundred kinds.
fn of_many_roles() -> Attributes {
    let roles: Vec<Value> = (0..1000)
        .map(|n| json!({ "value": format!("r{n}"), "type": format!("t{}", n % 100) }))
        .collect();
    json!({ "userName": "ada", "roles": roles }).as_object().cloned().unwrap()
}

#[test]
fn what_a_patch_may_ask_of_many_values_is_bounded() {
    let comparison = |n: usize| format!("value eq \"{n}\"");
    let filter = (0..500).map(comparison).collect::<Vec<_>>().join(" or ");
    let listed: Vec<Value> = (0..1000).map(|n| json!({ "display": n.to_string() })).collect();
    let short = json!({ "op": "remove", "path": "roles[value eq \"x\"]" });
    let write = json!({ "op": "replace", "path": "roles.display", "value": "x" });
    for operations in [
        json!([{ "op": "remove", "path": format!("roles[{filter}]") }]),
        json!([{ "op": "remove", "path": "roles", "value": listed }]),
        json!([{ "op": "add", "path": "roles", "value": listed }]),
        json!([{ "op": "replace", "path": "roles.display", "value": "x".repeat(5000) }]),
        vec![short; 1000].into(),
        vec![write; 1000].into(),
    ] {
        let refused = apply(ResourceKind::User, &of_many_roles(), &operations).unwrap_err();
        assert_eq!((refused.status, refused.scim_type), (413, None), "{}", refused.detail);
        assert!(refused.detail.contains("`roles`"), "{}", refused.detail);
    }
}

#[test]
fn many_values_may_be_changed_one_by_one_or_all_at_once() {
    let all = of_many_roles()["roles"].clone();
    let without: Vec<Value> = (0..1000).map(|n| json!({ "value": format!("R{n}") })).collect();
    let each = |op: &str| -> Value {
        let operation = |n: usize| json!({ "op": op, "path": format!("roles[value eq \"r{n}\"].display"), "value": "x" });
        (0..100).map(operation).collect()
    };
    for (operations, left) in [
        (json!([{ "op": "remove", "path": "roles", "value": without }]), 0),
        (json!([{ "op": "add", "path": "roles", "value": all }]), 1000),
        (
            json!([{ "op": "remove", "path": "roles" }, { "op": "add", "path": "roles", "value": all }]),
            1000,
        ),
        (each("replace"), 1000),
    ] {
        let patched = apply(ResourceKind::User, &of_many_roles(), &operations).unwrap();
        let roles = patched.attributes.get("roles").and_then(Value::as_array);
        assert_eq!(roles.map_or(0, Vec::len), left);
    }
}

#[test]
fn operations_are_written_in_any_case() {
    let quirks = check(
        json!([{ "OP": "Replace", "Path": "active", "VALUE": "False" }]),
        json!({ "active": false }),
    );
    assert_eq!(quirks, [Quirk::CapitalOp, Quirk::StringBoolean]);
    let request = PatchRequest::parse(json!({
        "operations": [{ "op": "remove", "path": "active" }]
    }));
    let patched = request.unwrap().apply(&ada(), Schemas::builtin().of(ResourceKind::User));
    assert_eq!(patched.unwrap().quirks.kinds(), [Quirk::MissingSchemas]);
}

#[test]
fn sub_attributes_leave_their_siblings_alone() {
    let name = json!({ "name": { "familyName": "L", "givenName": "Eva" } });
    check(json!([{ "op": "replace", "path": "name.givenName", "value": "Eva" }]), name.clone());
    check(json!([{ "op": "replace", "path": "name", "value": { "givenName": "Eva" } }]), name);
    let name = json!({ "name": { "familyName": "L" } });
    check(json!([{ "op": "remove", "path": "name.givenName" }]), name.clone());
    check(json!([{ "op": "replace", "path": "name", "value": { "givenName": null } }]), name);
    check(json!([{ "op": "remove", "path": "name" }]), json!({ "name": null }));
    check(
        json!([{ "op": "remove", "path": "name.givenName" }, { "op": "remove", "path": "name.familyName" }]),
        json!({ "name": null }),
    );
}

#[test]
fn without_a_path_each_key_is_one() {
    let quirks = check(
        json!([{ "op": "replace", "value": {
            "id": "x", "schemas": [USER_URN], "displayName": "A", "name.givenName": "Eva",
            format!("{ENTERPRISE_URN}:employeeNumber"): "7", "groups": [], "colour": "red",
            "emails[type eq \"home\"].value": "b@home", "urn:okta:x:1.0": {}, "active": "False",
        } }]),
        json!({
            "displayName": "A", "active": false, "name": { "familyName": "L", "givenName": "Eva" },
            "emails": [
                { "value": "a@work", "type": "work", "primary": true },
                { "value": "b@home", "type": "home" },
            ],
            ENTERPRISE_URN: {
                "department": "Skole", "employeeNumber": "7",
                "manager": { "value": "m", "$ref": "../Users/m" },
            },
        }),
    );
    assert_eq!(
        quirks,
        [
            Quirk::IdInValue,
            Quirk::DottedKey,
            Quirk::ReadOnlyInValue,
            Quirk::UnknownAttribute,
            Quirk::UnknownSchema,
            Quirk::StringBoolean,
        ]
    );
    check(
        json!([{ "op": "add", "value": { "name": { "middleName": "B" }, USER_URN: { "title": "t" } } }]),
        json!({ "title": "t", "name": { "familyName": "L", "givenName": "Ada", "middleName": "B" } }),
    );
}

#[test]
fn extensions_are_written_by_attribute_or_as_a_whole() {
    let manager = json!({ "value": "m", "$ref": "../Users/m" });
    check(
        json!([{ "op": "add", "path": ENTERPRISE_URN.to_lowercase(), "value": { "division": "D" } }]),
        json!({ ENTERPRISE_URN: { "department": "Skole", "division": "D", "manager": manager } }),
    );
    check(
        json!([{ "op": "replace", "value": { ENTERPRISE_URN: { "department": "Plan" } } }]),
        json!({ ENTERPRISE_URN: { "department": "Plan", "manager": manager } }),
    );
    check(json!([{ "op": "remove", "path": ENTERPRISE_URN }]), json!({ ENTERPRISE_URN: null }));
    check(
        json!([
            { "op": "remove", "path": format!("{ENTERPRISE_URN}:department") },
            { "op": "remove", "path": format!("{ENTERPRISE_URN}:manager") },
        ]),
        json!({ ENTERPRISE_URN: null }),
    );
    check(
        json!([{ "op": "replace", "path": format!("{USER_URN}:title"), "value": "t" }]),
        json!({ "title": "t" }),
    );
}

#[test]
fn a_manager_may_be_a_bare_id_and_nothing_removes_it() {
    let path = format!("{ENTERPRISE_URN}:manager");
    let rest = |manager: Value| {
        let mut own = json!({ "department": "Skole", "manager": manager });
        own.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        json!({ ENTERPRISE_URN: own })
    };
    for op in ["add", "replace"] {
        let quirks =
            check(json!([{ "op": op, "path": path, "value": "n" }]), rest(json!({ "value": "n" })));
        assert_eq!(quirks, [Quirk::BareManager]);
        check(
            json!([{ "op": op, "path": path, "value": { "value": "n" } }]),
            rest(json!({ "value": "n" })),
        );
        check(
            json!([{ "op": op, "path": format!("{path}.value"), "value": "n" }]),
            rest(json!({ "value": "n" })),
        );
        check(json!([{ "op": op, "path": path, "value": "m" }]), json!({}));
        for nothing in [json!(""), json!(null), json!({ "value": "" }), json!({ "value": null })] {
            check(json!([{ "op": op, "path": path, "value": nothing }]), rest(json!(null)));
        }
    }
}

#[test]
fn adding_what_is_there_changes_nothing() {
    check(json!([{ "op": "add", "path": "emails", "value": [{ "value": "a@work" }] }]), json!({}));
    check(
        json!([{ "op": "add", "path": "emails", "value": [{ "type": "home", "value": "a@home" }] }]),
        json!({}),
    );
    check(json!([{ "op": "add", "path": "userName", "value": "ada" }]), json!({}));
    check(json!([{ "op": "add", "path": "emails", "value": [] }]), json!({}));
}

#[test]
fn a_new_primary_clears_the_old_one() {
    let both = |work: bool, more: Value| {
        let mut emails = json!([
            { "value": "a@work", "type": "work", "primary": work },
            { "value": "a@home", "type": "home", "primary": true },
        ]);
        emails.as_array_mut().unwrap().extend(more.as_array().unwrap().clone());
        json!({ "emails": emails })
    };
    check(
        json!([{ "op": "add", "path": "emails[type eq \"home\"].primary", "value": true }]),
        both(false, json!([])),
    );
    check(
        json!([{ "op": "add", "path": "emails", "value": { "value": "a@home", "type": "home", "primary": true } }]),
        both(false, json!([])),
    );
    check(
        json!([{ "op": "add", "path": "emails", "value": [{ "value": "c", "primary": true }] }]),
        json!({ "emails": [
            { "value": "a@work", "type": "work", "primary": false },
            { "value": "a@home", "type": "home" },
            { "value": "c", "primary": true },
        ] }),
    );
    check(
        json!([{ "op": "add", "path": "emails", "value": [
            { "value": "a@work", "type": "work", "display": "W" }, { "value": "c", "primary": true },
        ] }]),
        json!({ "emails": [
            { "value": "a@work", "display": "W", "type": "work", "primary": false },
            { "value": "a@home", "type": "home" },
            { "value": "c", "primary": true },
        ] }),
    );
}

#[test]
fn a_filter_selects_the_entries() {
    let home = json!({ "value": "a@home", "type": "home" });
    check(
        json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "b" }]),
        json!({ "emails": [{ "value": "b", "type": "work", "primary": true }, home] }),
    );
    check(
        json!([{ "op": "add", "path": "emails[type eq \"WORK\"]", "value": { "display": "W" } }]),
        json!({ "emails": [
            { "value": "a@work", "display": "W", "type": "work", "primary": true }, home,
        ] }),
    );
    // RFC 7644 section 3.5.2.3: the record is replaced.
    check(
        json!([{ "op": "replace", "path": "emails[primary eq true]", "value": { "value": "b" } }]),
        json!({ "emails": [{ "value": "b" }, home] }),
    );
    check(
        json!([{ "op": "remove", "path": "emails[type eq \"work\" and value ew \"work\"]" }]),
        json!({ "emails": [home] }),
    );
    check(json!([{ "op": "remove", "path": "emails[value pr]" }]), json!({ "emails": null }));
    check(
        json!([{ "op": "remove", "path": "emails[type eq \"work\"].value" }]),
        json!({ "emails": [home] }),
    );
    check(
        json!([{ "op": "remove", "path": "emails[type eq \"work\"].primary" }]),
        json!({ "emails": [{ "value": "a@work", "type": "work" }, home] }),
    );
}

#[test]
fn a_type_or_primary_that_is_missing_is_made() {
    check(
        json!([
            { "op": "Add", "path": "addresses[type eq \"work\"].country", "value": "NO" },
            { "op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Lillevik" },
            { "op": "Add", "path": "addresses[type eq \"work\"].postalCode", "value": "1234" },
        ]),
        json!({ "addresses": [
            { "locality": "Lillevik", "postalCode": "1234", "country": "NO", "type": "work" },
        ] }),
    );
    check(
        json!([{ "op": "replace", "path": "roles[primary eq \"True\"].value", "value": "r" }]),
        json!({ "roles": [{ "value": "r", "primary": true }] }),
    );
    check(
        json!([{ "op": "replace", "path": "ims[type eq \"x\"].value", "value": null }]),
        json!({}),
    );
    // The value may come last; an entry to which none comes says nothing.
    check(
        json!([
            { "op": "add", "path": "ims[type eq \"x\"].primary", "value": true },
            { "op": "add", "path": "ims[type eq \"x\"].value", "value": "i" },
        ]),
        json!({ "ims": [{ "value": "i", "type": "x", "primary": true }] }),
    );
    check(json!([{ "op": "add", "path": "ims[type eq \"x\"].value", "value": "" }]), json!({}));
    check(
        json!([{ "op": "replace", "path": "emails[type eq \"home\"].value", "value": null }]),
        json!({ "emails": [{ "value": "a@work", "type": "work", "primary": true }] }),
    );
}

#[test]
fn any_other_filter_must_select_something() {
    for (path, value) in [
        ("emails[value eq \"x\"].type", json!("work")),
        ("emails[type eq \"other\"]", json!({ "value": "x" })),
        ("emails[type eq \"x\" and primary eq true].value", json!("x")),
        ("emails[type ne \"work\" and type ne \"home\"].value", json!("x")),
    ] {
        let operation = json!([{ "op": "replace", "path": path, "value": value }]);
        check_error(operation, ScimType::NoTarget, "selects no value");
    }
}

#[test]
fn removing_listed_values_leaves_the_others() {
    let quirks = check(
        json!([{ "op": "Remove", "path": "emails", "value": [{ "$ref": null, "value": "A@WORK" }] }]),
        json!({ "emails": [{ "value": "a@home", "type": "home" }] }),
    );
    assert!(quirks.contains(&Quirk::RemoveWithValue));
    check(json!([{ "op": "remove", "path": "emails", "value": [] }]), json!({}));
    check(json!([{ "op": "remove", "path": "emails", "value": null }]), json!({ "emails": null }));
    check(json!([{ "op": "remove", "path": "emails" }]), json!({ "emails": null }));
}

#[test]
fn a_list_is_replaced_as_a_whole() {
    check(
        json!([{ "op": "replace", "path": "emails", "value": [{ "value": "b" }] }]),
        json!({ "emails": [{ "value": "b" }] }),
    );
    check(json!([{ "op": "replace", "path": "emails", "value": [] }]), json!({ "emails": null }));
    // Entries that have become equal are one.
    check(
        json!([
            { "op": "replace", "path": "emails.value", "value": "a" },
            { "op": "remove", "path": "emails.type" },
            { "op": "remove", "path": "emails.primary" },
        ]),
        json!({ "emails": [{ "value": "a" }] }),
    );
    check(
        json!([{ "op": "replace", "path": "emails.display", "value": "A" }]),
        json!({ "emails": [
            { "value": "a@work", "display": "A", "type": "work", "primary": true },
            { "value": "a@home", "display": "A", "type": "home" },
        ] }),
    );
}

#[test]
fn what_may_not_be_written_is_refused() {
    for path in ["id", "meta", "meta.created", "groups", "groups[value eq \"x\"]", "groups.value"] {
        let operation = json!([{ "op": "replace", "path": path, "value": "x" }]);
        check_error(operation, ScimType::Mutability, "is read-only");
    }
    check_error(json!([{ "op": "remove", "path": "userName" }]), ScimType::Mutability, "required");
    check_error(
        json!([{ "op": "replace", "path": "userName", "value": " " }]),
        ScimType::InvalidValue,
        "`userName` is required",
    );
    check_error(
        json!([{ "op": "replace", "value": { "userName": null } }]),
        ScimType::InvalidValue,
        "`userName` is required",
    );
}

#[test]
fn paths_that_name_nothing_are_refused() {
    for path in [
        "colour",
        "name.colour",
        "urn:x:y",
        "emails[type eq \"work\"].colour",
        "userName[a pr]",
        "name[givenName pr]",
        "emails[type eq \"work\"]value",
        "emails[type eq \"work\"].a.b",
        ".",
        "members",
        "name..givenName",
        "æ",
        USER_URN,
    ] {
        let operation = json!([{ "op": "add", "path": path, "value": "x" }]);
        check_error(operation, ScimType::InvalidPath, "`");
    }
    for path in ["emails[", "emails[type]", "emails[colour eq 1].value", "emails[type eq \"x\""] {
        let operation = json!([{ "op": "add", "path": path, "value": "x" }]);
        check_error(operation, ScimType::InvalidFilter, "`");
    }
}

#[test]
fn a_long_path_is_not_echoed_whole() {
    let long = "x".repeat(10_000);
    for path in [
        long.clone(),
        format!("{long} {long}"),
        format!("emails[{long} pr]"),
        format!("emails[value eq \"{long}\"]"),
        format!("emails[value eq \"{long}"),
        format!("emails[type pr].{long}"),
        format!("urn:{long}:x"),
    ] {
        let operations = json!([{ "op": "replace", "path": path, "value": { "value": "x" } }]);
        let error = apply(ResourceKind::User, &ada(), &operations).unwrap_err();
        assert!(error.detail.len() < 400, "{}", error.detail);
    }
}

#[test]
fn operations_that_say_too_little_are_refused() {
    check_error(json!([{ "op": "remove" }]), ScimType::NoTarget, "needs a `path`");
    check_error(
        json!([{ "op": "add", "path": "title" }]),
        ScimType::InvalidValue,
        "needs a `value`",
    );
    check_error(
        json!([{ "op": "move", "path": "title" }]),
        ScimType::InvalidSyntax,
        "`op` is `move`",
    );
    check_error(json!([{ "path": "title" }]), ScimType::InvalidSyntax, "no `op`");
    check_error(json!([{ "op": "add", "path": 1, "value": 1 }]), ScimType::InvalidPath, "`path`");
    check_error(json!([{ "op": "add", "value": "x" }]), ScimType::InvalidValue, "needs an object");
    check_error(json!([1]), ScimType::InvalidSyntax, "not a JSON object");
    check_error(json!({}), ScimType::InvalidSyntax, "not a list");
    check_error(
        json!([{ "op": "add", "path": "active", "value": "banana" }]),
        ScimType::InvalidValue,
        "`active` is not a boolean",
    );
    let wrong = PatchRequest::parse(json!({ "schemas": [USER_URN], "Operations": [] }));
    assert_eq!(wrong.unwrap_err().scim_type, Some(ScimType::InvalidSyntax));
    let many = vec![json!({ "op": "remove", "path": "title" }); 1001];
    let error = apply(ResourceKind::User, &ada(), &json!(many)).unwrap_err();
    assert_eq!(error.status, 413);
}

#[test]
fn a_password_passes_by() {
    let operations = json!([{ "op": "replace", "path": "password", "value": "s" }]);
    let patched = apply(ResourceKind::User, &ada(), &operations).unwrap();
    assert!(!format!("{patched:?}").contains("\"s\""), "{patched:?}");
    let told = patched.password.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!((&patched.attributes, told), (&ada(), Some("s")));
    let operations = json!([{ "op": "replace", "value": { "password": "s" } }]);
    let patched = apply(ResourceKind::User, &ada(), &operations).unwrap();
    assert_eq!(patched.password.as_ref().map(ExposeSecret::expose_secret), Some("s"));
}

pub(super) fn group() -> Attributes {
    json!({ "displayName": "1a" }).as_object().cloned().unwrap()
}

#[test]
fn a_schema_that_is_gone_takes_no_data_with_it() {
    let mut user = ada();
    user.insert("urn:gone:1.0:User".into(), json!({ "a": 1 }));
    let operations = json!([{ "op": "add", "path": "title", "value": "Dr" }]);
    let patched = apply(ResourceKind::User, &user, &operations).unwrap();
    assert_eq!(patched.attributes["urn:gone:1.0:User"], json!({ "a": 1 }));
}

fn operation() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        1 => ".{0,12}".prop_map(String::from),
        6 => proptest::sample::select(vec![
            "userName", "name", "name.givenName", "emails", "emails.value", "members", "title",
            "emails[type eq \"work\"]", "emails[type eq \"x\"].value", "emails[not (type pr)]",
            "members[value eq \"a\"]", "password", ENTERPRISE_URN, "active",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            "addresses[primary eq true].country", "roles[value eq \"r\"]",
        ])
        .prop_map(String::from),
    ];
    let op = proptest::sample::select(vec!["add", "Replace", "remove"]);
    (op, proptest::option::of(path), proptest::option::of(any_json())).prop_map(
        |(op, path, value)| {
            let mut operation = json!({ "op": op });
            if let Some(path) = path {
                operation["path"] = path.into();
            }
            if let Some(value) = value {
                operation["value"] = value;
            }
            operation
        },
    )
}

proptest! {
    #[test]
    fn no_patch_breaks_anything_and_its_result_is_a_resource(
        operations in proptest::collection::vec(operation(), 1..5),
    ) {
        for (kind, current) in [(ResourceKind::User, ada()), (ResourceKind::Group, group())] {
            if let Ok(patched) = apply(kind, &current, &json!(operations)) {
                let schemas = Schemas::builtin();
                let body = Value::Object(patched.attributes.clone());
                let again = crate::scim::normalize(body, schemas.of(kind));
                prop_assert!(again.is_ok(), "{:?} {:?}", patched.attributes, again);
            }
        }
    }

    #[test]
    fn no_json_breaks_the_request(body in any_json()) {
        if let Ok(request) = PatchRequest::parse(body) {
            drop(request.apply(&ada(), Schemas::builtin().of(ResourceKind::User)));
        }
    }
}
