//! The `[ldap]` section of a connector file: as it is written, what must fit together, and the
//! connector made from it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use scim_relay_sdk::connector::{
    BuildContext, Connector, Fate, Leavers, Period, Problem, Resource, Secret, Settings, Template,
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::check;
use crate::client::{Client, Server};
use crate::connector::Ldap;
use crate::dialect::Flavor;
use crate::dn::{self, Dn};
use crate::dn_template::DnTemplate;
use crate::memory::Memory;
use crate::password;
use crate::tls;
use crate::transport::Transport;
use crate::url::Url;

/// A directory and what people and groups look like in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub(crate) url: Url,
    #[serde(default)]
    pub(crate) starttls: bool,
    #[serde(default)]
    pub(crate) allow_plaintext: bool,
    ca: Option<PathBuf>,
    pub(crate) bind_dn: Option<Dn>,
    pub(crate) bind_password: Option<Secret>,
    #[serde(default)]
    flavor: Flavor,
    pub(crate) users: Option<Arc<Users>>,
    pub(crate) groups: Option<Arc<Groups>>,
}

/// `[ldap.users]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Users {
    pub(crate) dn: DnTemplate,
    pub(crate) base: Option<Dn>,
    #[serde(default = "inet_org_person")]
    pub(crate) object_classes: Vec<String>,
    #[serde(default)]
    pub(crate) correlate: Vec<String>,
    pub(crate) attributes: Mapping,
    #[serde(default)]
    pub(crate) initial: Mapping,
    #[serde(default)]
    pub(crate) deprovision: Deprovision,
}

/// `[ldap.users.deprovision]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deprovision {
    #[serde(default)]
    pub(crate) deactivate: Policy,
    #[serde(default)]
    pub(crate) delete: Policy,
    pub(crate) move_to: Option<Dn>,
    pub(crate) purge_after: Option<Period>,
    #[serde(default)]
    pub(crate) disabled_attributes: Mapping,
}

/// What becomes of the entry of somebody who is not wanted any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// It stays and cannot be signed in with.
    #[default]
    Disable,
    /// It is disabled, where the server can, and goes to `move_to`.
    Move,
    Delete,
    /// It stays as it is.
    Keep,
}

/// `[ldap.groups]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Groups {
    pub(crate) dn: DnTemplate,
    pub(crate) base: Option<Dn>,
    #[serde(default = "group_of_names")]
    pub(crate) object_classes: Vec<String>,
    member_attribute: Option<String>,
    #[serde(default)]
    pub(crate) attributes: Mapping,
    pub(crate) placeholder_member: Option<Dn>,
    pub(crate) refint_nothing: Option<Dn>,
}

/// Attribute names and the templates of their values.
#[derive(Debug, Default)]
pub(crate) struct Mapping(Vec<(String, Template)>);

fn inet_org_person() -> Vec<String> {
    vec!["inetOrgPerson".to_owned()]
}

fn group_of_names() -> Vec<String> {
    vec!["groupOfNames".to_owned()]
}

impl Users {
    /// The part of the tree where people are looked for. [`Config::check`] sees to it that there
    /// is one.
    pub(crate) fn base(&self) -> Option<&Dn> {
        self.base.as_ref().or(self.dn.base())
    }

    /// The attributes that are read, compared and kept in line.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.attributes.iter().filter(|(_, template)| !template.reads(password::VARIABLE))
    }

    /// Those that a password goes into.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.attributes.iter().filter(|(_, template)| template.reads(password::VARIABLE))
    }

    pub(crate) fn reads_groups(&self) -> bool {
        self.dn.reads_groups()
            || [&self.attributes, &self.initial, &self.deprovision.disabled_attributes]
                .iter()
                .any(|mapping| mapping.iter().any(|(_, template)| template.reads_groups()))
    }
}

impl Groups {
    pub(crate) fn base(&self) -> Option<&Dn> {
        self.base.as_ref().or(self.dn.base())
    }

    pub(crate) fn member_attribute(&self) -> &str {
        match &self.member_attribute {
            Some(name) => name,
            None if self.has_class("groupOfUniqueNames") => "uniqueMember",
            None => "member",
        }
    }

    /// Whether the class demands a member (RFC 4519 sections 3.5 and 3.6), or somebody says so.
    pub(crate) fn needs_a_member(&self) -> bool {
        self.placeholder_member.is_some()
            || self.has_class("groupOfNames")
            || self.has_class("groupOfUniqueNames")
    }

    fn has_class(&self, class: &str) -> bool {
        self.object_classes.iter().any(|held| held.eq_ignore_ascii_case(class))
    }
}

impl Mapping {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.0.iter().map(|(name, template)| (name.as_str(), template))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Template> {
        self.iter().find(|(held, _)| dn::same_attribute(held, name)).map(|(_, template)| template)
    }
}

