//! Finding the entry that stands for a resource, and telling on what ground it is ours.

use scim_relay_sdk::connector::{DeliveryError, HoldKind, Link, Owner, Work};

use crate::config::{Mapping, is_identity};
use crate::connector::Ldap;
use crate::deliver::reads;
use crate::diff;
use crate::dn::Dn;
use crate::filter::Filter;
use crate::project::Goal;
use crate::transport::{Entry, values};

/// Who made an entry (RFC 4512 section 3.4.3).
pub(crate) const MAKER: &str = "creatorsName";

/// So many candidates are named when there are too many.
const CANDIDATES: usize = 10;

/// An entry, and why it is this resource's.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) dn: Dn,
    pub(crate) claim: Claim,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The relay made it or took it on.
    Linked,
    /// It holds the very id that the provider or the relay gave the resource.
    Certain,
    /// It was there before, and only looks like it: how, for the person who is asked.
    TakeOver(String),
}

/// Where a kind's entries are, and by what an unlinked one is found.
pub(crate) struct Site<'a> {
    pub(crate) places: Vec<&'a Dn>,
    pub(crate) correlate: &'a [String],
    pub(crate) mapping: Option<&'a Mapping>,
}

impl Found {
    pub(crate) fn new(entry: Entry, claim: Claim) -> Result<Self, DeliveryError> {
        let dn = Dn::parse(&entry.dn).map_err(|error| {
            DeliveryError::refused(format!(
                "the server names an entry in a way that cannot be read: {error}"
            ))
        })?;
        Ok(Self { entry, dn, claim })
    }

    /// Answers [`DeliveryError::Hold`] if the entry is not known to be ours and may not be taken
    /// over.
    pub(crate) fn demand_ours(&self, work: &Work) -> Result<(), DeliveryError> {
        match &self.claim {
            Claim::TakeOver(how) if !work.permit.take_over => Err(DeliveryError::hold(
                HoldKind::TakeOver,
                1,
                format!("take over `{}`, which was there before the relay ({how})", self.entry.dn),
            )),
            _ => Ok(()),
        }
    }
}

impl Ldap {
    /// The linked entry, wherever it went: looked for where it was, then by what no rename
    /// changes.
    pub(crate) async fn linked(
        &self,
        link: &Link,
        anchor: &str,
        places: &[&Dn],
        attributes: &[String],
    ) -> Result<Option<Found>, DeliveryError> {
        let is_it = |entry: &Entry| entry.text(anchor) == Some(link.target_id.as_str());
        if let Some(entry) = self.read(&link.address, attributes).await?.filter(is_it) {
            return Found::new(entry, Claim::Linked).map(Some);
        }
        for place in places {
            let filter = Filter::equals(anchor, &link.target_id);
            if let Some(entry) = self.search(place, filter, attributes, 1).await?.pop() {
                return Found::new(entry, Claim::Linked).map(Some);
            }
        }
        Ok(None)
    }

    /// Whose the entry is, if it is another resource's.
    pub(crate) async fn owner(
        &self,
        work: &Work,
        entry: &Entry,
        anchor: &str,
    ) -> Result<Option<Owner>, DeliveryError> {
        let Some(target_id) = entry.text(anchor) else { return Ok(None) };
        let owner = work.owners.of(target_id).await?;
        Ok(owner.filter(|owner| owner.key != work.key))
    }

    /// Answers [`DeliveryError::After`] if the entry stands for another resource: that one has its
    /// name until it has gone or moved.
    pub(crate) async fn demand_unowned(
        &self,
        work: &Work,
        found: &Found,
        anchor: &str,
    ) -> Result<(), DeliveryError> {
        if found.claim == Claim::Linked {
            return Ok(());
        }
        match self.owner(work, &found.entry, anchor).await? {
            // The same person, come back as another resource before the old one was gone.
            Some(owner) if owner.leaving && found.claim == Claim::Certain => Ok(()),
            Some(owner) => Err(DeliveryError::After(owner.key)),
            None => Ok(()),
        }
    }

