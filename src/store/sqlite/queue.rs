//! Marking rows dirty, and claiming those that are due.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::registry::Subscriber;
use super::{millis, sql, time};
use crate::store::{Claim, ConnectorId, OrgId, Reason, Result, RowId};

/// What a process that was cut off had claimed is free again, and in doubt.
pub(super) fn take_back(c: &Connection) -> Result<()> {
    let taken = c
        .execute("UPDATE queue SET leased = NULL, doubt = 1 WHERE leased IS NOT NULL", [])
        .map_err(sql)?;
    if taken > 0 {
        tracing::info!(rows = taken, "took back deliveries that were cut off");
    }
    Ok(())
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
const MARK_STATE: &str = "
    INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                       entire, attempts, epoch, doubt)
    VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, 0, ?6, ?7, 0, 0, 0)
    ON CONFLICT DO UPDATE SET
        mark = mark + 1,
        entire = max(entire, excluded.entire),
        due = iif(state IN (0, 1), due, excluded.due),
        dirty_at = iif(state = 2, excluded.dirty_at, dirty_at),
        reason = iif(state IN (0, 1), reason, excluded.reason),
        attempts = iif(state = 1, attempts, 0),
        first_failed = iif(state = 1, first_failed, NULL),
        waits_for = NULL,
        state = iif(state = 1, 1, 0)";

/// Something other than a change of the resource asks for it.
const MARK_ASKED: &str = "
    INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                       entire, attempts, epoch, doubt)
    SELECT ?1, r.id, r.organization,
           coalesce((SELECT max(seq) FROM change WHERE resource = r.id), 0),
           1, ?3, ?3, 0, ?4, ?5, 0, 0, 0
    FROM resource r JOIN subscription s ON s.connector = ?1 AND s.organization = r.organization
    WHERE r.id = ?2
    ON CONFLICT DO UPDATE SET mark = mark + 1, entire = max(entire, excluded.entire), ";

/// Due now, counted afresh.
const ASKED_NOW: &str = "due = excluded.due, reason = excluded.reason, attempts = 0,
    first_failed = NULL, waits_for = NULL, state = 0";

/// As new content does: what is being retried keeps its pace.
const ASKED_IN_PASSING: &str = "due = iif(state IN (0, 1), due, excluded.due),
    reason = iif(state IN (0, 1), reason, excluded.reason), attempts = iif(state = 1, attempts, 0),
    first_failed = iif(state = 1, first_failed, NULL), waits_for = NULL, state = iif(state = 1, 1, 0)";

/// Marks rows for a reason other than a change of theirs.
pub(super) fn mark(
    c: &Connection,
    connector: ConnectorId,
    resources: &[RowId],
    reason: Reason,
    now: Timestamp,
) -> Result<()> {
    let query = match reason {
        // A difference that a reconciliation found is no reason to try again what a person must
        // look at first.
        Reason::Drift => format!("{MARK_ASKED}{ASKED_NOW} WHERE state < 4"),
        Reason::Members => format!("{MARK_ASKED}{ASKED_IN_PASSING}"),
        _ => format!("{MARK_ASKED}{ASKED_NOW}"),
    };
    let mut statement = c.prepare_cached(&query).map_err(sql)?;
    for resource in resources {
        statement
            .execute(params![connector.0, resource.0, millis(now), reason.word(), reason.is_entire()])
            .map_err(sql)?;
    }
    Ok(())
}

