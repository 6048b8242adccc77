//! How a claim ends.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::connector::{Link, Owner, Stage};
use scim_relay_sdk::scim::ResourceKey;

use super::writer::Done;
use super::{is_taken, kind_number, kind_of, millis, queue, rows, sql};
use crate::store::{ConnectorId, OrgId, Outcome, Reason, Result, RowId, Settlement};

/// Of a link whose entry is gone: its last address still says who leaves a group.
pub(super) const GONE: i64 = 3;

/// Waits are followed this far when a circle of them is looked for.
const CHAIN: usize = 1_000;

pub(super) fn settle(c: &Connection, settlement: &Settlement) -> Result<Done<()>> {
    let Some(row) = Row::read(c, settlement)? else {
        // Another claim has it by now: what this one did was done in between and counts for
        // nothing.
        tracing::debug!(resource = settlement.claim.resource.0, "a late settlement was ignored");
        return Ok(Done::quiet(()));
    };
    let Settlement { outcome, covers, member_mark, now, .. } = settlement;
    match outcome {
        Outcome::Delivered { link, revisit, .. } => match apply_link(c, settlement, link.as_ref())?
        {
            Landed::Ours => {
                row.delivered(c, *covers, *revisit, *now)?;
                forget_member_marks(c, settlement, *member_mark)?;
                row.wake_waiting(c, *now)?;
            }
            // What the former owner is having done to it right now comes first.
            Landed::Busy => {
                let error = "the entry's former owner is just being removed from it";
                row.retry(c, *now, error, false, false, *now)?;
            }
            Landed::Anothers(owner) => {
                let error = format!(
                    "the target says that this is an entry which {owner} already owns; no entry \
                     belongs to two, so one of them must be told apart in the mapping"
                );
                row.park(c, &error, *now)?;
            }
        },
        Outcome::Retry { due, error, counted, in_doubt } => {
            row.retry(c, *due, error, *counted, *in_doubt, *now)?;
        }
        Outcome::Parked { error } => row.park(c, error, *now)?,
        Outcome::Held { kind, summary } => row.hold(c, kind.word(), summary, *now)?,
        Outcome::Nothing => {
            row.delivered(c, *covers, None, *now)?;
            forget_member_marks(c, settlement, *member_mark)?;
            row.wake_waiting(c, *now)?;
        }
        Outcome::Waiting { on, due } => row.wait(c, on, *due, *now)?,
        Outcome::Released => row.release(c)?,
    }
    // Whatever this frees is the same connector's, whose lane looks again when a slot comes free.
    Ok(Done::quiet(()))
}

/// The queue row of a claim that is still ours.
struct Row {
    connector: i64,
    resource: i64,
    organization: i64,
    every_event: bool,
    /// The mark when what was delivered was read, and now.
    read_mark: i64,
    mark: i64,
    first_failed: Option<i64>,
}

impl Row {
    fn read(c: &Connection, settlement: &Settlement) -> Result<Option<Self>> {
        let claim = &settlement.claim;
        c.prepare_cached(
            "SELECT q.mark, q.first_failed, c.every_event, q.organization
             FROM queue q JOIN connector c ON c.id = q.connector
             WHERE q.connector = ?1 AND q.resource = ?2 AND q.epoch = ?3 AND q.leased IS NOT NULL",
        )
        .and_then(|mut s| {
            s.query_row([claim.connector.0, claim.resource.0, claim.epoch], |row| {
                Ok(Self {
                    connector: claim.connector.0,
                    resource: claim.resource.0,
                    organization: row.get(3)?,
                    every_event: row.get(2)?,
                    read_mark: settlement.mark,
                    mark: row.get(0)?,
                    first_failed: row.get(1)?,
                })
            })
            .optional()
        })
        .map_err(sql)
    }

    /// For a target that wants the result, something newer is there: start afresh with it.
    fn is_overtaken(&self) -> bool {
        !self.every_event && self.mark != self.read_mark
    }

