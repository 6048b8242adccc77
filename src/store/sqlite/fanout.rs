//! "Mark everyone", in chunks, so that neither a big organization nor a crash half-way is trouble.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{queue, sql};
use crate::store::{ConnectorId, OrgId, Reason, Result, RowId};

/// Resources marked in one piece of background work.
const CHUNK: usize = 1_000;

/// Writes down that everyone is to be marked. Whoever is made later is marked by that write.
pub(super) fn begin(
    c: &Connection,
    connector: ConnectorId,
    organization: Option<OrgId>,
    reason: Reason,
) -> Result<()> {
    c.execute(
        "INSERT INTO fanout (connector, organization, reason, cursor, last)
         SELECT connector, organization, ?3, 0, (SELECT coalesce(max(id), 0) FROM resource)
         FROM subscription WHERE connector = ?1 AND (?2 IS NULL OR organization = ?2)",
        params![connector.0, organization.map(|organization| organization.0), reason.word()],
    )
    .map_err(sql)?;
    Ok(())
}

pub(super) fn is_open(c: &Connection) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM fanout)")
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .map_err(sql)
}

/// Marks the next chunk; `false` when nothing is left.
pub(super) fn walk(c: &Connection, now: Timestamp) -> Result<bool> {
    let next: Option<(i64, i64, i64, String, i64, i64)> = c
        .prepare_cached("SELECT id, connector, organization, reason, cursor, last FROM fanout ORDER BY id LIMIT 1")
        .and_then(|mut s| {
            s.query_row([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })
            .optional()
        })
        .map_err(sql)?;
    let Some((id, connector, organization, reason, cursor, last)) = next else { return Ok(false) };
    let connector = ConnectorId(connector);
    let rows: Vec<RowId> = c
        .prepare_cached(NEXT)
        .and_then(|mut s| {
            s.query_map(params![organization, cursor, last, connector.0, CHUNK], |row| {
                row.get(0).map(RowId)
            })?
            .collect()
        })
        .map_err(sql)?;
    let reason = Reason::parse(&reason).unwrap_or(Reason::Resync);
    queue::mark(c, connector, &rows, reason, true, now)?;
    match rows.last() {
        Some(last) if rows.len() == CHUNK => {
            c.execute("UPDATE fanout SET cursor = ?2 WHERE id = ?1", [id, last.0]).map_err(sql)?
        }
        _ => c.execute("DELETE FROM fanout WHERE id = ?1", [id]).map_err(sql)?,
    };
    Ok(true)
}

/// In order, by an index for each of the types and for those who are deleted: these matter where the
/// connector still holds something of them.
pub(super) const NEXT: &str = "
    SELECT id FROM resource INDEXED BY resource_living
    WHERE organization = ?1 AND kind = 0 AND deleted IS NULL AND id > ?2 AND id <= ?3
    UNION ALL
    SELECT id FROM resource INDEXED BY resource_living
    WHERE organization = ?1 AND kind = 1 AND deleted IS NULL AND id > ?2 AND id <= ?3
    UNION ALL
    SELECT id FROM resource INDEXED BY resource_former
    WHERE organization = ?1 AND kind IN (0, 1) AND deleted IS NOT NULL AND id > ?2 AND id <= ?3
          AND EXISTS (SELECT 1 FROM link
                      WHERE link.connector = ?4 AND link.resource = resource.id AND link.stage <> 3)
    ORDER BY 1 LIMIT ?5";
