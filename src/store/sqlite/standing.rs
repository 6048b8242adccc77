//! One resource, for people: whoever has or had a name, and where each connector stands with it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use scim_relay_sdk::connector::Stage;
use scim_relay_sdk::scim::{ResourceId, ResourceKind, fold};

use super::entries::{self, Keys};
use super::{kind_number, kind_of, links, resources, rows, sql, time};
use crate::store::{
    AuditRow, ConnectorId, Known, LinkRow, Named, OrgId, Result, RowId, Standing, Waiting,
};

/// Who has a name; and how many are told that had it.
const FORMER: usize = 20;
/// Changes that are told as not delivered yet, and resources that wait for one.
const TOLD: usize = 20;

/// Whoever has this name or id, and who had it until they were deleted, the last of them first.
pub(super) fn named(
    c: &Connection,
    organization: OrgId,
    kind: ResourceKind,
    name: &str,
) -> Result<Vec<Known>> {
    let known = |row: &Row<'_>| {
        let deleted: Option<i64> = row.get(rows::WIDTH)?;
        Ok(Known { stored: rows::stored(row)?, deleted: deleted.map(time) })
    };
    let ask = |by: &str, key: &dyn rusqlite::ToSql| -> Result<Vec<Known>> {
        let query = format!("SELECT {}, deleted FROM resource INDEXED BY {by}", rows::COLUMNS);
        c.prepare_cached(&query)
            .and_then(|mut s| {
                s.query_map(params![organization.0, kind_number(kind), key], known)?.collect()
            })
            .map_err(sql)
    };
    if let Some(id) = ResourceId::parse(name) {
        let found = ask(BY_ID, &id.0.as_bytes().as_slice())?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let name = fold(name);
    let mut found = match kind {
        ResourceKind::User => ask(BY_USER_NAME, &name)?,
        ResourceKind::Group => ask(BY_DISPLAY_NAME, &name)?,
    };
    found.extend(ask(&format!("{BY_FORMER_NAME} LIMIT {FORMER}"), &name)?);
    Ok(found)
}

pub(super) const BY_ID: &str =
    "resource_public_id WHERE organization = ?1 AND kind = ?2 AND public_id = ?3";
pub(super) const BY_USER_NAME: &str = "
    resource_user_name WHERE organization = ?1 AND kind = ?2 AND user_name = ?3
                             AND deleted IS NULL AND user_name IS NOT NULL";
pub(super) const BY_DISPLAY_NAME: &str = "
    resource_display_name WHERE organization = ?1 AND kind = ?2 AND display_name = ?3
                                AND deleted IS NULL AND display_name IS NOT NULL ORDER BY id";
pub(super) const BY_FORMER_NAME: &str = "
    resource_former WHERE organization = ?1 AND kind = ?2
                          AND coalesce(user_name, display_name) = ?3 AND deleted IS NOT NULL
    ORDER BY id DESC";

pub(super) fn standings(c: &Connection, resource: RowId, keys: &Keys) -> Result<Vec<Standing>> {
    let connectors: Vec<i64> = c
        .prepare_cached("SELECT id FROM connector WHERE NOT forgotten ORDER BY name")
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .map_err(sql)?;
    connectors
        .into_iter()
        .map(|connector| {
            Ok(Standing {
                connector: ConnectorId(connector),
                link: link(c, connector, resource.0)?,
                waits: waiting(c, connector, resource.0, keys)?,
                password: password(c, connector, resource.0)?,
            })
        })
        .collect()
}

fn link(c: &Connection, connector: i64, resource: i64) -> Result<Option<LinkRow>> {
    c.prepare_cached(
        "SELECT address, target_id, stage, since, seq, applied_at FROM link
         WHERE connector = ?1 AND resource = ?2",
    )
    .and_then(|mut s| {
        s.query_row([connector, resource], |row| {
            let stage = match links::stage_of(row.get(2)?) {
                Some(Stage::Active) => "active",
                Some(Stage::Deactivated) => "deactivated",
                Some(Stage::Removed) => "removed",
                None => "gone",
            };
            Ok(LinkRow {
                address: row.get(0)?,
                target_id: row.get(1)?,
                stage: stage.to_owned(),
                since: time(row.get(3)?),
                seq: row.get(4)?,
                applied_at: row.get::<_, Option<i64>>(5)?.map(time),
            })
        })
        .optional()
    })
    .map_err(sql)
}