    fn delivered(
        &self,
        c: &Connection,
        covers: i64,
        revisit: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        let next = if self.every_event {
            c.prepare_cached("SELECT min(seq) FROM change WHERE resource = ?1 AND seq > ?2")
                .and_then(|mut s| {
                    s.query_row([self.resource, covers], |row| row.get::<_, Option<i64>>(0))
                })
                .map_err(sql)?
        } else {
            (self.mark != self.read_mark).then_some(covers + 1)
        };
        match (next, revisit) {
            (Some(since), _) => self.go_on(c, since, now),
            (None, Some(due)) => self.schedule(c, covers + 1, due, now),
            (None, None) => self.done(c),
        }
    }

    fn done(&self, c: &Connection) -> Result<()> {
        c.prepare_cached("DELETE FROM queue WHERE connector = ?1 AND resource = ?2")
            .and_then(|mut s| s.execute([self.connector, self.resource]))
            .map_err(sql)?;
        Ok(())
    }

    fn go_on(&self, c: &Connection, since: i64, now: Timestamp) -> Result<()> {
        // An every-event row dates from its next change, so that lag is counted truly.
        let dirty_at: i64 = c
            .prepare_cached(
                "SELECT at FROM change WHERE resource = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1",
            )
            .and_then(|mut s| s.query_row([self.resource, since], |row| row.get(0)).optional())
            .map_err(sql)?
            .unwrap_or_else(|| millis(now));
        c.prepare_cached(
            "UPDATE queue SET state = 0, since = ?3, due = ?4, dirty_at = ?5, attempts = 0,
                    first_failed = NULL, last_error = NULL, hold_kind = NULL, leased = NULL, doubt = 0,
                    reason = iif(?6, 'change', reason)
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.execute(params![self.connector, self.resource, since, millis(now), dirty_at, self.every_event])
        })
        .map_err(sql)?;
        Ok(())
    }

    fn schedule(&self, c: &Connection, since: i64, due: Timestamp, now: Timestamp) -> Result<()> {
        c.prepare_cached(
            "UPDATE queue SET state = 2, since = ?3, due = ?4, dirty_at = ?5, reason = ?6, entire = 0,
                    attempts = 0, first_failed = NULL, last_error = NULL, hold_kind = NULL,
                    leased = NULL, doubt = 0
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.execute(params![
                self.connector,
                self.resource,
                since,
                millis(due),
                millis(now),
                Reason::Revisit.word()
            ])
        })
        .map_err(sql)?;
        Ok(())
    }

    fn retry(
        &self,
        c: &Connection,
        due: Timestamp,
        error: &str,
        counted: bool,
        in_doubt: bool,
        now: Timestamp,
    ) -> Result<()> {
        let first_failed = self.first_failed.or(counted.then(|| millis(now)));
        c.prepare_cached(
            "UPDATE queue SET state = 1, due = ?3, last_error = ?4, attempts = attempts + ?5,
                    first_failed = ?6, doubt = max(doubt, ?7), leased = NULL
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.execute(params![
                self.connector,
                self.resource,
                millis(due),
                error,
                i64::from(counted),
                first_failed,
                in_doubt
            ])
        })
        .map_err(sql)?;
        Ok(())
    }

    fn park(&self, c: &Connection, error: &str, now: Timestamp) -> Result<()> {
        if self.is_overtaken() {
            return self.afresh(c, now);
        }
        c.prepare_cached(
            "UPDATE queue SET state = 4, last_error = ?3, attempts = attempts + 1, leased = NULL
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| s.execute(params![self.connector, self.resource, error]))
        .map_err(sql)?;
        self.wake_waiting(c, now)
    }

    /// Who waits for it looks again: they may take over the name that it had, or wait on.
    fn hold(&self, c: &Connection, kind: &str, summary: &str, now: Timestamp) -> Result<()> {
        if self.is_overtaken() {
            return self.afresh(c, now);
        }
        c.prepare_cached(
            "UPDATE queue SET state = 5, hold_kind = ?3, last_error = ?4, approved = NULL, leased = NULL
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| s.execute(params![self.connector, self.resource, kind, summary]))
        .map_err(sql)?;
        self.wake_waiting(c, now)
    }

    fn afresh(&self, c: &Connection, now: Timestamp) -> Result<()> {
        c.prepare_cached(
            "UPDATE queue SET state = 0, due = ?3, attempts = 0, first_failed = NULL, leased = NULL
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| s.execute([self.connector, self.resource, millis(now)]))
        .map_err(sql)?;
        Ok(())
    }

    /// Waits for another resource, if that is on its way. One that is parked or scheduled for a day
    /// settles only when a person or the day comes, so this one tries again by itself.
    fn wait(&self, c: &Connection, on: &ResourceKey, due: Timestamp, now: Timestamp) -> Result<()> {
        let other: Option<i64> = c
            .prepare_cached(WAITED_FOR)
            .and_then(|mut s| {
                s.query_row(
                    params![
                        self.connector,
                        self.organization,
                        kind_number(on.kind),
                        on.id.0.as_bytes()
                    ],
                    |row| row.get(0),
                )
                .optional()
            })
            .map_err(sql)?;
        let Some(other) = other else {
            let error = format!("waits for {on}, which is not on its way to this target");
            return self.retry(c, due, &error, true, false, now);
        };
        if self.is_waited_for_by(c, other)? {
            return self.give_way(c, on, now);
        }
        queue::wait_for(c, self.connector, self.resource, other)
    }

    /// Two that wait for each other, as when their names were swapped: this one may take a passing
    /// name. If that was of no use, a person looks.
    fn give_way(&self, c: &Connection, on: &ResourceKey, now: Timestamp) -> Result<()> {
        let tried = c
            .prepare_cached(
                "UPDATE queue SET state = 0, due = ?3, reason = ?4, leased = NULL
                 WHERE connector = ?1 AND resource = ?2 AND reason <> ?4",
            )
            .and_then(|mut s| {
                let word = Reason::GiveWay.word();
                s.execute(params![self.connector, self.resource, millis(now), word])
            })
            .map_err(sql)?;
        if tried > 0 {
            return Ok(());
        }
        let error = format!("waits for {on}, which waits for this one; one of them must give way");
        self.park(c, &error, now)
    }

    /// Whether `other` is this one, or waits for it by way of whomever.
    fn is_waited_for_by(&self, c: &Connection, mut other: i64) -> Result<bool> {
        for _ in 0..CHAIN {
            if other == self.resource {
                return Ok(true);
            }
            let next: Option<i64> = c
                .prepare_cached(
                    "SELECT waits_for FROM queue WHERE connector = ?1 AND resource = ?2",
                )
                .and_then(|mut s| s.query_row([self.connector, other], |row| row.get(0)).optional())
                .map_err(sql)?
                .flatten();
            let Some(next) = next else { return Ok(false) };
            other = next;
        }
        Ok(false)
    }

    fn release(&self, c: &Connection) -> Result<()> {
        c.prepare_cached("UPDATE queue SET leased = NULL WHERE connector = ?1 AND resource = ?2")
            .and_then(|mut s| s.execute([self.connector, self.resource]))
            .map_err(sql)?;
        Ok(())
    }

    fn wake_waiting(&self, c: &Connection, now: Timestamp) -> Result<()> {
        queue::wake_waiting(c, self.connector, self.resource, now)
    }
}

