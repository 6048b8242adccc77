//! Marking rows dirty, and claiming those that are due.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::registry::Subscriber;
use super::{millis, sql, time};
use crate::store::{Claim, ConnectorId, OrgId, Reason, Result, RowId};

/// How long a person's approval holds.
const APPROVED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Whose turn it is, and the number of the next lease.
#[derive(Debug, Default)]
pub(super) struct Turns {
    organizations: HashMap<ConnectorId, usize>,
    /// A row that is deleted and made again must not honour the lease of the one before, so that
    /// this counts for the whole process; leases of an earlier one are taken back at the start.
    epoch: i64,
}

/// What was claimed and never settled is free again, and in doubt. Only while no lane runs.
pub(super) fn take_back(c: &Connection) -> Result<()> {
    let taken = c.execute(TAKE_BACK, []).map_err(sql)?;
    if taken > 0 {
        tracing::info!(rows = taken, "took back deliveries that were cut off");
    }
    Ok(())
}

pub(super) const TAKE_BACK: &str =
    "UPDATE queue SET leased = NULL, doubt = 1 WHERE leased IS NOT NULL";

/// The wall clock was set back: what was due must not wait until it has caught up. What is
/// scheduled for a day keeps its day.
pub(super) fn set_back(c: &Connection, by: i64, now: Timestamp) -> Result<()> {
    let rows = c
        .execute(
            "UPDATE queue SET due = iif(state = 1, max(due - ?1, ?2), ?2), dirty_at = min(dirty_at, ?2),
                    first_failed = first_failed - ?1
             WHERE state <= 1 AND due > ?2",
            [by, millis(now)],
        )
        .map_err(sql)?;
    tracing::warn!(
        seconds = by / 1_000,
        rows,
        "the clock was set back; due times were moved with it"
    );
    Ok(())
}

/// The time of the newest change, in milliseconds.
pub(super) fn latest(c: &Connection) -> Result<i64> {
    c.query_row(
        "SELECT coalesce((SELECT at FROM change ORDER BY seq DESC LIMIT 1), 0)",
        [],
        |row| row.get(0),
    )
    .map_err(sql)
}

/// A change of a resource: every subscriber is out of line now.
pub(super) fn mark_change(
    c: &Connection,
    subscribers: &[Subscriber],
    row: i64,
    organization: OrgId,
    seq: i64,
    now: Timestamp,
) -> Result<()> {
    for subscriber in subscribers {
        let query = if subscriber.every_event { MARK_EVENT } else { MARK_STATE };
        c.prepare_cached(query)
            .and_then(|mut s| {
                s.execute(params![
                    subscriber.connector.0,
                    row,
                    organization.0,
                    seq,
                    millis(now),
                    Reason::Change.word(),
                    false,
                ])
            })
            .map_err(sql)?;
    }
    Ok(())
}

/// An event behind others waits its turn; a revisit that lay ahead gives way to it.
const MARK_EVENT: &str = "
    INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                       entire, attempts, epoch, doubt)
    VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, 0, ?6, ?7, 0, 0, 0)
    ON CONFLICT DO UPDATE SET
        mark = mark + 1,
        due = iif(state = 2, excluded.due, due),
        dirty_at = iif(state = 2, excluded.dirty_at, dirty_at),
        reason = iif(state = 2, excluded.reason, reason),
        state = iif(state = 2, 0, state)";

/// New content frees what was parked, held or scheduled; what is being retried keeps its pace, so
/// that a busy target is not asked more often because people are busy too.
macro_rules! on_new_content {
    () => {
        "ON CONFLICT DO UPDATE SET
             mark = mark + 1,
             entire = max(entire, excluded.entire),
             due = iif(state IN (0, 1), due, excluded.due),
             dirty_at = iif(state = 2, excluded.dirty_at, dirty_at),
             reason = iif(state IN (0, 1), reason, excluded.reason),
             attempts = iif(state = 1, attempts, 0),
             first_failed = iif(state = 1, first_failed, NULL),
             hold_kind = NULL,
             waits_for = NULL,
             state = iif(state = 1, 1, 0)"
    };
}

