//! What a person does to queue rows. They are looked for by a reader, however many there are, and
//! touched in chunks, each row by its key.

use std::fmt::Write as _;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::entries::{Keys, Text};
use super::{kind_number, kind_of, millis, once, passwords, queue, removals, rows, sql, tokens};
use crate::store::{
    AuditRow, EntryFilter, OrgId, Result, RowPick, Signed, State, Tally, Touch, Touched,
};

/// Rows touched in one commit.
const CHUNK: usize = 500;

/// A row's place in the order in which rows are touched.
pub(super) type Place = (i64, i64);
pub(super) const START: Place = (0, 0);

/// The rows of a filter: what follows `FROM`, the conditions, and their parameters. Numbers stand in
/// the text, since a partial index is used only for a condition that is seen to imply its own.
pub(super) fn select(filter: &EntryFilter, keys: &Keys) -> (String, Vec<Vec<u8>>) {
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
    if let Some(organizations) = &filter.organizations {
        let numbers: Vec<String> = organizations.iter().map(|one| one.0.to_string()).collect();
        clauses.push(format!("q.organization IN ({})", numbers.join(", ")));
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

/// In which states a row can be touched like this. What is being worked on is not touched: its
/// outcome comes in a moment.
fn touchable(touch: &Touch) -> &'static str {
    match touch {
        Touch::Retry => "q.leased IS NULL AND q.state NOT IN (2, 5)",
        Touch::Skip => "q.leased IS NULL",
    }
}

/// The next rows behind `after` that match.
pub(super) fn find(
    c: &Connection,
    filter: &EntryFilter,
    touch: &Touch,
    keys: &Keys,
    (connector, resource): Place,
) -> Result<Vec<Place>> {
    let (mut query, values) = select(filter, keys);
    write!(
        query,
        " AND {} AND (q.connector, q.resource) > ({connector}, {resource})
         ORDER BY q.connector, q.resource",
        touchable(touch)
    )
    .expect("a text takes more");
    let text = Text::of(filter);
    let mut statement = c
        .prepare(&format!("SELECT q.connector, q.resource, q.last_error FROM {query}"))
        .map_err(sql)?;
    let mut found = Vec::new();
    let mut rows = statement.query(params_from_iter(values)).map_err(sql)?;
    while found.len() < CHUNK
        && let Some(row) = rows.next().map_err(sql)?
    {
        if let Some(text) = &text {
            let error: Option<String> = row.get(2).map_err(sql)?;
            if !text.is_in(error.as_deref()) {
                continue;
            }
        }
        found.push((row.get(0).map_err(sql)?, row.get(1).map_err(sql)?));
    }
    Ok(found)
}

/// Touches these, if they still match; how many did.
pub(super) fn touch(
    c: &Connection,
    found: &[Place],
    filter: &EntryFilter,
    touch: &Touch,
    signed: Option<&Signed>,
    keys: &Keys,
    now: Timestamp,
) -> Result<Tally> {
    let text = Text::of(filter);
    let state = filter.state.map(|state| state as i64);
    let mut still = c
        .prepare_cached(&format!(
            "SELECT q.since, q.last_error, q.organization FROM queue q
             WHERE q.connector = ?1 AND q.resource = ?2 AND (?3 IS NULL OR q.state = ?3) AND {}",
            touchable(touch)
        ))
        .map_err(sql)?;
    let mut touched = Tally::new();
    for &(connector, resource) in found {
        let row: Option<(i64, Option<String>, i64)> = still
            .query_row(params![connector, resource, state], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()
            .map_err(sql)?;
        let Some((since, error, organization)) = row else { continue };
        if text.as_ref().is_some_and(|text| !text.is_in(error.as_deref())) {
            continue;
        }
        if let Some(signed) = signed {
            note(c, connector, resource, signed, keys, now)?;
        }
        touch_one(c, connector, resource, since, touch, now)?;
        *touched.entry(OrgId(organization)).or_default() += 1;
    }
    Ok(touched)
}

/// Touches these, each written down; what came of each.
pub(super) fn touch_picked(
    c: &Connection,
    picks: &[RowPick],
    touch: &Touch,
    signed: &Signed,
    keys: &Keys,
    now: Timestamp,
) -> Result<Vec<Touched>> {
    picks
        .iter()
        .map(|pick| {
            let Some(row) = picked(c, pick, keys)? else { return Ok(Touched::Gone) };
            if let Some(why_not) = row.refuses(touch, pick.mark) {
                return Ok(why_not);
            }
            let connector = pick.connector.0;
            note(c, connector, row.resource, signed, keys, now)?;
            touch_one(c, connector, row.resource, row.since, touch, now)?;
            Ok(Touched::Done)
        })
        .collect()
}

/// A row that a person picked, as it is now.
struct Found {
    resource: i64,
    since: i64,
    mark: i64,
    state: i64,
    in_flight: bool,
}

impl Found {
    /// To try again is of what there is by now; what is given up must be what was seen.
    fn refuses(&self, touch: &Touch, seen: Option<i64>) -> Option<Touched> {
        let is_retry = *touch == Touch::Retry;
        if self.in_flight {
            Some(Touched::InFlight)
        } else if is_retry && self.state == State::Held as i64 {
            Some(Touched::Held)
        } else if is_retry && self.state == State::Scheduled as i64 {
            Some(Touched::Scheduled)
        } else if !is_retry && seen.is_some_and(|seen| seen != self.mark) {
            Some(Touched::Changed)
        } else {
            None
        }
    }
}

fn picked(c: &Connection, pick: &RowPick, keys: &Keys) -> Result<Option<Found>> {
    let key = &pick.key;
    let Some((organization, _)) = keys.iter().find(|(_, name)| **name == key.organization) else {
        return Ok(None);
    };
    c.prepare_cached(PICKED)
        .and_then(|mut s| {
            let kind = kind_number(key.kind);
            let ids = params![pick.connector.0, organization.0, kind, key.id.0.as_bytes()];
            s.query_row(ids, |row| {
                Ok(Found {
                    resource: row.get(0)?,
                    since: row.get(1)?,
                    mark: row.get(2)?,
                    state: row.get(3)?,
                    in_flight: row.get(4)?,
                })
            })
            .optional()
        })
        .map_err(sql)
}

pub(super) const PICKED: &str = "
    SELECT q.resource, q.since, q.mark, q.state, q.leased IS NOT NULL
    FROM resource r INDEXED BY resource_public_id
         CROSS JOIN queue q ON q.connector = ?1 AND q.resource = r.id
    WHERE r.organization = ?2 AND r.kind = ?3 AND r.public_id = ?4";

/// Where to look on, if there may be more.
pub(super) fn next(found: &[Place]) -> Option<Place> {
    found.last().copied().filter(|_| found.len() == CHUNK)
}

fn touch_one(
    c: &Connection,
    connector: i64,
    resource: i64,
    since: i64,
    touch: &Touch,
    now: Timestamp,
) -> Result<()> {
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
        ),
        Touch::Skip => skip(c, connector, resource, since, now),
    }
}

