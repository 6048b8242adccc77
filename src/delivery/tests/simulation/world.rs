//! Carries out a schedule: the provider, the people, the clock and the power supply.

use std::collections::BTreeSet;
use std::slice::Iter;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use scim_relay_sdk::connector::Verb;
use scim_relay_sdk::scim::{MemberOp, MemberValue, ResourceId, ResourceKey, ResourceKind};
use uuid::Uuid;

use super::super::dice::Dice;
use super::house::{House, Life, Line, Target};
use super::model::{Face, Known, Model};
use super::steps::{Person, Step, What, Write};
use crate::store::{
    Actor, Deletion, Entry, EntryFilter, Origin, People, Pick, Reason, RowId, State, Store, Touch,
    Update, Verdict, Written,
};

const NAMES: u64 = 8;
/// Of people and groups; beyond it somebody is deleted first.
const MOST: usize = 10;

const RETENTION: Duration = Duration::from_hours(24 * 30);

pub(super) struct World {
    pub(super) house: House,
    pub(super) model: Model,
    /// What a person gave up: by line and resource, the event that was skipped (0: all there was).
    pub(super) skipped: BTreeSet<(usize, ResourceId, i64)>,
    /// Since when nothing was disturbed that a lane takes a while to notice.
    pub(super) calm: Duration,
    titles: u64,
}

