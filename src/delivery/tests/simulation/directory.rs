//! A target that mirrors state, made like a directory: entries with an id of their own and a name
//! that one of them has, and groups that hold names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use scim_relay_sdk::connector::{
    Action, Connector, Delivered, DeliveryError, Gone, Health, HoldKind, Link, MemberDelta,
    MemberRemovals, Preview, Resource, Semantics, Stage, Wanted, Work,
};
use scim_relay_sdk::scim::{ResourceId, ResourceKind};

use super::mood::End;
use super::removals::Removals;
use super::target::Desk;
use crate::safety::Removal;

/// Until an entry that was disabled after a deletion is purged.
const PURGED_AFTER: Duration = Duration::from_hours(3);

pub(super) struct Directory {
    pub(super) desk: Desk,
    /// Groups reach it with their members.
    pub(super) members: bool,
    /// Who was deleted is disabled first, and purged later.
    pub(super) keeps: bool,
    pub(super) removals: Removals,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    entries: BTreeMap<String, Entry>,
    made: u64,
    /// How new the newest state of each resource is that was written.
    written: BTreeMap<ResourceId, i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// For whom it was made.
    pub(super) of: ResourceId,
    pub(super) title: String,
    pub(super) active: bool,
    /// Whose each address was when it came.
    pub(super) members: BTreeMap<String, ResourceId>,
}

/// What a delivery makes of a group's members.
struct Members {
    after: BTreeMap<String, ResourceId>,
    /// Addresses that go.
    leave: Vec<String>,
}

impl Members {
    fn of(before: &BTreeMap<String, ResourceId>, work: &Work) -> Self {
        let mut after = before.clone();
        let mut leave = Vec::new();
        match &work.members {
            Some(MemberDelta::All(members)) => {
                let wanted: BTreeSet<_> = members.iter().map(|member| &member.address).collect();
                leave.extend(before.keys().filter(|address| !wanted.contains(address)).cloned());
            }
            Some(MemberDelta::Changed { left, .. }) => {
                let there = left.iter().filter(|member| before.contains_key(&member.address));
                leave.extend(there.map(|member| member.address.clone()));
            }
            None => {}
        }
        if work.permit.members == MemberRemovals::Leave {
            leave.retain(|address| work.bygone.contains(address));
        }
        after.retain(|address, _| !leave.contains(address));
        if let Some(MemberDelta::All(come) | MemberDelta::Changed { joined: come, .. }) =
            &work.members
        {
            after.extend(come.iter().map(|member| (member.address.clone(), member.key.id)));
        }
        Self { after, leave }
    }
}

