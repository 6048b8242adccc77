//! What retention is over for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{follow, millis, sql};
use crate::store::{Pruned, Result};

/// Rows looked at, or removed, in one piece of background work.
const CHUNK: i64 = 500;

/// Removes old changes, tombstones that every connector has settled, and old
/// reports. Does a piece of it. `cursor` is how far the log has been
/// looked through, so that what must stay is not looked at again in each piece.
pub(super) fn prune(
    c: &Connection,
    changes_before: Timestamp,
    reports_before: Timestamp,
    cursor: &mut i64,
) -> Result<Pruned> {
    let mut collapsed = BTreeMap::new();
    if prune_changes(c, millis(changes_before), cursor, &mut collapsed)? {
        return Ok(Pruned { more: true, collapsed });
    }
    // After the log: a group that must still hear who left is compared whole by then.
    let tombstones = prune_tombstones(c, millis(changes_before))?;
    let moves = follow::prune(c, millis(changes_before), CHUNK)?;
    let reports = prune_reports(c, millis(reports_before))?;
    Ok(Pruned { more: tombstones || moves || reports, collapsed })
}

/// The log is in the order of its numbers, so that the first change that is young enough ends it.
fn prune_changes(
    c: &Connection,
    before: i64,
    cursor: &mut i64,
    collapsed: &mut BTreeMap<String, u64>,
) -> Result<bool> {
    let changes: Vec<(i64, i64, i64, bool)> = c
        .prepare_cached(OLD)
        .and_then(|mut s| {
            s.query_map([*cursor, CHUNK], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect()
        })
        .map_err(sql)?;
    let old = changes.iter().take_while(|(_, _, at, _)| *at < before);
    for &(seq, resource, _, moved) in old.clone() {
        if is_newest(c, resource, seq)? || !collapse(c, resource, seq, before, collapsed)? {
            continue;
        }
        if moved {
            compare_whole(c, resource, seq)?;
        }
        c.prepare_cached("DELETE FROM change WHERE seq = ?1")
            .and_then(|mut s| s.execute([seq]))
            .map_err(sql)?;
    }
    let seen = old.count();
    let more = seen as i64 == CHUNK;
    // The next round begins at the start: what had to stay may go by then.
    *cursor = if more { changes[seen - 1].0 } else { 0 };
    Ok(more)
}

pub(super) const OLD: &str = "
    SELECT seq, resource, at, joined IS NOT NULL OR departed IS NOT NULL FROM change
    WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// Whether it is the newest change of somebody: what a connector made later is told of them. It says
/// no more of a person than the resource itself, and goes with its tombstone.
fn is_newest(c: &Connection, resource: i64, seq: i64) -> Result<bool> {
    c.prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM change WHERE resource = ?1 AND seq > ?2)")
        .and_then(|mut s| s.query_row([resource, seq], |row| row.get(0)))
        .map_err(sql)
}