const MARK_STATE: &str = concat!(
    "INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                        entire, attempts, epoch, doubt)
     VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, 0, ?6, ?7, 0, 0, 0) ",
    on_new_content!()
);

/// Everybody who is in these groups, whether one names them or one of its groups does; of a user,
/// the user. `UNION` meets each once, however many of the groups share them, and so groups which
/// contain each other end the walk, too.
pub(super) const MARK_PEOPLE: &str = concat!(
    "WITH RECURSIVE below (id) AS (
         SELECT value FROM json_each(?2)
         UNION SELECT m.member_id FROM below CROSS JOIN member m ON m.group_id = below.id)
     INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                        entire, attempts, epoch, doubt)
     SELECT ?1, r.id, r.organization,
            coalesce((SELECT max(seq) FROM change WHERE resource = r.id), 0) + 1,
            1, ?3, ?3, 0, ?4, 0, 0, 0, 0
     FROM below CROSS JOIN resource r ON r.id = below.id
     WHERE r.kind = 0 AND r.deleted IS NULL ",
    on_new_content!()
);

/// Something other than a change of the resource asks for it: its newest event once more, or its
/// state, of which no change is unseen.
const MARK_ASKED: &str = "
    INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                       entire, attempts, epoch, doubt)
    SELECT ?1, r.id, r.organization,
           coalesce((SELECT max(seq) FROM change WHERE resource = r.id), 0)
               + (SELECT NOT every_event FROM connector WHERE id = ?1),
           1, ?3, ?3, 0, ?4, ?5, 0, 0, 0
    FROM resource r JOIN subscription s ON s.connector = ?1 AND s.organization = r.organization
    WHERE r.id = ?2
    ON CONFLICT DO UPDATE SET mark = mark + 1, entire = max(entire, excluded.entire), ";

/// Due now, counted afresh.
const ASKED_NOW: &str = "due = excluded.due, reason = excluded.reason, attempts = 0,
    dirty_at = iif(state = 2, excluded.dirty_at, dirty_at), first_failed = NULL, hold_kind = NULL,
    waits_for = NULL, state = 0";

/// As new content does, what is being retried keeps its pace.
const ASKED_IN_PASSING: &str = "due = iif(state IN (0, 1), due, excluded.due),
    dirty_at = iif(state = 2, excluded.dirty_at, dirty_at),
    reason = iif(state IN (0, 1), reason, excluded.reason), attempts = iif(state = 1, attempts, 0),
    first_failed = iif(state = 1, first_failed, NULL), waits_for = NULL, state = iif(state = 1, 1, 0)";

/// What a person must look at first is left to them: neither a difference that a reconciliation
/// found nor a member that arrived is a new wish of the provider.
const BUT_FOR_PEOPLE: &str = " WHERE state < 4";

/// Marks rows for a reason other than a change of theirs.
pub(super) fn mark(
    c: &Connection,
    connector: ConnectorId,
    resources: &[RowId],
    reason: Reason,
    now: Timestamp,
) -> Result<()> {
    let query = match reason {
        Reason::Drift => format!("{MARK_ASKED}{ASKED_NOW}{BUT_FOR_PEOPLE}"),
        Reason::Members => format!("{MARK_ASKED}{ASKED_IN_PASSING}{BUT_FOR_PEOPLE}"),
        _ => format!("{MARK_ASKED}{ASKED_NOW}"),
    };
    let mut statement = c.prepare_cached(&query).map_err(sql)?;
    for resource in resources {
        statement
            .execute(params![
                connector.0,
                resource.0,
                millis(now),
                reason.word(),
                reason.is_entire()
            ])
            .map_err(sql)?;
    }
    Ok(())
}

