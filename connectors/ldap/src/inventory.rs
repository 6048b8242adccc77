//! What the directory holds, in a form that two sides can be compared by.

use async_trait::async_trait;
use scim_relay_sdk::connector::{
    DeliveryError, Entry as Listed, Inventory, InventoryError, Listing, Resource,
};
use scim_relay_sdk::scim::ResourceKind;

use crate::config::{Groups, Policy, Users, is_active};
use crate::connector::Ldap;
use crate::dialect::Dialect;
use crate::diff;
use crate::dn::{self, Dn};
use crate::error::{Fault, Kind, code};
use crate::filter::Filter;
use crate::group;
use crate::project::{self, Goal, Posture};
use crate::transport::{Entry, Query, Scope, Values};

/// The name under which an entry's own name is compared: an entry that was renamed or moved by
/// hand differs in it.
const NAME: &str = "dn";

/// What of an entry is compared.
struct Compared<'a> {
    classes: &'a [String],
    attributes: Vec<&'a str>,
    correlate: &'a [String],
}

impl<'a> Compared<'a> {
    fn users(users: &'a Users) -> Self {
        Self {
            classes: &users.object_classes,
            attributes: users.kept().map(|(name, _)| name).collect(),
            correlate: &users.correlate,
        }
    }

    fn groups(groups: &'a Groups) -> Self {
        Self {
            classes: &groups.object_classes,
            attributes: groups.attributes.iter().map(|(name, _)| name).collect(),
            correlate: &[],
        }
    }

    /// Entries that may be of this kind: those of any of its classes but the one all have.
    fn filter(&self) -> Filter {
        let classes: Vec<_> =
            self.classes.iter().filter(|class| !class.eq_ignore_ascii_case("top")).collect();
        if classes.is_empty() {
            Filter::anything()
        } else {
            Filter::any_of("objectClass", &classes)
        }
    }

