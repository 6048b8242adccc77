//! Who is worked on next: claiming rows that are due, in turns.
//!
//! Each row is of a class: *fresh*, somebody waits for it; *retried*, it has failed; *background*, it
//! was marked with many others. The classes go round in a ring, and in each of them the
//! organizations take turns, so that none waits for all of another's. Who has nothing is passed
//! over: what is left of their share is whoever's has more.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use scim_relay_sdk::connector::HoldKind;

use super::queue::wait_for;
use super::{millis, sql, time};
use crate::store::{Claim, ConnectorId, OrgId, Reason, Result, Room, RowId};

/// The column `class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Fresh,
    Retried,
    Background,
}

impl Class {
    const ALL: [Self; 3] = [Self::Fresh, Self::Retried, Self::Background];
    /// Half for what is fresh, a quarter for each of the others.
    const RING: [Self; 4] = [Self::Fresh, Self::Retried, Self::Fresh, Self::Background];
}

/// Whose turn it is, and the number of the next lease.
#[derive(Debug, Default)]
pub(super) struct Turns {
    connectors: HashMap<ConnectorId, Turn>,
    /// A row that is deleted and made again must not honour the lease of the one before, so that
    /// this counts for the whole process; leases of an earlier one are taken back at the start.
    epoch: i64,
}

/// Of one connector.
#[derive(Debug, Default)]
struct Turn {
    /// The place in the ring.
    ring: usize,
    /// The organization that was served last in each class.
    last: [i64; Class::ALL.len()],
}

impl Turn {
    fn next_class(&mut self) -> Class {
        let class = Class::RING[self.ring];
        self.ring = (self.ring + 1) % Class::RING.len();
        class
    }
}

/// What the process that ended had claimed is free again, and in doubt. What was claimed at the end
/// of three of them in a row may be what ended them: it is left alone for longer and longer, so that
/// the others get on. Nothing is parked for it, since most of them only happened to be there.
pub(super) fn cut_off(c: &Connection) -> Result<()> {
    let set_aside: i64 = c
        .query_row("SELECT count(*) FROM queue WHERE leased IS NOT NULL AND cuts >= 2", [], |row| {
            row.get(0)
        })
        .map_err(sql)?;
    let taken = c.execute(CUT_OFF, []).map_err(sql)?;
    if taken > 0 {
        tracing::info!(rows = taken, "took back deliveries that were cut off");
    }
    if set_aside > 0 {
        tracing::warn!(
            rows = set_aside,
            "deliveries were being worked on at the end of three processes in a row or more; in case one of them is the reason, they are tried again later: `scim-relay queue list --state retrying`"
        );
    }
    Ok(())
}

/// A second from the last attempt, then twice as long each time, an hour at most; not all at the
/// same moment, so that it shows which one it is.
pub(super) const CUT_OFF: &str = "
    UPDATE queue SET
        cuts = cuts + 1,
        doubt = 1,
        state = iif(cuts >= 2, 1, state),
        due = iif(cuts >= 2, leased + min(3600000, 1000 << min(cuts - 2, 12))
                             * (500 + abs(random() % 501)) / 1000, due),
        first_failed = iif(cuts >= 2, first_failed, first_failed - max(0, leased - due)),
        last_error = iif(cuts >= 2, 'scim-relay ended ' || (cuts + 1) || ' times in a row while this '
                             || 'was being worked on; it may be the reason', last_error),
        leased = NULL
    WHERE leased IS NOT NULL";

/// What lanes that have ended could not give back is free again, and in doubt. Only while no lane
/// runs.
pub(super) fn take_back(c: &Connection) -> Result<()> {
    c.execute(TAKE_BACK, []).map_err(sql)?;
    Ok(())
}

pub(super) const TAKE_BACK: &str = "
    UPDATE queue SET first_failed = first_failed - max(0, leased - due), leased = NULL, doubt = 1
    WHERE leased IS NOT NULL";