fn password(c: &Connection, connector: i64, resource: i64) -> Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM password_due WHERE resource = ?2 AND connector = ?1)",
    )
    .and_then(|mut s| s.query_row([connector, resource], |row| row.get(0)))
    .map_err(sql)
}

/// What only a look at one row is worth.
struct Details {
    since: i64,
    first_failed: Option<Timestamp>,
    delivering: Option<Timestamp>,
    in_doubt: bool,
    approved_at: Option<Timestamp>,
    waits_for: Option<i64>,
}

fn waiting(c: &Connection, connector: i64, resource: i64, keys: &Keys) -> Result<Option<Waiting>> {
    let details: Option<Details> = c
        .prepare_cached(
            "SELECT since, first_failed, leased, doubt, iif(approved = mark, approved_at, NULL), waits_for
             FROM queue WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.query_row([connector, resource], |row| {
                Ok(Details {
                    since: row.get(0)?,
                    first_failed: row.get::<_, Option<i64>>(1)?.map(time),
                    delivering: row.get::<_, Option<i64>>(2)?.map(time),
                    in_doubt: row.get(3)?,
                    approved_at: row.get::<_, Option<i64>>(4)?.map(time),
                    waits_for: row.get(5)?,
                })
            })
            .optional()
        })
        .map_err(sql)?;
    let Some(details) = details else { return Ok(None) };
    let waits_for = details.waits_for.map(|other| name_of(c, other)).transpose()?.flatten();
    let waiters: Vec<i64> = c
        .prepare_cached(AWAITED_BY)
        .and_then(|mut s| {
            s.query_map(params![connector, resource, TOLD], |row| row.get(0))?.collect()
        })
        .map_err(sql)?;
    let awaited_by: Vec<Option<Named>> =
        waiters.into_iter().map(|waiter| name_of(c, waiter)).collect::<Result<_>>()?;
    Ok(Some(Waiting {
        entry: entries::entry(c, connector, resource, keys)?,
        first_failed: details.first_failed,
        delivering: details.delivering,
        in_doubt: details.in_doubt,
        approved_at: details.approved_at,
        waits_for,
        awaited_by: awaited_by.into_iter().flatten().collect(),
        undelivered: resources::log_from(c, resource, details.since, TOLD)?,
    }))
}

pub(super) const AWAITED_BY: &str = "
    SELECT resource FROM queue INDEXED BY queue_waiting
    WHERE connector = ?1 AND waits_for = ?2 LIMIT ?3";

pub(super) fn name_of(c: &Connection, resource: i64) -> Result<Option<Named>> {
    c.prepare_cached("SELECT kind, public_id, body FROM resource WHERE id = ?1")
        .and_then(|mut s| {
            s.query_row([resource], |row| {
                let body: String = row.get(2)?;
                Ok(Named {
                    kind: kind_of(row.get(0)?),
                    id: rows::public_id(row.get(1)?),
                    name: rows::name(&body).unwrap_or_default(),
                })
            })
            .optional()
        })
        .map_err(sql)
}

/// Rows of the audit log that are looked at.
const ACTS: usize = 5_000;

pub(super) fn acts_about(
    c: &Connection,
    organization: &str,
    id: ResourceId,
    limit: usize,
) -> Result<Vec<AuditRow>> {
    c.prepare_cached(ACTS_ABOUT)
        .and_then(|mut s| {
            s.query_map(params![organization, ACTS, id.to_string(), limit], |row| {
                Ok(AuditRow {
                    at: time(row.get(0)?),
                    actor: row.get(1)?,
                    from: row.get(2)?,
                    action: row.get(3)?,
                    organization: row.get(4)?,
                    subject: row.get(5)?,
                    detail: row.get(6)?,
                })
            })?
            .collect()
        })
        .map_err(sql)
}

pub(super) const ACTS_ABOUT: &str = "
    SELECT at, actor, origin, action, organization, subject, detail
    FROM (SELECT * FROM audit INDEXED BY audit_organization
          WHERE organization = ?1 ORDER BY id DESC LIMIT ?2)
    WHERE instr(subject, ?3) OR instr(detail, ?3) LIMIT ?4";