    /// The one entry that holds what the resource should hold in an attribute to correlate by.
    /// What stands for somebody else is no candidate: two people may share an address.
    pub(crate) async fn correlated(
        &self,
        work: &Work,
        anchor: &str,
        goal: &Goal,
        site: &Site<'_>,
        attributes: &[String],
    ) -> Result<Option<Found>, DeliveryError> {
        for attribute in site.correlate {
            let wanted = values(&goal.attributes, attribute);
            if wanted.is_empty() {
                continue;
            }
            let mut found = Vec::new();
            for place in &site.places {
                let filter = Filter::any_of(attribute, wanted);
                for entry in self.search(place, filter, attributes, CANDIDATES + 1).await? {
                    let owner = self.owner(work, &entry, anchor).await?;
                    if owner.is_none_or(|owner| owner.leaving) {
                        found.push(entry);
                    }
                }
            }
            match found.len() {
                0 => {}
                1 => {
                    let entry = found.remove(0);
                    let claim = self.claim(&entry, attribute, wanted, site);
                    return Found::new(entry, claim).map(Some);
                }
                _ => return Err(ambiguous(attribute, &found)),
            }
        }
        Ok(None)
    }

    /// Whether an entry that was found after an attempt was cut off is what that attempt made.
    pub(crate) fn is_own_trace(&self, work: &Work, found: &Found, goal: &Goal) -> bool {
        work.in_doubt
            && found.dn == goal.dn
            && diff::difference(&found.entry, goal).is_empty()
            && self.made_by_us(&found.entry) != Some(false)
    }

    /// What an attempt that was cut off has made of a resource that was renamed or deleted since: the
    /// entry that looks exactly as one of these goals and that our account made.
    pub(crate) async fn trace(
        &self,
        work: &Work,
        goals: impl Iterator<Item = Goal>,
        anchor: &str,
    ) -> Result<Option<Found>, DeliveryError> {
        for goal in goals {
            let Some(entry) = self.read(&goal.dn.to_string(), &reads(&goal, anchor)).await? else {
                continue;
            };
            let found = Found::new(entry, Claim::Linked)?;
            if self.is_own_trace(work, &found, &goal)
                && self.made_by_us(&found.entry) == Some(true)
                && self.owner(work, &found.entry, anchor).await?.is_none()
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether the account that we sign in with has made the entry; `None` if the server does not
    /// tell (Active Directory).
    fn made_by_us(&self, entry: &Entry) -> Option<bool> {
        let maker = Dn::parse(entry.text(MAKER)?).ok()?;
        let account = Dn::parse(self.transport.identity()?).ok()?;
        Some(maker == account)
    }

    fn claim(&self, entry: &Entry, attribute: &str, wanted: &[Vec<u8>], site: &Site<'_>) -> Claim {
        let identity =
            site.mapping.and_then(|mapping| mapping.get(attribute)).and_then(is_identity);
        // A provider's id is one person's within its organization only, and the server may have
        // matched another case of it.
        let unique = identity == Some("id") || (identity.is_some() && !self.several_organizations);
        let equal = entry.values(attribute).iter().any(|held| wanted.contains(held));
        if unique && equal {
            Claim::Certain
        } else {
            Claim::TakeOver(format!("found by its {attribute}"))
        }
    }
}

fn ambiguous(attribute: &str, found: &[Entry]) -> DeliveryError {
    let mut names: Vec<String> =
        found.iter().take(CANDIDATES).map(|entry| format!("`{}`", entry.dn)).collect();
    if found.len() > CANDIDATES {
        names.push("more".to_owned());
    }
    DeliveryError::refused(format!(
        "several entries have the same {attribute}: {}; leave it to one of them, then retry",
        names.join(", ")
    ))
}