impl Directory {
    pub(super) fn new(desk: Desk, members: bool, keeps: bool) -> Self {
        let removals = Removals::new(desk.name, &desk.record);
        Self { desk, members, keeps, removals, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    /// What it holds now, by its own ids.
    pub(super) fn entries(&self) -> BTreeMap<String, Entry> {
        self.held().entries.clone()
    }

    /// Somebody takes away by hand what is left of a resource.
    pub(super) fn tidy_up(&self, of: ResourceId) {
        self.held().entries.retain(|_, entry| entry.of != of);
    }

    async fn present(&self, work: &Work, resource: &Resource) -> Result<Delivered, DeliveryError> {
        let name = name(resource);
        let linked = work.link.as_ref().map(|link| link.target_id.clone());
        let linked = linked.filter(|id| self.held().entries.contains_key(id));
        let anew = linked.is_none();
        // One that a cut-off attempt made is known by what it holds of the resource.
        let linked = linked.or_else(|| self.made_for(work));
        if anew && work.link.is_some() && matches!(work.members, Some(MemberDelta::Changed { .. }))
        {
            // Without a link, the engine says who all the members are.
            let revisit = Some(work.now);
            return Ok(Delivered { link: None, revisit, action: Action::Unchanged });
        }
        let there = self.named(&name);
        let (id, action) = match (linked, there) {
            (Some(id), there) => {
                if let Some(other) = there.filter(|there| *there != id) {
                    let owner = self.owner(work, &other).await?;
                    match owner {
                        Some(_) if work.permit.step_aside => {
                            self.set_members(work, &id)?;
                            return Ok(self.aside(work, &id));
                        }
                        Some(error) if !anew => return Err(error),
                        // Linked at least, so that whoever wants its name can wait for it.
                        _ => {
                            let (address, reason) =
                                (self.name_of(&id), "the name is taken".to_owned());
                            let link = Box::new(Self::link(work, id, address, Stage::Active));
                            return Err(DeliveryError::Partly { link, reason });
                        }
                    }
                }
                (id, Action::Updated)
            }
            (None, Some(other)) => {
                if let Some(error) = self.owner(work, &other).await? {
                    return Err(error);
                }
                if !work.permit.take_over {
                    return Err(DeliveryError::hold(
                        HoldKind::TakeOver,
                        1,
                        format!("take over {name}"),
                    ));
                }
                (other, Action::Adopted)
            }
            (None, None) => {
                let mut held = self.held();
                held.made += 1;
                let id = format!("{}-{}", self.desk.name, held.made);
                let (name, of, title) = (String::new(), work.key.id, String::new());
                let members = BTreeMap::new();
                let entry = Entry { name, of, title, active: true, members };
                held.entries.insert(id.clone(), entry);
                (id, Action::Created)
            }
        };
        let before = self.held().entries.get(&id).cloned();
        if let Some(before) = before.filter(|before| before.name != name)
            && action == Action::Updated
            && !work.permit.rename
        {
            let summary = format!("rename {} to {name}", before.name);
            return Err(DeliveryError::hold(HoldKind::Removal, 1, summary));
        }
        self.set_members(work, &id)?;
        let mut held = self.held();
        held.newer(self, work);
        let entry = held.entries.get_mut(&id).expect("it is there by now");
        entry.name.clone_from(&name);
        entry.of = work.key.id;
        entry.title = title(resource);
        entry.active = true;
        drop(held);
        let link = Some(Self::link(work, id, name, Stage::Active));
        Ok(Delivered { link, revisit: None, action })
    }

    /// Under a passing name, so that another may have its name; to be looked at again.
    fn aside(&self, work: &Work, id: &str) -> Delivered {
        let name = format!("passing {}", work.key.id);
        let mut held = self.held();
        let entry = held.entries.get_mut(id).expect("it is linked");
        entry.name.clone_from(&name);
        drop(held);
        let link = Some(Self::link(work, id.to_owned(), name, Stage::Active));
        Delivered { link, revisit: Some(work.now), action: Action::Renamed }
    }

    /// Who comes and goes, where so many may go.
    fn set_members(&self, work: &Work, id: &str) -> Result<(), DeliveryError> {
        let before = self.held().entries[id].members.clone();
        let Members { after, leave } = Members::of(&before, work);
        let costly = leave.iter().filter(|address| !work.bygone.contains(*address)).count();
        work.permit.members.demand(costly, || format!("{leave:?} leave"))?;
        let stay: BTreeSet<ResourceId> = after.values().copied().collect();
        let losses = leave.iter().map(|address| before[address]);
        let losses: BTreeSet<_> = losses.filter(|of| !stay.contains(of)).collect();
        let mut held = self.held();
        let lost = losses.iter().filter(|of| held.is_active(of)).count();
        held.entries.get_mut(id).expect("it is there").members = after;
        drop(held);
        self.removals.made(Removal::Member, work.key.id, lost as u64);
        Ok(())
    }

    /// Whether it may be taken away, with its members.
    fn may_go(&self, work: &Work, entry: &Entry) -> Result<(), DeliveryError> {
        if !work.permit.remove {
            let summary = format!("remove {}", entry.name);
            return Err(DeliveryError::hold(HoldKind::Removal, 1, summary));
        }
        let members = || format!("remove {} and its members", entry.name);
        work.permit.members.demand(entry.members.len(), members)?;
        let held = self.held();
        let lost = entry.members.values().filter(|of| held.is_active(of)).count();
        drop(held);
        self.removals.made(Removal::Entry, work.key.id, 1);
        self.removals.made(Removal::Member, work.key.id, lost as u64);
        Ok(())
    }

    fn gone(&self, work: &Work, why: Gone) -> Result<Delivered, DeliveryError> {
        let nothing = |action| Delivered { link: None, revisit: None, action };
        let id = match &work.link {
            Some(link) => Some(link.target_id.clone()),
            // One that a cut-off attempt must have made.
            None => self.made_for(work),
        };
        let Some(id) = id.filter(|id| self.held().entries.contains_key(id)) else {
            return Ok(nothing(Action::Unchanged));
        };
        let entry = self.held().entries[&id].clone();
        let stage = match why {
            Gone::Deleted => Stage::Removed,
            Gone::OutOfScope => Stage::Deactivated,
        };
        let before = work.link.as_ref().filter(|link| link.stage == stage).map(|link| link.since);
        let due = before.unwrap_or(work.now) + PURGED_AFTER;
        let keeps = self.keeps || why == Gone::OutOfScope;
        let purge = why == Gone::Deleted && before.is_some() && due <= work.now;
        let goes = work.key.kind == ResourceKind::Group || !keeps || purge;
        if goes || entry.active {
            self.may_go(work, &entry)?;
        }
        let mut held = self.held();
        held.newer(self, work);
        if goes {
            held.entries.remove(&id);
            return Ok(nothing(Action::Deleted));
        }
        let entry = held.entries.get_mut(&id).expect("it is there");
        entry.active = false;
        if why == Gone::OutOfScope {
            // Elsewhere, where it is in nobody's way.
            entry.name = format!("left {}", work.key.id);
        }
        let address = entry.name.clone();
        drop(held);
        let link = Some(Self::link(work, id, address, stage));
        let revisit = (why == Gone::Deleted).then_some(due);
        Ok(Delivered { link, revisit, action: Action::Deactivated })
    }

    fn link(work: &Work, target_id: String, address: String, stage: Stage) -> Link {
        let before = work.link.as_ref().filter(|link| link.stage == stage);
        let since = before.map_or(work.now, |link| link.since);
        Link { target_id, address, hash: None, stage, since }
    }

    /// Which entry has this name.
    fn named(&self, name: &str) -> Option<String> {
        let held = self.held();
        held.entries.iter().find(|(_, entry)| entry.name == name).map(|(id, _)| id.clone())
    }

    fn name_of(&self, id: &str) -> String {
        self.held().entries[id].name.clone()
    }

    fn made_for(&self, work: &Work) -> Option<String> {
        let held = self.held();
        held.entries.iter().find(|(_, entry)| entry.of == work.key.id).map(|(id, _)| id.clone())
    }

    /// That an entry is somebody else's, who must settle first.
    async fn owner(&self, work: &Work, id: &str) -> Result<Option<DeliveryError>, DeliveryError> {
        let owner = work.owners.of(id).await?.filter(|owner| owner.key != work.key);
        Ok(owner.map(|owner| DeliveryError::After(owner.key)))
    }
}

impl Held {
    fn is_active(&self, of: &ResourceId) -> bool {
        self.entries.values().any(|entry| entry.of == *of && entry.active)
    }

    /// Nothing older is written over what is newer.
    fn newer(&mut self, of: &Directory, work: &Work) {
        let age = age(work);
        let before = self.written.insert(work.key.id, age).unwrap_or(age);
        if age < before {
            of.desk.record.wrong(format!("{}: went back from {before} to {age}", of.desk.name));
        }
    }
}

/// The version of the resource that a work is made of.
fn age(work: &Work) -> i64 {
    let version = work.wanted.resource().attributes["meta"]["version"].as_str();
    let number =
        version.and_then(|text| text.strip_prefix("W/\"")?.strip_suffix('"')?.parse().ok());
    number.expect("every state has a version")
}

fn name(resource: &Resource) -> String {
    let name = ["userName", "displayName"]
        .into_iter()
        .find_map(|name| resource.attributes.get(name)?.as_str())
        .expect("everybody has a name");
    format!("{}/{name}", resource.organization.key)
}

fn title(resource: &Resource) -> String {
    let title = resource.attributes.get("title").and_then(|title| title.as_str());
    title.unwrap_or_default().to_owned()
}

#[async_trait]
impl Connector for Directory {
    fn semantics(&self) -> Semantics {
        Semantics::LatestState
    }

    fn wants_members(&self) -> bool {
        self.members
    }

    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError> {
        let visit = self.desk.begin(work, age(work));
        tokio::time::sleep(visit.plan.before).await;
        let done = match &work.wanted {
            _ if !visit.plan.acts => None,
            Wanted::Present(resource) => Some(self.present(work, resource).await),
            Wanted::Gone { why, .. } => Some(self.gone(work, *why)),
        };
        if let Some(Err(error)) = done {
            return Err(error);
        }
        match (visit.end().await, done) {
            (Some(error), _) => Err(error),
            (None, Some(Ok(Delivered { link: Some(link), .. })))
                if visit.plan.end == End::Partly =>
            {
                Err(DeliveryError::Partly { link: Box::new(link), reason: "not all".to_owned() })
            }
            (None, Some(done)) => done,
            (None, None) => unreachable!("what ends well was done"),
        }
    }

    async fn preview(&self, _: &Work) -> Result<Preview, DeliveryError> {
        Ok(Preview { text: String::new() })
    }

    async fn probe(&self) -> Result<Health, DeliveryError> {
        self.desk.probe().await
    }
}
