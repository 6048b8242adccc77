//! Queue rows as people see and touch them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{kind_number, kind_of, millis, rows, sql, time};
use crate::store::{Entry, EntryFilter, OrgId, Result, State, Touch};

/// The `WHERE` of a filter, and its parameters.
fn condition(filter: &EntryFilter, keys: &HashMap<OrgId, Arc<str>>) -> (String, Vec<Box<dyn ToSql>>) {
    let mut clauses = vec!["1".to_owned()];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut add = |clause: &str, value: Box<dyn ToSql>| {
        values.push(value);
        clauses.push(clause.replace('?', &format!("?{}", values.len())));
    };
    if let Some(connector) = filter.connector {
        add("q.connector = ?", Box::new(connector.0));
    }
    if let Some(state) = filter.state {
        add("q.state = ?", Box::new(state as i64));
    }
    if let Some(key) = &filter.resource {
        let organization =
            keys.iter().find(|(_, name)| **name == key.organization).map_or(-1, |(id, _)| id.0);
        add("r.organization = ?", Box::new(organization));
        add("r.kind = ?", Box::new(kind_number(key.kind)));
        add("r.public_id = ?", Box::new(key.id.0.as_bytes().to_vec()));
    }
    (clauses.join(" AND "), values)
}

pub(super) fn entries(
    c: &Connection,
    filter: &EntryFilter,
    keys: &HashMap<OrgId, Arc<str>>,
) -> Result<Vec<Entry>> {
    let (condition, values) = condition(filter, keys);
    let mut statement = c
        .prepare(&format!(
            "SELECT c.name, r.organization, r.kind, r.public_id, r.body, q.state, q.reason, q.attempts,
                    q.dirty_at, q.due, q.leased IS NOT NULL, q.last_error, q.hold_kind
             FROM queue q JOIN connector c ON c.id = q.connector JOIN resource r ON r.id = q.resource
             WHERE {condition} ORDER BY q.state DESC, q.due LIMIT {}",
            filter.limit
        ))
        .map_err(sql)?;
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
    let parameters: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    statement
        .query_map(parameters.as_slice(), entry)
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

pub(super) fn touch(
    c: &Connection,
    filter: &EntryFilter,
    touch: &Touch,
    keys: &HashMap<OrgId, Arc<str>>,
    now: Timestamp,
) -> Result<u64> {
    let (condition, values) = condition(filter, keys);
    let also = match touch {
        // What is being worked on is not touched: its outcome comes in a moment.
        Touch::Retry => "q.leased IS NULL AND q.state NOT IN (2, 5)",
        Touch::Skip => "q.leased IS NULL",
        Touch::Approve | Touch::Reject(_) => "q.leased IS NULL AND q.state = 5",
    };
    let mut statement = c
        .prepare(&format!(
            "SELECT q.connector, q.resource, q.since, c.every_event
             FROM queue q JOIN resource r ON r.id = q.resource JOIN connector c ON c.id = q.connector
             WHERE {condition} AND {also}"
        ))
        .map_err(sql)?;
    let parameters: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    let found: Vec<(i64, i64, i64, bool)> = statement
        .query_map(parameters.as_slice(), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .and_then(|rows| rows.collect())
        .map_err(sql)?;
    for &(connector, resource, since, every_event) in &found {
        match touch {
            Touch::Retry => c
                .prepare_cached(
                    "UPDATE queue SET state = 0, due = ?3, attempts = 0, first_failed = NULL,
                            waits_for = NULL, doubt = 0
                     WHERE connector = ?1 AND resource = ?2",
                )
                .and_then(|mut s| s.execute([connector, resource, millis(now)])),
            Touch::Skip => skip(c, connector, resource, since, every_event, now),
            Touch::Approve => c
                .prepare_cached(
                    "UPDATE queue SET state = 0, due = ?3, approved = mark, hold_kind = NULL
                     WHERE connector = ?1 AND resource = ?2",
                )
                .and_then(|mut s| s.execute([connector, resource, millis(now)])),
            Touch::Reject(reason) => c
                .prepare_cached(
                    "UPDATE queue SET state = 4, last_error = ?3
                     WHERE connector = ?1 AND resource = ?2",
                )
                .and_then(|mut s| s.execute(params![connector, resource, format!("rejected: {reason}")])),
        }
        .map_err(sql)?;
    }
    Ok(found.len() as u64)
}

/// Past this one event alone, where each event counts; else the resource is left as it is.
fn skip(
    c: &Connection,
    connector: i64,
    resource: i64,
    since: i64,
    every_event: bool,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let skipped: Option<i64> = c
        .prepare_cached("SELECT min(seq) FROM change WHERE resource = ?1 AND seq >= ?2")?
        .query_row([resource, since], |row| row.get(0))
        .optional()?
        .flatten();
    let next: Option<i64> = match skipped {
        Some(skipped) if every_event => c
            .prepare_cached("SELECT min(seq) FROM change WHERE resource = ?1 AND seq > ?2")?
            .query_row([resource, skipped], |row| row.get(0))?,
        _ => None,
    };
    match next {
        Some(next) => c
            .prepare_cached(
                "UPDATE queue SET state = 0, since = ?3, due = ?4, attempts = 0, first_failed = NULL,
                        last_error = NULL, doubt = 0, waits_for = NULL
                 WHERE connector = ?1 AND resource = ?2",
            )?
            .execute([connector, resource, next, millis(now)]),
        None => {
            c.prepare_cached(
                "UPDATE queue SET state = 0, waits_for = NULL, due = ?3
                 WHERE connector = ?1 AND waits_for = ?2",
            )?
            .execute([connector, resource, millis(now)])?;
            c.prepare_cached("DELETE FROM queue WHERE connector = ?1 AND resource = ?2")?
                .execute([connector, resource])
        }
    }
}