/// The groups of these users, or of everyone in these groups, are not what they were, which some
/// connectors send along with a person.
pub(super) fn mark_people<'r>(
    c: &Connection,
    readers: &[Subscriber],
    rows: impl IntoIterator<Item = &'r i64>,
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<i64> = rows.into_iter().copied().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let rows = Value::from(rows).to_string();
    // Nobody's event: a user whose groups changed was not changed.
    for reader in readers.iter().filter(|reader| !reader.every_event) {
        c.prepare_cached(MARK_PEOPLE)
            .and_then(|mut s| {
                s.execute(params![reader.connector.0, rows, millis(now), Reason::Change.word()])
            })
            .map_err(sql)?;
    }
    Ok(())
}

/// The newest change of a resource; 0 when its log was pruned.
pub(super) fn last_seq(c: &Connection, row: i64) -> Result<i64> {
    c.prepare_cached("SELECT coalesce(max(seq), 0) FROM change WHERE resource = ?1")
        .and_then(|mut s| s.query_row([row], |row| row.get(0)))
        .map_err(sql)
}

/// Whether anything is due.
pub(super) fn is_due(c: &Connection, connector: ConnectorId, now: Timestamp) -> Result<bool> {
    c.prepare_cached(IS_DUE)
        .and_then(|mut s| s.query_row([connector.0, millis(now)], |row| row.get(0)))
        .map_err(sql)
}

pub(super) const IS_DUE: &str = "
    SELECT EXISTS (SELECT 1 FROM subscription s CROSS JOIN queue q INDEXED BY queue_due
                       ON q.connector = ?1 AND q.organization = s.organization
                   WHERE s.connector = ?1 AND q.state <= 2 AND q.leased IS NULL AND q.due <= ?2)";

/// Takes rows that are due, organizations in turn, so that a big one does not starve a small one.
pub(super) fn claim(
    c: &Connection,
    connector: ConnectorId,
    limit: usize,
    now: Timestamp,
    turns: &mut Turns,
) -> Result<Vec<Claim>> {
    let organizations: Vec<i64> = c
        .prepare_cached("SELECT organization FROM subscription WHERE connector = ?1")
        .and_then(|mut s| s.query_map([connector.0], |row| row.get(0))?.collect())
        .map_err(sql)?;
    if organizations.is_empty() {
        return Ok(Vec::new());
    }
    let turn = turns.organizations.entry(connector).or_default();
    let first = *turn % organizations.len();
    *turn = turn.wrapping_add(1);
    let share = limit.div_ceil(organizations.len());
    let mut claims = Vec::with_capacity(limit);
    // Once by fair shares, then whoever has more fills what is left.
    for most in [share, limit] {
        for index in 0..organizations.len() {
            let room = most.min(limit - claims.len());
            let organization = organizations[(first + index) % organizations.len()];
            claim_some(c, connector, organization, room, now, &mut turns.epoch, &mut claims)?;
        }
    }
    Ok(claims)
}

pub(super) const DUE: &str = "
    SELECT resource FROM queue INDEXED BY queue_due
    WHERE connector = ?1 AND organization = ?2 AND state <= 2 AND leased IS NULL AND due <= ?3
    ORDER BY due LIMIT ?4";

/// What lies between the time a row was due and now is not its own failing: the target was down,
/// the connector paused, the daemon stopped. The clock of `give_up_after` does not run then.
const LEASE: &str = "
    UPDATE queue SET leased = ?3, epoch = ?4, first_failed = first_failed + max(0, ?3 - due),
           due = max(due, ?3)
    WHERE connector = ?1 AND resource = ?2
    RETURNING connector, resource, organization, since, mark, epoch, reason, entire,
              attempts, first_failed, dirty_at, doubt, approved, approved_at";

