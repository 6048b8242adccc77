//! Groups and their members: added and removed by value, so that one more in a group of a hundred
//! thousand is one value on the wire.

use std::collections::BTreeSet;

use scim_relay_sdk::connector::{
    Action, Delivered, DeliveryError, Member, MemberDelta, MemberRemovals, Resource, Wanted, Work,
};

use crate::config::Groups;
use crate::connector::{Ldap, demand_removal, ignored};
use crate::deliver::{active_link, after_creation, reads};
use crate::dn;
use crate::error::{Fault, Kind, code};
use crate::filter::Filter;
use crate::locate::{Claim, Found};
use crate::project::{self, Goal};
use crate::transport::{Modification, Query, Scope, Values};

/// Values in one modify; servers bound what one request may hold.
const CHUNK: usize = 1_000;
/// Entries looked for in one search.
const MOVED_AT_ONCE: usize = 100;

/// The members that make the difference, by address.
#[derive(Debug, Default)]
struct Delta {
    joined: Values,
    left: Values,
    /// A placeholder to put in, where nobody is left.
    fill: Option<Vec<u8>>,
    /// Those that stand for nobody and go, where somebody joins.
    unfill: Values,
}

impl Ldap {
    pub(crate) async fn deliver_group(
        &self,
        groups: &Groups,
        work: &Work,
    ) -> Result<Delivered, DeliveryError> {
        match &work.wanted {
            Wanted::Present(resource) => self.group_present(groups, work, resource).await,
            Wanted::Gone { .. } => self.group_gone(groups, work).await,
        }
    }

    async fn group_gone(&self, groups: &Groups, work: &Work) -> Result<Delivered, DeliveryError> {
        if work.link.is_none() && !work.in_doubt {
            return Ok(ignored(None));
        }
        let dialect = self.dialect().await?;
        let found = match &work.link {
            Some(link) => {
                let places: Vec<_> = groups.base().into_iter().collect();
                let attributes = [dialect.anchor.to_owned()];
                self.linked(link, dialect.anchor, &places, &attributes).await?
            }
            None => self.trace_of_group(groups, work, dialect.anchor).await?,
        };
        let action = match found {
            Some(found) => {
                let dn = &found.entry.dn;
                demand_removal(work, || format!("delete the group `{dn}`"))?;
                if work.permit.members != MemberRemovals::UpTo(u64::MAX) {
                    let (_, members) = self.members_of(groups, dn).await?;
                    let count = missing(&members, &bygone(work)).len();
                    work.permit.members.demand(count, || {
                        format!("delete the group `{dn}` with {}", counted(count))
                    })?;
                }
                self.remove(dn).await?;
                Action::Deleted
            }
            None if work.link.is_none() => Action::Ignored,
            None => Action::Unchanged,
        };
        Ok(Delivered { link: None, revisit: None, action })
    }

    /// The entry that an attempt which was cut off has made of the group, as it was then.
    async fn trace_of_group(
        &self,
        groups: &Groups,
        work: &Work,
        anchor: &str,
    ) -> Result<Option<Found>, DeliveryError> {
        let goals = work.earlier.iter().filter_map(|earlier| project::group(groups, earlier).ok());
        self.trace(work, goals, anchor).await
    }

