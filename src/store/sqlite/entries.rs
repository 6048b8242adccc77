//! Queue rows as people look for them: by index wherever the counters say that there are some.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use scim_relay_sdk::scim::{ResourceKey, fold};

use super::{kind_number, kind_of, rows, sql, time};
use crate::store::{Entry, EntryFilter, OrgId, Result, State};

/// Names of organizations.
pub(super) type Keys = HashMap<OrgId, Arc<str>>;

/// Those that wait for a person first, what lies ahead last.
const ORDER: [State; 6] =
    [State::Held, State::Parked, State::Waiting, State::Retrying, State::Pending, State::Scheduled];

pub(super) fn entries(c: &Connection, filter: &EntryFilter, keys: &Keys) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    each(c, filter, keys, &mut |connector, resource| {
        found.push((connector, resource));
        found.len() < filter.limit
    })?;
    let entries = found.into_iter().take(filter.limit);
    entries.map(|(connector, resource)| entry(c, connector, resource, keys)).collect()
}

pub(super) fn count(c: &Connection, filter: &EntryFilter, keys: &Keys) -> Result<u64> {
    if filter.resource.is_none() && filter.error.is_none() && filter.organization.is_none() {
        let places = places(c, filter)?;
        return Ok(places.into_iter().map(|(_, _, entries)| entries).sum());
    }
    let mut count = 0;
    each(c, filter, keys, &mut |_, _| {
        count += 1;
        true
    })?;
    Ok(count)
}