/// Given back as it was claimed: its place in the queue, too.
pub(super) fn release(c: &Connection, connector: i64, resource: i64) -> Result<()> {
    c.prepare_cached(
        "UPDATE queue SET first_failed = first_failed - max(0, leased - due), leased = NULL
         WHERE connector = ?1 AND resource = ?2",
    )
    .and_then(|mut s| s.execute([connector, resource]))
    .map_err(sql)?;
    Ok(())
}

/// Whether there is anything due that there is room for.
pub(super) fn is_due(
    c: &Connection,
    connector: ConnectorId,
    room: Room,
    now: Timestamp,
) -> Result<bool> {
    c.prepare_cached(IS_DUE)
        .and_then(|mut s| {
            s.query_row(params![connector.0, millis(now), room.retries > 0], |row| row.get(0))
        })
        .map_err(sql)
}

pub(super) const IS_DUE: &str = "
    SELECT EXISTS (SELECT 1 FROM subscription s CROSS JOIN queue q INDEXED BY queue_due
                       ON q.connector = ?1 AND q.organization = s.organization
                   WHERE s.connector = ?1 AND q.class IN (0, iif(?3, 1, 0), 2)
                         AND q.state <= 2 AND q.leased IS NULL AND q.due <= ?2)";

pub(super) fn claim(
    c: &Connection,
    connector: ConnectorId,
    room: Room,
    now: Timestamp,
    turns: &mut Turns,
) -> Result<Vec<Claim>> {
    let Turns { connectors, epoch } = turns;
    let turn = connectors.entry(connector).or_default();
    let mut waiting: [VecDeque<i64>; Class::ALL.len()] = Default::default();
    for class in Class::ALL {
        if class != Class::Retried || room.retries > 0 {
            let last = turn.last[class as usize];
            waiting[class as usize] = who_waits(c, connector, class, last, now)?;
        }
    }
    let mut claims = Vec::with_capacity(room.rows);
    let mut retries = 0;
    while claims.len() < room.rows && waiting.iter().any(|class| !class.is_empty()) {
        let class = turn.next_class();
        let Some(organization) = waiting[class as usize].pop_front() else { continue };
        let next = claim_next(c, connector, organization, class, now, epoch)?;
        let Some(claim) = next else { continue };
        claims.push(claim);
        turn.last[class as usize] = organization;
        waiting[class as usize].push_back(organization);
        if class == Class::Retried {
            retries += 1;
            if retries == room.retries {
                waiting[class as usize].clear();
            }
        }
    }
    Ok(claims)
}

/// The organizations that have something due in a class, beginning behind the one that was last.
fn who_waits(
    c: &Connection,
    connector: ConnectorId,
    class: Class,
    last: i64,
    now: Timestamp,
) -> Result<VecDeque<i64>> {
    let mut waiting: VecDeque<i64> = c
        .prepare_cached(WHO_WAITS)
        .and_then(|mut s| {
            s.query_map([connector.0, class as i64, millis(now)], |row| row.get(0))?.collect()
        })
        .map_err(sql)?;
    let before = waiting.partition_point(|organization| *organization <= last);
    waiting.rotate_left(before);
    Ok(waiting)
}

pub(super) const WHO_WAITS: &str = "
    SELECT s.organization FROM subscription s
    WHERE s.connector = ?1
          AND EXISTS (SELECT 1 FROM queue q INDEXED BY queue_due
                      WHERE q.connector = ?1 AND q.organization = s.organization AND q.class = ?2
                            AND q.state <= 2 AND q.leased IS NULL AND q.due <= ?3)
    ORDER BY s.organization";

pub(super) const DUE: &str = "
    SELECT resource FROM queue INDEXED BY queue_due
    WHERE connector = ?1 AND organization = ?2 AND class = ?3
          AND state <= 2 AND leased IS NULL AND due <= ?4
    ORDER BY due LIMIT 1";

/// What lies between the time a row was due and now is not its own failing: the target was down,
/// the connector paused, the daemon stopped. The clock of `give_up_after` does not run then.
const LEASE: &str = "
    UPDATE queue SET leased = ?3, epoch = ?4, first_failed = first_failed + max(0, ?3 - due)
    WHERE connector = ?1 AND resource = ?2
    RETURNING connector, resource, organization, since, mark, epoch, reason, entire,
              attempts, first_failed, dirty_at, doubt, due, hold_kind, state = 1, background,
              collapsed > 0";

