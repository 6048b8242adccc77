//! Dropping all that is known of a connector, a piece at a time: a million rows do not hold up the
//! writer, and a kill in the middle leaves a rest that the next start goes on with.

use rusqlite::{Connection, OptionalExtension};

use super::{once, sql};
use crate::store::{ConnectorId, Result};

/// Rows dropped in one piece of background work.
const CHUNK: i64 = 500;

/// From here on it is nobody's: it hears of no write, and whatever is registered under its name is
/// another one. `false` if it is enabled.
pub(super) fn begin(c: &Connection, connector: ConnectorId) -> Result<bool> {
    let begun = c
        .execute(
            "UPDATE connector SET forgotten = 1, name = 'forgotten ' || id || ' ' || name
             WHERE id = ?1 AND NOT enabled AND NOT forgotten",
            [connector.0],
        )
        .map_err(sql)?;
    if begun == 0 {
        return Ok(false);
    }
    for statement in [
        "DELETE FROM subscription WHERE connector = ?1",
        "DELETE FROM fanout WHERE connector = ?1",
        // No more than there are passwords on their way.
        "DELETE FROM password_due WHERE connector = ?1",
    ] {
        c.execute(statement, [connector.0]).map_err(sql)?;
    }
    Ok(true)
}

pub(super) fn is_open(c: &Connection) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM connector WHERE forgotten)")
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .map_err(sql)
}

/// What can be much, each by its index. The ledger of what was sent stays: who was welcomed is not
/// welcomed again by a connector of that name.
pub(super) const MUCH: [&str; 7] = [
    "DELETE FROM queue WHERE connector = ?1 AND resource IN (
         SELECT resource FROM queue WHERE connector = ?1 LIMIT ?2)",
    "DELETE FROM link WHERE connector = ?1 AND resource IN (
         SELECT resource FROM link WHERE connector = ?1 LIMIT ?2)",
    "DELETE FROM member_mark WHERE id IN (
         SELECT id FROM member_mark WHERE connector = ?1 LIMIT ?2)",
    "DELETE FROM removal WHERE id IN (SELECT id FROM removal WHERE connector = ?1 LIMIT ?2)",
    "DELETE FROM drift WHERE id IN (
         SELECT d.id FROM run r CROSS JOIN drift d ON d.run = r.id WHERE r.connector = ?1 LIMIT ?2)",
    "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE connector = ?1 LIMIT ?2)",
    "DELETE FROM connector_history WHERE connector = ?1 AND quarter IN (
         SELECT quarter FROM connector_history WHERE connector = ?1 LIMIT ?2)",
];

/// Drops a piece; `false` when nothing is left of any.
pub(super) fn piece(c: &Connection) -> Result<bool> {
    let next: Option<i64> = c
        .prepare_cached("SELECT id FROM connector WHERE forgotten LIMIT 1")
        .and_then(|mut s| s.query_row([], |row| row.get(0)).optional())
        .map_err(sql)?;
    let Some(connector) = next else { return Ok(false) };
    for statement in MUCH {
        let dropped = c
            .prepare_cached(statement)
            .and_then(|mut s| s.execute([connector, CHUNK]))
            .map_err(sql)?;
        if dropped > 0 {
            return Ok(true);
        }
    }
    once::detach(c, connector)?;
    for statement in
        ["DELETE FROM backlog WHERE connector = ?1", "DELETE FROM connector WHERE id = ?1"]
    {
        c.execute(statement, [connector]).map_err(sql)?;
    }
    Ok(true)
}