fn claim_some(
    c: &Connection,
    connector: ConnectorId,
    organization: i64,
    mut room: usize,
    now: Timestamp,
    epoch: &mut i64,
    claims: &mut Vec<Claim>,
) -> Result<()> {
    while room > 0 {
        let due: Vec<i64> = c
            .prepare_cached(DUE)
            .and_then(|mut s| {
                s.query_map(params![connector.0, organization, millis(now), room], |row| {
                    row.get(0)
                })?
                .collect()
            })
            .map_err(sql)?;
        if due.is_empty() {
            break;
        }
        for resource in due {
            if let Some(former) = former(c, connector, resource)? {
                wait_for(c, connector.0, resource, former)?;
                continue;
            }
            *epoch += 1;
            let claim = c
                .prepare_cached(LEASE)
                .and_then(|mut s| {
                    s.query_row(params![connector.0, resource, millis(now), *epoch], |row| {
                        claimed(row, now)
                    })
                })
                .map_err(sql)?;
            claims.push(claim);
            room -= 1;
        }
    }
    Ok(())
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

/// Sets a row aside until another one has settled.
pub(super) fn wait_for(c: &Connection, connector: i64, resource: i64, other: i64) -> Result<()> {
    c.prepare_cached(
        "UPDATE queue SET state = 3, waits_for = ?3, leased = NULL WHERE connector = ?1 AND resource = ?2",
    )
    .and_then(|mut s| s.execute([connector, resource, other]))
    .map_err(sql)?;
    Ok(())
}

/// A row came to an end, whichever: those who waited for it may go on.
pub(super) fn wake_waiting(
    c: &Connection,
    connector: i64,
    resource: i64,
    now: Timestamp,
) -> Result<()> {
    c.prepare_cached(WAKE)
        .and_then(|mut s| s.execute([connector, resource, millis(now)]))
        .map_err(sql)?;
    Ok(())
}

pub(super) const WAKE: &str = "
    UPDATE queue INDEXED BY queue_waiting SET state = 0, waits_for = NULL, due = ?3
    WHERE connector = ?1 AND waits_for = ?2";

fn claimed(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Claim> {
    let mark = row.get(4)?;
    let approved: Option<i64> = row.get(12)?;
    let approved_at: Option<i64> = row.get(13)?;
    Ok(Claim {
        connector: ConnectorId(row.get(0)?),
        resource: RowId(row.get(1)?),
        organization: OrgId(row.get(2)?),
        since: row.get(3)?,
        mark,
        epoch: row.get(5)?,
        reason: Reason::parse(&row.get::<_, String>(6)?).unwrap_or(Reason::Resync),
        entire: row.get(7)?,
        attempts: row.get(8)?,
        first_failed: row.get::<_, Option<i64>>(9)?.map(time),
        dirty_at: time(row.get(10)?),
        in_doubt: row.get(11)?,
        approved: approved == Some(mark)
            && approved_at.is_some_and(|at| now.duration_since(time(at)) < APPROVED_FOR),
    })
}

/// When the next row falls due; in the past, if one is due already.
pub(super) fn next_due(c: &Connection, connector: ConnectorId) -> Result<Option<Timestamp>> {
    let due: Option<i64> = c
        .prepare_cached(NEXT_DUE)
        .and_then(|mut s| s.query_row([connector.0], |row| row.get(0)))
        .map_err(sql)?;
    Ok(due.map(time))
}

pub(super) const NEXT_DUE: &str = "
    SELECT min((SELECT min(q.due) FROM queue q INDEXED BY queue_due
                WHERE q.connector = ?1 AND q.organization = s.organization
                      AND q.state <= 2 AND q.leased IS NULL))
    FROM subscription s WHERE s.connector = ?1";

/// Since when the oldest row waits that is to be worked on, or is being worked on.
pub(super) fn oldest(c: &Connection, connector: ConnectorId) -> Result<Option<Timestamp>> {
    let dirty: Option<i64> = c
        .prepare_cached(OLDEST)
        .and_then(|mut s| s.query_row([connector.0], |row| row.get(0)))
        .map_err(sql)?;
    Ok(dirty.map(time))
}

pub(super) const OLDEST: &str = "
    SELECT min(dirty_at) FROM queue INDEXED BY queue_dirty WHERE connector = ?1 AND state <= 1";