/// Tells the rows that match, until it hears `false`.
fn each(
    c: &Connection,
    filter: &EntryFilter,
    keys: &Keys,
    tell: &mut dyn FnMut(i64, i64) -> bool,
) -> Result<()> {
    if let Some(key) = &filter.resource {
        for (connector, resource) in of_resource(c, filter, key, keys)? {
            if !tell(connector, resource) {
                break;
            }
        }
        return Ok(());
    }
    let text = Text::of(filter);
    let organization = filter.organization.map(|organization| organization.0);
    for (connector, state, _) in places(c, filter)? {
        let mut statement = c.prepare_cached(in_state(state)).map_err(sql)?;
        let mut rows = statement.query(params![connector, organization]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let is_it = match &text {
                None => true,
                Some(text) => {
                    text.is_in(row.get_ref(1).map_err(sql)?.as_str_or_null().ok().flatten())
                }
            };
            if is_it && !tell(connector, row.get(0).map_err(sql)?) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Connectors and states that have rows, and how many.
fn places(c: &Connection, filter: &EntryFilter) -> Result<Vec<(i64, State, u64)>> {
    let counted: Vec<(i64, usize, u64)> = c
        .prepare_cached(
            "SELECT b.connector, b.state, b.entries FROM backlog b JOIN connector k ON k.id = b.connector
             WHERE b.entries > 0 AND NOT k.forgotten AND (?1 IS NULL OR k.id = ?1) ORDER BY k.name",
        )
        .and_then(|mut s| {
            s.query_map([filter.connector.map(|id| id.0)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect()
        })
        .map_err(sql)?;
    let mut places = Vec::new();
    for state in ORDER {
        if filter.state.is_none_or(|wanted| wanted == state) {
            let here = counted.iter().filter(|(_, number, _)| *number == state as usize);
            places.extend(here.map(|&(connector, _, entries)| (connector, state, entries)));
        }
    }
    Ok(places)
}

/// A connector's rows in a state, each by the index that has nothing else, or little.
pub(super) fn in_state(state: State) -> &'static str {
    match state {
        State::Held => {
            "SELECT q.resource, q.last_error FROM queue q INDEXED BY queue_human
             WHERE q.state = 5 AND q.connector = ?1 AND q.state >= 4
                   AND (?2 IS NULL OR q.organization = ?2) ORDER BY q.resource"
        }
        State::Parked => {
            "SELECT q.resource, q.last_error FROM queue q INDEXED BY queue_human
             WHERE q.state = 4 AND q.connector = ?1 AND q.state >= 4
                   AND (?2 IS NULL OR q.organization = ?2) ORDER BY q.resource"
        }
        State::Waiting => {
            "SELECT q.resource, q.last_error FROM queue q INDEXED BY queue_waiting
             WHERE q.connector = ?1 AND q.waits_for IS NOT NULL AND q.state = 3
                   AND (?2 IS NULL OR q.organization = ?2)"
        }
        State::Retrying => {
            "SELECT q.resource, q.last_error FROM queue q INDEXED BY queue_dirty
             WHERE q.connector = ?1 AND q.state <= 1 AND q.state = 1
                   AND (?2 IS NULL OR q.organization = ?2) ORDER BY q.dirty_at"
        }
        State::Pending => {
            "SELECT q.resource, q.last_error FROM queue q INDEXED BY queue_dirty
             WHERE q.connector = ?1 AND q.state <= 1 AND q.state = 0
                   AND (?2 IS NULL OR q.organization = ?2) ORDER BY q.dirty_at"
        }
        State::Scheduled => {
            "SELECT q.resource, q.last_error FROM queue q INDEXED BY queue_scheduled
             WHERE q.connector = ?1 AND q.state = 2
                   AND (?2 IS NULL OR q.organization = ?2) ORDER BY q.due"
        }
    }
}

/// A resource's rows, one for each connector at most.
fn of_resource(
    c: &Connection,
    filter: &EntryFilter,
    key: &ResourceKey,
    keys: &Keys,
) -> Result<Vec<(i64, i64)>> {
    let organization = keys.iter().find(|(_, name)| **name == key.organization);
    let Some((organization, _)) = organization else { return Ok(Vec::new()) };
    let text = Text::of(filter);
    let found: Vec<(i64, i64, Option<String>)> = c
        .prepare_cached(OF_RESOURCE)
        .and_then(|mut s| {
            let ids = params![
                organization.0,
                kind_number(key.kind),
                key.id.0.as_bytes(),
                filter.connector.map(|id| id.0),
                filter.state.map(|state| state as i64),
            ];
            s.query_map(ids, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .map_err(sql)?;
    let matching = found
        .into_iter()
        .filter(|(_, _, error)| text.as_ref().is_none_or(|text| text.is_in(error.as_deref())));
    Ok(matching.map(|(connector, resource, _)| (connector, resource)).collect())
}

pub(super) const OF_RESOURCE: &str = "
    SELECT q.connector, q.resource, q.last_error
    FROM resource r CROSS JOIN connector k CROSS JOIN queue q
    WHERE r.organization = ?1 AND r.kind = ?2 AND r.public_id = ?3
          AND q.connector = k.id AND q.resource = r.id AND NOT k.forgotten
          AND (?4 IS NULL OR k.id = ?4) AND (?5 IS NULL OR q.state = ?5)
    ORDER BY k.name";

/// A piece of an error, in whatever case.
pub(super) struct Text(String);

impl Text {
    pub(super) fn of(filter: &EntryFilter) -> Option<Self> {
        filter.error.as_deref().map(|text| Self(fold(text)))
    }

    pub(super) fn is_in(&self, error: Option<&str>) -> bool {
        error.is_some_and(|error| fold(error).contains(&self.0))
    }
}

/// One row, and whose it is.
pub(super) fn entry(c: &Connection, connector: i64, resource: i64, keys: &Keys) -> Result<Entry> {
    c.prepare_cached(
        "SELECT c.name, r.organization, r.kind, r.public_id, r.body, q.state, q.reason, q.attempts,
                q.dirty_at, q.due, q.leased IS NOT NULL, q.last_error,
                iif(q.state = 5, q.hold_kind, NULL),
                q.state = 4 AND q.last_error = 'rejected: ' || q.rejected
         FROM queue q JOIN connector c ON c.id = q.connector JOIN resource r ON r.id = q.resource
         WHERE q.connector = ?1 AND q.resource = ?2",
    )
    .and_then(|mut s| {
        s.query_row([connector, resource], |row| {
            let body: String = row.get(4)?;
            let organization = OrgId(row.get(1)?);
            let state: usize = row.get(5)?;
            Ok(Entry {
                connector: row.get(0)?,
                organization: keys.get(&organization).map(ToString::to_string).unwrap_or_default(),
                kind: kind_of(row.get(2)?),
                id: rows::public_id(row.get(3)?),
                name: rows::name(&body).unwrap_or_default(),
                state: State::ALL.get(state).copied().unwrap_or(State::Pending),
                reason: row.get(6)?,
                attempts: row.get(7)?,
                dirty_at: time(row.get(8)?),
                due: time(row.get(9)?),
                in_flight: row.get(10)?,
                last_error: row.get(11)?,
                hold_kind: row.get(12)?,
                rejected: row.get::<_, Option<bool>>(13)?.unwrap_or_default(),
            })
        })
    })
    .map_err(sql)
}
