//! Queue rows as people look for them: by index, wherever the counters say that there are some.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use scim_relay_sdk::scim::{ResourceKey, fold};

use super::{kind_number, kind_of, rows, sql, time};
use crate::store::{
    ConnectorId, Counted, Entries, Entry, EntryFilter, EntryPlace, OrgId, Result, State,
};

/// Names of organizations.
pub(super) type Keys = HashMap<OrgId, Arc<str>>;

/// Those that wait for a person first, what lies ahead last.
const ORDER: [State; 6] =
    [State::Held, State::Parked, State::Waiting, State::Retrying, State::Pending, State::Scheduled];

pub(super) fn entries(c: &Connection, filter: &EntryFilter, keys: &Keys) -> Result<Entries> {
    let mut found = Vec::new();
    // One more than is wanted says whether there is a next page.
    each(c, filter, keys, &mut |place| {
        found.push(place);
        found.len() <= filter.limit
    })?;
    let is_more = found.len() > filter.limit;
    found.truncate(filter.limit);
    let next = found.last().copied().filter(|_| is_more);
    let entries = found.iter().map(|place| entry(c, place.connector, place.resource, keys));
    Ok(Entries { entries: entries.collect::<Result<_>>()?, next })
}

pub(super) fn count(c: &Connection, filter: &EntryFilter, keys: &Keys) -> Result<u64> {
    if filter.resource.is_none() && filter.error.is_none() {
        return Ok(places(c, filter)?.into_iter().map(|counted| counted.entries).sum());
    }
    let mut count = 0;
    each(c, filter, keys, &mut |_| {
        count += 1;
        true
    })?;
    Ok(count)
}

