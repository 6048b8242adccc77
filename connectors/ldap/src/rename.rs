//! Bringing an entry under its right name, which another entry may have still.

use scim_relay_sdk::connector::{DeliveryError, HoldKind, Work};

use crate::connector::Ldap;
use crate::deliver::{reads, unreadable};
use crate::dn::{Dn, Rdn};
use crate::error::{Fault, Kind, code};
use crate::locate::{Claim, Found};
use crate::project::Goal;
use crate::transport::{Entry, NewName};

/// An entry after its name was brought in line.
pub(crate) enum Renamed {
    /// It had the right one.
    No(Entry),
    Yes(Entry),
    /// It made way for the one that its name goes to, and has a passing one.
    Aside(Entry),
}

impl Ldap {
    /// The entry under its right name, read again if it had another.
    ///
    /// While another resource has that name, this one waits for it; two that wait for each other
    /// have swapped names, and the one that may then [steps aside](
    /// scim_relay_sdk::connector::Permit::step_aside).
    pub(crate) async fn renamed(
        &self,
        work: &Work,
        found: Found,
        goal: &Goal,
        anchor: &'static str,
    ) -> Result<Renamed, DeliveryError> {
        let Some(rdn) = goal.dn.rdn() else { return Ok(Renamed::No(found.entry)) };
        if found.dn == goal.dn && found.dn.rdn().is_some_and(|held| held.is_exactly(rdn)) {
            return Ok(Renamed::No(found.entry));
        }
        let attributes = reads(goal, anchor);
        let fault = match self.try_rename(&found, &goal.dn).await {
            Ok(()) => return self.read_back(&goal.dn, &attributes).await.map(Renamed::Yes),
            Err(fault) => fault,
        };
        let owner = match fault.code() {
            Some(code::ENTRY_ALREADY_EXISTS) => {
                match self.read(&goal.dn.to_string(), &attributes).await? {
                    Some(holder) => self.owner(work, &holder, anchor).await?,
                    None => None,
                }
            }
            _ => None,
        };
        match owner {
            Some(_) if work.permit.step_aside => {
                let aside = passing_name(work, &found, rdn)?;
                self.rename(&found, &aside).await?;
                self.read_back(&aside, &attributes).await.map(Renamed::Aside)
            }
            Some(owner) => Err(DeliveryError::After(owner.key)),
            None => Err(failed(fault, &found, &goal.dn)),
        }
    }

    pub(crate) async fn rename(&self, found: &Found, to: &Dn) -> Result<(), DeliveryError> {
        self.try_rename(found, to).await.map_err(|fault| failed(fault, found, to))
    }

    async fn try_rename(&self, found: &Found, to: &Dn) -> Result<(), Fault> {
        self.transport.rename(&found.entry.dn, &NewName::between(&found.dn, to)).await
    }

    async fn read_back(&self, dn: &Dn, attributes: &[String]) -> Result<Entry, DeliveryError> {
        let dn = dn.to_string();
        self.read(&dn, attributes).await?.ok_or_else(|| unreadable(&dn))
    }
}

/// Answers [`DeliveryError::Hold`] if the linked entry would get another name and may not.
pub(crate) fn demand_name(work: &Work, found: &Found, goal: &Goal) -> Result<(), DeliveryError> {
    if work.permit.rename || found.claim != Claim::Linked || found.dn == goal.dn {
        return Ok(());
    }
    let summary = format!("rename `{}` to `{}`", found.entry.dn, goal.dn);
    Err(DeliveryError::hold(HoldKind::Removal, 1, summary))
}

/// A name that nobody else has or gets, in the same place.
fn passing_name(work: &Work, found: &Found, rdn: &Rdn) -> Result<Dn, DeliveryError> {
    let attribute = rdn.values().next().map(|(attribute, _)| attribute).unwrap_or_default();
    let passing = Dn::parse(&format!("{attribute}={}", work.key.id))
        .map_err(|error| DeliveryError::refused(error.to_string()))?;
    Ok(found.dn.parent().child_of(&passing))
}

fn failed(fault: Fault, found: &Found, to: &Dn) -> DeliveryError {
    fault.into_error(Kind::Write, &format!("renaming `{}` to `{to}`", found.entry.dn))
}