pub(super) const WAITED_FOR: &str = "
    SELECT q.resource
    FROM resource r INDEXED BY resource_public_id CROSS JOIN queue q
    WHERE r.organization = ?2 AND r.kind = ?3 AND r.public_id = ?4
          AND q.connector = ?1 AND q.resource = r.id AND q.state IN (0, 1, 3, 5)";

/// Whose the entry is that a delivery ended at.
enum Landed {
    Ours,
    /// A deleted resource's, which a delivery is changing right now.
    Busy,
    /// Somebody's, named here.
    Anothers(String),
}

/// Writes down what the connector holds now.
fn apply_link(c: &Connection, settlement: &Settlement, link: Option<&Link>) -> Result<Landed> {
    let claim = &settlement.claim;
    let ids = [claim.connector.0, claim.resource.0];
    let before: Option<(String, String, i64)> = c
        .prepare_cached(
            "SELECT target_id, address, stage FROM link WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.query_row(ids, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .map_err(sql)?;
    let moved = match (&before, link) {
        (None, None) => false,
        (None, Some(_)) => true,
        (Some((_, _, stage)), None) => {
            let_go(c, ids[0], ids[1])?;
            *stage != GONE
        }
        (Some((target_id, address, stage)), Some(link)) => {
            *target_id != link.target_id || *address != link.address || *stage == GONE
        }
    };
    if let Some(link) = link
        && !write_link(c, settlement, link)?
    {
        let landed = inherit(c, settlement, link)?;
        if !matches!(landed, Landed::Ours) {
            return Ok(landed);
        }
    }
    if moved {
        mark_groups(c, settlement, before.map(|(target_id, address, _)| (target_id, address)))?;
    }
    Ok(Landed::Ours)
}

/// `false` if the entry has an owner.
fn write_link(c: &Connection, settlement: &Settlement, link: &Link) -> Result<bool> {
    let written = c
        .prepare_cached(
            "INSERT INTO link (connector, resource, target_id, address, hash, seq, stage, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (connector, resource) DO UPDATE SET target_id = excluded.target_id,
                 address = excluded.address, hash = excluded.hash, seq = excluded.seq,
                 stage = excluded.stage, since = excluded.since",
        )
        .map_err(sql)?
        .execute(params![
            settlement.claim.connector.0,
            settlement.claim.resource.0,
            link.target_id,
            link.address,
            link.hash,
            settlement.covers,
            stage_number(link.stage),
            millis(link.since),
        ]);
    match written {
        Ok(_) => Ok(true),
        Err(error) if is_taken(&error) => Ok(false),
        Err(error) => Err(sql(error)),
    }
}

/// Takes the entry over from somebody deleted, whose pending removal or purge is void with that:
/// the same person came back as another resource.
fn inherit(c: &Connection, settlement: &Settlement, link: &Link) -> Result<Landed> {
    let connector = settlement.claim.connector.0;
    let (owner, deleted, organization, body, leased): (i64, bool, i64, String, bool) = c
        .prepare_cached(OWNER)
        .and_then(|mut s| {
            s.query_row(params![connector, link.target_id], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
        })
        .map_err(sql)?;
    if !deleted || organization != settlement.claim.organization.0 {
        return Ok(Landed::Anothers(name(&body)));
    }
    if leased {
        return Ok(Landed::Busy);
    }
    let_go(c, connector, owner)?;
    queue::wake_waiting(c, connector, owner, settlement.now)?;
    c.prepare_cached("DELETE FROM queue WHERE connector = ?1 AND resource = ?2")
        .and_then(|mut s| s.execute([connector, owner]))
        .map_err(sql)?;
    if write_link(c, settlement, link)? {
        Ok(Landed::Ours)
    } else {
        Ok(Landed::Anothers(name(&body)))
    }
}

pub(super) const OWNER: &str = "
    SELECT r.id, r.deleted IS NOT NULL, r.organization, r.body,
           EXISTS (SELECT 1 FROM queue q
                   WHERE q.connector = ?1 AND q.resource = r.id AND q.leased IS NOT NULL)
    FROM link l CROSS JOIN resource r ON r.id = l.resource
    WHERE l.connector = ?1 AND l.target_id = ?2 AND l.stage <> 3";

/// Whose an entry is: a living resource's, or a deleted one's that is on its way out.
pub(super) fn owner(
    c: &Connection,
    connector: ConnectorId,
    target_id: &str,
    keys: &HashMap<OrgId, Arc<str>>,
) -> Result<Option<Owner>> {
    let found = c
        .prepare_cached(LIVING_OWNER)
        .and_then(|mut s| {
            s.query_row(params![connector.0, target_id], |row| {
                let organization: i64 = row.get(0)?;
                let (kind, id) = (kind_of(row.get(1)?), rows::public_id(row.get(2)?));
                Ok((OrgId(organization), kind, id, row.get(3)?))
            })
            .optional()
        })
        .map_err(sql)?;
    Ok(found.and_then(|(organization, kind, id, leaving)| {
        let key = ResourceKey { organization: Arc::clone(keys.get(&organization)?), kind, id };
        Some(Owner { key, leaving })
    }))
}

pub(super) const LIVING_OWNER: &str = "
    SELECT r.organization, r.kind, r.public_id, r.deleted IS NOT NULL
    FROM link l CROSS JOIN resource r ON r.id = l.resource
    WHERE l.connector = ?1 AND l.target_id = ?2 AND l.stage <> 3
          AND (r.deleted IS NULL
               OR EXISTS (SELECT 1 FROM queue q WHERE q.connector = ?1 AND q.resource = r.id
                                                      AND q.state IN (0, 1, 3)))";

fn let_go(c: &Connection, connector: i64, resource: i64) -> Result<()> {
    c.prepare_cached("UPDATE link SET stage = ?3 WHERE connector = ?1 AND resource = ?2")
        .and_then(|mut s| s.execute([connector, resource, GONE]))
        .map_err(sql)?;
    Ok(())
}

fn name(body: &str) -> String {
    rows::attributes(body)
        .ok()
        .and_then(|attributes| {
            let name = attributes.get("userName").or_else(|| attributes.get("displayName"))?;
            name.as_str().map(|name| format!("`{name}`"))
        })
        .unwrap_or_else(|| "another resource".to_owned())
}

/// A member's entry came, went or moved: its groups are completed, in the same transaction.
fn mark_groups(
    c: &Connection,
    settlement: &Settlement,
    before: Option<(String, String)>,
) -> Result<()> {
    let claim = &settlement.claim;
    let carries_members: bool = c
        .prepare_cached("SELECT members FROM connector WHERE id = ?1")
        .and_then(|mut s| s.query_row([claim.connector.0], |row| row.get(0)))
        .map_err(sql)?;
    if !carries_members {
        return Ok(());
    }
    let groups: Vec<RowId> = c
        .prepare_cached(GROUPS_OF)
        .and_then(|mut s| s.query_map([claim.resource.0], |row| row.get(0).map(RowId))?.collect())
        .map_err(sql)?;
    let (target_id, address) = before.unzip();
    for group in &groups {
        c.prepare_cached(
            "INSERT INTO member_mark (connector, group_id, member_id, target_id, address)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut s| {
            s.execute(params![claim.connector.0, group.0, claim.resource.0, target_id, address])
        })
        .map_err(sql)?;
    }
    queue::mark(c, claim.connector, &groups, Reason::Members, settlement.now)
}

pub(super) const GROUPS_OF: &str = "SELECT group_id FROM member WHERE member_id = ?1";

fn forget_member_marks(c: &Connection, settlement: &Settlement, upto: i64) -> Result<()> {
    if upto == 0 {
        return Ok(());
    }
    let claim = &settlement.claim;
    c.prepare_cached("DELETE FROM member_mark WHERE connector = ?1 AND group_id = ?2 AND id <= ?3")
        .and_then(|mut s| s.execute([claim.connector.0, claim.resource.0, upto]))
        .map_err(sql)?;
    Ok(())
}

fn stage_number(stage: Stage) -> i64 {
    match stage {
        Stage::Active => 0,
        Stage::Deactivated => 1,
        Stage::Removed => 2,
    }
}

pub(super) fn stage_of(number: i64) -> Option<Stage> {
    match number {
        0 => Some(Stage::Active),
        1 => Some(Stage::Deactivated),
        2 => Some(Stage::Removed),
        _ => None,
    }
}
