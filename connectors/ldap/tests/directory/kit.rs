//! A connector for a test's server, and work that is easy to vary.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scim_relay_sdk::connector::{
    BuildContext, Connector, Delivered, DeliveryError, HoldKind, Link, Member, Permit, Resource,
    Settings, Work,
};
use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
use scim_relay_sdk::testing::{ada, organization, secrets};
use serde_json::json;
use uuid::Uuid;

use crate::slapd::{RELAY, RELAY_PASSWORD, Slapd};

/// The keys above `[ldap.users]`.
pub(crate) struct Target {
    pub(crate) head: String,
    pub(crate) timeout: Duration,
}

impl Target {
    /// The server, over TLS with its own authority.
    pub(crate) fn of(slapd: &Slapd) -> Self {
        Self::at(&slapd.tls_url(), &format!("ca = \"{}\"\n", slapd.ca().display()))
    }

    pub(crate) fn at(url: &str, more: &str) -> Self {
        Self {
            head: format!(
                "url = \"{url}\"\nbind_dn = \"{RELAY}\"\nbind_password = \"{RELAY_PASSWORD}\"\n{more}"
            ),
            timeout: Duration::from_secs(5),
        }
    }

    /// A connector for the usual people and groups.
    pub(crate) fn connect(&self) -> Arc<dyn Connector> {
        self.connect_with(USERS)
    }

    pub(crate) fn connect_with(&self, sections: &str) -> Arc<dyn Connector> {
        let config: scim_relay_ldap::Config =
            toml::from_str(&format!("{}{sections}", self.head)).unwrap();
        assert_eq!(config.check(false), []);
        config
            .build(&BuildContext {
                name: "directory",
                folder: Path::new("/"),
                secrets: &secrets(),
                timeout: self.timeout,
                concurrency: 4,
                organizations: &[organization()],
            })
            .unwrap()
    }
}

pub(crate) const USERS: &str = r#"
[users]
dn = "uid={{ userName }},ou=people,dc=example,dc=org"
object_classes = ["inetOrgPerson"]
correlate = ["employeeNumber", "mail"]
[users.attributes]
uid = "{{ userName }}"
cn = "{{ displayName }}"
sn = "{{ name.familyName }}"
mail = "{{ emails | map(attribute='value') | list }}"
title = "{{ title }}"
employeeNumber = "{{ externalId }}"
[users.initial]
description = "created by scim-relay"
userPassword = "initial secret of {{ userName }}"
[users.deprovision]
delete = "move"
move_to = "ou=leavers,dc=example,dc=org"
purge_after = "90 days"
[groups]
dn = "cn={{ displayName }},ou=groups,dc=example,dc=org"
"#;

/// Somebody else than Ada, number `number`.
pub(crate) fn person(number: u128, user_name: &str) -> Resource {
    let mut person = ada();
    person.key = ResourceKey { id: ResourceId(Uuid::from_u128(number)), ..person.key };
    for (name, value) in [
        ("id", json!(person.key.id.to_string())),
        ("externalId", json!(format!("ext-{number}"))),
        ("userName", json!(user_name)),
        ("displayName", json!(user_name)),
        ("emails", json!([{ "value": format!("person-{number}@x.example") }])),
    ] {
        person.attributes.insert(name.to_owned(), value);
    }
    person
}

pub(crate) fn with(
    mut resource: Resource,
    name: &str,
    value: impl Into<serde_json::Value>,
) -> Resource {
    resource.attributes.insert(name.to_owned(), value.into());
    resource
}

pub(crate) trait WorkExt {
    fn linked(self, delivered: &Delivered) -> Work;
    fn link(self, link: Option<Link>) -> Work;
    fn without(self, forbid: fn(&mut Permit)) -> Work;
    fn after(self, days: i64) -> Work;
    fn in_doubt(self) -> Work;
    fn earlier(self, before: Resource) -> Work;
}

impl WorkExt for Work {
    /// After that delivery.
    fn linked(self, delivered: &Delivered) -> Work {
        self.link(delivered.link.clone())
    }

    fn link(mut self, link: Option<Link>) -> Work {
        self.link = link;
        self
    }

    fn without(mut self, forbid: fn(&mut Permit)) -> Work {
        forbid(&mut self.permit);
        self
    }

    fn after(mut self, days: i64) -> Work {
        self.now += jiff::SignedDuration::from_hours(24 * days);
        self
    }

    fn in_doubt(mut self) -> Work {
        self.in_doubt = true;
        self
    }

    /// In doubt since it was this.
    fn earlier(mut self, before: Resource) -> Work {
        self.earlier.push(before);
        self.in_doubt()
    }
}

pub(crate) fn member(delivered: &Delivered) -> Member {
    let link = delivered.link.as_ref().unwrap();
    let id = ResourceId(Uuid::new_v4());
    Member {
        key: ResourceKey { organization: "lillevik".into(), kind: ResourceKind::User, id },
        target_id: link.target_id.clone(),
        address: link.address.clone(),
    }
}

#[track_caller]
pub(crate) fn held(result: Result<Delivered, DeliveryError>) -> (HoldKind, String) {
    match result {
        Err(DeliveryError::Hold { kind, summary, .. }) => (kind, summary),
        other => panic!("it should be held: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn refused(result: Result<Delivered, DeliveryError>) -> String {
    match result {
        Err(DeliveryError::Refused { reason }) => reason,
        other => panic!("it should be refused: {other:?}"),
    }
}

pub(crate) fn address(delivered: &Delivered) -> &str {
    &delivered.link.as_ref().unwrap().address
}