/// A connector that wants every event may not have been told of this one, for as long as the log goes
/// back: it was down, paused, left parked or taken away. What is too old to be kept for it is then told as one,
/// with the first change that is young enough, or else with the newest. `false` while one of them is
/// just being told.
fn collapse(
    c: &Connection,
    resource: i64,
    seq: i64,
    before: i64,
    collapsed: &mut BTreeMap<String, u64>,
) -> Result<bool> {
    let awaiting: Vec<(i64, String, i64, bool)> = c
        .prepare_cached(AWAITING)
        .and_then(|mut s| {
            s.query_map([resource, seq], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect()
        })
        .map_err(sql)?;
    if awaiting.iter().any(|(.., is_claimed)| *is_claimed) {
        return Ok(false);
    }
    for (connector, name, since, _) in awaiting {
        let events: u64 = c
            .prepare_cached(COLLAPSE)
            .and_then(|mut s| s.query_row([connector, resource, since, before], |row| row.get(0)))
            .map_err(sql)?;
        *collapsed.entry(name).or_default() += events;
    }
    Ok(true)
}

pub(super) const AWAITING: &str = "
    SELECT k.id, k.name, q.since, q.leased IS NOT NULL
    FROM connector k CROSS JOIN queue q
         ON q.connector = k.id AND q.resource = ?1 AND q.since <= ?2
    WHERE k.every_event";

/// It keeps its state: who was parked is not tried again for this.
pub(super) const COLLAPSE: &str = "
    UPDATE queue SET
        since = next.seq, dirty_at = next.at, mark = mark + 1, attempts = 0, first_failed = NULL,
        last_error = iif(collapsed > 0, last_error, coalesce(last_error || '; ', '')
            || 'what happened before the time that [retention] keeps is told as one event'),
        collapsed = collapsed + (SELECT count(*) FROM change
                                 WHERE resource = ?2 AND seq >= ?3 AND seq < next.seq)
    FROM (SELECT seq, at FROM change
          WHERE resource = ?2
                AND seq = coalesce((SELECT seq FROM change WHERE resource = ?2 AND at >= ?4
                                    ORDER BY seq LIMIT 1),
                                   (SELECT max(seq) FROM change WHERE resource = ?2))) next
    WHERE connector = ?1 AND resource = ?2
    RETURNING (SELECT count(*) FROM change WHERE resource = ?2 AND seq >= ?3 AND seq < since)";

/// Who came and went is not known any more: the group is compared with the member table.
fn compare_whole(c: &Connection, group: i64, seq: i64) -> Result<()> {
    c.prepare_cached(
        "UPDATE queue SET entire = 1, mark = mark + 1
         WHERE connector IN (SELECT id FROM connector WHERE NOT every_event)
               AND resource = ?1 AND since <= ?2 AND NOT entire",
    )
    .and_then(|mut s| s.execute([group, seq]))
    .map_err(sql)?;
    Ok(())
}

pub(super) const SETTLED: &str = "
    SELECT id FROM resource r
    WHERE r.deleted < ?1
          AND NOT EXISTS (SELECT 1 FROM connector k CROSS JOIN queue q
                          ON q.connector = k.id AND q.resource = r.id)
          AND NOT EXISTS (SELECT 1 FROM connector k CROSS JOIN link l
                          ON l.connector = k.id AND l.resource = r.id AND l.stage <> 3)
    LIMIT ?2";

fn prune_tombstones(c: &Connection, before: i64) -> Result<bool> {
    let settled: Vec<i64> = c
        .prepare_cached(SETTLED)
        .and_then(|mut s| s.query_map(params![before, CHUNK], |row| row.get(0))?.collect())
        .map_err(sql)?;
    for row in &settled {
        for statement in [
            "DELETE FROM change WHERE resource = ?1",
            "DELETE FROM link WHERE connector IN (SELECT id FROM connector) AND resource = ?1",
            "DELETE FROM member_mark WHERE connector IN (SELECT id FROM connector) AND group_id = ?1",
            "DELETE FROM resource WHERE id = ?1",
        ] {
            c.prepare_cached(statement).and_then(|mut s| s.execute([row])).map_err(sql)?;
        }
        follow::forget(c, *row)?;
    }
    Ok(settled.len() as i64 == CHUNK)
}

fn prune_reports(c: &Connection, before: i64) -> Result<bool> {
    let mut more = false;
    for statement in [
        "DELETE FROM drift WHERE id IN (SELECT d.id FROM run r CROSS JOIN drift d ON d.run = r.id
                                        WHERE r.ended < ?1 LIMIT ?2)",
        "DELETE FROM run WHERE id IN (SELECT id FROM run r WHERE ended < ?1
                                      AND NOT EXISTS (SELECT 1 FROM drift WHERE run = r.id) LIMIT ?2)",
        "DELETE FROM removal WHERE id IN (SELECT id FROM removal WHERE at < ?1 LIMIT ?2)",
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 LIMIT ?2)",
    ] {
        let removed = c
            .prepare_cached(statement)
            .and_then(|mut s| s.execute([before, CHUNK]))
            .map_err(sql)?;
        more |= removed as i64 == CHUNK;
    }
    Ok(more)
}
