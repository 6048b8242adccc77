//! What reconciliation reads, and what it found.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use scim_relay_sdk::scim::{ResourceKey, ResourceKind, Schemas};
use serde_json::json;

use super::{cases, kind_number, kind_of, links, members, millis, queue, rows, sql, time};
use crate::ids;
use crate::store::{
    ConnectorId, DriftLine, Holding, NewRun, OrgId, Reason, Result, RowId, Run, RunId, RunRow,
    Stored,
};

pub(super) fn holdings(
    c: &Connection,
    connector: ConnectorId,
    kind: ResourceKind,
    after: RowId,
    limit: usize,
    keys: &HashMap<OrgId, Arc<str>>,
) -> Result<Vec<Holding>> {
    let (carries_members, reads_groups): (bool, bool) = c
        .query_row(
            "SELECT members, reads_groups FROM connector WHERE id = ?1",
            [connector.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(sql)?;
    let found: Vec<(Stored, bool, OrgId, bool)> = c
        .prepare_cached(&format!(
            "SELECT {}, deleted, organization,
                    EXISTS (SELECT 1 FROM queue q
                            WHERE q.connector = ?1 AND q.resource = resource.id AND q.state <> 2)
             FROM resource
             WHERE id > ?2 AND kind = ?3
                   AND organization IN (SELECT organization FROM subscription WHERE connector = ?1)
                   AND (deleted IS NULL
                        OR EXISTS (SELECT 1 FROM link l WHERE l.connector = ?1 AND l.resource = resource.id
                                                         AND l.stage <> 3))
             ORDER BY id LIMIT ?4",
            rows::COLUMNS
        ))
        .and_then(|mut s| {
            s.query_map(params![connector.0, after.0, kind_number(kind), limit], |row| {
                Ok((
                    rows::stored(row)?,
                    row.get::<_, Option<i64>>(rows::WIDTH)?.is_some(),
                    OrgId(row.get(rows::WIDTH + 1)?),
                    row.get(rows::WIDTH + 2)?,
                ))
            })?
            .collect()
        })
        .map_err(sql)?;
    found
        .into_iter()
        .map(|(stored, deleted, organization, queued)| {
            let key = keys.get(&organization).cloned().ok_or_else(|| {
                crate::store::StoreError::Broken("an organization is unknown".to_owned())
            })?;
            Ok(Holding {
                row: stored.row,
                key: ResourceKey { organization: key, kind, id: stored.id },
                deleted,
                attributes: rows::with_meta(&stored)?,
                groups: if reads_groups && kind == ResourceKind::User {
                    members::Ancestry::new(c, organization).of(stored.row)?
                } else {
                    Vec::new()
                },
                link: links::link(c, connector, stored.row)?,
                queued,
                members: (carries_members && kind == ResourceKind::Group && !deleted)
                    .then(|| cases::member_addresses(c, connector, stored.row, organization))
                    .transpose()?,
            })
        })
        .collect()
}

pub(super) fn take_orphan(
    c: &Connection,
    connector: ConnectorId,
    kind: ResourceKind,
    target_id: &str,
    address: &str,
    now: Timestamp,
) -> Result<bool> {
    let served: Vec<i64> = c
        .prepare_cached("SELECT organization FROM subscription WHERE connector = ?1")
        .and_then(|mut s| s.query_map([connector.0], |row| row.get(0))?.collect())
        .map_err(sql)?;
    let owned: bool = c
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM link WHERE connector = ?1 AND target_id = ?2 AND stage <> 3)")
        .and_then(|mut s| s.query_row(params![connector.0, target_id], |row| row.get(0)))
        .map_err(sql)?;
    let [organization] = served[..] else { return Ok(false) };
    if owned {
        return Ok(false);
    }
    let id = ids::resource_id(now);
    let ty = Schemas::builtin();
    let body = json!({
        "schemas": [ty.of(kind).core.id],
        "id": id.to_string(),
        "displayName": format!("orphan {address}"),
    });
    c.prepare_cached(
        "INSERT INTO resource (organization, kind, public_id, version, body, created, modified, deleted)
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?5, ?5)",
    )
    .and_then(|mut s| {
        s.execute(params![organization, kind_number(kind), id.0.as_bytes(), body.to_string(), millis(now)])
    })
    .map_err(sql)?;
    let row = c.last_insert_rowid();
    c.prepare_cached(
        "INSERT INTO link (connector, resource, target_id, address, seq, stage, since)
         VALUES (?1, ?2, ?3, ?4, 0, 0, ?5)",
    )
    .and_then(|mut s| s.execute(params![connector.0, row, target_id, address, millis(now)]))
    .map_err(sql)?;
    queue::mark(c, connector, &[RowId(row)], Reason::Drift, true, now)?;
    Ok(true)
}

