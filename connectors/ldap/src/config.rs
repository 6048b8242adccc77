//! The `[ldap]` section of a connector file: as it is written, what must fit together, and the
//! connector made from it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use scim_relay_sdk::connector::{
    BuildContext, Connector, Period, Problem, Resource, Secret, Settings, Template,
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::client::{Client, Server};
use crate::connector::Ldap;
use crate::dialect::Flavor;
use crate::dn::{self, Dn};
use crate::dn_template::DnTemplate;
use crate::memory::Memory;
use crate::tls;
use crate::transport::Transport;

/// A directory and what people and groups look like in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    url: Url,
    #[serde(default)]
    starttls: bool,
    #[serde(default)]
    allow_plaintext: bool,
    ca: Option<PathBuf>,
    bind_dn: Option<Dn>,
    bind_password: Option<Secret>,
    #[serde(default)]
    flavor: Flavor,
    users: Option<Arc<Users>>,
    groups: Option<Arc<Groups>>,
}

/// `[ldap.users]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Users {
    pub(crate) dn: DnTemplate,
    base: Option<Dn>,
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
    base: Option<Dn>,
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

/// Where the directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Url {
    Server { tls: bool, host: String, port: u16 },
    File(PathBuf),
}

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

    pub(crate) fn reads(&self, variable: &str) -> bool {
        self.dn.reads(variable)
            || [&self.attributes, &self.initial, &self.deprovision.disabled_attributes]
                .iter()
                .any(|mapping| mapping.reads(variable))
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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn reads(&self, variable: &str) -> bool {
        self.0.iter().any(|(_, template)| template.reads(variable))
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
fn is_attribute(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.;".contains(c))
}

impl Url {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("ldif:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err("`ldif:` names no file; write it like \"ldif:///var/lib/demo/people.ldif\""
                    .to_owned())
            } else {
                Ok(Self::File(PathBuf::from(path)))
            };
        }
        let wrong = |why: &str| {
            format!(
                "`{text}` is not the address of a directory: {why}; write it like \"ldaps://dir.example.org\""
            )
        };
        let (tls, rest) = match text.split_once("://") {
            Some(("ldaps", rest)) => (true, rest),
            Some(("ldap", rest)) => (false, rest),
            _ => return Err(wrong("it begins with neither ldaps:// nor ldap:// nor ldif:")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(literal) => {
                let (host, port) =
                    literal.split_once(']').ok_or_else(|| wrong("`]` is missing"))?;
                host.parse::<std::net::Ipv6Addr>()
                    .map_err(|_| wrong("the IPv6 address is none"))?;
                (host, port.strip_prefix(':'))
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/?#@%".contains(c)) {
            return Err(wrong("only a host and a port belong here"));
        }
        let port = match port {
            Some(port) => port
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| wrong("the port is none"))?,
            None if tls => 636,
            None => 389,
        };
        Ok(Self::Server { tls, host: host.to_owned(), port })
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl Settings for Config {
    const SECTION: &'static str = "ldap";

    fn check(&self, several_organizations: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_connection(&mut problems);
        if self.users.is_none() && self.groups.is_none() {
            problems.push(
                Problem::new(
                    "",
                    "neither people nor groups are mapped, so nothing would be written",
                )
                .help("add [ldap.users], [ldap.groups] or both"),
            );
        }
        if let Some(users) = &self.users {
            check_users(users, several_organizations, &mut problems);
        }
        if let Some(groups) = &self.groups {
            check_groups(groups, several_organizations, &mut problems);
        }
        problems
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.bind_password.iter().map(|secret| ("bind_password", secret)).collect()
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem> {
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
            context.organizations.len() > 1,
        )))
    }
}

