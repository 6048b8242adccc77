//! How a claim ends.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::connector::{HoldKind, Link};
use scim_relay_sdk::scim::ResourceKey;

use super::links::{self, Landed};
use super::writer::Done;
use super::{claims, kind_number, millis, passwords, queue, removals, sql};
use crate::store::{Outcome, Reason, Result, Settlement};

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
    if row.cuts > 0 && !matches!(outcome, Outcome::Released) {
        row.survived(c)?;
    }
    match outcome {
        Outcome::Delivered { link, revisit, .. } => {
            if row.landed(c, settlement, link.as_ref())? {
                row.delivered(c, *covers, *revisit, *now)?;
                passwords::settled(c, row.connector, row.resource, *covers)?;
                forget_member_marks(c, settlement, *member_mark)?;
                removals::close(c, row.connector, row.resource)?;
                row.wake_waiting(c, *now)?;
            }
        }
        Outcome::Partly { link, error } => {
            row.compare_whole_if_new(c)?;
            if row.landed(c, settlement, Some(link))? {
                row.park(c, error, *now)?;
            }
        }
        Outcome::Retry { due, error, counted, in_doubt } => {
            row.retry(c, *due, error, *counted, *in_doubt, *now)?;
        }
        Outcome::Parked { error } => row.park(c, error, *now)?,
        Outcome::Held { kind, count, summary, link } => {
            row.compare_whole_if_new(c)?;
            if link.is_none() || row.landed(c, settlement, link.as_ref())? {
                row.hold(c, *kind, *count, summary, *now)?;
            }
        }
        Outcome::Nothing => {
            row.delivered(c, *covers, None, *now)?;
            passwords::settled(c, row.connector, row.resource, *covers)?;
            forget_member_marks(c, settlement, *member_mark)?;
            removals::close(c, row.connector, row.resource)?;
            row.wake_waiting(c, *now)?;
        }
        Outcome::Waiting { on, due } => row.wait(c, on, *due, *now)?,
        Outcome::Released => claims::release(c, row.connector, row.resource)?,
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
    /// Processes that ended while they had it, in a row.
    cuts: i64,
}

impl Row {
    fn read(c: &Connection, settlement: &Settlement) -> Result<Option<Self>> {
        let claim = &settlement.claim;
        c.prepare_cached(
            "SELECT q.mark, q.first_failed, c.every_event, q.organization, q.cuts
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
                    cuts: row.get(4)?,
                })
            })
            .optional()
        })
        .map_err(sql)
    }

    /// It came to an end, whichever, and the process did not.
    fn survived(&self, c: &Connection) -> Result<()> {
        c.prepare_cached("UPDATE queue SET cuts = 0 WHERE connector = ?1 AND resource = ?2")
            .and_then(|mut s| s.execute([self.connector, self.resource]))
            .map_err(sql)?;
        Ok(())
    }

    /// For a target that wants the result, something newer is there: start afresh with it.
    fn is_overtaken(&self) -> bool {
        !self.every_event && self.mark != self.read_mark
    }

    /// Writes down what the target holds; `false` if that is somebody else's, and this one waits.
    fn landed(&self, c: &Connection, settled: &Settlement, link: Option<&Link>) -> Result<bool> {
        let now = settled.now;
        match links::apply(c, settled, link)? {
            Landed::Ours => return Ok(true),
            // What the former owner is having done to it right now comes first.
            Landed::Busy => {
                let error = "the entry's former owner is just being removed from it";
                self.retry(c, now, error, false, false, now)?;
            }
            Landed::Anothers(owner) => {
                let error = format!(
                    "the target says that this is an entry which {owner} already owns; no entry \
                     belongs to two, so one of them must be told apart in the mapping"
                );
                self.park(c, &error, now)?;
            }
        }
        Ok(false)
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
                    first_failed = NULL, last_error = NULL, hold_kind = NULL, hold_count = 0,
                    approved = NULL, rejected = NULL, leased = NULL, doubt = 0,
                    reason = iif(?6, 'change', reason), collapsed = 0
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.execute(params![
                self.connector,
                self.resource,
                since,
                millis(now),
                dirty_at,
                self.every_event
            ])
        })
        .map_err(sql)?;
        Ok(())
    }

    fn schedule(&self, c: &Connection, since: i64, due: Timestamp, now: Timestamp) -> Result<()> {
        c.prepare_cached(
            "UPDATE queue SET state = 2, background = 1, since = ?3, due = ?4, dirty_at = ?5, reason = ?6, entire = 0,
                    attempts = 0, first_failed = NULL, last_error = NULL, hold_kind = NULL,
                    hold_count = 0, approved = NULL, rejected = NULL, leased = NULL, doubt = 0
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
    fn hold(
        &self,
        c: &Connection,
        kind: HoldKind,
        count: u64,
        summary: &str,
        now: Timestamp,
    ) -> Result<()> {
        c.prepare_cached(
            "UPDATE queue SET state = 5, hold_kind = ?3, hold_count = ?4,
                    last_error = CASE WHEN approved <> mark THEN 'changed since it was approved; '
                                      WHEN approved = mark AND approved_at <= ?6 THEN 'not done within 24 hours of its approval; '
                                      WHEN approved = mark AND hold_kind = ?3 AND hold_count < ?4 THEN 'more by now than was approved; '
                                      ELSE '' END || ?5,
                    approved = NULL, approved_at = NULL, rejected = NULL, leased = NULL
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
            let lapsed = millis(now - removals::APPROVED_FOR);
            let kind = kind.word();
            s.execute(params![self.connector, self.resource, kind, count, summary, lapsed])
        })
        .map_err(sql)?;
        if self.is_overtaken() {
            return self.afresh(c, now);
        }
        self.wake_waiting(c, now)
    }

    /// A group that is linked from now on, while some of its members are left as they are, is not
    /// known by what changes from now on.
    fn compare_whole_if_new(&self, c: &Connection) -> Result<()> {
        c.prepare_cached(
            "UPDATE queue SET entire = 1
             WHERE connector = ?1 AND resource = ?2
                   AND NOT EXISTS (SELECT 1 FROM link
                                   WHERE connector = ?1 AND resource = ?2 AND stage = 0)",
        )
        .and_then(|mut s| s.execute([self.connector, self.resource]))
        .map_err(sql)?;
        Ok(())
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
        let other: Option<(i64, bool)> = c
            .prepare_cached(WAITED_FOR)
            .and_then(|mut s| {
                s.query_row(
                    params![
                        self.connector,
                        self.organization,
                        kind_number(on.kind),
                        on.id.0.as_bytes()
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()
            })
            .map_err(sql)?;
        let Some((other, is_held)) = other else {
            let error = format!("waits for {on}, which is not on its way to this target");
            return self.retry(c, due, &error, true, false, now);
        };
        if self.is_waited_for_by(c, other)? {
            return self.give_way(c, on, now);
        }
        let why = if is_held {
            format!("waits for {on}, which waits for a person's approval")
        } else {
            format!("waits for {on}")
        };
        queue::wait_for(c, self.connector, self.resource, other, &why)
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

    fn wake_waiting(&self, c: &Connection, now: Timestamp) -> Result<()> {
        queue::wake_waiting(c, self.connector, self.resource, now)
    }
}

pub(super) const WAITED_FOR: &str = "
    SELECT q.resource, q.state = 5
    FROM resource r INDEXED BY resource_public_id CROSS JOIN queue q
    WHERE r.organization = ?2 AND r.kind = ?3 AND r.public_id = ?4
          AND q.connector = ?1 AND q.resource = r.id AND q.state IN (0, 1, 3, 5)";

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
