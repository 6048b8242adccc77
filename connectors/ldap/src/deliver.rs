//! Bringing an entry in line: made, taken on, renamed, changed where it differs. People with their
//! ways out; what is particular to groups is in [`group`](crate::group).

use scim_relay_sdk::connector::{
    Action, Delivered, DeliveryError, Gone, Link, Resource, Stage, Wanted, Work,
};

use crate::config::{Policy, Users};
use crate::connector::{Ldap, demand_removal, ignored};
use crate::dialect::Dialect;
use crate::diff;
use crate::dn::Dn;
use crate::error::{Kind, code};
use crate::locate::{Claim, Found, MAKER, Site};
use crate::password::Hidden;
use crate::project::{self, Goal, Posture, Seal};
use crate::rename::{Renamed, demand_name};
use crate::transport::{Entry, Modification};

/// The entry after it was brought in line.
pub(crate) struct Brought {
    /// As the server spells it.
    pub(crate) dn: String,
    pub(crate) anchor: String,
    pub(crate) action: Action,
    /// It has a passing name only, and must be looked at again.
    pub(crate) aside: bool,
}

impl Ldap {
    pub(crate) async fn deliver_user(
        &self,
        users: &Users,
        work: &Work,
    ) -> Result<Delivered, DeliveryError> {
        match &work.wanted {
            Wanted::Present(resource) => self.user_present(users, work, resource).await,
            Wanted::Gone { last, why } => self.user_gone(users, work, last, *why).await,
        }
    }

    async fn user_present(
        &self,
        users: &Users,
        work: &Work,
        resource: &Resource,
    ) -> Result<Delivered, DeliveryError> {
        let dialect = self.dialect().await?;
        let posture = Posture::of(users, resource);
        let goal = project::user(users, resource, &dialect, posture)?;
        let found = self.locate_user(users, work, &goal, &dialect).await?;
        let seal = Seal::of(users, resource, &dialect)?;

        if posture == Posture::Absent {
            let Some(found) = found else { return Ok(ignored(None)) };
            found.demand_ours(work)?;
            demand_removal(work, || format!("delete `{}`, who is inactive", found.entry.dn))?;
            self.remove(&found.entry.dn).await?;
            return Ok(Delivered { link: None, revisit: None, action: Action::Deleted });
        }

        let closing = |entry: &Found| {
            let closed = seal.holds(&entry.entry) || !seal.is_possible();
            let place = users.deprovision.move_to.as_ref();
            match posture {
                Posture::Moved if place.is_some_and(|place| !entry.dn.is_within(place)) => {
                    Some(Action::Moved)
                }
                Posture::Moved | Posture::Disabled if !closed => Some(Action::Deactivated),
                _ => None,
            }
        };
        let hidden = Hidden::of(users, resource, work.password.as_ref())?;
        let brought = self.bring(work, &goal, found, dialect.anchor, &closing).await?;
        let link = active_link(work, brought.anchor, brought.dn);
        let is_new = brought.action == Action::Created;
        self.set_hidden(&hidden, &dialect, &link)
            .await
            .map_err(|error| if is_new { after_creation(error) } else { error })?;
        let action = match brought.action {
            Action::Unchanged if !hidden.is_empty() => Action::Updated,
            action => action,
        };
        Ok(Delivered { link: Some(link), revisit: brought.aside.then_some(work.now), action })
    }

    async fn locate_user(
        &self,
        users: &Users,
        work: &Work,
        goal: &Goal,
        dialect: &Dialect,
    ) -> Result<Option<Found>, DeliveryError> {
        let attributes = reads(goal, dialect.anchor);
        let places = Self::user_places(users);
        if let Some(link) = &work.link
            && let Some(found) = self.linked(link, dialect.anchor, &places, &attributes).await?
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.trace_of_user(users, work, dialect).await? {
            return Ok(Some(found));
        }
        let site = Site { places, correlate: &users.correlate, mapping: Some(&users.attributes) };
        self.correlated(work, dialect.anchor, goal, &site, &attributes).await
    }