    async fn group_present(
        &self,
        groups: &Groups,
        work: &Work,
        resource: &Resource,
    ) -> Result<Delivered, DeliveryError> {
        let dialect = self.dialect().await?;
        let mut goal = project::group(groups, resource)?;
        let found = match self.locate_group(groups, work, &goal, dialect.anchor).await? {
            // Made anew, it would lack everybody whom the delta does not speak of; without a
            // link, the engine says who all the members are.
            None if work.link.is_some()
                && matches!(work.members, Some(MemberDelta::Changed { .. })) =>
            {
                return Ok(Delivered {
                    link: None,
                    revisit: Some(work.now),
                    action: Action::Unchanged,
                });
            }
            found => found,
        };
        if let Some(found) = &found {
            self.demand_unowned(work, found, dialect.anchor).await?;
            if !self.is_own_trace(work, found, &goal) {
                found.demand_ours(work)?;
            }
            self.demand_members(groups, work, &found.entry.dn).await?;
        }

        // The first of many members come with the entry, the others after it.
        let everybody = match &work.members {
            Some(MemberDelta::All(members)) => addresses(members),
            Some(MemberDelta::Changed { joined, .. }) => addresses(joined),
            None => Values::new(),
        };
        let mut first: Values = everybody.iter().take(CHUNK).cloned().collect();
        if first.is_empty() && groups.needs_a_member() {
            first.push(self.placeholder());
        }
        if !first.is_empty() {
            goal.creation.push((groups.member_attribute().to_owned(), first));
        }
        let brought = self.bring(work, &goal, found, dialect.anchor, &|_: &Found| None).await?;

        let mut action = brought.action;
        if action == Action::Created {
            let rest =
                Delta { joined: everybody.into_iter().skip(CHUNK).collect(), ..Delta::default() };
            self.write_members(groups, &brought.dn, &rest).await.map_err(after_creation)?;
        } else if self.deliver_members(groups, work, &brought.dn).await?
            && action == Action::Unchanged
        {
            action = Action::Updated;
        }
        let revisit = brought.aside.then_some(work.now);
        let link = active_link(work, brought.anchor, brought.dn);
        Ok(Delivered { link: Some(link), revisit, action })
    }

    /// The linked group, or whatever has its name.
    async fn locate_group(
        &self,
        groups: &Groups,
        work: &Work,
        goal: &Goal,
        anchor: &'static str,
    ) -> Result<Option<Found>, DeliveryError> {
        let attributes = reads(goal, anchor);
        let places: Vec<_> = groups.base().into_iter().collect();
        if let Some(link) = &work.link
            && let Some(found) = self.linked(link, anchor, &places, &attributes).await?
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.trace_of_group(groups, work, anchor).await? {
            return Ok(Some(found));
        }
        let entry = self.read(&goal.dn.to_string(), &attributes).await?;
        entry
            .map(|entry| Found::new(entry, Claim::TakeOver("found by its name".to_owned())))
            .transpose()
    }

    /// Answers [`DeliveryError::Hold`] if somebody would have to leave and may not: before anything
    /// of the group is written.
    async fn demand_members(
        &self,
        groups: &Groups,
        work: &Work,
        dn: &str,
    ) -> Result<(), DeliveryError> {
        if matches!(work.permit.members, MemberRemovals::Leave | MemberRemovals::UpTo(u64::MAX)) {
            return Ok(());
        }
        let leaving = match &work.members {
            None => Values::new(),
            Some(MemberDelta::Changed { left, .. }) => addresses(left),
            Some(MemberDelta::All(members)) => {
                let (_, current) = self.members_of(groups, dn).await?;
                missing(&current, &addresses(members))
            }
        };
        demand_leaving(work, &leaving, dn)
    }

    /// A group's members: those that stand for nobody, and the others.
    async fn members_of(
        &self,
        groups: &Groups,
        dn: &str,
    ) -> Result<(Values, Values), DeliveryError> {
        let attribute = groups.member_attribute();
        let entry = self.read(dn, &[attribute.to_owned()]).await?.unwrap_or_default();
        let fillers = keys(&self.fillers(groups));
        let members = entry.values(attribute).iter().cloned();
        Ok(members.partition(|value| fillers.contains(&dn::name_key(value))))
    }

    /// Brings the members in line; whether anything was to be done.
    async fn deliver_members(
        &self,
        groups: &Groups,
        work: &Work,
        dn: &str,
    ) -> Result<bool, DeliveryError> {
        match &work.members {
            None => Ok(false),
            Some(MemberDelta::All(members)) => {
                let wanted = addresses(members);
                self.compare_members(groups, work, dn, |current| Delta {
                    joined: missing(&wanted, current),
                    left: missing(current, &wanted),
                    ..Delta::default()
                })
                .await
            }
            Some(MemberDelta::Changed { joined: members, left: leavers }) => {
                let joined = addresses(members);
                let left = may_leave(work, addresses(leavers));
                match self.try_members(groups, dn, joined.clone(), left.clone()).await {
                    // Somebody was faster: a late twin of this work, a hand, the server's own
                    // referential integrity.
                    Err(fault)
                        if matches!(
                            fault.code(),
                            Some(code::ATTRIBUTE_OR_VALUE_EXISTS | code::NO_SUCH_ATTRIBUTE)
                        ) =>
                    {
                        let left = [left, self.moved(members, leavers).await?].concat();
                        self.compare_members(groups, work, dn, |current| Delta {
                            joined: missing(&joined, current),
                            left: present(&left, current),
                            ..Delta::default()
                        })
                        .await
                    }
                    done => done.map_err(|fault| failed(fault, dn)),
                }
            }
        }
    }

