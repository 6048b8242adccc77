//! Marking rows dirty, and waking them.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::registry::Subscriber;
use super::{millis, sql, time};
use crate::store::{ConnectorId, OrgId, Reason, Result, RowId};

/// Resources that are marked together, beyond which nobody waits for the single one.
const MANY: usize = 100;

/// The wall clock was set back: what was due must not wait until it has caught up. What is
/// scheduled for a day keeps its day.
pub(super) fn set_back(c: &Connection, by: i64, now: Timestamp) -> Result<()> {
    let rows = c
        .execute(
            "UPDATE queue SET due = iif(state = 1, max(due - ?1, ?2), ?2), dirty_at = min(dirty_at, ?2),
                    first_failed = first_failed - ?1, leased = leased - ?1
             WHERE state <= 1 AND due > ?2",
            [by, millis(now)],
        )
        .map_err(sql)?;
    // Else what was removed just now would count, and an approval hold, until it has caught up.
    c.execute("UPDATE removal SET at = at - ?1 WHERE at > ?2", [by, millis(now)]).map_err(sql)?;
    c.execute(
        "UPDATE queue SET approved_at = approved_at - ?1 WHERE hold_kind IS NOT NULL AND approved_at > ?2",
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

/// An event behind others waits its turn, and is not what a person has approved; a revisit that lay
/// ahead gives way to it.
const MARK_EVENT: &str = "
    INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                       entire, attempts, epoch, doubt)
    VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, 0, ?6, ?7, 0, 0, 0)
    ON CONFLICT DO UPDATE SET
        mark = mark + 1,
        background = 0,
        approved = iif(approved = mark, mark + 1, approved),
        due = iif(state = 2, excluded.due, due),
        dirty_at = iif(state = 2, excluded.dirty_at, dirty_at),
        reason = iif(state = 2, excluded.reason, reason),
        state = iif(state = 2, 0, state)";

/// New content frees what was parked, held or scheduled, though not what it was held for; what is
/// being retried keeps its pace, so that a busy target is not asked more often because people are
/// busy too.
macro_rules! on_new_content {
    () => {
        "ON CONFLICT DO UPDATE SET
             mark = mark + 1,
             background = min(background, excluded.background),
             entire = max(entire, excluded.entire),
             due = iif(state IN (0, 1), due, excluded.due),
             dirty_at = iif(state = 2, excluded.dirty_at, dirty_at),
             reason = iif(state IN (0, 1), reason, excluded.reason),
             attempts = iif(state = 1, attempts, 0),
             first_failed = iif(state = 1, first_failed, NULL),
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
/// contain each other end the walk, too. Who was not named alone, or among a few, is one of many.
pub(super) const MARK_PEOPLE: &str = concat!(
    "WITH RECURSIVE below (id) AS (
         SELECT value FROM json_each(?2)
         UNION SELECT m.member_id FROM below CROSS JOIN member m ON m.group_id = below.id)
     INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                        entire, attempts, epoch, doubt, background)
     SELECT ?1, r.id, r.organization,
            coalesce((SELECT max(seq) FROM change WHERE resource = r.id), 0) + 1,
            1, ?3, ?3, 0, ?4, 0, 0, 0, 0, ?5 OR r.id NOT IN (SELECT value FROM json_each(?2))
     FROM below CROSS JOIN resource r ON r.id = below.id
     WHERE r.kind = 0 AND r.deleted IS NULL ",
    on_new_content!()
);

/// Something other than a change of the resource asks for it: its newest event once more, or its
/// state, of which no change is unseen.
const MARK_ASKED: &str = "
    INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                       entire, attempts, epoch, doubt, background)
    SELECT ?1, r.id, r.organization,
           coalesce((SELECT max(seq) FROM change WHERE resource = r.id), 0)
               + (SELECT NOT every_event FROM connector WHERE id = ?1),
           1, ?3, ?3, 0, ?4, ?5, 0, 0, 0, ?6
    FROM resource r JOIN subscription s ON s.connector = ?1 AND s.organization = r.organization
    WHERE r.id = ?2
    ON CONFLICT DO UPDATE SET mark = mark + 1, entire = max(entire, excluded.entire),
        background = min(background, excluded.background), ";