    /// The entry that an attempt which was cut off has made of somebody, as they were then.
    async fn trace_of_user(
        &self,
        users: &Users,
        work: &Work,
        dialect: &Dialect,
    ) -> Result<Option<Found>, DeliveryError> {
        // What could not be projected was not made either.
        let goals = work.earlier.iter().filter_map(|earlier| {
            project::user(users, earlier, dialect, Posture::of(users, earlier)).ok()
        });
        self.trace(work, goals, dialect.anchor).await
    }

    /// Makes the entry, or changes the one that was found into what it should be. `closing` tells
    /// whether that takes something away from the person.
    pub(crate) async fn bring(
        &self,
        work: &Work,
        goal: &Goal,
        found: Option<Found>,
        anchor: &'static str,
        closing: &(dyn Fn(&Found) -> Option<Action> + Sync),
    ) -> Result<Brought, DeliveryError> {
        let found = match found {
            Some(found) => found,
            None => match self.create(goal, anchor).await? {
                Created::Made(brought) => return Ok(brought),
                Created::Taken(found) => found,
                // The entry that was in the way has just gone, or cannot be seen.
                Created::Vanished => match self.create(goal, anchor).await? {
                    Created::Made(brought) => return Ok(brought),
                    Created::Taken(found) => found,
                    Created::Vanished => return Err(unreadable(&goal.dn.to_string())),
                },
            },
        };
        self.demand_unowned(work, &found, anchor).await?;
        if !self.is_own_trace(work, &found, goal) {
            found.demand_ours(work)?;
        }
        let removal = closing(&found);
        if let Some(action) = removal {
            demand_removal(work, || summary(action, &found, goal))?;
        }
        demand_name(work, &found, goal)?;
        let adopted = found.claim != Claim::Linked;

        let (entry, renamed) = match self.renamed(work, found, goal, anchor).await? {
            Renamed::No(entry) => (entry, false),
            Renamed::Yes(entry) => (entry, true),
            Renamed::Aside(entry) => {
                let (anchor, dn) = (anchor_of(&entry, anchor)?, entry.dn);
                return Ok(Brought { dn, anchor, action: Action::Renamed, aside: true });
            }
        };
        let changes = diff::difference(&entry, goal);
        let changed = !changes.is_empty();
        if changed {
            self.change(&entry.dn, changes).await?;
        }
        let action = match removal {
            Some(action) => action,
            None if adopted => Action::Adopted,
            None if renamed => Action::Renamed,
            None if changed => Action::Updated,
            None => Action::Unchanged,
        };
        Ok(Brought { anchor: anchor_of(&entry, anchor)?, dn: entry.dn, action, aside: false })
    }

    async fn create(&self, goal: &Goal, anchor: &'static str) -> Result<Created, DeliveryError> {
        let dn = goal.dn.to_string();
        let attributes = reads(goal, anchor);
        match self.transport.add(&dn, goal.entry()).await {
            Ok(()) => {
                let made = self.made(&dn, &attributes, anchor).await.map_err(after_creation)?;
                Ok(Created::Made(made))
            }
            Err(fault) if fault.code() == Some(code::ENTRY_ALREADY_EXISTS) => {
                let Some(entry) = self.read(&dn, &attributes).await? else {
                    return Ok(Created::Vanished);
                };
                let claim = Claim::TakeOver("found by its name".to_owned());
                Found::new(entry, claim).map(Created::Taken)
            }
            Err(fault) if fault.code() == Some(code::NO_SUCH_OBJECT) => {
                Err(DeliveryError::refused(format!(
                    "adding `{dn}`: {fault}; make the entry `{}` above it, then retry",
                    goal.dn.parent()
                )))
            }
            Err(fault) => Err(fault.into_error(Kind::Write, &format!("adding `{dn}`"))),
        }
    }

    /// What the server made of a new entry.
    async fn made(
        &self,
        dn: &str,
        attributes: &[String],
        anchor: &str,
    ) -> Result<Brought, DeliveryError> {
        let entry = self.read(dn, attributes).await?.ok_or_else(|| unreadable(dn))?;
        let anchor = anchor_of(&entry, anchor)?;
        Ok(Brought { dn: entry.dn, anchor, action: Action::Created, aside: false })
    }