    /// Where those who left are now, if not where they were: renamed in this very moment, and the
    /// server has put the new name into the group itself.
    async fn moved(&self, joined: &[Member], left: &[Member]) -> Result<Values, DeliveryError> {
        let Some(users) = &self.users else { return Ok(Values::new()) };
        let dialect = self.dialect().await?;
        // Whoever stays under another name is among both.
        let stay: BTreeSet<_> = joined.iter().map(|member| &member.target_id).collect();
        let left: Vec<_> =
            left.iter().map(|member| &member.target_id).filter(|id| !stay.contains(id)).collect();
        let mut moved = Values::new();
        for ids in left.chunks(MOVED_AT_ONCE) {
            for place in Self::user_places(users) {
                let filter = Filter::any_of(dialect.anchor, ids);
                let attributes = [dialect.anchor.to_owned()];
                let found = self.search(place, filter, &attributes, ids.len()).await?;
                moved.extend(found.into_iter().map(|entry| entry.dn.into_bytes()));
            }
        }
        Ok(moved)
    }

    /// Reads who is in the group and writes what `difference` makes of it.
    async fn compare_members(
        &self,
        groups: &Groups,
        work: &Work,
        dn: &str,
        difference: impl Fn(&Values) -> Delta,
    ) -> Result<bool, DeliveryError> {
        let (fillers, current) = self.members_of(groups, dn).await?;
        let mut delta = difference(&current);
        delta.left = may_leave(work, delta.left);
        demand_leaving(work, &delta.left, dn)?;
        let empty = current.len() + delta.joined.len() == delta.left.len();
        if !empty {
            delta.unfill = fillers;
        } else if fillers.is_empty() && groups.needs_a_member() {
            delta.fill = Some(self.placeholder());
        }
        self.write_members(groups, dn, &delta).await
    }

    /// Writes the delta without reading the members: only whether the placeholder is among them is
    /// asked, and that the last one leaves is told by the server.
    async fn try_members(
        &self,
        groups: &Groups,
        dn: &str,
        joined: Values,
        left: Values,
    ) -> Result<bool, Fault> {
        if joined.is_empty() && left.is_empty() {
            return Ok(false);
        }
        let attribute = groups.member_attribute();
        let unfill =
            if joined.is_empty() { Values::new() } else { self.fillers_in(groups, dn).await? };
        for step in steps(attribute, &Delta { joined, left, fill: None, unfill }) {
            match self.transport.modify(dn, step.clone()).await {
                Err(fault)
                    if fault.code() == Some(code::OBJECT_CLASS_VIOLATION)
                        && groups.needs_a_member() =>
                {
                    let fill = Modification::Add(attribute.to_owned(), vec![self.placeholder()]);
                    let step = std::iter::once(fill).chain(step).collect();
                    self.transport.modify(dn, step).await?;
                }
                done => done?,
            }
        }
        Ok(true)
    }

    async fn write_members(
        &self,
        groups: &Groups,
        dn: &str,
        delta: &Delta,
    ) -> Result<bool, DeliveryError> {
        let steps = steps(groups.member_attribute(), delta);
        let changed = !steps.is_empty();
        for step in steps {
            self.transport.modify(dn, step).await.map_err(|fault| failed(fault, dn))?;
        }
        Ok(changed)
    }

    /// Which of the members that are none the group holds, without reading the others.
    async fn fillers_in(&self, groups: &Groups, dn: &str) -> Result<Values, Fault> {
        let attribute = groups.member_attribute();
        let mut held = Values::new();
        for filler in self.fillers(groups) {
            let query = Query {
                base: dn,
                scope: Scope::Base,
                filter: Filter::equals(attribute, &filler),
                attributes: &["objectClass".to_owned()],
            };
            if !self.transport.find(&query, 1).await?.is_empty() {
                held.push(filler);
            }
        }
        Ok(held)
    }