/// A resource's groups changed, which some connectors send along with it.
pub(super) fn mark_derived(
    c: &Connection,
    readers: &[Subscriber],
    row: i64,
    now: Timestamp,
) -> Result<()> {
    // Nobody's event: a user whose groups changed was not changed.
    for reader in readers.iter().filter(|reader| !reader.every_event) {
        let organization: i64 = c
            .prepare_cached("SELECT organization FROM resource WHERE id = ?1")
            .and_then(|mut s| s.query_row([row], |row| row.get(0)))
            .map_err(sql)?;
        let seq = last_seq(c, row)?;
        c.prepare_cached(MARK_STATE)
            .and_then(|mut s| {
                s.execute(params![
                    reader.connector.0,
                    row,
                    organization,
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

/// A group's name changed, or the group went: everyone in it.
pub(super) fn mark_members_of(
    c: &Connection,
    readers: &[Subscriber],
    group: i64,
    now: Timestamp,
) -> Result<()> {
    if readers.is_empty() {
        return Ok(());
    }
    let members: Vec<i64> = c
        .prepare_cached("SELECT member_id FROM member WHERE group_id = ?1")
        .and_then(|mut s| s.query_map([group], |row| row.get(0))?.collect())
        .map_err(sql)?;
    members.into_iter().try_for_each(|member| mark_derived(c, readers, member, now))
}

/// The newest change of a resource; 0 when its log was pruned.
pub(super) fn last_seq(c: &Connection, row: i64) -> Result<i64> {
    c.prepare_cached("SELECT coalesce(max(seq), 0) FROM change WHERE resource = ?1")
        .and_then(|mut s| s.query_row([row], |row| row.get(0)))
        .map_err(sql)
}

/// Whether anything is due.
pub(super) fn is_due(c: &Connection, connector: ConnectorId, now: Timestamp) -> Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM subscription s JOIN queue q
                            ON q.connector = s.connector AND q.organization = s.organization
                        WHERE s.connector = ?1 AND q.state <= 2 AND q.leased IS NULL AND q.due <= ?2)",
    )
    .and_then(|mut s| s.query_row([connector.0, millis(now)], |row| row.get(0)))
    .map_err(sql)
}

/// Takes rows that are due, organizations in turn, so that a big one does not starve a small one.
pub(super) fn claim(
    c: &Connection,
    connector: ConnectorId,
    limit: usize,
    now: Timestamp,
    turn: &mut usize,
) -> Result<Vec<Claim>> {
    let organizations: Vec<i64> = c
        .prepare_cached("SELECT organization FROM subscription WHERE connector = ?1")
        .and_then(|mut s| s.query_map([connector.0], |row| row.get(0))?.collect())
        .map_err(sql)?;
    if organizations.is_empty() {
        return Ok(Vec::new());
    }
    let first = *turn % organizations.len();
    *turn = turn.wrapping_add(1);
    let share = limit.div_ceil(organizations.len());
    let mut claims = Vec::with_capacity(limit);
    // Once by fair shares, then whoever has more fills what is left.
    for most in [share, limit] {
        for index in 0..organizations.len() {
            let room = most.min(limit - claims.len());
            if room == 0 {
                break;
            }
            let organization = organizations[(first + index) % organizations.len()];
            claim_some(c, connector, organization, room, now, &mut claims)?;
        }
    }
    Ok(claims)
}

fn claim_some(
    c: &Connection,
    connector: ConnectorId,
    organization: i64,
    room: usize,
    now: Timestamp,
    claims: &mut Vec<Claim>,
) -> Result<()> {
    let due: Vec<i64> = c
        .prepare_cached(
            "SELECT resource FROM queue
             WHERE connector = ?1 AND organization = ?2 AND state <= 2 AND leased IS NULL AND due <= ?3
             ORDER BY due LIMIT ?4",
        )
        .and_then(|mut s| {
            s.query_map(params![connector.0, organization, millis(now), room], |row| row.get(0))?
                .collect()
        })
        .map_err(sql)?;
    for resource in due {
        let claim = c
            .prepare_cached(
                "UPDATE queue SET leased = ?3, epoch = epoch + 1
                 WHERE connector = ?1 AND resource = ?2
                 RETURNING connector, resource, organization, since, mark, epoch, reason, entire,
                           attempts, first_failed, dirty_at, doubt, approved",
            )
            .and_then(|mut s| s.query_row(params![connector.0, resource, millis(now)], claimed))
            .map_err(sql)?;
        claims.push(claim);
    }
    Ok(())
}

fn claimed(row: &Row<'_>) -> rusqlite::Result<Claim> {
    let mark = row.get(4)?;
    let approved: Option<i64> = row.get(12)?;
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
        approved: approved == Some(mark),
    })
}

/// When the next row falls due that is not due yet.
pub(super) fn next_due(c: &Connection, connector: ConnectorId, now: Timestamp) -> Result<Option<Timestamp>> {
    let due: Option<i64> = c
        .prepare_cached(
            "SELECT min((SELECT min(q.due) FROM queue q
                         WHERE q.connector = ?1 AND q.organization = s.organization
                               AND q.state <= 2 AND q.leased IS NULL AND q.due > ?2))
             FROM subscription s WHERE s.connector = ?1",
        )
        .and_then(|mut s| s.query_row([connector.0, millis(now)], |row| row.get(0)))
        .map_err(sql)?;
    Ok(due.map(time))
}

/// Since when the row waits that would be worked on first.
pub(super) fn oldest(c: &Connection, connector: ConnectorId) -> Result<Option<Timestamp>> {
    let organizations: Vec<i64> = c
        .prepare_cached("SELECT organization FROM subscription WHERE connector = ?1")
        .and_then(|mut s| s.query_map([connector.0], |row| row.get(0))?.collect())
        .map_err(sql)?;
    let mut oldest: Option<i64> = None;
    for organization in organizations {
        let dirty: Option<i64> = c
            .prepare_cached(
                "SELECT dirty_at FROM queue
                 WHERE connector = ?1 AND organization = ?2 AND state <= 2 AND leased IS NULL
                       AND state <> 2
                 ORDER BY due LIMIT 1",
            )
            .and_then(|mut s| s.query_row([connector.0, organization], |row| row.get(0)).optional())
            .map_err(sql)?;
        oldest = match (oldest, dirty) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(oldest.map(time))
}