pub(super) fn record(c: &Connection, run: &NewRun) -> Result<RunId> {
    c.execute(
        "INSERT INTO run (connector, started, ended, dry, error, seen, drifted)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            run.connector.0,
            millis(run.started),
            millis(run.ended),
            run.dry,
            run.error,
            run.seen as i64,
            run.drift.len(),
        ],
    )
    .map_err(sql)?;
    let id = c.last_insert_rowid();
    for row in &run.drift {
        c.prepare_cached(
            "INSERT INTO drift (run, kind, resource, address, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut s| {
            s.execute(params![id, row.kind, row.resource, row.address, row.detail.to_string()])
        })
        .map_err(sql)?;
    }
    Ok(RunId(id))
}

pub(super) fn last(c: &Connection, connector: ConnectorId) -> Result<Option<RunRow>> {
    Ok(runs(c, connector, 1)?.pop().map(|run| run.outcome))
}

pub(super) const RUNS: &str = "
    SELECT id, started, ended, dry, error, seen, drifted FROM run WHERE connector = ?1
    ORDER BY id DESC LIMIT ?2";

pub(super) fn runs(c: &Connection, connector: ConnectorId, limit: usize) -> Result<Vec<Run>> {
    c.prepare_cached(RUNS)
        .and_then(|mut s| {
            s.query_map(params![connector.0, limit], |row| {
                let outcome = RunRow {
                    started: time(row.get(1)?),
                    ended: time(row.get(2)?),
                    dry: row.get(3)?,
                    error: row.get(4)?,
                    seen: row.get::<_, i64>(5)?.try_into().unwrap_or(0),
                    drifted: row.get::<_, i64>(6)?.try_into().unwrap_or(0),
                };
                Ok(Run { id: RunId(row.get(0)?), outcome })
            })?
            .collect()
        })
        .map_err(sql)
}

pub(super) const DRIFT: &str = "
    SELECT d.id, d.kind, d.address, d.detail, r.id, r.organization, r.kind, r.public_id, r.body
    FROM drift d INDEXED BY drift_run LEFT JOIN resource r ON r.id = d.resource
    WHERE d.run = ?1 AND d.id > ?2 ORDER BY d.id LIMIT ?3";

pub(super) fn drift(
    c: &Connection,
    run: RunId,
    after: i64,
    limit: usize,
    keys: &HashMap<OrgId, Arc<str>>,
) -> Result<Vec<DriftLine>> {
    c.prepare_cached(DRIFT)
        .and_then(|mut s| {
            s.query_map(params![run.0, after, limit], |row| drift_line(row, keys))?.collect()
        })
        .map_err(sql)
}

fn drift_line(row: &Row<'_>, keys: &HashMap<OrgId, Arc<str>>) -> rusqlite::Result<DriftLine> {
    let detail: String = row.get(3)?;
    let found: Option<i64> = row.get(4)?;
    let (mut whose, mut name) = (None, String::new());
    if found.is_some() {
        let organization = keys.get(&OrgId(row.get(5)?)).cloned().unwrap_or_default();
        let (kind, id) = (kind_of(row.get(6)?), rows::public_id(row.get(7)?));
        whose = Some(ResourceKey { organization, kind, id });
        let body: String = row.get(8)?;
        let names = rows::Names::of(&body).ok();
        name = names.and_then(|names| names.user_name.or(names.display_name)).unwrap_or_default();
    }
    Ok(DriftLine {
        id: row.get(0)?,
        kind: row.get(1)?,
        address: row.get(2)?,
        whose,
        name,
        detail: serde_json::from_str(&detail).unwrap_or_default(),
        row: found.map(RowId),
    })
}
