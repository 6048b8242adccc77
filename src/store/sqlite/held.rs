//! What waits for a person's word.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::ResourceKey;

use super::{entries, kind_number, kind_of, millis, queue, rows, sql, time, tokens};
use crate::store::{
    Actor, AuditRow, ConnectorId, Decided, Held, HeldFilter, HeldPage, HeldPlace, OrgId, Pick,
    Result, State, Verdict,
};

/// Rows that are held at a connector in an organization, who waits longest first; `?6` is a kind, or
/// NULL for all.
pub(super) const HELD: &str = "
    SELECT q.connector, q.resource, c.name, r.organization, r.kind, r.public_id, r.body,
           q.hold_kind, q.last_error, q.dirty_at, q.mark,
           iif(r.kind = 1, (SELECT count(*) FROM member m WHERE m.group_id = r.id), NULL),
           r.deleted IS NOT NULL,
           EXISTS (SELECT 1 FROM link l
                   WHERE l.connector = q.connector AND l.resource = q.resource AND l.stage IN (1, 2))
    FROM queue q INDEXED BY queue_listed
         CROSS JOIN connector c ON c.id = q.connector
         CROSS JOIN resource r ON r.id = q.resource
    WHERE q.connector = ?1 AND q.organization = ?2 AND q.state = 5
          AND (q.dirty_at, q.resource) > (?3, ?4) AND (?6 IS NULL OR q.hold_kind = ?6)
    ORDER BY q.dirty_at, q.resource LIMIT ?5";

pub(super) fn held(
    c: &Connection,
    filter: &HeldFilter,
    keys: &HashMap<OrgId, Arc<str>>,
) -> Result<HeldPage> {
    let mut places: Vec<HeldPlace> = entries::counted(c, filter.organizations.as_deref())?
        .into_iter()
        .filter(|counted| counted.state == State::Held)
        .filter(|counted| filter.connector.is_none_or(|connector| connector == counted.connector))
        .map(|counted| HeldPlace {
            connector: counted.connector.0,
            organization: counted.organization.0,
            dirty_at: i64::MIN,
            resource: i64::MIN,
        })
        .collect();
    places.sort_unstable();
    let mut all = Vec::new();
    let mut last = filter.after;
    for place in places {
        let end = HeldPlace { dirty_at: i64::MAX, resource: i64::MAX, ..place };
        if end <= filter.after || all.len() == filter.limit {
            continue;
        }
        let from = place.max(filter.after);
        let limit = filter.limit - all.len();
        let kind = filter.kind.map(HoldKind::word);
        let mut read = |row: &Row<'_>| -> rusqlite::Result<Held> {
            last = HeldPlace { dirty_at: row.get(9)?, resource: row.get(1)?, ..place };
            held_row(row, keys)
        };
        let here: Vec<Held> = c
            .prepare_cached(HELD)
            .and_then(|mut statement| {
                let HeldPlace { connector, organization, dirty_at, resource } = from;
                let at = params![connector, organization, dirty_at, resource, limit, kind];
                statement.query_map(at, &mut read)?.collect()
            })
            .map_err(sql)?;
        all.extend(here);
    }
    let next = (all.len() == filter.limit).then_some(last);
    Ok(HeldPage { held: all, next })
}

fn held_row(row: &Row<'_>, keys: &HashMap<OrgId, Arc<str>>) -> rusqlite::Result<Held> {
    let organization = OrgId(row.get(3)?);
    let body: String = row.get(6)?;
    let names = rows::Names::of(&body).ok();
    let name = names.and_then(|names| names.user_name.or(names.display_name));
    Ok(Held {
        connector: row.get(2)?,
        organization: keys.get(&organization).map(ToString::to_string).unwrap_or_default(),
        kind: kind_of(row.get(4)?),
        id: rows::public_id(row.get(5)?),
        name: name.unwrap_or_default(),
        hold_kind: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        summary: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
        since: time(row.get(9)?),
        mark: row.get(10)?,
        members: row.get(11)?,
        deleted: row.get(12)?,
        closed: row.get(13)?,
    })
}