impl Config {
    fn check_connection(&self, problems: &mut Vec<Problem>) {
        let Url::Server { tls, .. } = self.url else {
            return;
        };
        if tls && self.starttls {
            problems.push(
                Problem::new("starttls", "an ldaps:// address is protected from the first byte")
                    .help("leave starttls out, or use ldap://"),
            );
        }
        if !tls && !self.starttls && !self.allow_plaintext {
            problems.push(
                Problem::new("url", "the bind password and everybody's data would go in clear text")
                    .help("use ldaps://, or starttls = true; on a machine's own loopback allow_plaintext = true may do"),
            );
        }
        if self.bind_dn.as_ref().is_none_or(Dn::is_root) {
            problems.push(
                Problem::new("bind_dn", "nothing can be written without signing in").help(
                    "name an account of the relay's own, with rights on its part of the tree",
                ),
            );
        }
        if self.bind_password.is_none() {
            problems.push(Problem::new("bind_password", "the bind DN has no password").help(
                "bind_password = { credential = \"..\" }, { file = \"..\" } or { env = \"..\" }",
            ));
        }
    }

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

/// What no mapping may write: what the server keeps, what other keys say, what is never read back.
const RESERVED: &[(&str, &str)] = &[
    ("objectClass", "is what object_classes says"),
    ("memberOf", "is worked out by the server from the groups' members"),
    ("entryUUID", "is the server's own"),
    ("nsUniqueId", "is the server's own"),
    ("entryDN", "is the server's own"),
    ("entryCSN", "is the server's own"),
    ("createTimestamp", "is the server's own"),
    ("modifyTimestamp", "is the server's own"),
    ("pwdAccountLockedTime", "is written by disabling and enabling"),
    ("nsAccountLock", "is written by disabling and enabling"),
];

fn check_users(users: &Users, several_organizations: bool, problems: &mut Vec<Problem>) {
    check_place("users", &users.dn, users.base.as_ref(), several_organizations, problems);
    check_classes("users", &users.object_classes, problems);
    check_mapping("users.attributes", &users.attributes, problems);
    check_mapping("users.initial", &users.initial, problems);
    let deprovision = &users.deprovision;
    check_mapping(
        "users.deprovision.disabled_attributes",
        &deprovision.disabled_attributes,
        problems,
    );
    if users.attributes.get("userPassword").is_some() {
        problems.push(
            Problem::new("users.attributes.userPassword", "a stored password never equals what was written, so it would be written again and again")
                .help("a password that is set once belongs in [ldap.users.initial]"),
        );
    }
    for (name, _) in users.initial.iter().filter(|(name, _)| users.attributes.get(name).is_some()) {
        problems.push(
            Problem::new(
                format!("users.initial.{name}"),
                "is kept up to date by users.attributes too",
            )
            .help("leave it out of one of the two"),
        );
    }
    for name in users.correlate.iter().filter(|name| users.attributes.get(name).is_none()) {
        problems.push(
            Problem::new(
                "users.correlate",
                format!("`{name}` is not mapped, so there is nothing to look for"),
            )
            .help(format!(
                "add it to [ldap.users.attributes], e.g. {name} = \"{{{{ externalId }}}}\""
            )),
        );
    }
    let moves = [deprovision.deactivate, deprovision.delete].contains(&Policy::Move);
    match &deprovision.move_to {
        None if moves => problems.push(
            Problem::new(
                "users.deprovision.move_to",
                "somebody is to be moved, and nothing says where",
            )
            .help("move_to = \"ou=leavers,dc=example,dc=org\""),
        ),
        Some(place) if users.base().is_some_and(|base| base.is_within(place)) => problems.push(
            Problem::new(
                "users.deprovision.move_to",
                format!("everybody is within `{place}` already"),
            )
            .help("choose a part of the tree beside or below the people"),
        ),
        _ => {}
    }
    let stays = |policy| matches!(policy, Policy::Disable | Policy::Move);
    if deprovision.purge_after.is_some()
        && !stays(deprovision.deactivate)
        && !stays(deprovision.delete)
    {
        problems.push(
            Problem::new(
                "users.deprovision.purge_after",
                "nobody is disabled or moved, so nobody would be purged",
            )
            .help("leave it out, or set delete = \"disable\""),
        );
    }
}

fn check_groups(groups: &Groups, several_organizations: bool, problems: &mut Vec<Problem>) {
    check_place("groups", &groups.dn, groups.base.as_ref(), several_organizations, problems);
    check_classes("groups", &groups.object_classes, problems);
    check_mapping("groups.attributes", &groups.attributes, problems);
    if !is_attribute(groups.member_attribute()) {
        problems.push(Problem::new("groups.member_attribute", "is not an attribute's name"));
    }
    if groups.attributes.get(groups.member_attribute()).is_some() {
        problems.push(
            Problem::new(
                format!("groups.attributes.{}", groups.member_attribute()),
                "members are written as they join and leave",
            )
            .help("leave it out"),
        );
    }
}

fn check_place(
    section: &str,
    dn: &DnTemplate,
    base: Option<&Dn>,
    several: bool,
    problems: &mut Vec<Problem>,
) {
    match (base, dn.base()) {
        (None, None) => problems.push(
            Problem::new(format!("{section}.base"), "the dn has templates in more than its first step, so nothing says where to look for entries")
                .help(format!("add [ldap.{section}] base, the part of the tree that all of them are in")),
        ),
        (Some(base), Some(below)) if !below.is_within(base) => problems.push(
            Problem::new(format!("{section}.base"), format!("entries would be made in `{below}`, outside of `{base}`")),
        ),
        _ => {}
    }
    if several && !dn.reads("organization") {
        problems.push(
            Problem::new(format!("{section}.dn"), "several organizations would share one name for different entries")
                .help("use {{ organization.key }} in it, or make a connector for each with organizations = [..]"),
        );
    }
}

fn check_classes(section: &str, classes: &[String], problems: &mut Vec<Problem>) {
    if classes.is_empty() {
        problems.push(Problem::new(
            format!("{section}.object_classes"),
            "an entry needs an object class",
        ));
    }
    for class in classes.iter().filter(|class| !is_attribute(class)) {
        problems.push(Problem::new(
            format!("{section}.object_classes"),
            format!("`{class}` is not an object class's name"),
        ));
    }
}

fn check_mapping(path: &str, mapping: &Mapping, problems: &mut Vec<Problem>) {
    for (name, why) in RESERVED {
        if mapping.get(name).is_some() {
            problems.push(Problem::new(format!("{path}.{name}"), *why).help("leave it out"));
        }
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