    pub(crate) async fn change(
        &self,
        dn: &str,
        changes: Vec<Modification>,
    ) -> Result<(), DeliveryError> {
        self.transport
            .modify(dn, changes)
            .await
            .map_err(|fault| fault.into_error(Kind::Write, &format!("modifying `{dn}`")))
    }

    async fn user_gone(
        &self,
        users: &Users,
        work: &Work,
        last: &Resource,
        why: Gone,
    ) -> Result<Delivered, DeliveryError> {
        let (policy, stage) = match why {
            Gone::OutOfScope => (users.deprovision.deactivate, Stage::Deactivated),
            Gone::Deleted => (users.deprovision.delete, Stage::Removed),
        };
        if work.link.is_none() && !work.in_doubt {
            return Ok(ignored(None));
        }
        let dialect = self.dialect().await?;
        let seal = Seal::of(users, last, &dialect)?;
        let Some(found) = self.locate_gone(users, work, last, &dialect, &seal).await? else {
            let action = if work.link.is_some() { Action::Unchanged } else { Action::Ignored };
            return Ok(Delivered { link: None, revisit: None, action });
        };

        // Somebody opened it again by hand, or it was kept until now: the time begins anew.
        let place = users.deprovision.move_to.as_ref();
        let closed = match policy {
            Policy::Disable => seal.holds(&found.entry),
            Policy::Move => {
                place.is_some_and(|place| found.dn.is_within(place))
                    && (seal.holds(&found.entry) || !seal.is_possible())
            }
            Policy::Delete | Policy::Keep => true,
        };
        let since = (work.link.as_ref())
            .filter(|link| closed && link.stage == stage)
            .map(|link| link.since);
        let due = (users.deprovision.purge_after)
            .filter(|_| matches!(policy, Policy::Disable | Policy::Move))
            .and_then(|period| since.unwrap_or(work.now).checked_add(period.0).ok());
        let purge = since.is_some() && due.is_some_and(|due| due <= work.now);
        let dn = &found.entry.dn;
        if policy == Policy::Delete || purge {
            let verb = if purge { "purge" } else { "delete" };
            demand_removal(work, || format!("{verb} `{dn}`"))?;
            self.remove(dn).await?;
            return Ok(Delivered { link: None, revisit: None, action: Action::Deleted });
        }

        let (dn, action) = match policy {
            Policy::Keep | Policy::Delete => (dn.clone(), Action::Unchanged),
            Policy::Disable => {
                seal.demand(&dialect.product)?;
                self.close(work, &found, &seal, None).await?
            }
            Policy::Move => self.close(work, &found, &seal, place).await?,
        };
        let link = Link {
            target_id: anchor_of(&found.entry, dialect.anchor)?,
            address: dn,
            hash: None,
            stage,
            since: since.unwrap_or(work.now),
        };
        Ok(Delivered { link: Some(link), revisit: due, action })
    }

    /// The entry of somebody who is not wanted: the linked one, or one that a cut-off attempt must
    /// have made.
    async fn locate_gone(
        &self,
        users: &Users,
        work: &Work,
        last: &Resource,
        dialect: &Dialect,
        seal: &Seal,
    ) -> Result<Option<Found>, DeliveryError> {
        let places = Self::user_places(users);
        if let Some(link) = &work.link {
            let sealed = seal.attributes().into_iter().map(|(name, _)| name);
            let attributes: Vec<String> = ["objectClass", dialect.anchor]
                .into_iter()
                .map(str::to_owned)
                .chain(sealed)
                .collect();
            return self.linked(link, dialect.anchor, &places, &attributes).await;
        }
        if let Some(found) = self.trace_of_user(users, work, dialect).await? {
            return Ok(Some(found));
        }
        // Without its attributes there is nothing to know it by, and then nothing was made of them.
        let Ok(goal) = project::user(users, last, dialect, Posture::Enabled) else {
            return Ok(None);
        };
        let attributes = reads(&goal, dialect.anchor);
        let site = Site { places, correlate: &users.correlate, mapping: Some(&users.attributes) };
        if let Some(found) =
            self.correlated(work, dialect.anchor, &goal, &site, &attributes).await?
        {
            return Ok(Some(found).filter(|found| found.claim == Claim::Certain));
        }
        let Some(entry) = self.read(&goal.dn.to_string(), &attributes).await? else {
            return Ok(None);
        };
        let found = Found::new(entry, Claim::Certain)?;
        Ok(Some(found).filter(|found| self.is_own_trace(work, found, &goal)))
    }