pub(super) fn kinds(c: &Connection, connector: ConnectorId) -> Result<Vec<HoldKind>> {
    let mut kinds = Vec::new();
    for kind in HoldKind::ALL {
        let is_held = c
            .prepare_cached(IS_HELD)
            .and_then(|mut s| s.exists(params![connector.0, kind.word()]))
            .map_err(sql)?;
        if is_held {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

pub(super) const IS_HELD: &str = "
    SELECT 1 FROM queue INDEXED BY queue_hold
    WHERE connector = ?1 AND hold_kind = ?2 AND state = 5";

/// What is decided about these, each written to the audit log with it.
pub(super) fn decide(
    c: &Connection,
    connector: ConnectorId,
    picks: &[Pick],
    verdict: &Verdict,
    by: &Actor,
    keys: &HashMap<OrgId, Arc<str>>,
    now: Timestamp,
) -> Result<Vec<Decided>> {
    let name: String = c
        .query_row("SELECT name FROM connector WHERE id = ?1", [connector.0], |row| row.get(0))
        .map_err(sql)?;
    let mut decided = Vec::with_capacity(picks.len());
    for Pick { key, mark } in picks {
        let organization = keys.iter().find(|(_, known)| **known == key.organization);
        let found = match organization {
            Some((organization, _)) => find(c, connector, *organization, key)?,
            None => None,
        };
        decided.push(match found {
            None => Decided::NotHeld,
            Some(row) if mark.is_some_and(|mark| mark != row.mark) => Decided::Changed,
            Some(row) => {
                let (action, detail) = match verdict {
                    Verdict::Approve(why) => {
                        let what = row.kind.replace('_', " ");
                        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                        ("held.approve", format!("{what}{why}"))
                    }
                    Verdict::Reject(reason) => ("held.reject", reason.clone()),
                };
                match verdict {
                    Verdict::Approve(_) => approve(c, connector.0, row.resource, now)?,
                    Verdict::Reject(reason) => reject(c, connector.0, row.resource, reason, now)?,
                }
                let row = AuditRow {
                    at: now,
                    actor: by.name().to_owned(),
                    from: by.from().map(|from| from.to_string()),
                    action: action.to_owned(),
                    organization: Some(key.organization.to_string()),
                    subject: format!("{name} {}/{}", key.kind, key.id),
                    detail: Some(detail),
                };
                tokens::audit(c, &row)?;
                Decided::Done
            }
        });
    }
    Ok(decided)
}

/// A row that is held, or was and was rejected: whoever rejected it may think again.
struct Waiting {
    resource: i64,
    mark: i64,
    kind: String,
}

fn find(
    c: &Connection,
    connector: ConnectorId,
    organization: OrgId,
    key: &ResourceKey,
) -> Result<Option<Waiting>> {
    c.prepare_cached(FIND)
        .and_then(|mut s| {
            s.query_row(
                params![connector.0, organization.0, kind_number(key.kind), key.id.0.as_bytes()],
                |row| {
                    let kind: Option<String> = row.get(2)?;
                    let kind = kind.unwrap_or_default();
                    Ok(Waiting { resource: row.get(0)?, mark: row.get(1)?, kind })
                },
            )
            .optional()
        })
        .map_err(sql)
}

pub(super) const FIND: &str = "
    SELECT q.resource, q.mark, q.hold_kind
    FROM resource r INDEXED BY resource_public_id
         CROSS JOIN queue q ON q.connector = ?1 AND q.resource = r.id
    WHERE r.organization = ?2 AND r.kind = ?3 AND r.public_id = ?4
          AND q.leased IS NULL
          AND (q.state = 5 OR q.state = 4 AND q.last_error = 'rejected: ' || q.rejected)";

fn approve(c: &Connection, connector: i64, resource: i64, now: Timestamp) -> Result<()> {
    c.prepare_cached(
        "UPDATE queue SET state = 0, due = ?3, approved = mark, approved_at = ?3, rejected = NULL
         WHERE connector = ?1 AND resource = ?2",
    )
    .and_then(|mut s| s.execute([connector, resource, millis(now)]))
    .map_err(sql)?;
    Ok(())
}

fn reject(
    c: &Connection,
    connector: i64,
    resource: i64,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    c.prepare_cached(
        "UPDATE queue SET state = 4, last_error = 'rejected: ' || ?3, rejected = ?3
         WHERE connector = ?1 AND resource = ?2",
    )
    .and_then(|mut s| s.execute(params![connector, resource, reason]))
    .map_err(sql)?;
    queue::wake_waiting(c, connector, resource, now)
}