/// Due now, counted afresh. That a changed configuration is behind it is not forgotten.
const ASKED_NOW: &str = "due = excluded.due,
    reason = iif(reason = 'reconfigured', reason, excluded.reason), attempts = 0,
    dirty_at = iif(state = 2, excluded.dirty_at, dirty_at), first_failed = NULL, waits_for = NULL,
    state = 0";

/// As new content does, what is being retried keeps its pace. Whoever may leave by an approval may
/// do so when somebody else has come.
const ASKED_IN_PASSING: &str = "approved = iif(approved = mark, mark + 1, approved),
    due = iif(state IN (0, 1), due, excluded.due),
    dirty_at = iif(state = 2, excluded.dirty_at, dirty_at),
    reason = iif(state IN (0, 1), reason, excluded.reason), attempts = iif(state = 1, attempts, 0),
    first_failed = iif(state = 1, first_failed, NULL), waits_for = NULL, state = iif(state = 1, 1, 0)";

/// What a person must look at first is left to them: neither a difference that a reconciliation
/// found nor a member that arrived is a new wish of the provider.
const BUT_FOR_PEOPLE: &str = " WHERE state < 4";

/// But a group that must keep its leavers gets those who join.
const BUT_FOR_OTHER_PEOPLE: &str = " WHERE state < 4
    OR hold_kind = 'member_removal' AND (state = 5 OR rejected IS NOT NULL)";

/// Marks rows for a reason other than a change of theirs; in the background, where nobody waits for
/// the single one.
pub(super) fn mark(
    c: &Connection,
    connector: ConnectorId,
    resources: &[RowId],
    reason: Reason,
    background: bool,
    now: Timestamp,
) -> Result<()> {
    let query = match reason {
        Reason::Drift => format!("{MARK_ASKED}{ASKED_NOW}{BUT_FOR_PEOPLE}"),
        Reason::Members => format!("{MARK_ASKED}{ASKED_IN_PASSING}{BUT_FOR_OTHER_PEOPLE}"),
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
                reason.is_entire(),
                background
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
    let are_many = rows.len() > MANY;
    let rows = Value::from(rows).to_string();
    // Nobody's event: a user whose groups changed was not changed.
    for reader in readers.iter().filter(|reader| !reader.every_event) {
        c.prepare_cached(MARK_PEOPLE)
            .and_then(|mut s| {
                let reason = Reason::Change.word();
                s.execute(params![reader.connector.0, rows, millis(now), reason, are_many])
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

/// Sets a row aside until another one has settled.
pub(super) fn wait_for(
    c: &Connection,
    connector: i64,
    resource: i64,
    other: i64,
    why: &str,
) -> Result<()> {
    c.prepare_cached(
        "UPDATE queue SET state = 3, waits_for = ?3, last_error = ?4, leased = NULL
         WHERE connector = ?1 AND resource = ?2",
    )
    .and_then(|mut s| s.execute(params![connector, resource, other, why]))
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
    UPDATE queue INDEXED BY queue_waiting SET state = 0, waits_for = NULL, last_error = NULL, due = ?3
    WHERE connector = ?1 AND waits_for = ?2";

/// Since when the oldest row waits that is to be worked on, or is being worked on.
pub(super) fn oldest(c: &Connection, connector: ConnectorId) -> Result<Option<Timestamp>> {
    let dirty: Option<i64> = c
        .prepare_cached(OLDEST)
        .and_then(|mut s| s.query_row([connector.0], |row| row.get(0)))
        .map_err(sql)?;
    Ok(dirty.map(time))
}

pub(super) const OLDEST: &str = "
    SELECT min((SELECT min(dirty_at) FROM queue INDEXED BY queue_listed
                WHERE connector = b.connector AND organization = b.organization AND state = b.state))
    FROM backlog b WHERE b.connector = ?1 AND b.state <= 1 AND b.entries > 0";
