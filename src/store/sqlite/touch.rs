//! Queue rows as people see and touch them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::{kind_number, kind_of, millis, once, passwords, queue, rows, sql, time};
use crate::store::{Entry, EntryFilter, OrgId, Result, State, Touch};

/// Rows touched in one commit.
const CHUNK: usize = 500;

/// A row's place in the order in which rows are touched.
pub(super) type Place = (i64, i64);
pub(super) const START: Place = (0, 0);

/// The rows of a filter: what follows `FROM`, the conditions, and their parameters. Numbers stand in
/// the text, since a partial index is used only for a condition that is seen to imply its own.
fn select(filter: &EntryFilter, keys: &HashMap<OrgId, Arc<str>>) -> (String, Vec<Vec<u8>>) {
    let mut from = "queue q".to_owned();
    let mut clauses = vec!["1".to_owned()];
    let mut values = Vec::new();
    if let Some(key) = &filter.resource {
        let organization =
            keys.iter().find(|(_, name)| **name == key.organization).map_or(-1, |(id, _)| id.0);
        "resource r CROSS JOIN connector k CROSS JOIN queue q".clone_into(&mut from);
        clauses.push(format!(
            "r.organization = {organization} AND r.kind = {} AND r.public_id = ?1
             AND q.connector = k.id AND q.resource = r.id",
            kind_number(key.kind)
        ));
        values.push(key.id.0.as_bytes().to_vec());
    }
    if let Some(connector) = filter.connector {
        clauses.push(format!("q.connector = {}", connector.0));
    }
    if let Some(state) = filter.state {
        let number = state as i64;
        clauses.push(format!("q.state = {number}"));
        if number >= State::Parked as i64 && filter.resource.is_none() {
            "queue q INDEXED BY queue_human".clone_into(&mut from);
            clauses.push("q.state >= 4".to_owned());
        }
    }
    (format!("{from} WHERE {}", clauses.join(" AND ")), values)
}

pub(super) fn entries_query(
    filter: &EntryFilter,
    keys: &HashMap<OrgId, Arc<str>>,
) -> (String, Vec<Vec<u8>>) {
    let (rows, values) = select(filter, keys);
    // The rows first, and their bodies only for the few that are shown.
    let query = format!(
        "SELECT c.name, r.organization, r.kind, r.public_id, r.body, q.state, q.reason, q.attempts,
                q.dirty_at, q.due, q.leased IS NOT NULL, q.last_error, iif(q.state = 5, q.hold_kind, NULL)
         FROM (SELECT q.connector, q.resource FROM {rows} ORDER BY q.state DESC, q.due LIMIT {}) f
              CROSS JOIN queue q ON q.connector = f.connector AND q.resource = f.resource
              CROSS JOIN connector c ON c.id = q.connector
              CROSS JOIN resource r ON r.id = q.resource
         ORDER BY q.state DESC, q.due",
        filter.limit
    );
    (query, values)
}

pub(super) fn entries(
    c: &Connection,
    filter: &EntryFilter,
    keys: &HashMap<OrgId, Arc<str>>,
) -> Result<Vec<Entry>> {
    let (query, values) = entries_query(filter, keys);
    let mut statement = c.prepare(&query).map_err(sql)?;
    let entry = |row: &Row<'_>| -> rusqlite::Result<Entry> {
        let kind = kind_of(row.get(2)?);
        let body: String = row.get(4)?;
        let organization = OrgId(row.get(1)?);
        let state: usize = row.get(5)?;
        Ok(Entry {
            connector: row.get(0)?,
            organization: keys.get(&organization).map(ToString::to_string).unwrap_or_default(),
            kind,
            id: rows::public_id(row.get(3)?),
            name: name(&body),
            state: State::ALL.get(state).copied().unwrap_or(State::Pending),
            reason: row.get(6)?,
            attempts: row.get(7)?,
            dirty_at: time(row.get(8)?),
            due: time(row.get(9)?),
            in_flight: row.get(10)?,
            last_error: row.get(11)?,
            hold_kind: row.get(12)?,
        })
    };
    statement
        .query_map(params_from_iter(values), entry)
        .and_then(|found| found.collect())
        .map_err(sql)
}