/// Tells where rows are that match, until it hears `false`.
fn each(
    c: &Connection,
    filter: &EntryFilter,
    keys: &Keys,
    tell: &mut dyn FnMut(EntryPlace) -> bool,
) -> Result<()> {
    if let Some(key) = &filter.resource {
        for place in of_resource(c, filter, key, keys)? {
            if !tell(place) {
                break;
            }
        }
        return Ok(());
    }
    let text = Text::of(filter);
    for counted in places(c, filter)? {
        let mut place = beginning(counted);
        let end = EntryPlace { dirty_at: i64::MAX, resource: i64::MAX, ..place };
        match filter.after {
            Some(after) if after >= end => continue,
            Some(after) => place = place.max(after),
            None => {}
        }
        let mut statement = c.prepare_cached(AT_PLACE).map_err(sql)?;
        let state = counted.state as i64;
        let from =
            params![place.connector, place.organization, state, place.dirty_at, place.resource];
        let mut rows = statement.query(from).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let is_it = match &text {
                None => true,
                Some(text) => {
                    text.is_in(row.get_ref(2).map_err(sql)?.as_str_or_null().ok().flatten())
                }
            };
            let dirty_at = row.get(0).map_err(sql)?;
            let resource = row.get(1).map_err(sql)?;
            if is_it && !tell(EntryPlace { dirty_at, resource, ..place }) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Before the first row of a connector, an organization and a state.
fn beginning(counted: Counted) -> EntryPlace {
    let state = ORDER.iter().position(|state| *state == counted.state).unwrap_or_default();
    EntryPlace {
        state: state as u8,
        connector: counted.connector.0,
        organization: counted.organization.0,
        dirty_at: i64::MIN,
        resource: i64::MIN,
    }
}

pub(super) const AT_PLACE: &str = "
    SELECT q.dirty_at, q.resource, q.last_error FROM queue q INDEXED BY queue_listed
    WHERE q.connector = ?1 AND q.organization = ?2 AND q.state = ?3
          AND (q.dirty_at, q.resource) > (?4, ?5)
    ORDER BY q.dirty_at, q.resource";

/// Where there are rows, in the order of the list.
fn places(c: &Connection, filter: &EntryFilter) -> Result<Vec<Counted>> {
    let mut places = counted(c, filter.organizations.as_deref())?;
    places.retain(|place| {
        filter.connector.is_none_or(|connector| connector == place.connector)
            && filter.state.is_none_or(|state| state == place.state)
    });
    places.sort_by_key(|place| beginning(*place));
    Ok(places)
}

/// From the counters, without those of connectors that are being forgotten.
pub(super) fn counted(c: &Connection, of: Option<&[OrgId]>) -> Result<Vec<Counted>> {
    let all: Vec<(i64, i64, usize, u64)> = c
        .prepare_cached(COUNTED)
        .and_then(|mut s| {
            s.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
                .collect()
        })
        .map_err(sql)?;
    let all = all.into_iter().filter_map(|(connector, organization, state, entries)| {
        Some(Counted {
            connector: ConnectorId(connector),
            organization: OrgId(organization),
            state: *State::ALL.get(state)?,
            entries,
        })
    });
    Ok(all.filter(|one| of.is_none_or(|of| of.contains(&one.organization))).collect())
}

pub(super) const COUNTED: &str = "
    SELECT b.connector, b.organization, b.state, b.entries
    FROM connector k CROSS JOIN backlog b ON b.connector = k.id
    WHERE b.entries > 0 AND NOT k.forgotten";

/// A resource's rows, one for each connector at most.
fn of_resource(
    c: &Connection,
    filter: &EntryFilter,
    key: &ResourceKey,
    keys: &Keys,
) -> Result<Vec<EntryPlace>> {
    let organization = keys.iter().find(|(_, name)| **name == key.organization);
    let Some((organization, _)) = organization else { return Ok(Vec::new()) };
    if filter.organizations.as_ref().is_some_and(|these| !these.contains(organization)) {
        return Ok(Vec::new());
    }
    let text = Text::of(filter);
    let found: Vec<(EntryPlace, Option<String>)> = c
        .prepare_cached(OF_RESOURCE)
        .and_then(|mut s| {
            let ids = params![
                organization.0,
                kind_number(key.kind),
                key.id.0.as_bytes(),
                filter.connector.map(|id| id.0),
                filter.state.map(|state| state as i64),
            ];
            s.query_map(ids, |row| {
                let state = row.get::<_, usize>(2)?;
                let place = beginning(Counted {
                    connector: ConnectorId(row.get(0)?),
                    organization: *organization,
                    state: State::ALL.get(state).copied().unwrap_or(State::Pending),
                    entries: 1,
                });
                Ok((
                    EntryPlace { dirty_at: row.get(3)?, resource: row.get(1)?, ..place },
                    row.get(4)?,
                ))
            })?
            .collect()
        })
        .map_err(sql)?;
    let mut matching: Vec<EntryPlace> = found
        .into_iter()
        .filter(|(_, error)| text.as_ref().is_none_or(|text| text.is_in(error.as_deref())))
        .map(|(place, _)| place)
        .filter(|place| filter.after.is_none_or(|after| *place > after))
        .collect();
    matching.sort_unstable();
    Ok(matching)
}

pub(super) const OF_RESOURCE: &str = "
    SELECT q.connector, q.resource, q.state, q.dirty_at, q.last_error
    FROM resource r CROSS JOIN connector k CROSS JOIN queue q
    WHERE r.organization = ?1 AND r.kind = ?2 AND r.public_id = ?3
          AND q.connector = k.id AND q.resource = r.id AND NOT k.forgotten
          AND (?4 IS NULL OR k.id = ?4) AND (?5 IS NULL OR q.state = ?5)";

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
                q.state = 4 AND q.last_error = 'rejected: ' || q.rejected, q.mark
         FROM queue q JOIN connector c ON c.id = q.connector JOIN resource r ON r.id = q.resource
         WHERE q.connector = ?1 AND q.resource = ?2",
    )
    .and_then(|mut s| {
        s.query_row([connector, resource], |row| {
            let body: String = row.get(4)?;
            let names = rows::Names::of(&body).unwrap_or_default();
            let organization = OrgId(row.get(1)?);
            let state: usize = row.get(5)?;
            Ok(Entry {
                connector: row.get(0)?,
                organization: keys.get(&organization).map(ToString::to_string).unwrap_or_default(),
                kind: kind_of(row.get(2)?),
                id: rows::public_id(row.get(3)?),
                name: names.user_name.or_else(|| names.display_name.clone()).unwrap_or_default(),
                display_name: names.display_name,
                state: State::ALL.get(state).copied().unwrap_or(State::Pending),
                reason: row.get(6)?,
                attempts: row.get(7)?,
                dirty_at: time(row.get(8)?),
                due: time(row.get(9)?),
                in_flight: row.get(10)?,
                last_error: row.get(11)?,
                hold_kind: row.get(12)?,
                rejected: row.get::<_, Option<bool>>(13)?.unwrap_or_default(),
                mark: row.get(14)?,
            })
        })
    })
    .map_err(sql)
}