fn update(c: &Connection, query: &str, ids: [i64; 3]) -> Result<()> {
    c.prepare_cached(query).and_then(|mut s| s.execute(ids)).map_err(sql)?;
    Ok(())
}

/// Who did it to this row, in the same transaction.
fn note(
    c: &Connection,
    connector: i64,
    resource: i64,
    signed: &Signed,
    keys: &Keys,
    now: Timestamp,
) -> Result<()> {
    let (subject, organization): (String, i64) = c
        .prepare_cached(
            "SELECT k.name, r.kind, r.public_id, r.organization
             FROM connector k CROSS JOIN resource r WHERE k.id = ?1 AND r.id = ?2",
        )
        .and_then(|mut s| {
            s.query_row([connector, resource], |row| {
                let (name, kind): (String, i64) = (row.get(0)?, row.get(1)?);
                let id = rows::public_id(row.get(2)?);
                Ok((format!("{name} {}/{id}", kind_of(kind)), row.get(3)?))
            })
        })
        .map_err(sql)?;
    let row = AuditRow {
        at: now,
        actor: signed.by.name().to_owned(),
        from: signed.by.from().map(|from| from.to_string()),
        action: signed.action.to_owned(),
        organization: keys.get(&OrgId(organization)).map(ToString::to_string),
        subject,
        detail: signed.reason.clone(),
    };
    tokens::audit(c, &row)
}

/// A receiver that may have been told of somebody is told that they are gone, too.
const KNOWN: &str = "
    INSERT INTO link (connector, resource, target_id, address, hash, seq, stage, since)
    SELECT q.connector, q.resource, r.id, '', NULL, ?3, 0, ?4
    FROM queue q CROSS JOIN connector k ON k.id = q.connector
                 CROSS JOIN resource r ON r.id = q.resource
    WHERE q.connector = ?1 AND q.resource = ?2 AND q.doubt = 1 AND k.every_event
    ON CONFLICT (connector, resource) DO UPDATE SET stage = 0, since = excluded.since
        WHERE stage = 3";

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
    c.prepare_cached(KNOWN)
        .and_then(|mut s| s.execute([connector, resource, since, millis(now)]))
        .map_err(sql)?;
    // What was allowed for it is no leave for the next one.
    removals::close(c, connector, resource)?;
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