/// userName, or a group's displayName.
fn name(body: &str) -> String {
    rows::attributes(body)
        .ok()
        .and_then(|attributes| {
            let name = attributes.get("userName").or_else(|| attributes.get("displayName"))?;
            name.as_str().map(str::to_owned)
        })
        .unwrap_or_default()
}

/// Touches a chunk of the rows behind `after`; how many, and where the next chunk begins.
pub(super) fn touch(
    c: &Connection,
    filter: &EntryFilter,
    touch: &Touch,
    keys: &HashMap<OrgId, Arc<str>>,
    now: Timestamp,
    after: Place,
) -> Result<(u64, Option<Place>)> {
    let (rows, values) = select(filter, keys);
    let also = match touch {
        Touch::Retry => "q.state NOT IN (2, 5)",
        Touch::Skip => "1",
    };
    let (connector, resource) = after;
    // What is being worked on is not touched: its outcome comes in a moment.
    let mut statement = c
        .prepare(&format!(
            "SELECT q.connector, q.resource, q.since FROM {rows} AND q.leased IS NULL AND {also}
                    AND (q.connector, q.resource) > ({connector}, {resource})
             ORDER BY q.connector, q.resource LIMIT {CHUNK}"
        ))
        .map_err(sql)?;
    let found: Vec<(i64, i64, i64)> = statement
        .query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .and_then(|rows| rows.collect())
        .map_err(sql)?;
    for &(connector, resource, since) in &found {
        let ids = [connector, resource, millis(now)];
        match touch {
            // That a person says "again" answers the doubt whether an event went out. Whether an
            // entry was written is for the connector to look up.
            Touch::Retry => update(
                c,
                "UPDATE queue SET state = 0, due = ?3, attempts = 0, first_failed = NULL,
                        waits_for = NULL,
                        doubt = iif((SELECT every_event FROM connector WHERE id = ?1), 0, doubt)
                 WHERE connector = ?1 AND resource = ?2",
                ids,
            )?,
            Touch::Skip => skip(c, connector, resource, since, now)?,
        }
    }
    let next = found.last().filter(|_| found.len() == CHUNK);
    Ok((found.len() as u64, next.map(|&(connector, resource, _)| (connector, resource))))
}

fn update(c: &Connection, query: &str, ids: [i64; 3]) -> Result<()> {
    c.prepare_cached(query).and_then(|mut s| s.execute(ids)).map_err(sql)?;
    Ok(())
}

/// Past this one event alone, where each event counts; else the resource is left as it is.
fn skip(c: &Connection, connector: i64, resource: i64, since: i64, now: Timestamp) -> Result<()> {
    let next: Option<(i64, i64)> = c
        .prepare_cached(
            "SELECT seq, at FROM change
             WHERE (SELECT every_event FROM connector WHERE id = ?1)
                   AND resource = ?2 AND seq >= ?3
             ORDER BY seq LIMIT 1 OFFSET 1",
        )
        .and_then(|mut s| {
            s.query_row([connector, resource, since], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(sql)?;
    // Who skips what may have been sent has found it there.
    once::settle_open(c, connector, resource)?;
    if let Some((next, at)) = next {
        c.prepare_cached(
            "UPDATE queue SET state = 0, since = ?3, due = ?4, dirty_at = ?5, reason = 'change',
                    collapsed = 0, attempts = 0, first_failed = NULL, last_error = NULL, hold_kind = NULL,
                    hold_count = 0, approved = NULL, rejected = NULL, doubt = 0, waits_for = NULL
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| s.execute([connector, resource, next, millis(now), at]))
        .map_err(sql)?;
        return Ok(());
    }
    passwords::settled(c, connector, resource, i64::MAX)?;
    queue::wake_waiting(c, connector, resource, now)?;
    c.prepare_cached("DELETE FROM queue WHERE connector = ?1 AND resource = ?2")
        .and_then(|mut s| s.execute([connector, resource]))
        .map_err(sql)?;
    Ok(())
}
