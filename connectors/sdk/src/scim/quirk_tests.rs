//! Each deviation: how it is sent, what is made of it, and that it is noted where it is.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Quirk;
use crate::scim::{Attribute, AttributeType};
use crate::scim::{
    BUILDING_URN, ENTERPRISE_URN, Error, Filter, PATCH_URN, PatchRequest, Quirks, ResourceKind,
    Schema, Schemas, USER_URN, normalize,
};

const MANAGER: &str = "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/manager";
const SCHOOL: &str = "urn:lillevik:school:2.0:User";

fn schemas() -> Schemas {
    let schema = Schema {
        id: SCHOOL.to_owned(),
        name: "School".to_owned(),
        description: String::new(),
        attributes: vec![
            Attribute::new("grade", AttributeType::Integer, ""),
            Attribute::new("mean", AttributeType::Decimal, ""),
        ],
    };
    Schemas::with([(ResourceKind::User, schema)])
}

/// How something is sent.
enum Sent {
    /// A user with these attributes besides its name, in a POST or PUT.
    User(Value),
    /// Operations on Ada.
    Patch(Value),
    Filter(&'static str),
}
use Sent::{Filter as InFilter, Patch, User};

/// What is kept, and what was noted.
fn read(sent: &Sent) -> Result<(Value, Quirks), Error> {
    let schemas = schemas();
    let ty = schemas.of(ResourceKind::User);
    let merged = |more: &Value| {
        let mut user = json!({ "schemas": [USER_URN, ENTERPRISE_URN, SCHOOL], "userName": "ada" });
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    Ok(match sent {
        User(more) => {
            let user = normalize(merged(more), ty)?;
            (Value::Object(user.attributes), user.quirks)
        }
        Patch(operations) => {
            let work = json!([{ "value": "a@work", "type": "work", "primary": true }]);
            let ada = normalize(merged(&json!({ "emails": work })), ty).unwrap().attributes;
            let body = match operations {
                Value::Array(_) => json!({ "schemas": [PATCH_URN], "Operations": operations }),
                whole => whole.clone(),
            };
            let patched = PatchRequest::parse(body)?.apply(&ada, ty)?;
            (Value::Object(patched.attributes), patched.quirks)
        }
        InFilter(text) => {
            let mut quirks = Quirks::default();
            let filter = Filter::parse_noting(text, &mut quirks)?;
            filter.check(ty)?;
            quirks.extend(filter.quirks(ty));
            (json!({}), quirks)
        }
    })
}

#[test]
fn every_deviation_is_understood_and_noted() {
    let department = format!("{ENTERPRISE_URN}:department");
    let replace = |path: &str, value: Value| {
        Patch(json!([{ "op": "replace", "path": path, "value": value }]))
    };
    let pathless = |value: Value| Patch(json!([{ "op": "replace", "value": value }]));
    let role = "{\"id\":\"r-1\",\"value\":\"Admin\",\"displayName\":\"Administrator\"}";
    // The deviation, how it is sent, where its result is found (RFC 6901), and that result.
    let table = [
        (Quirk::MissingSchemas, User(json!({ "schemas": null })), "/userName", json!("ada")),
        (Quirk::MissingSchemas, User(json!({ "schemas": [] })), "/userName", json!("ada")),
        (Quirk::MissingSchemas, User(json!({ "schemas": [SCHOOL] })), "/userName", json!("ada")),
        (
            Quirk::MissingSchemas,
            Patch(json!({ "Operations": [{ "op": "add", "path": "title", "value": "Dr" }] })),
            "/title",
            json!("Dr"),
        ),
        (
            Quirk::UnknownSchema,
            User(json!({ "schemas": [USER_URN, "urn:okta:custom:1.0"] })),
            "/userName",
            json!("ada"),
        ),
        (
            Quirk::UnknownSchema,
            User(json!({ "urn:x:1.0:User": {} })),
            "/urn:x:1.0:User",
            json!(null),
        ),
        (Quirk::UnknownSchema, pathless(json!({ "urn:x:1.0:User": {} })), "/title", json!(null)),
        (
            Quirk::UnlistedSchema,
            User(json!({ BUILDING_URN: { "buildingId": "B" } })),
            "/urn:scim-relay:params:scim:schemas:extension:building:2.0:User/buildingId",
            json!("B"),
        ),
        (Quirk::UnknownAttribute, User(json!({ "shoeSize": 42 })), "/shoeSize", json!(null)),
        (
            Quirk::UnknownAttribute,
            User(json!({ "roles": [{ "value": "r", "displayName": "R" }] })),
            "/roles/0",
            json!({ "value": "r" }),
        ),
        (
            Quirk::UnknownAttribute,
            User(json!({ ENTERPRISE_URN: { "shoeSize": 42, "department": "D" } })),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            json!({ "department": "D" }),
        ),
        (Quirk::UnknownAttribute, pathless(json!({ "shoeSize": 42 })), "/shoeSize", json!(null)),
        (
            Quirk::DottedKey,
            User(json!({ "name.givenName": "Ada" })),
            "/name/givenName",
            json!("Ada"),
        ),
        (Quirk::DottedKey, User(json!({ USER_URN: { "title": "Dr" } })), "/title", json!("Dr")),
        (
            Quirk::DottedKey,
            pathless(json!({ "name.givenName": "A" })),
            "/name/givenName",
            json!("A"),
        ),
        (
            Quirk::DottedKey,
            pathless(json!({ department: "D" })),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
            json!("D"),
        ),
        (
            Quirk::DottedKey,
            pathless(json!({ ENTERPRISE_URN: { "manager.value": "m" } })),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/manager/value",
            json!("m"),
        ),
        (
            Quirk::DottedKey,
            pathless(json!({ "emails[type eq \"work\"].value": "b" })),
            "/emails/0/value",
            json!("b"),
        ),
        (Quirk::UnqualifiedName, User(json!({ "manager": "m" })), MANAGER, json!({ "value": "m" })),
        (
            Quirk::UnqualifiedName,
            pathless(json!({ "manager": "m" })),
            MANAGER,
            json!({ "value": "m" }),
        ),
        (
            Quirk::UnqualifiedName,
            pathless(json!({ "manager.value": "m" })),
            MANAGER,
            json!({ "value": "m" }),
        ),
        (
            Quirk::UnqualifiedName,
            replace("manager", json!({ "value": "m" })),
            MANAGER,
            json!({ "value": "m" }),
        ),
        (Quirk::UnqualifiedName, InFilter("id eq \"a\" and manager eq \"b\""), "", json!({})),
        (Quirk::StringBoolean, User(json!({ "active": "False" })), "/active", json!(false)),
        (Quirk::StringBoolean, replace("active", json!("true")), "/active", json!(true)),
        (
            Quirk::StringBoolean,
            replace("emails[primary eq \"True\"].value", json!("b")),
            "/emails/0/value",
            json!("b"),
        ),
        (Quirk::StringBoolean, InFilter("active eq \"False\""), "", json!({})),
        (
            Quirk::StringNumber,
            User(json!({ SCHOOL: { "grade": "7" } })),
            "/urn:lillevik:school:2.0:User/grade",
            json!(7),
        ),
        (
            Quirk::StringNumber,
            replace(&format!("{SCHOOL}:mean"), json!("4.5")),
            "/urn:lillevik:school:2.0:User/mean",
            json!(4.5),
        ),
        (
            Quirk::JsonInText,
            User(json!({ "roles": [{ "value": role, "primary": true }] })),
            "/roles/0",
            json!({ "value": "Admin", "display": "Administrator", "primary": true }),
        ),
        (
            Quirk::JsonInText,
            Patch(json!([{ "op": "add", "path": "roles", "value": [{ "value": role }] }])),
            "/roles/0/value",
            json!("Admin"),
        ),
        (
            Quirk::BareManager,
            User(json!({ ENTERPRISE_URN: { "manager": "m" } })),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/manager",
            json!({ "value": "m" }),
        ),
        (Quirk::BareValue, User(json!({ "roles": ["r"] })), "/roles", json!([{ "value": "r" }])),
        (
            Quirk::BareValue,
            Patch(json!([{ "op": "add", "path": "roles", "value": "r" }])),
            "/roles",
            json!([{ "value": "r" }]),
        ),
        (
            Quirk::EmptyValue,
            User(json!({ "phoneNumbers": [{ "type": "work", "value": "" }] })),
            "/phoneNumbers",
            json!(null),
        ),
        (Quirk::EmptyValue, User(json!({ "externalId": "" })), "/externalId", json!(null)),
        (
            Quirk::SingleValue,
            User(json!({ "roles": { "value": "r" } })),
            "/roles",
            json!([{ "value": "r" }]),
        ),
        (
            Quirk::SingleValue,
            replace("roles", json!({ "value": "r" })),
            "/roles",
            json!([{ "value": "r" }]),
        ),
        (
            Quirk::ListForOne,
            User(json!({ "name": [{ "givenName": "Ada" }] })),
            "/name/givenName",
            json!("Ada"),
        ),
        (
            Quirk::ListForOne,
            replace("manager", json!([{ "$ref": "http://x/Users/m", "value": "m" }])),
            MANAGER,
            json!({ "value": "m", "$ref": "http://x/Users/m" }),
        ),
        (
            Quirk::ListForOne,
            replace(&format!("{ENTERPRISE_URN}:manager"), json!([{ "value": "m" }])),
            MANAGER,
            json!({ "value": "m" }),
        ),
        (
            Quirk::NotAUri,
            User(json!({ "profileUrl": "her page" })),
            "/profileUrl",
            json!("her page"),
        ),
        (Quirk::NotAUri, User(json!({ "profileUrl": "" })), "/profileUrl", json!("")),
        (
            Quirk::NotAUri,
            replace("profileUrl", json!("https://x/%zz")),
            "/profileUrl",
            json!("https://x/%zz"),
        ),
        (Quirk::NotAUri, replace("profileUrl", json!("1a:b")), "/profileUrl", json!("1a:b")),
        (Quirk::NotAUri, replace("profileUrl", json!("/a#b#c")), "/profileUrl", json!("/a#b#c")),
        (
            Quirk::NotAUri,
            User(json!({ "photos": [{ "value": "https://x/\ty" }] })),
            "/photos/0/value",
            json!("https://x/\ty"),
        ),
        (
            Quirk::ManyPrimaries,
            User(json!({ "roles": [
                { "value": "a", "primary": true }, { "value": "b", "primary": true },
            ] })),
            "/roles/1/primary",
            json!(false),
        ),
        (
            Quirk::CapitalOp,
            Patch(json!([{ "op": "Add", "path": "title", "value": "Dr" }])),
            "/title",
            json!("Dr"),
        ),
        (
            Quirk::EmptyPath,
            Patch(json!([{ "op": "add", "path": "", "value": { "title": "Dr" } }])),
            "/title",
            json!("Dr"),
        ),
        (Quirk::NoOperations, Patch(json!([])), "/userName", json!("ada")),
        (
            Quirk::MissingEntry,
            replace("addresses[type eq \"work\"].country", json!("NO")),
            "/addresses",
            json!([{ "country": "NO", "type": "work" }]),
        ),
        (
            Quirk::RemoveWithValue,
            Patch(json!([{ "op": "remove", "path": "emails", "value": [{ "value": "a@work" }] }])),
            "/emails",
            json!(null),
        ),
        (
            Quirk::RemoveWithValue,
            Patch(json!([{ "op": "remove", "path": "emails[type eq \"work\"]", "value": "x" }])),
            "/emails",
            json!(null),
        ),
        (Quirk::IdInValue, pathless(json!({ "id": "1", "title": "Dr" })), "/title", json!("Dr")),
        (Quirk::ReadOnlyInValue, pathless(json!({ "groups": [] })), "/groups", json!(null)),
        (
            Quirk::ComparedValuePath,
            InFilter("emails[type eq \"work\"].value eq \"a\""),
            "",
            json!({}),
        ),
    ];
    for (quirk, sent, pointer, expected) in &table {
        let (kept, quirks) = read(sent).unwrap_or_else(|error| panic!("{quirk:?}: {error}"));
        let found = kept.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(found, *expected, "{quirk:?} at {pointer} of {kept}");
        assert!(quirks.kinds().contains(quirk), "{quirk:?}: {quirks:?}");
        assert!(quirks.refusal().unwrap().detail.contains(quirk.word()));
    }
    let shown: HashSet<_> = table.iter().map(|(quirk, ..)| *quirk).collect();
    let without_row = Quirk::ALL.into_iter().filter(|quirk| !shown.contains(quirk));
    // Who is a member here, only the directory knows.
    assert_eq!(without_row.collect::<Vec<_>>(), [Quirk::UnknownMember]);
}

#[test]
fn what_the_rfcs_allow_is_no_deviation() {
    let patch = |operation: Value| Patch(json!([operation]));
    for sent in [
        // RFC 7644 section 3.3: read-only attributes are ignored.
        User(json!({ "id": "1", "meta": { "version": "x" }, "groups": [{ "value": "g" }] })),
        // RFC 7643 section 2.1: names ignore case.
        User(json!({ "TITLE": "Dr", "Emails": [{ "VALUE": "a" }] })),
        // RFC 7643 section 2.5: null and the empty list are no value.
        User(json!({ "title": null, "emails": [], "name": null, "active": null })),
        // RFC 7643 section 2.4 and 7: the values of a type are suggestions.
        User(json!({ "emails": [{ "value": "a", "type": "school" }] })),
        User(json!({ "password": "s", ENTERPRISE_URN: { "manager": { "value": "m" } } })),
        // RFC 7643 section 2.3.7: a URI, or one relative to ours.
        User(json!({ "profileUrl": "https://[::1]:8443/~ada/%C3%A6?a=b&c#top" })),
        User(
            json!({ "profileUrl": "../Users/1", "photos": [{ "value": "data:image/png;base64,AA==" }] }),
        ),
        patch(json!({ "op": "add", "path": "emails", "value": { "value": "a" } })),
        patch(json!({ "op": "add", "path": format!("{USER_URN}:title"), "value": "Dr" })),
        patch(json!({ "op": "add", "path": format!("{ENTERPRISE_URN}:department"), "value": "D" })),
        patch(json!({ "op": "replace", "value": { ENTERPRISE_URN: { "department": "D" } } })),
        patch(json!({ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "b" })),
        patch(json!({ "op": "remove", "path": "emails[type eq \"home\"]" })),
        patch(json!({ "op": "remove", "path": "title" })),
        patch(json!({ "op": "remove", "path": "emails", "value": null })),
        InFilter("active eq true and not (emails[primary eq false] or title pr)"),
    ] {
        let (kept, quirks) = read(&sent).unwrap();
        assert_eq!(quirks.kinds(), [], "{kept} {quirks:?}");
    }
}

#[test]
fn what_nobody_can_mean_is_refused() {
    for (more, expected) in [
        (json!({ "active": "banana" }), "`active` is not a boolean"),
        (json!({ "active": 0 }), "`active` is not a boolean"),
        (json!({ "active": "" }), "`active` is not a boolean"),
        (json!({ "externalId": 1 }), "`externalId` is not a string"),
        (json!({ "externalId": true }), "`externalId` is not a string"),
        (json!({ "title": 7 }), "`title` is not a string"),
        (json!({ "title": ["Dr"] }), "`title` is not a string"),
        (json!({ "name": [[{ "givenName": "A" }]] }), "`name` is not an object"),
        (json!({ "manager": [{ "value": "a" }, { "value": "b" }] }), "manager` is not an object"),
        (json!({ SCHOOL: { "grade": "seven" } }), "grade` is not an integer"),
        (json!({ SCHOOL: { "grade": "7.5" } }), "grade` is not an integer"),
        (json!({ SCHOOL: { "grade": 7.0 } }), "grade` is not an integer"),
    ] {
        let error = read(&User(more)).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.detail.contains(expected), "{}", error.detail);
    }
    for name in [json!(1), json!(null), json!([]), json!({}), json!(""), json!(" ")] {
        assert_eq!(read(&User(json!({ "userName": name }))).unwrap_err().status, 400, "{name}");
    }
}

#[test]
fn json_within_json_stays_as_it_is() {
    let twice = "{\"value\":\"{\\\"value\\\":\\\"Admin\\\"}\"}";
    let (kept, quirks) = read(&User(json!({ "roles": [{ "value": twice }] }))).unwrap();
    assert_eq!((&kept["roles"][0]["value"], quirks.kinds()), (&json!(twice), vec![]));
}