/// How a process ends.
pub(super) enum End {
    /// And another one begins.
    Gone,
    /// And the schedule with it.
    Over,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            house: House::new(),
            model: Model::default(),
            skipped: BTreeSet::new(),
            calm: Duration::ZERO,
            titles: 0,
        }
    }

    /// A process, from its start to its end.
    pub(super) async fn live(&mut self, steps: &mut Iter<'_, Step>) -> Result<End, String> {
        let mut life = self.house.begin().await;
        self.house.record.note("-- a process begins");
        self.disturbed();
        for step in steps {
            self.house.record.note(&format!("-- {:?} {:?}", step.what, step.pick));
            match step.what {
                What::Kill => {
                    self.cut_off();
                    return Ok(End::Gone);
                }
                What::Stop => {
                    life.stop().await;
                    self.cut_off();
                    return Ok(End::Gone);
                }
                What::Pass(time) => self.pass(&life, time).await?,
                _ => self.step(&mut life, step).await,
            }
            self.check(&life)?;
        }
        self.heal(&mut life).await?;
        Ok(End::Over)
    }

    pub(super) fn disturbed(&mut self) {
        self.calm = self.house.record.passed();
    }

    /// Whatever was in flight may have been told without anybody knowing.
    fn cut_off(&mut self) {
        for (row, from) in self.waiting_events() {
            let (id, _) = self.model.by_row(row);
            for line in &self.house.lines {
                if let Target::Receiver(receiver) = &line.target {
                    receiver.may_repeat(id, from);
                }
            }
        }
        self.house.record.end();
    }

    /// Time passes; in pieces, so that what a lane should have done by then is looked for before
    /// it would have looked again by itself.
    pub(super) async fn pass(&mut self, life: &Life, mut time: Duration) -> Result<(), String> {
        for piece in [7, 36, 7, 300] {
            let piece = Duration::from_secs(piece).min(time);
            if piece.is_zero() {
                break;
            }
            tokio::time::sleep(piece).await;
            time -= piece;
            self.check(life)?;
        }
        tokio::time::sleep(time).await;
        Ok(())
    }

    async fn step(&mut self, life: &mut Life, step: &Step) {
        let mut dice = step.pick.dice();
        let at = dice.throw(self.house.lines.len() as u64) as usize;
        match step.what {
            What::Write(write) => {
                self.write(life, write, &mut dice).await;
                return;
            }
            What::Jump(minutes) => self.house.record.jump(SignedDuration::from_mins(minutes)),
            What::Mood(mood) => self.house.lines[at].target.desk().set_mood(mood),
            What::Pause => self.house.pause(life, at, true).await,
            What::Resume => self.house.pause(life, at, false).await,
            What::Reload => {
                let line = &mut self.house.lines[at];
                match dice.throw(4) {
                    0 => line.settings.edition += 1,
                    1 => line.settings.enabled = !line.settings.enabled,
                    _ => {
                        let has_scope = matches!(line.target, Target::Directory(_));
                        line.settings.students ^= has_scope;
                    }
                }
                self.reload(life, &mut dice).await;
            }
            What::Person(person) => self.person(life, person, at, &mut dice).await,
            What::Resync => {
                let line = &self.house.lines[at];
                if matches!(line.target, Target::Directory(_)) {
                    drop(life.store.mark_everyone(line.id, None, Reason::Resync).await);
                }
            }
            What::Drift => self.drift(life, at, &mut dice).await,
            What::Prune => {
                // Older than what anybody waits for here: past its time, events become one.
                let before = life.now() - RETENTION;
                drop(life.store.prune(before, before).await);
            }
            What::FillTheDisk(time) => self.house.fill_the_disk_for(time),
            What::Pass(_) | What::Stop | What::Kill => unreachable!("not done here"),
        }
        self.disturbed();
    }

    /// The provider does not wait for it: a write comes somewhere in the middle.
    async fn reload(&mut self, life: &mut Life, dice: &mut Dice) {
        let everybody = self.model.living(ResourceKind::User);
        let Some(id) = pick(dice, &everybody) else { return self.house.reload(life).await };
        let known = &self.model.resources[&id];
        self.titles += 1;
        let face = Face { title: self.titles.to_string(), ..known.face.clone() };
        let update = content(id, known.kind, &face);
        let organization = life.organizations[known.organization];
        let (store, origin) = (Arc::clone(&life.store), life.origin());
        let write = async {
            tokio::time::sleep(Duration::from_millis(dice.throw(500))).await;
            store.update(organization, update, origin).await
        };
        let ((), written) = tokio::join!(self.house.reload(life), write);
        if matches!(written, Ok(Written::Done { .. })) {
            self.model.resources.get_mut(&id).expect("it is there").face = face;
        }
        self.read_the_log();
    }

    async fn drift(&self, life: &Life, at: usize, dice: &mut Dice) {
        let line = &self.house.lines[at];
        if matches!(line.target, Target::Directory(_)) {
            let living = self.model.resources.values().filter(|known| known.living);
            let rows: Vec<RowId> =
                living.filter(|_| dice.throw(2) == 0).map(|known| known.row).collect();
            drop(life.store.mark(line.id, rows, Reason::Drift, life.now()).await);
        }
    }

    async fn person(&mut self, life: &Life, person: Person, at: usize, dice: &mut Dice) {
        let line = &self.house.lines[at];
        let all = EntryFilter { connector: Some(line.id), limit: 1_000, ..EntryFilter::default() };
        let Ok(found) = life.store.entries(all.clone()).await else { return };
        let entries = found.entries;
        let held = entries.iter().filter(|entry| entry.state == State::Held);
        let held: Vec<_> = held.map(key).collect();
        let any: Vec<_> = entries.iter().map(key).collect();
        let now = life.now();
        match person {
            Person::RetryAll => drop(life.store.touch(all, Touch::Retry, None, now).await),
            Person::RetryOne => {
                let Some(key) = pick(dice, &any) else { return };
                let one = EntryFilter { resource: Some(key), ..all };
                drop(life.store.touch(one, Touch::Retry, None, now).await);
            }
            Person::Skip => {
                let Some(key) = pick(dice, &any) else { return };
                let waiting = self.first_waiting(at, key.id);
                let one = EntryFilter { resource: Some(key.clone()), ..all };
                let skipped = life.store.touch(one, Touch::Skip, None, now).await;
                if skipped.is_ok_and(|rows| rows.into_values().sum::<u64>() == 1) {
                    self.skipped.insert((at, key.id, waiting));
                }
            }
            Person::ApproveAll => life.decide(line, held, Verdict::Approve(None)).await,
            Person::ApproveOne => {
                let one = pick(dice, &held).into_iter().collect();
                life.decide(line, one, Verdict::Approve(None)).await;
            }
            Person::Reject => {
                let one = pick(dice, &held).into_iter().collect();
                life.decide(line, one, Verdict::Reject("not like this".to_owned())).await;
            }
        }
    }

    async fn write(&mut self, life: &Life, write: Write, dice: &mut Dice) {
        let (users, groups) =
            (self.model.living(ResourceKind::User), self.model.living(ResourceKind::Group));
        let everybody: Vec<_> = users.iter().chain(&groups).copied().collect();
        self.titles += 1;
        let title = self.titles.to_string();
        match write {
            Write::Person | Write::Group if everybody.len() < MOST => {
                self.create(life, write, title, dice).await;
            }
            Write::Delete | Write::Person | Write::Group => {
                if let Some(id) = pick(dice, &everybody) {
                    self.delete(life, id).await;
                }
            }
            Write::Title | Write::Rename | Write::Role => {
                if let Some(id) = pick(dice, &everybody) {
                    let mut face = self.model.resources[&id].face.clone();
                    face.title = title;
                    match write {
                        Write::Role => face.student = !face.student,
                        Write::Rename => face.name = self.free_name(id, dice),
                        _ => {}
                    }
                    self.change(life, id, face).await;
                }
            }
            Write::Swap => {
                let of = if dice.throw(2) == 0 { &users } else { &groups };
                let (Some(one), Some(other)) = (pick(dice, of), pick(dice, of)) else { return };
                self.swap(life, one, other).await;
            }
            Write::Join | Write::Leave | Write::Replace => {
                let Some(group) = pick(dice, &groups) else { return };
                let organization = self.model.resources[&group].organization;
                let there = |id: &ResourceId| {
                    *id != group && self.model.resources[id].organization == organization
                };
                let candidates: Vec<_> = everybody.iter().copied().filter(there).collect();
                let some: BTreeSet<_> =
                    (0..=dice.throw(3)).filter_map(|_| pick(dice, &candidates)).collect();
                self.members(life, group, write, some).await;
            }
        }
        self.read_the_log();
    }

    async fn create(&mut self, life: &Life, write: Write, title: String, dice: &mut Dice) {
        let kind = match write {
            Write::Group => ResourceKind::Group,
            _ => ResourceKind::User,
        };
        let organization = dice.throw(2) as usize;
        let prefix = if kind == ResourceKind::Group { "g" } else { "u" };
        let name = format!("{prefix}{}", dice.throw(NAMES));
        if self.model.is_taken(organization, kind, &name) {
            return;
        }
        let face = Face { name, title, student: dice.throw(2) == 0 };
        let there = self.model.resources.iter().filter(|(_, known)| {
            kind == ResourceKind::Group && known.living && known.organization == organization
        });
        let members: BTreeSet<_> =
            there.filter(|_| dice.throw(3) == 0).map(|(id, _)| *id).collect();
        let id = ResourceId(Uuid::from_u64_pair(dice.next(), dice.next()));
        let written = life.store.create(
            life.organizations[organization],
            kind,
            id,
            face.content(kind),
            members.iter().map(ToString::to_string).collect(),
            life.origin(),
        );
        if let Ok(Written::Done { stored, .. }) = written.await {
            let row = stored.row;
            let events = Vec::new();
            let known = Known { organization, kind, row, face, members, living: true, events };
            self.model.resources.insert(id, known);
        }
    }

    async fn change(&mut self, life: &Life, id: ResourceId, face: Face) -> bool {
        let known = &self.model.resources[&id];
        let update = content(id, known.kind, &face);
        let organization = life.organizations[known.organization];
        let written = life.store.update(organization, update, life.origin()).await;
        let done = matches!(written, Ok(Written::Done { .. }));
        if done {
            self.model.resources.get_mut(&id).expect("it is there").face = face;
        }
        done
    }

    async fn swap(&mut self, life: &Life, one: ResourceId, other: ResourceId) {
        let [first, second] = [one, other].map(|id| self.model.resources[&id].clone());
        if one == other || first.organization != second.organization {
            return;
        }
        let passing = Face { name: format!("{} passing", first.face.name), ..first.face.clone() };
        let [mine, theirs] = [&second, &first].map(|known| known.face.name.clone());
        if self.change(life, one, passing).await
            && self.change(life, other, Face { name: theirs, ..second.face.clone() }).await
        {
            self.change(life, one, Face { name: mine, ..first.face }).await;
        }
    }

    async fn delete(&mut self, life: &Life, id: ResourceId) {
        let known = &self.model.resources[&id];
        let organization = life.organizations[known.organization];
        let deleted = life.store.delete(organization, known.kind, id, None, life.origin()).await;
        if let Ok(Deletion::Done) = deleted {
            self.model.delete(id);
        }
    }

    async fn members(
        &mut self,
        life: &Life,
        group: ResourceId,
        write: Write,
        some: BTreeSet<ResourceId>,
    ) {
        let values =
            || some.iter().map(|id| MemberValue { value: id.to_string(), kind: None }).collect();
        let operation = match write {
            Write::Join => MemberOp::Add(values()),
            Write::Leave => MemberOp::Remove(some.iter().map(ToString::to_string).collect()),
            _ => MemberOp::Replace(values()),
        };
        let update = Update {
            kind: ResourceKind::Group,
            id: group,
            expected: None,
            content: None,
            members: vec![operation],
        };
        let known = self.model.resources.get_mut(&group).expect("it is there");
        let organization = life.organizations[known.organization];
        let written = life.store.update(organization, update, life.origin()).await;
        if let Ok(Written::Done { .. }) = written {
            match write {
                Write::Join => known.members.extend(some),
                Write::Leave => known.members.retain(|id| !some.contains(id)),
                _ => known.members = some,
            }
        }
    }

    /// A name that nobody has, or the one that this one has.
    fn free_name(&self, id: ResourceId, dice: &mut Dice) -> String {
        let known = &self.model.resources[&id];
        let prefix = if known.kind == ResourceKind::Group { "g" } else { "u" };
        let name = format!("{prefix}{}", dice.throw(NAMES));
        if self.model.is_taken(known.organization, known.kind, &name) {
            return known.face.name.clone();
        }
        name
    }

    /// All that is to be told to those who want every event.
    fn read_the_log(&mut self) {
        let changes: Vec<(i64, i64, i64)> = {
            let c = self.house.disk.connection();
            let mut log = c
                .prepare_cached(
                    "SELECT seq, resource, verb FROM change WHERE seq > ?1 ORDER BY seq",
                )
                .unwrap();
            let rows = log
                .query_map([self.model.newest], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            rows.unwrap().map(Result::unwrap).collect()
        };
        for (seq, row, verb) in changes {
            let verb = [Verb::Created, Verb::Updated, Verb::Deleted][verb as usize];
            self.model.happened(RowId(row), seq, verb);
        }
    }
}

impl Life {
    pub(super) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    pub(super) async fn decide(&self, line: &Line, of: Vec<ResourceKey>, verdict: Verdict) {
        if let (Target::Directory(directory), Verdict::Approve(None)) = (&line.target, &verdict) {
            directory.removals.approve(of.iter().map(|key| key.id));
        }
        let picks = of.into_iter().map(|key| Pick { key, mark: None }).collect();
        let (by, now) = (Actor::relay("kari"), self.now());
        drop(self.store.decide(line.id, picks, verdict, by, now).await);
    }

    fn origin(&self) -> Origin {
        Origin { token: None, now: self.now() }
    }
}

fn content(id: ResourceId, kind: ResourceKind, face: &Face) -> Update {
    let content = Some(face.content(kind));
    Update { kind, id, expected: None, content, members: Vec::new() }
}

pub(super) fn key(entry: &Entry) -> ResourceKey {
    let organization = entry.organization.as_str().into();
    ResourceKey { organization, kind: entry.kind, id: entry.id }
}

fn pick<T: Clone>(dice: &mut Dice, of: &[T]) -> Option<T> {
    let sides = of.len() as u64;
    (sides > 0).then(|| of[dice.throw(sides) as usize].clone())
}
