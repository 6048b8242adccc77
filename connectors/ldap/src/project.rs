//! From a resource to the entry that should stand for it. Pure.

use scim_relay_sdk::connector::{DeliveryError, Resource, Template, View};
use serde_json::Value as Json;

use crate::config::{Groups, Policy, Users, is_active};
use crate::dialect::Dialect;
use crate::dn::{self, Dn};
use crate::dn_template::DnTemplate;
use crate::transport::{Attributes, Entry, Values, values};

/// The entry as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) dn: Dn,
    /// Object classes that it has at least.
    pub(crate) classes: Vec<String>,
    /// Attributes with exactly these values; with none, they are absent.
    pub(crate) attributes: Attributes,
    /// Values that go if they are there, whatever else the attribute holds.
    pub(crate) unwanted: Attributes,
    /// What is written when the entry is made, and never again.
    pub(crate) creation: Attributes,
}

/// What a wanted resource's entry is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posture {
    Enabled,
    Disabled,
    /// In the place where leavers go, and disabled where that is possible.
    Moved,
    /// Inactive, and left as it is.
    Kept,
    /// Inactive, and such entries are deleted.
    Absent,
}

/// How an account is closed here: the server's lock, and attributes of the administrator's choice.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    lock: Option<(String, Values)>,
    overlay: Attributes,
}

impl Posture {
    pub(crate) fn of(users: &Users, resource: &Resource) -> Self {
        if is_active(resource) {
            return Self::Enabled;
        }
        match users.deprovision.deactivate {
            Policy::Disable => Self::Disabled,
            Policy::Move => Self::Moved,
            Policy::Delete => Self::Absent,
            Policy::Keep => Self::Kept,
        }
    }
}

impl Goal {
    /// Every attribute of a new entry, its naming ones among them (RFC 4511 section 4.7).
    pub(crate) fn entry(&self) -> Attributes {
        let classes = self.classes.iter().map(|class| class.clone().into_bytes()).collect();
        let mut entry = vec![("objectClass".to_owned(), classes)];
        let given = self.attributes.iter().chain(&self.creation);
        entry.extend(given.filter(|(_, values)| !values.is_empty()).cloned());
        for (name, value) in self.dn.rdn().into_iter().flat_map(dn::Rdn::values) {
            if values(&entry, name).is_empty() {
                entry.push((name.to_owned(), vec![value.to_vec()]));
            }
        }
        entry
    }

    /// What must be read of the entry to tell whether it is like this.
    pub(crate) fn reads(&self) -> Vec<String> {
        let names = self.attributes.iter().chain(&self.unwanted).map(|(name, _)| name.clone());
        std::iter::once("objectClass".to_owned()).chain(names).collect()
    }
}

impl Seal {
    pub(crate) fn of(
        users: &Users,
        resource: &Resource,
        dialect: &Dialect,
    ) -> Result<Self, DeliveryError> {
        let lock = dialect
            .lock
            .map(|lock| (lock.attribute.to_owned(), vec![lock.value.as_bytes().to_vec()]));
        let mapping = &users.deprovision.disabled_attributes;
        let overlay =
            mapped("users.deprovision.disabled_attributes", mapping.iter(), &View::of(resource))?;
        Ok(Self { lock, overlay })
    }

    /// Whether there is a way to close an account at all.
    pub(crate) fn is_possible(&self) -> bool {
        self.lock.is_some() || !self.overlay.is_empty()
    }

    pub(crate) fn demand(&self, product: &str) -> Result<(), DeliveryError> {
        if self.is_possible() {
            return Ok(());
        }
        Err(DeliveryError::refused(format!(
            "{product} has no password policy by which an account could be disabled; load its \
             ppolicy overlay, or set [ldap.users.deprovision.disabled_attributes]"
        )))
    }

    /// What a closed account's entry holds.
    pub(crate) fn attributes(&self) -> Attributes {
        self.lock.iter().chain(&self.overlay).cloned().collect()
    }

    /// Whether the entry's account is closed: by the server's lock if it has one.
    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        match &self.lock {
            Some((name, values)) => values.iter().any(|value| {
                entry.values(name).iter().any(|held| held.eq_ignore_ascii_case(value))
            }),
            None => self.is_possible() && crate::diff::exact(entry, &self.overlay).is_empty(),
        }
    }
}