/// The one that has been due for longest.
fn claim_next(
    c: &Connection,
    connector: ConnectorId,
    organization: i64,
    class: Class,
    now: Timestamp,
    epoch: &mut i64,
) -> Result<Option<Claim>> {
    loop {
        let due: Option<i64> = c
            .prepare_cached(DUE)
            .and_then(|mut s| {
                s.query_row(params![connector.0, organization, class as i64, millis(now)], |row| {
                    row.get(0)
                })
                .optional()
            })
            .map_err(sql)?;
        let Some(resource) = due else { return Ok(None) };
        if let Some(former) = former(c, connector, resource)? {
            let why = "waits until whoever had this name before is out of the way";
            wait_for(c, connector.0, resource, former, why)?;
            continue;
        }
        *epoch += 1;
        return c
            .prepare_cached(LEASE)
            .and_then(|mut s| {
                s.query_row(params![connector.0, resource, millis(now), *epoch], |row| {
                    claimed(row).map(Some)
                })
            })
            .map_err(sql);
    }
}

/// Someone deleted who had the same name, and whom the target has not let go of yet: two at once
/// would meet in one entry.
fn former(c: &Connection, connector: ConnectorId, resource: i64) -> Result<Option<i64>> {
    c.prepare_cached(FORMER)
        .and_then(|mut s| s.query_row([connector.0, resource], |row| row.get(0)).optional())
        .map_err(sql)
}

pub(super) const FORMER: &str = "
    SELECT q.resource
    FROM resource me CROSS JOIN resource old INDEXED BY resource_former CROSS JOIN queue q
    WHERE me.id = ?2
          AND old.organization = me.organization AND old.kind = me.kind AND old.deleted IS NOT NULL
          AND coalesce(old.user_name, old.display_name) = coalesce(me.user_name, me.display_name)
          AND old.id < me.id
          AND q.connector = ?1 AND q.resource = old.id AND q.state IN (0, 1, 3)
    LIMIT 1";

fn claimed(row: &Row<'_>) -> rusqlite::Result<Claim> {
    let held: Option<String> = row.get(13)?;
    Ok(Claim {
        connector: ConnectorId(row.get(0)?),
        resource: RowId(row.get(1)?),
        organization: OrgId(row.get(2)?),
        since: row.get(3)?,
        mark: row.get(4)?,
        epoch: row.get(5)?,
        reason: Reason::parse(&row.get::<_, String>(6)?).unwrap_or(Reason::Resync),
        entire: row.get(7)?,
        attempts: row.get(8)?,
        first_failed: row.get::<_, Option<i64>>(9)?.map(time),
        dirty_at: time(row.get(10)?),
        in_doubt: row.get(11)?,
        due: time(row.get(12)?),
        held: held.as_deref().and_then(HoldKind::parse),
        is_retry: row.get(14)?,
        background: row.get(15)?,
        collapsed: row.get(16)?,
    })
}

/// When the next row falls due that there is room for; in the past, if one is due already.
pub(super) fn next_due(
    c: &Connection,
    connector: ConnectorId,
    room: Room,
) -> Result<Option<Timestamp>> {
    let due: Option<i64> = c
        .prepare_cached(NEXT_DUE)
        .and_then(|mut s| s.query_row(params![connector.0, room.retries > 0], |row| row.get(0)))
        .map_err(sql)?;
    Ok(due.map(time))
}

pub(super) const NEXT_DUE: &str = "
    SELECT min((SELECT min(q.due) FROM queue q INDEXED BY queue_due
                WHERE q.connector = ?1 AND q.organization = s.organization AND q.class = k.class
                      AND q.state <= 2 AND q.leased IS NULL))
    FROM subscription s CROSS JOIN (SELECT 0 AS class UNION ALL SELECT iif(?2, 1, 0)
                                    UNION ALL SELECT 2) k
    WHERE s.connector = ?1";
