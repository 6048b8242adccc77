//! What is written while it is read is what projecting the whole resource would give.

use jiff::Timestamp;
use scim_relay_sdk::scim::{
    Attribute, AttributeType, GROUP_URN, Relation, Returned, Schema, Schemas, USER_URN,
};
use serde_json::Value;

use super::*;
use crate::store::RowId;

const BASE: &str = "https://scim.example/scim/lillevik/v2";

fn form(kind: ResourceKind, attributes: &str, excluded: &str) -> Form {
    form_with(Schemas::builtin(), kind, attributes, excluded)
}

fn form_with(schemas: Schemas, kind: ResourceKind, attributes: &str, excluded: &str) -> Form {
    let info = Arc::new(OrganizationInfo {
        key: "lillevik".into(),
        name: "Lillevik".to_owned(),
        locale: None,
        schemas: Arc::new(schemas),
    });
    let ty = info.schemas.of(kind);
    let projection = Projection::parse(Some(attributes), Some(excluded), ty).unwrap();
    Form::new(&BASE.into(), &info, kind, &projection)
}

fn id(number: u128) -> ResourceId {
    ResourceId(uuid::Uuid::from_u128(number))
}

fn stored(kind: ResourceKind) -> Stored {
    let (urn, name) = match kind {
        ResourceKind::User => (USER_URN, "userName"),
        ResourceKind::Group => (GROUP_URN, "displayName"),
    };
    Stored {
        row: RowId(1),
        id: id(7),
        kind,
        version: 3,
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        body: json!({ "schemas": [urn], "id": id(7), "externalId": "e", name: "n" }).to_string(),
    }
}

fn memberships(kind: ResourceKind) -> Vec<Membership> {
    let [first, second] = match kind {
        ResourceKind::User => [Relation::DirectGroup, Relation::IndirectGroup],
        ResourceKind::Group => [ResourceKind::User, ResourceKind::Group].map(Relation::Member),
    };
    let name = |text: &str| Some(text.to_owned());
    vec![
        Membership { id: id(1), display: name("\u{c5}se \"x\" \\"), relation: first },
        Membership { id: id(2), display: None, relation: second },
    ]
}

fn written(kind: ResourceKind, attributes: &str, excluded: &str) -> Value {
    let written = form(kind, attributes, excluded)
        .write(&stored(kind), &mut memberships(kind))
        .expect("it can be written");
    serde_json::from_str(&written.text).expect("it is JSON")
}

#[test]
fn a_member_has_its_id_its_address_its_name_and_its_kind() {
    let group = written(ResourceKind::Group, "", "");
    assert_eq!(
        group["members"],
        json!([
            { "value": id(1), "$ref": format!("{BASE}/Users/{}", id(1)),
              "display": "\u{c5}se \"x\" \\", "type": "User" },
            { "value": id(2), "$ref": format!("{BASE}/Groups/{}", id(2)), "type": "Group" },
        ])
    );
}

#[test]
fn a_users_group_says_how_the_user_is_in_it() {
    let user = written(ResourceKind::User, "", "");
    assert_eq!(
        user["groups"],
        json!([
            { "value": id(1), "$ref": format!("{BASE}/Groups/{}", id(1)),
              "display": "\u{c5}se \"x\" \\", "type": "direct" },
            { "value": id(2), "$ref": format!("{BASE}/Groups/{}", id(2)), "type": "indirect" },
        ])
    );
}