/// The entry that a person should have.
pub(crate) fn user(
    users: &Users,
    resource: &Resource,
    dialect: &Dialect,
    posture: Posture,
) -> Result<Goal, DeliveryError> {
    let view = View::of(resource);
    let wanted = name("users", &users.dn, users.base(), &view)?;
    let mut goal = Goal {
        dn: wanted,
        classes: users.object_classes.clone(),
        attributes: mapped("users.attributes", users.kept(), &view)?,
        unwanted: Attributes::new(),
        creation: mapped("users.initial", users.initial.iter(), &view)?,
    };
    let seal = Seal::of(users, resource, dialect)?;
    match posture {
        Posture::Disabled | Posture::Moved => {
            if posture == Posture::Disabled {
                seal.demand(&dialect.product)?;
            }
            for (name, sealed) in seal.attributes() {
                goal.attributes.retain(|(held, _)| !dn::same_attribute(held, &name));
                goal.creation.retain(|(held, _)| !dn::same_attribute(held, &name));
                goal.attributes.push((name, sealed));
            }
            if let (Posture::Moved, Some(place), Some(rdn)) =
                (posture, &users.deprovision.move_to, goal.dn.rdn())
            {
                goal.dn = place.child(rdn);
            }
        }
        Posture::Enabled => {
            // What is mapped is put right by its mapping.
            let unmapped = |name: &str| users.attributes.get(name).is_none();
            goal.unwanted = seal.attributes();
            goal.unwanted.retain(|(name, _)| unmapped(name));
        }
        Posture::Kept | Posture::Absent => {}
    }
    keep_names(&mut goal);
    Ok(goal)
}

/// The entry that a group should have, apart from its members.
pub(crate) fn group(groups: &Groups, resource: &Resource) -> Result<Goal, DeliveryError> {
    let view = View::of(resource);
    let mut goal = Goal {
        dn: name("groups", &groups.dn, groups.base(), &view)?,
        classes: groups.object_classes.clone(),
        attributes: mapped("groups.attributes", groups.attributes.iter(), &view)?,
        unwanted: Attributes::new(),
        creation: Attributes::new(),
    };
    keep_names(&mut goal);
    Ok(goal)
}

/// An attribute that names the entry holds that value too, whatever its mapping says.
fn keep_names(goal: &mut Goal) {
    for (name, value) in goal.dn.rdn().into_iter().flat_map(dn::Rdn::values) {
        let mapping = goal.attributes.iter_mut().find(|(held, _)| dn::same_attribute(held, name));
        if let Some((_, values)) = mapping
            && !values.iter().any(|held| dn::folded(held) == dn::folded(value))
        {
            values.push(value.to_vec());
        }
    }
}

fn name(
    section: &str,
    template: &DnTemplate,
    base: Option<&Dn>,
    view: &View,
) -> Result<Dn, DeliveryError> {
    let dn = template
        .render(view)
        .map_err(|error| DeliveryError::refused(format!("{section}.dn: {error}")))?;
    match base {
        Some(base) if !dn.is_within(base) || dn == *base => {
            Err(DeliveryError::refused(format!("{section}.dn: `{dn}` is not below `{base}`")))
        }
        _ => Ok(dn),
    }
}

fn mapped<'a>(
    path: &str,
    mapping: impl Iterator<Item = (&'a str, &'a Template)>,
    view: &View,
) -> Result<Attributes, DeliveryError> {
    mapping
        .map(|(name, template)| {
            let values = rendered(template, view)
                .and_then(|values| sensible(name, values))
                .map_err(|error| DeliveryError::refused(format!("{path}.{name}: {error}")))?;
            Ok((name.to_owned(), values))
        })
        .collect()
}

pub(crate) fn rendered(template: &Template, view: &View) -> Result<Values, String> {
    let value = template.value(view).map_err(|error| error.to_string())?;
    let mut values = Values::new();
    match value {
        Json::Null => {}
        Json::Array(list) => {
            for value in &list {
                let value = octets(value)?;
                // A set holds each value once (RFC 4511 section 4.1.7).
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        one => values.push(octets(&one)?),
    }
    Ok(values)
}

/// A value in the directory's notation (RFC 4517).
fn octets(value: &Json) -> Result<Vec<u8>, String> {
    match value {
        Json::String(text) => Ok(text.clone().into_bytes()),
        Json::Bool(true) => Ok(b"TRUE".to_vec()),
        Json::Bool(false) => Ok(b"FALSE".to_vec()),
        Json::Number(number) => Ok(number.to_string().into_bytes()),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err("it yields an object; choose one of its values".to_owned())
        }
    }
}

/// A provider that sends a number of its own must not make an administrator of the machine.
fn sensible(name: &str, values: Values) -> Result<Values, String> {
    let is_zero = |value: &[u8]| {
        !value.is_empty() && value.iter().all(|byte| matches!(byte, b'0' | b'+' | b'-' | b' '))
    };
    let guarded =
        ["uidNumber", "gidNumber"].iter().any(|guarded| name.eq_ignore_ascii_case(guarded));
    if guarded && values.iter().any(|value| is_zero(value)) {
        return Err("0 is the superuser's number and is never given out".to_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