    fn normalised(&self, entry: &Entry) -> Listed {
        let name = vec![text(&dn::name_key(entry.dn.as_bytes()))];
        let classes: Vec<String> = self
            .classes
            .iter()
            .filter(|class| entry.has("objectClass", class))
            .map(|class| class.to_ascii_lowercase())
            .collect();
        let mut values = vec![(NAME.to_owned(), name), ("objectClass".to_owned(), sorted(classes))];
        for attribute in &self.attributes {
            let held = entry.values(attribute);
            if !held.is_empty() {
                values.push((
                    (*attribute).to_owned(),
                    sorted(held.iter().map(|value| text(&diff::comparable(attribute, value)))),
                ));
            }
        }
        values.sort();
        let correlation = self.correlate.iter().flat_map(|attribute| {
            let held = entry.values(attribute).iter();
            held.map(move |value| (attribute.clone(), text(&dn::folded(value))))
        });
        let mut correlation: Vec<_> = correlation.collect();
        correlation.sort();
        Listed { address: entry.dn.clone(), values, correlation, ..Listed::default() }
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn sorted(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = values.into_iter().collect();
    values.sort();
    values
}

#[async_trait]
impl Inventory for Ldap {
    async fn list(
        &self,
        kind: ResourceKind,
        listing: &mut Listing<'_>,
    ) -> Result<(), InventoryError> {
        let dialect = self.dialect().await?;
        match (kind, &self.users, &self.groups) {
            (ResourceKind::User, Some(users), _) => self.list_users(users, &dialect, listing).await,
            (ResourceKind::Group, _, Some(groups)) => {
                self.list_groups(groups, &dialect, listing).await
            }
            _ => Ok(()),
        }
    }

    fn expected(&self, resource: &Resource) -> Result<Listed, DeliveryError> {
        match (resource.key.kind, &self.users, &self.groups) {
            (ResourceKind::User, Some(users), _) => self.expected_user(users, resource),
            (ResourceKind::Group, _, Some(groups)) => {
                let goal = project::group(groups, resource)?;
                Ok(Compared::groups(groups).normalised(&as_entry(&goal)))
            }
            _ => Ok(Listed::default()),
        }
    }

    fn normalised(&self, address: &str) -> String {
        text(&dn::name_key(address.as_bytes()))
    }
}

/// The entry that a goal would make, with nothing else in it.
fn as_entry(goal: &Goal) -> Entry {
    let mut attributes = goal.attributes.clone();
    let classes: Values = goal.classes.iter().map(|class| class.clone().into_bytes()).collect();
    attributes.push(("objectClass".to_owned(), classes));
    Entry::new(goal.dn.to_string(), attributes)
}

impl Ldap {
    fn expected_user(&self, users: &Users, resource: &Resource) -> Result<Listed, DeliveryError> {
        let dialect = self.assumed_dialect();
        let posture = Posture::of(users, resource);
        let goal = project::user(users, resource, &dialect, posture)?;
        let mut listed = Compared::users(users).normalised(&as_entry(&goal));
        let locked =
            dialect.lock.is_some() && matches!(posture, Posture::Disabled | Posture::Moved);
        listed.deactivated = locked || (posture == Posture::Moved && !is_active(resource));
        Ok(listed)
    }

    async fn list_users(
        &self,
        users: &Users,
        dialect: &Dialect,
        listing: &mut Listing<'_>,
    ) -> Result<(), InventoryError> {
        let compared = Compared::users(users);
        let lock = dialect.lock.map(|lock| (lock.attribute, lock.value));
        let extra = lock.iter().map(|(attribute, _)| *attribute).chain([dialect.anchor]);
        let attributes = reads(&compared, extra);
        let leavers = (users.deprovision.move_to.as_ref()).filter(|_| {
            [users.deprovision.deactivate, users.deprovision.delete].contains(&Policy::Move)
        });
        for place in Self::user_places(users) {
            self.walk(place, compared.filter(), &attributes, &mut |entry| {
                let mut listed = compared.normalised(&entry);
                entry.text(dialect.anchor).unwrap_or_default().clone_into(&mut listed.target_id);
                let locked = lock.is_some_and(|(attribute, value)| entry.has(attribute, value));
                let left = leavers.is_some_and(|leavers| {
                    Dn::parse(&entry.dn).is_ok_and(|dn| dn.is_within(leavers))
                });
                listed.deactivated = locked || left;
                listing(listed);
            })
            .await?;
        }
        Ok(())
    }

    async fn list_groups(
        &self,
        groups: &Groups,
        dialect: &Dialect,
        listing: &mut Listing<'_>,
    ) -> Result<(), InventoryError> {
        let compared = Compared::groups(groups);
        let member = groups.member_attribute();
        let fillers = group::keys(&self.fillers(groups));
        let attributes = reads(&compared, [member, dialect.anchor]);
        if let Some(place) = groups.base() {
            self.walk(place, compared.filter(), &attributes, &mut |entry| {
                let mut listed = compared.normalised(&entry);
                entry.text(dialect.anchor).unwrap_or_default().clone_into(&mut listed.target_id);
                let members = entry.values(member).iter().map(|value| dn::name_key(value));
                let members = members.filter(|key| !fillers.contains(key));
                listed.members = Some(sorted(members.map(|key| text(&key))));
                listing(listed);
            })
            .await?;
        }
        Ok(())
    }

    /// Goes through all entries below `place` but itself. Whatever ends that early is an error, a
    /// missing place too: nobody is absent because nobody could be seen.
    async fn walk(
        &self,
        place: &Dn,
        filter: Filter,
        attributes: &[String],
        sink: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<(), InventoryError> {
        let base = place.to_string();
        let query = Query { base: &base, scope: Scope::Subtree, filter, attributes };
        match self.transport.list(&query, sink).await {
            Ok(()) => Ok(()),
            Err(fault @ (Fault::Unreachable { .. } | Fault::Setup { .. })) => {
                Err(fault.into_error(Kind::Read, "listing").into())
            }
            Err(fault) => {
                Err(InventoryError::Incomplete(format!("`{base}`: {}", explained(&fault))))
            }
        }
    }
}

fn reads<'a>(compared: &Compared<'a>, extra: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let compared =
        compared.attributes.iter().copied().chain(compared.correlate.iter().map(String::as_str));
    std::iter::once("objectClass").chain(compared).chain(extra).map(str::to_owned).collect()
}

/// What cut a listing short, with what an administrator can do about it.
fn explained(fault: &Fault) -> String {
    match fault.code() {
        Some(code::SIZE_LIMIT_EXCEEDED) => format!(
            "{fault}; let the bind DN read everything in pages (in OpenLDAP: limits .. \
             size.prtotal=unlimited)"
        ),
        _ => fault.to_string(),
    }
}
