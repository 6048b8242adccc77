//! A small organization and the people in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::connector::{
    Change, Gone, Member, MemberDelta, NoOwners, OrganizationInfo, Permit, Resource, SecretError,
    SecretRef, Secrets, Verb, Wanted, Work,
};
use crate::scim::{
    Attributes, BUILDING_URN, ENTERPRISE_URN, Membership, Relation, ResourceId, ResourceKey,
    ResourceKind, Schemas,
};

/// Lillevik kommune, Norwegian bokmål.
pub fn organization() -> Arc<OrganizationInfo> {
    Arc::new(OrganizationInfo {
        key: "lillevik".into(),
        name: "Lillevik kommune".to_owned(),
        locale: Some("nb".to_owned()),
        schemas: Arc::new(Schemas::builtin()),
    })
}

fn key(kind: ResourceKind, number: u128) -> ResourceKey {
    ResourceKey { organization: "lillevik".into(), kind, id: ResourceId(Uuid::from_u128(number)) }
}

fn attributes(value: Value) -> Attributes {
    match value {
        Value::Object(attributes) => attributes,
        _ => Attributes::new(),
    }
}

/// A pupil with most attributes that mappings use.
pub fn ada() -> Resource {
    let key = key(ResourceKind::User, 0xada);
    Resource {
        attributes: attributes(json!({
            "id": key.id.to_string(),
            "externalId": "ext-ada",
            "userName": "ada@lillevik.example",
            "displayName": "Ada Müller",
            "name": { "givenName": "Ada", "familyName": "Müller" },
            "active": true,
            "title": "",
            "userType": "student",
            "preferredLanguage": "nb-NO",
            "emails": [
                { "value": "ada@lillevik.example", "type": "work", "primary": true },
                { "value": "ada@home.example", "type": "home" },
            ],
            ENTERPRISE_URN: { "department": "Science", "employeeNumber": "1001" },
            BUILDING_URN: { "buildingId": "B-7" },
        })),
        key,
        organization: organization(),
        groups: vec![in_group("Class 7A"), in_group("Choir")],
    }
}

/// Of a user whom a group of this name lists.
fn in_group(name: &str) -> Membership {
    Membership {
        id: ResourceId(Uuid::nil()),
        display: Some(name.to_owned()),
        relation: Relation::DirectGroup,
    }
}

/// A group.
pub fn choir() -> Resource {
    let key = key(ResourceKind::Group, 0xc401);
    Resource {
        attributes: attributes(json!({
            "id": key.id.to_string(),
            "externalId": "ext-choir",
            "displayName": "Choir",
        })),
        key,
        organization: organization(),
        groups: Vec::new(),
    }
}

/// Work that may do everything, on its first attempt, on 1 September 2026.
pub fn work(wanted: Wanted) -> Work {
    Work {
        key: wanted.resource().key.clone(),
        wanted,
        change: None,
        members: None,
        bygone: BTreeSet::new(),
        password: None,
        link: None,
        in_doubt: false,
        earlier: Vec::new(),
        permit: Permit::ALL,
        owners: Arc::new(NoOwners),
        attempt: 1,
        now: Timestamp::constant(1_788_220_800, 0),
    }
}

/// The resource should be there.
pub fn present(resource: Resource) -> Work {
    work(Wanted::Present(Arc::new(resource)))
}

/// The resource was deleted at the provider.
pub fn deleted(resource: Resource) -> Work {
    work(Wanted::Gone { last: Arc::new(resource), why: Gone::Deleted })
}

/// The event of the resource's creation.
pub fn created(resource: Resource) -> Work {
    let attributes = resource.attributes.keys().cloned().collect();
    let mut work = present(resource);
    work.change = Some(Change {
        seq: 17,
        verb: Verb::Created,
        at: work.now,
        attributes,
        joined: Vec::new(),
        left: Vec::new(),
        collapsed: false,
    });
    work
}

/// The group should be there, with these changes of its members.
pub fn group_work(group: Resource, members: MemberDelta) -> Work {
    let mut work = present(group);
    work.members = Some(members);
    work
}

/// Members that joined and left, by number and address.
pub fn delta(joined: &[(u128, &str)], left: &[(u128, &str)]) -> MemberDelta {
    let members = |list: &[(u128, &str)]| {
        list.iter()
            .map(|(number, address)| Member {
                key: key(ResourceKind::User, *number),
                target_id: Uuid::from_u128(*number).to_string(),
                address: (*address).to_owned(),
            })
            .collect()
    };
    MemberDelta::Changed { joined: members(joined), left: members(left) }
}

/// Secrets that are given inline.
pub fn secrets() -> impl Secrets {
    struct Inline;
    impl Secrets for Inline {
        fn read(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
            match reference {
                SecretRef::Inline(value) => Ok(value.clone()),
                _ => Err(SecretError("tests give secrets inline".to_owned())),
            }
        }
    }
    Inline
}