    /// Disables the entry where that is possible, then moves it if it has to go somewhere.
    async fn close(
        &self,
        work: &Work,
        found: &Found,
        seal: &Seal,
        place: Option<&Dn>,
    ) -> Result<(String, Action), DeliveryError> {
        let dn = &found.entry.dn;
        let place = place.filter(|place| !found.dn.is_within(place));
        let open = seal.is_possible() && !seal.holds(&found.entry);
        match place {
            Some(place) => demand_removal(work, || format!("move `{dn}` to `{place}`"))?,
            None if open => demand_removal(work, || format!("disable `{dn}`"))?,
            None => {}
        }
        let changes = diff::exact(&found.entry, &seal.attributes());
        let changed = !changes.is_empty();
        if changed {
            self.change(dn, changes).await?;
        }
        let (Some(place), Some(rdn)) = (place, found.dn.rdn()) else {
            let action = match (open, changed) {
                (true, _) => Action::Deactivated,
                (false, true) => Action::Updated,
                (false, false) => Action::Unchanged,
            };
            return Ok((dn.clone(), action));
        };
        let new = place.child(rdn);
        self.rename(found, &new).await?;
        let new = new.to_string();
        let entry = self.read(&new, &["objectClass".to_owned()]).await?;
        Ok((entry.map_or(new, |entry| entry.dn), Action::Moved))
    }
}

enum Created {
    Made(Brought),
    /// Another entry has that name.
    Taken(Found),
    /// Another entry had that name, and is not to be found under it.
    Vanished,
}

/// A failure after the entry was made: without a link, only the doubt tells the next attempt that
/// it may be ours.
pub(crate) fn after_creation(error: DeliveryError) -> DeliveryError {
    match error {
        DeliveryError::Later { what, retry_after, source, .. } => {
            DeliveryError::Later { what, retry_after, in_doubt: true, source }
        }
        DeliveryError::Unreachable { what, source }
        | DeliveryError::Credentials { what, source } => {
            DeliveryError::Later { what, retry_after: None, in_doubt: true, source }
        }
        other => other,
    }
}

/// What to read of an entry that should be like `goal`.
pub(crate) fn reads(goal: &Goal, anchor: &str) -> Vec<String> {
    let mut attributes = goal.reads();
    attributes.extend([anchor, MAKER].map(str::to_owned));
    attributes
}

pub(crate) fn anchor_of(entry: &Entry, anchor: &str) -> Result<String, DeliveryError> {
    entry.text(anchor).map(str::to_owned).ok_or_else(|| {
        DeliveryError::refused(format!(
            "`{}` shows no {anchor}, by which it would be found again; let the bind DN read it, then retry",
            entry.dn
        ))
    })
}

/// A link to an entry that is in use.
pub(crate) fn active_link(work: &Work, target_id: String, address: String) -> Link {
    let since =
        work.link.as_ref().filter(|link| link.stage == Stage::Active).map(|link| link.since);
    Link { target_id, address, hash: None, stage: Stage::Active, since: since.unwrap_or(work.now) }
}

pub(crate) fn unreadable(dn: &str) -> DeliveryError {
    DeliveryError::refused(format!(
        "`{dn}` is there, but cannot be read under that name: the bind DN may not, or the server \
         spells the name otherwise; give it the right to, then retry"
    ))
}

fn summary(action: Action, found: &Found, goal: &Goal) -> String {
    let dn = &found.entry.dn;
    match action {
        Action::Moved => format!("move `{dn}` to `{}`", goal.dn.parent()),
        _ => format!("disable `{dn}`"),
    }
}
