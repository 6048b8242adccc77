//! What retention is over for.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{millis, sql};
use crate::store::Result;

/// Rows removed in one piece of background work.
const CHUNK: i64 = 500;

/// Removes changes that no queue row needs, tombstones that every connector has settled, and old
/// reports. `true` when there may be more.
pub(super) fn prune(c: &Connection, changes_before: Timestamp, reports_before: Timestamp) -> Result<bool> {
    let changes = c
        .prepare_cached(
            "DELETE FROM change WHERE seq IN (
                 SELECT c.seq FROM change c
                 WHERE c.at < ?1
                       AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.resource = c.resource AND q.since <= c.seq
                                       AND q.connector IN (SELECT id FROM connector))
                 ORDER BY c.seq LIMIT ?2)",
        )
        .and_then(|mut s| s.execute(params![millis(changes_before), CHUNK]))
        .map_err(sql)?;
    let settled: Vec<i64> = c
        .prepare_cached(
            "SELECT id FROM resource r
             WHERE r.deleted < ?1
                   AND NOT EXISTS (SELECT 1 FROM connector k JOIN queue q
                                   ON q.connector = k.id AND q.resource = r.id)
                   AND NOT EXISTS (SELECT 1 FROM connector k JOIN link l
                                   ON l.connector = k.id AND l.resource = r.id AND l.stage <> 3)
             LIMIT ?2",
        )
        .and_then(|mut s| {
            s.query_map(params![millis(changes_before), CHUNK], |row| row.get(0))?.collect()
        })
        .map_err(sql)?;
    for row in &settled {
        for statement in [
            "DELETE FROM change WHERE resource = ?1",
            "DELETE FROM link WHERE resource = ?1 AND connector IN (SELECT id FROM connector)",
            "DELETE FROM resource WHERE id = ?1",
        ] {
            c.prepare_cached(statement).and_then(|mut s| s.execute([row])).map_err(sql)?;
        }
    }
    c.prepare_cached("DELETE FROM drift WHERE run IN (SELECT id FROM run WHERE ended < ?1)")
        .and_then(|mut s| s.execute([millis(reports_before)]))
        .map_err(sql)?;
    c.prepare_cached("DELETE FROM run WHERE ended < ?1")
        .and_then(|mut s| s.execute([millis(reports_before)]))
        .map_err(sql)?;
    c.prepare_cached("DELETE FROM audit WHERE at < ?1")
        .and_then(|mut s| s.execute([millis(reports_before)]))
        .map_err(sql)?;
    Ok(changes as i64 == CHUNK || settled.len() as i64 == CHUNK)
}