impl<'de> Deserialize<'de> for Mapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Mapping;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of attributes and their templates")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mapping, A::Error> {
                let mut mapping = Mapping::default();
                while let Some(name) = map.next_key::<String>()? {
                    if !is_attribute(&name) {
                        return Err(de::Error::custom(format!(
                            "`{name}` is not an attribute's name"
                        )));
                    }
                    if mapping.get(&name).is_some() {
                        return Err(de::Error::custom(format!("`{name}` is given twice")));
                    }
                    mapping.0.push((name, map.next_value()?));
                }
                Ok(mapping)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// RFC 4512 section 2.5: a name or an OID, and perhaps options.
pub(crate) fn is_attribute(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.;".contains(c))
}

impl Settings for Config {
    const SECTION: &'static str = "ldap";

    fn check(&self, several_organizations: bool) -> Vec<Problem> {
        check::section(self, several_organizations)
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.bind_password.iter().map(|secret| ("bind_password", secret)).collect()
    }

    fn wants_password(&self) -> bool {
        self.users.as_ref().is_some_and(|users| users.hidden().next().is_some())
    }

    fn leavers(&self) -> Leavers {
        let Some(users) = &self.users else { return Leavers::Told };
        let Deprovision { deactivate, delete, move_to, purge_after, .. } = &users.deprovision;
        let fate = |policy: &Policy| match (policy, move_to) {
            (Policy::Move, Some(place)) => Fate::Moved(place.to_string()),
            (Policy::Disable | Policy::Move, _) => Fate::Disabled,
            (Policy::Delete, _) => Fate::Deleted,
            (Policy::Keep, _) => Fate::Kept,
        };
        Leavers::Entries {
            deactivated: fate(deactivate),
            deleted: fate(delete),
            purge_after: *purge_after,
        }
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem> {
        let several_organizations = context.organizations.len() > 1;
        // Whoever builds without checking must not send a password in clear text either.
        if let Some(problem) = self.check(several_organizations).into_iter().next() {
            return Err(problem);
        }
        let transport: Box<dyn Transport> = match &self.url {
            Url::File(path) => {
                let path = context.folder.join(path);
                Box::new(Memory::open(&path).map_err(|error| {
                    Problem::new("url", format!("{} cannot be used: {error}", path.display()))
                })?)
            }
            Url::Server { tls, host, port } => Box::new(self.client(*tls, host, *port, context)?),
        };
        Ok(Arc::new(Ldap::new(
            transport,
            self.flavor,
            self.users.clone(),
            self.groups.clone(),
            self.bind_dn.clone(),
            several_organizations,
        )))
    }
}

impl Config {
    fn client(
        &self,
        tls: bool,
        host: &str,
        port: u16,
        context: &BuildContext<'_>,
    ) -> Result<Client, Problem> {
        let protected = tls || self.starttls;
        let roots = protected
            .then(|| {
                tls::config(self.ca.as_ref().map(|path| context.folder.join(path)).as_deref(), host)
            })
            .transpose()
            .map_err(|message| Problem::new("ca", message))?;
        let missing = |path: &str| Problem::new(path, "is needed to sign in to a server");
        let secret = self.bind_password.as_ref().ok_or_else(|| missing("bind_password"))?;
        let password: SecretString = context
            .secrets
            .read(secret.reference())
            .map_err(|error| Problem::new("bind_password", error.to_string()))?;
        // Many servers take a bind with an empty password for an anonymous one and say success
        // (RFC 4513 section 5.1.2).
        if password.expose_secret().is_empty() {
            return Err(Problem::new("bind_password", "the password is empty"));
        }
        let server = Server {
            tls,
            host: host.to_owned(),
            port,
            config: roots,
            bind_dn: self.bind_dn.as_ref().ok_or_else(|| missing("bind_dn"))?.to_string(),
            password,
            timeout: context.timeout,
        };
        Ok(Client::new(server, context.concurrency))
    }
}

/// Whether a mapping copies the provider's or the relay's own id and nothing else: what may be
/// adopted by without asking.
pub(crate) fn is_identity(template: &Template) -> Option<&'static str> {
    let source = template.source().trim();
    let inner = source.strip_prefix("{{")?.strip_suffix("}}")?.trim_matches(['-', ' ', '\t']);
    ["externalId", "id"].into_iter().find(|name| *name == inner)
}

/// A resource's value for `active`; who says nothing is active (RFC 7643 section 4.1.1).
pub(crate) fn is_active(resource: &Resource) -> bool {
    resource.attributes.get("active").and_then(serde_json::Value::as_bool).unwrap_or(true)
}

#[cfg(test)]
mod tests;