#[test]
fn entries_are_projected_as_they_are_written() {
    for kind in ResourceKind::ALL {
        let own = if kind == ResourceKind::User { "groups" } else { "members" };
        let part = |sub: &str| format!("{own}.{sub}");
        let [value, reference, display, relation] = ["value", "$ref", "display", "type"].map(part);
        let all_but_one = format!("{value},{reference},{relation}");
        let every = format!("{all_but_one},{display}");
        let both = format!("{value},{display}");
        for (attributes, excluded) in [
            ("", own),
            (own, ""),
            (&value, ""),
            (&reference, ""),
            (&both, ""),
            (&display, ""),
            (&relation, ""),
            ("", &display),
            ("", &value),
            ("", &all_but_one),
            ("", &every),
            ("externalId", ""),
            ("", "meta,externalId"),
            (own, &display),
            ("meta", own),
        ] {
            let mut whole = written(kind, "", "");
            let form = form(kind, attributes, excluded);
            let whole = whole.as_object_mut().unwrap();
            form.projection.apply(whole, form.info.schemas.of(kind));
            let mut given = written(kind, attributes, excluded);
            // The tag is of what is shown.
            if let Some(meta) = whole.get_mut("meta") {
                meta["version"] = given["meta"]["version"].take();
                given["meta"]["version"] = meta["version"].clone();
            }
            assert_eq!(given, json!(whole), "{kind}: {attributes} | {excluded}");
            assert_eq!(
                form.wants_memberships(),
                whole.contains_key(own),
                "{kind}: {attributes} | {excluded}"
            );
        }
    }
}

#[test]
fn an_attribute_without_values_is_left_out() {
    for kind in ResourceKind::ALL {
        let written = form(kind, "", "").write(&stored(kind), &mut Vec::new()).unwrap();
        let whole: Value = serde_json::from_str(&written.text).unwrap();
        assert!(whole.get("members").is_none() && whole.get("groups").is_none());
        assert_eq!(whole["meta"]["version"], "W/\"3\"");
    }
}

#[test]
fn the_tag_is_also_of_what_is_read_beside_the_resource() {
    let kind = ResourceKind::User;
    let tag = |attributes: &str, groups: &mut Vec<Membership>| {
        let written = form(kind, attributes, "").write(&stored(kind), groups).unwrap();
        let whole: Value = serde_json::from_str(&written.text).unwrap();
        assert_eq!(whole["meta"]["version"], written.etag);
        written.etag
    };
    let (both, mut renamed) = (memberships(kind), memberships(kind));
    renamed[0].display = Some("other".to_owned());
    let whole = tag("", &mut both.clone());
    assert!(whole.starts_with("W/\"3-"), "{whole}");
    assert_eq!(whole, tag("", &mut both.clone()));
    assert_ne!(whole, tag("", &mut both[..1].to_vec()));
    assert_ne!(whole, tag("", &mut renamed));
    assert_eq!(tag("", &mut Vec::new()), "W/\"3\"");
    assert_eq!(tag("userName,meta", &mut both.clone()), "W/\"3\"");
}

#[test]
fn what_is_returned_on_request_waits_for_one() {
    let kind = ResourceKind::Group;
    let urn = "urn:x:1.0:Group";
    let note = Attribute::new("note", AttributeType::String, "").returned(Returned::Request);
    let schema = Schema {
        id: urn.to_owned(),
        name: "X".to_owned(),
        description: String::new(),
        attributes: vec![note],
    };
    let mut group = stored(kind);
    group.body = json!({ "id": id(7), "displayName": "n", urn: { "note": "n" } }).to_string();
    for (asked, shown) in [("", false), (&*format!("{urn}:note"), true)] {
        let form = form_with(Schemas::with([(kind, schema.clone())]), kind, asked, "");
        let text = form.write(&group, &mut memberships(kind)).unwrap().text;
        let whole: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(whole.get(urn).is_some(), shown, "{text}");
        assert_eq!(whole.get("members").is_some(), !shown, "{text}");
    }
}

#[test]
fn what_no_schema_knows_any_more_is_not_shown() {
    let kind = ResourceKind::User;
    let urn = "urn:gone:1.0:User";
    let mut user = stored(kind);
    user.body =
        json!({ "schemas": [USER_URN, urn], "id": id(7), "userName": "n", urn: { "pin": "p" } })
            .to_string();
    for (attributes, excluded) in [("", ""), ("", "groups"), (urn, ""), ("", "title")] {
        let text =
            form(kind, attributes, excluded).write(&user, &mut memberships(kind)).unwrap().text;
        assert!(!text.contains("gone") && !text.contains("pin"), "{text}");
        let whole: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(whole["id"], json!(id(7)), "{text}");
    }
}
