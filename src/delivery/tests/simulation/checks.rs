//! The rules that hold at every moment, and what all must have come to in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scim_relay_sdk::connector::Verb;
use scim_relay_sdk::scim::{ResourceId, ResourceKind};

use super::directory::{Directory, Entry};
use super::house::{Life, Line, Target};
use super::model::Known;
use super::receiver::Receiver;
use super::world::World;

/// After this long, what is due is begun where nothing is in the way: well before a lane would
/// have looked again by itself.
const PROMPT: Duration = Duration::from_secs(5);
/// After a disturbance, a lane notices by then.
const NOTICED: Duration = Duration::from_secs(31);

/// A target that is in trouble is asked how it does in this time.
const PROBED: Duration = Duration::from_mins(2);

/// A row of the queue.
struct Row {
    connector: i64,
    resource: i64,
    since: i64,
    state: i64,
    due: i64,
    leased: bool,
    last_error: Option<String>,
    waits_for: Option<i64>,
    hold_kind: Option<String>,
}

impl World {
    fn rows(&self) -> Vec<Row> {
        let c = self.house.disk.connection();
        let mut rows = c
            .prepare_cached(
                "SELECT connector, resource, since, state, due, leased IS NOT NULL, last_error,
                        waits_for, hold_kind FROM queue",
            )
            .unwrap();
        let rows = rows.query_map([], |row| {
            Ok(Row {
                connector: row.get(0)?,
                resource: row.get(1)?,
                since: row.get(2)?,
                state: row.get(3)?,
                due: row.get(4)?,
                leased: row.get(5)?,
                last_error: row.get(6)?,
                waits_for: row.get(7)?,
                hold_kind: row.get(8)?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The result of a query that counts what should not be.
    fn count(&self, query: &str) -> i64 {
        self.house
            .disk
            .connection()
            .prepare_cached(query)
            .unwrap()
            .query_row([], |row| row.get(0))
            .unwrap()
    }

    /// Everything that holds at any time.
    pub(super) fn check(&self, life: &Life) -> Result<(), String> {
        self.house.record.verdict()?;
        let rows = self.rows();
        self.counters_are_true()?;
        for row in &rows {
            self.is_visible(row)?;
        }
        for (at, line) in self.house.lines.iter().enumerate() {
            let mine: Vec<_> = rows.iter().filter(|row| row.connector == line.id.0).collect();
            self.is_prompt(life, line, &mine)?;
            match &line.target {
                Target::Directory(directory) => self.is_on_its_way(at, line, directory, &mine)?,
                Target::Receiver(receiver) => self.is_told_in_order(at, line, receiver, &mine)?,
            }
        }
        let panics: u64 = self.house.lines.iter().map(|line| line.target.desk().panics()).sum();
        let counted = self.house.metrics.panics.get();
        rule(panics == counted, || format!("{panics} panics, and {counted} were counted"))
    }

    fn counters_are_true(&self) -> Result<(), String> {
        let backlog = self.count(
            "WITH counted AS (SELECT connector, organization, state, count(*) AS entries
                              FROM queue GROUP BY 1, 2, 3),
                  kept AS (SELECT * FROM backlog WHERE entries <> 0)
             SELECT (SELECT count(*) FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept))
                  + (SELECT count(*) FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))",
        );
        let links = self.count(
            "SELECT count(*) FROM connector c
             WHERE links <> (SELECT count(*) FROM link WHERE connector = c.id AND stage <> 3)",
        );
        rule(backlog == 0 && links == 0, || "a counter differs from the rows".to_owned())
    }

    /// Whatever waits says why.
    fn is_visible(&self, row: &Row) -> Result<(), String> {
        let says = match row.state {
            0 | 2 => true,
            1 | 4 => row.last_error.is_some(),
            3 => row.waits_for.is_some() && !row.leased,
            _ => row.last_error.is_some() && row.hold_kind.is_some(),
        };
        rule(says, || format!("{} waits and does not say why", self.told(row)))
    }

    /// What is due is begun where nothing is in the way.
    fn is_prompt(&self, life: &Life, line: &Line, rows: &[&Row]) -> Result<(), String> {
        let now = life.now().as_millisecond();
        let calm = self.house.record.passed().saturating_sub(self.calm);
        // Time enough for a probe, after which what comes first may fail once more.
        let in_trouble = line.target.desk().was_in_trouble(PROBED);
        let in_trouble = in_trouble || line.target.desk().was_probed(PROMPT);
        let is_held_up = in_trouble || line.target.desk().is_at_its_pace(PROMPT);
        if calm < NOTICED + PROMPT || is_held_up || !life.is_free(line) {
            return Ok(());
        }
        let prompt = PROMPT.as_millis() as i64;
        // What has failed may have to wait for others that have: half of the slots are not theirs.
        let may_wait = |row: &Row| row.state == 1 && line.target.desk().is_busy();
        let is_late = |row: &Row| row.state <= 2 && !row.leased && row.due < now - prompt;
        let late = rows.iter().find(|row| is_late(row) && !may_wait(row));
        late.map_or(Ok(()), |row| {
            let late = (now - row.due) / 1_000;
            Err(format!("{} is due since {late} s and nobody works on it", self.told(row)))
        })
    }

    /// A target of states is in line with each resource, or there is a row for it.
    fn is_on_its_way(
        &self,
        at: usize,
        line: &Line,
        directory: &Directory,
        rows: &[&Row],
    ) -> Result<(), String> {
        let entries = directory.entries();
        let addresses = self.addresses(line);
        let queued: BTreeSet<i64> = rows.iter().map(|row| row.resource).collect();
        let waits = self.model.resources.iter().filter(|(_, known)| queued.contains(&known.row.0));
        directory.removals.wait(&waits.map(|(id, _)| *id).collect());
        for (id, known) in &self.model.resources {
            let is_served = line.serves.contains(&known.organization);
            let given_up = self.skipped.iter().any(|(other, one, _)| (*other, one) == (at, id));
            if !is_served
                || given_up
                || queued.contains(&known.row.0)
                || self.is_marked(line, known)
            {
                continue;
            }
            let mine: Vec<&Entry> = entries.values().filter(|entry| entry.of == *id).collect();
            self.is_in_line(line, directory, known, &mine, &addresses)
                .map_err(|what| format!("{}: nothing waits, and {what}", directory.desk.name))?;
        }
        Ok(())
    }

    fn is_in_line(
        &self,
        line: &Line,
        directory: &Directory,
        known: &Known,
        mine: &[&Entry],
        addresses: &BTreeMap<i64, String>,
    ) -> Result<(), String> {
        let Known { face, kind, .. } = known;
        let name = &face.name;
        let in_scope = known.living
            && (*kind == ResourceKind::Group || face.student || !line.in_force.students);
        if !in_scope {
            let closed = mine.iter().all(|entry| !entry.active);
            return rule(closed, || format!("{name} is there"));
        }
        let [entry] = mine else {
            return Err(format!("{name} has {} entries", mine.len()));
        };
        let address = format!("{}/{name}", self.house.organizations[known.organization].key);
        rule(entry.active && entry.name == address && entry.title == face.title, || {
            format!("{name} {} is there as {entry:?}", face.title)
        })?;
        if *kind == ResourceKind::User || !directory.members {
            return Ok(());
        }
        let rows = known.members.iter().map(|id| self.model.resources[id].row.0);
        let members: BTreeSet<String> =
            rows.filter_map(|row| addresses.get(&row).cloned()).collect();
        rule(entry.members.keys().eq(&members), || {
            format!("{name} has {:?} in place of {members:?}", entry.members)
        })
    }

    /// Where the entries are that the store knows of.
    fn addresses(&self, line: &Line) -> BTreeMap<i64, String> {
        let c = self.house.disk.connection();
        let mut links = c
            .prepare_cached(
                "SELECT resource, address FROM link WHERE connector = ?1 AND stage <> 3",
            )
            .unwrap();
        let links = links.query_map([line.id.0], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        links.map(Result::unwrap).collect()
    }

    /// Whether it is yet to be marked, with everyone.
    fn is_marked(&self, line: &Line, known: &Known) -> bool {
        let c = self.house.disk.connection();
        let mut open = c
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM fanout f JOIN organization o ON o.id = f.organization
                                WHERE f.connector = ?1 AND o.key = ?2
                                      AND cursor < ?3 AND last >= ?3)",
            )
            .unwrap();
        let key = &self.house.organizations[known.organization].key;
        open.query_row(rusqlite::params![line.id.0, key, known.row.0], |row| row.get(0)).unwrap()
    }

    /// A target of events has heard all up to here, but for what a person skipped, and for the rest
    /// there is a row.
    fn is_told_in_order(
        &self,
        at: usize,
        line: &Line,
        receiver: &Receiver,
        rows: &[&Row],
    ) -> Result<(), String> {
        for (id, known) in &self.model.resources {
            if !line.serves.contains(&known.organization) {
                continue;
            }
            let heard = receiver.events(*id);
            let skips = self.skipped.range((at, *id, 0)..=(at, *id, i64::MAX));
            let skips: BTreeSet<i64> = skips.map(|(_, _, seq)| *seq).collect();
            let mut left = heard.iter().copied().peekable();
            let mut missing = None;
            for &(seq, verb) in &known.events {
                // Of whom nothing was told, or whose coming a person skipped, nothing more need be.
                let is_unknown = heard.is_empty() || skips.contains(&known.events[0].0);
                let may_lack = skips.contains(&seq) || (verb == Verb::Deleted && is_unknown);
                if left.next_if_eq(&seq).is_none() && !may_lack {
                    missing.get_or_insert(seq);
                }
            }
            let row = rows.iter().find(|row| row.resource == known.row.0);
            let told = || {
                format!(
                    "{}: {} heard {heard:?} of {:?}",
                    receiver.desk.name, known.face.name, known.events
                )
            };
            rule(left.peek().is_none(), told)?;
            if let Some(missing) = missing {
                rule(row.is_some_and(|row| row.since <= missing), || {
                    format!("{}, and nobody is to tell the rest", told())
                })?;
            }
        }
        Ok(())
    }

    /// What the store has of everybody is what was acknowledged.
    pub(super) fn compare(&self) -> Result<(), String> {
        let c = self.house.disk.connection();
        for known in self.model.resources.values().filter(|known| known.living) {
            let body: String = c
                .query_row(
                    "SELECT body FROM resource WHERE id = ?1 AND deleted IS NULL",
                    [known.row.0],
                    |row| row.get(0),
                )
                .map_err(|error| format!("{} is lost: {error}", known.face.name))?;
            rule(body == known.face.body(known.kind), || format!("{} is {body}", known.face.name))?;
            let mut members =
                c.prepare_cached("SELECT member_id FROM member WHERE group_id = ?1").unwrap();
            let members = members.query_map([known.row.0], |row| row.get(0)).unwrap();
            let members: BTreeSet<i64> = members.map(Result::unwrap).collect();
            let expected: BTreeSet<i64> =
                known.members.iter().map(|id| self.model.resources[id].row.0).collect();
            rule(members == expected, || format!("{} has {members:?}", known.face.name))?;
        }
        drop(c);
        let living = self.model.resources.values().filter(|known| known.living).count() as i64;
        let kept = self.count("SELECT count(*) FROM resource WHERE deleted IS NULL");
        rule(kept == living, || format!("{kept} live, and {living} were acknowledged"))
    }

    /// Whether nothing waits and nobody works.
    pub(super) fn is_quiet(&self) -> bool {
        self.count("SELECT (SELECT count(*) FROM queue) + (SELECT count(*) FROM fanout)") == 0
            && !self.house.lines.iter().any(|line| line.target.desk().is_busy())
    }

    /// Whether something waits for a day of its own, which is not today.
    pub(super) fn waits_for_a_day(&self, life: &Life) -> bool {
        let far = (life.now() + Duration::from_hours(4)).as_millisecond();
        self.count(&format!("SELECT count(*) FROM queue WHERE state = 2 AND due > {far}")) > 0
    }

    /// The rows that tell of events, and from which one on.
    pub(super) fn waiting_events(&self) -> Vec<(i64, i64)> {
        let is_of_events = |row: &Row| {
            self.house.lines.iter().any(|line| {
                line.id.0 == row.connector && matches!(line.target, Target::Receiver(_))
            })
        };
        self.rows()
            .iter()
            .filter(|row| is_of_events(row))
            .map(|row| (row.resource, row.since))
            .collect()
    }

    /// The event that a row is about; 0 where it is about what there is.
    pub(super) fn first_waiting(&self, at: usize, id: ResourceId) -> i64 {
        let line = &self.house.lines[at];
        let known = &self.model.resources[&id];
        let rows = self.rows();
        let row = rows.iter().find(|row| (row.connector, row.resource) == (line.id.0, known.row.0));
        let Some(row) = row.filter(|_| matches!(line.target, Target::Receiver(_))) else {
            return 0;
        };
        let event = known.events.iter().find(|(seq, _)| *seq >= row.since);
        event.map_or(0, |(seq, _)| *seq)
    }

    fn told(&self, row: &Row) -> String {
        let line = self.house.lines.iter().find(|line| line.id.0 == row.connector);
        let name = line.map_or("", |line| line.target.desk().name);
        let (id, known) = self.model.by_row(row.resource);
        let id = id.to_string();
        let state = crate::store::State::ALL[row.state as usize].word();
        format!(
            "{name}: {} ({}), {state}{}, {:?}",
            known.face.name,
            &id[id.len() - 4..],
            if row.leased { " and in a hand" } else { "" },
            row.last_error,
        )
    }

    pub(super) fn queue(&self) -> String {
        self.rows().iter().map(|row| self.told(row)).collect::<Vec<_>>().join("\n")
    }
}

fn rule(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