    fn placeholder(&self) -> Vec<u8> {
        self.placeholder.to_string().into_bytes()
    }

    /// Members that stand for nobody: our own placeholder, and what the server's referential
    /// integrity puts where the last one vanished.
    pub(crate) fn fillers(&self, groups: &Groups) -> Values {
        let mut fillers = Values::new();
        if groups.needs_a_member() {
            fillers.push(self.placeholder());
        }
        if let Some(nothing) = &groups.refint_nothing
            && *nothing != self.placeholder
        {
            fillers.push(nothing.to_string().into_bytes());
        }
        fillers
    }
}

fn bygone(work: &Work) -> Values {
    work.bygone.iter().map(|address| address.clone().into_bytes()).collect()
}

/// Those of them that are not to be left in.
fn may_leave(work: &Work, leaving: Values) -> Values {
    match work.permit.members {
        MemberRemovals::Leave => present(&bygone(work), &leaving),
        MemberRemovals::UpTo(_) => leaving,
    }
}

fn demand_leaving(work: &Work, leaving: &[Vec<u8>], dn: &str) -> Result<(), DeliveryError> {
    let count = missing(leaving, &bygone(work)).len();
    work.permit.members.demand(count, || format!("remove {} from `{dn}`", counted(count)))
}

fn counted(members: usize) -> String {
    format!("{members} {}", if members == 1 { "member" } else { "members" })
}

fn failed(fault: Fault, dn: &str) -> DeliveryError {
    fault.into_error(Kind::Write, &format!("changing the members of `{dn}`"))
}

fn addresses(members: &[Member]) -> Values {
    let mut seen = BTreeSet::new();
    let unique =
        members.iter().filter(|member| seen.insert(dn::name_key(member.address.as_bytes())));
    unique.map(|member| member.address.clone().into_bytes()).collect()
}

/// Names in the one spelling that they can be compared by.
pub(crate) fn keys(values: &[Vec<u8>]) -> BTreeSet<Vec<u8>> {
    values.iter().map(|value| dn::name_key(value)).collect()
}

/// The values of `of` that are not in `from`.
fn missing(of: &[Vec<u8>], from: &[Vec<u8>]) -> Values {
    let held = keys(from);
    of.iter().filter(|value| !held.contains(&dn::name_key(value))).cloned().collect()
}

/// The values of `from` that are in `of`, each once however often it is named.
fn present(of: &[Vec<u8>], from: &[Vec<u8>]) -> Values {
    let named = keys(of);
    from.iter().filter(|value| named.contains(&dn::name_key(value))).cloned().collect()
}

/// The modifies that carry a delta: those who join first, so that the group is never empty on the
/// way; a placeholder goes with the first who join and comes with the last who leave.
fn steps(attribute: &str, delta: &Delta) -> Vec<Vec<Modification>> {
    let add = |values: &[Vec<u8>]| Modification::Add(attribute.to_owned(), values.to_vec());
    let delete = |values: &[Vec<u8>]| Modification::Delete(attribute.to_owned(), values.to_vec());
    let mut steps: Vec<Vec<Modification>> =
        delta.joined.chunks(CHUNK).map(|chunk| vec![add(chunk)]).collect();
    if !delta.unfill.is_empty() {
        match steps.first_mut() {
            Some(first) => first.push(delete(&delta.unfill)),
            None => steps.push(vec![delete(&delta.unfill)]),
        }
    }
    // A small delta is one modify.
    let small = delta.joined.len() + delta.left.len() <= CHUNK;
    for chunk in delta.left.chunks(CHUNK) {
        match steps.last_mut() {
            Some(last) if small => last.push(delete(chunk)),
            _ => steps.push(vec![delete(chunk)]),
        }
    }
    if let Some(filler) = &delta.fill {
        let fill = add(std::slice::from_ref(filler));
        match steps.last_mut() {
            Some(last) => last.insert(0, fill),
            None => steps.push(vec![fill]),
        }
    }
    steps
}

#[cfg(test)]
mod tests;
