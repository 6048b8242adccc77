//! What a connector holds of resources: one entry has one owner, and groups hear of what moves.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::connector::{Link, Owner, Stage};
use scim_relay_sdk::scim::ResourceKey;

use super::{is_taken, kind_of, millis, queue, rows, sql, time};
use crate::store::{Claim, ConnectorId, OrgId, Reason, Result, RowId, Settlement};

/// Of a link whose entry is in use.
pub(super) const ACTIVE: i64 = 0;
/// Of a link whose entry is gone: its last address still says who leaves a group.
pub(super) const GONE: i64 = 3;

/// What a connector holds of a resource; `None` once that is gone.
pub(super) fn link(
    c: &Connection,
    connector: ConnectorId,
    resource: RowId,
) -> Result<Option<Link>> {
    let link = c
        .prepare_cached(
            "SELECT target_id, address, hash, stage, since FROM link
             WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.query_row([connector.0, resource.0], |row| {
                let stage = stage_of(row.get(3)?);
                Ok(stage.map(|stage| {
                    Ok::<_, rusqlite::Error>(Link {
                        target_id: row.get(0)?,
                        address: row.get(1)?,
                        hash: row.get(2)?,
                        stage,
                        since: time(row.get(4)?),
                    })
                }))
            })
            .optional()
        })
        .map_err(sql)?;
    link.flatten().transpose().map_err(sql)
}

/// Whose the entry is that a delivery ended at.
pub(super) enum Landed {
    Ours,
    /// A deleted resource's, which a delivery is changing right now.
    Busy,
    /// Somebody's, named here.
    Anothers(String),
}

/// Writes down what the connector holds now.
pub(super) fn apply(
    c: &Connection,
    settlement: &Settlement,
    link: Option<&Link>,
) -> Result<Landed> {
    let claim = &settlement.claim;
    let ids = [claim.connector.0, claim.resource.0];
    let before: Option<(String, String, i64)> = c
        .prepare_cached(
            "SELECT target_id, address, stage FROM link WHERE connector = ?1 AND resource = ?2",
        )
        .and_then(|mut s| {
            s.query_row(ids, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .map_err(sql)?;
    let moved = match (&before, link) {
        (None, None) => false,
        (None, Some(_)) => true,
        (Some((_, _, stage)), None) => {
            let_go(c, ids[0], ids[1], settlement.now)?;
            *stage != GONE
        }
        (Some((target_id, address, stage)), Some(link)) => {
            *target_id != link.target_id || *address != link.address || *stage == GONE
        }
    };
    if let Some(link) = link
        && !write_link(c, settlement, link)?
    {
        let landed = inherit(c, settlement, link)?;
        if !matches!(landed, Landed::Ours) {
            return Ok(landed);
        }
    }
    if link.is_none_or(|link| link.stage != Stage::Active) {
        free_groups(c, settlement)?;
    }
    if moved {
        mark_groups(c, settlement, before.map(|(target_id, address, _)| (target_id, address)))?;
    }
    Ok(Landed::Ours)
}

/// `false` if the entry has an owner.
fn write_link(c: &Connection, settlement: &Settlement, link: &Link) -> Result<bool> {
    let written = c
        .prepare_cached(
            "INSERT INTO link (connector, resource, target_id, address, hash, seq, stage, since, applied_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (connector, resource) DO UPDATE SET target_id = excluded.target_id,
                 address = excluded.address, hash = excluded.hash, seq = excluded.seq,
                 stage = excluded.stage, since = excluded.since, applied_at = excluded.applied_at",
        )
        .map_err(sql)?
        .execute(params![
            settlement.claim.connector.0,
            settlement.claim.resource.0,
            link.target_id,
            link.address,
            link.hash,
            settlement.covers,
            stage_number(link.stage),
            millis(link.since),
            millis(settlement.now),
        ]);
    match written {
        Ok(_) => Ok(true),
        Err(error) if is_taken(&error) => Ok(false),
        Err(error) => Err(sql(error)),
    }
}

/// Takes the entry over from somebody deleted, whose pending removal or purge is void with that:
/// the same person came back as another resource.
fn inherit(c: &Connection, settlement: &Settlement, link: &Link) -> Result<Landed> {
    let connector = settlement.claim.connector.0;
    let (owner, deleted, organization, body, leased): (i64, bool, i64, String, bool) = c
        .prepare_cached(OWNER)
        .and_then(|mut s| {
            s.query_row(params![connector, link.target_id], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
        })
        .map_err(sql)?;
    if !deleted || organization != settlement.claim.organization.0 {
        return Ok(Landed::Anothers(name(&body)));
    }
    if leased {
        return Ok(Landed::Busy);
    }
    let_go(c, connector, owner, settlement.now)?;
    queue::wake_waiting(c, connector, owner, settlement.now)?;
    c.prepare_cached("DELETE FROM queue WHERE connector = ?1 AND resource = ?2")
        .and_then(|mut s| s.execute([connector, owner]))
        .map_err(sql)?;
    if write_link(c, settlement, link)? {
        Ok(Landed::Ours)
    } else {
        Ok(Landed::Anothers(name(&body)))
    }
}

pub(super) const OWNER: &str = "
    SELECT r.id, r.deleted IS NOT NULL, r.organization, r.body,
           EXISTS (SELECT 1 FROM queue q
                   WHERE q.connector = ?1 AND q.resource = r.id AND q.leased IS NOT NULL)
    FROM link l CROSS JOIN resource r ON r.id = l.resource
    WHERE l.connector = ?1 AND l.target_id = ?2 AND l.stage <> 3";

/// Whose an entry is: a living resource's, or a deleted one's that is on its way out, be it that a
/// person must approve that first.
pub(super) fn owner(
    c: &Connection,
    connector: ConnectorId,
    target_id: &str,
    keys: &HashMap<OrgId, Arc<str>>,
) -> Result<Option<Owner>> {
    let found = c
        .prepare_cached(LIVING_OWNER)
        .and_then(|mut s| {
            s.query_row(params![connector.0, target_id], |row| {
                let organization: i64 = row.get(0)?;
                let (kind, id) = (kind_of(row.get(1)?), rows::public_id(row.get(2)?));
                Ok((OrgId(organization), kind, id, row.get(3)?))
            })
            .optional()
        })
        .map_err(sql)?;
    Ok(found.and_then(|(organization, kind, id, leaving)| {
        let key = ResourceKey { organization: Arc::clone(keys.get(&organization)?), kind, id };
        Some(Owner { key, leaving })
    }))
}

pub(super) const LIVING_OWNER: &str = "
    SELECT r.organization, r.kind, r.public_id, r.deleted IS NOT NULL
    FROM link l CROSS JOIN resource r ON r.id = l.resource
    WHERE l.connector = ?1 AND l.target_id = ?2 AND l.stage <> 3
          AND (r.deleted IS NULL
               OR EXISTS (SELECT 1 FROM queue q WHERE q.connector = ?1 AND q.resource = r.id
                                                      AND q.state IN (0, 1, 3, 5)))";

fn let_go(c: &Connection, connector: i64, resource: i64, now: Timestamp) -> Result<()> {
    c.prepare_cached(
        "UPDATE link SET since = iif(stage = ?3, since, ?4), stage = ?3, applied_at = ?4
         WHERE connector = ?1 AND resource = ?2",
    )
    .and_then(|mut s| s.execute([connector, resource, GONE, millis(now)]))
    .map_err(sql)?;
    Ok(())
}

fn name(body: &str) -> String {
    rows::name(body).map_or_else(|| "another resource".to_owned(), |name| format!("`{name}`"))
}

/// A member's entry came, went or moved: its groups are completed, in the same transaction.
fn mark_groups(
    c: &Connection,
    settlement: &Settlement,
    before: Option<(String, String)>,
) -> Result<()> {
    let claim = &settlement.claim;
    let carries_members: bool = c
        .prepare_cached("SELECT members FROM connector WHERE id = ?1")
        .and_then(|mut s| s.query_row([claim.connector.0], |row| row.get(0)))
        .map_err(sql)?;
    if !carries_members {
        return Ok(());
    }
    let groups: Vec<RowId> = c
        .prepare_cached(GROUPS_OF)
        .and_then(|mut s| s.query_map([claim.resource.0], |row| row.get(0).map(RowId))?.collect())
        .map_err(sql)?;
    let (target_id, address) = before.unzip();
    for group in &groups {
        c.prepare_cached(
            "INSERT INTO member_mark (connector, group_id, member_id, target_id, address)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut s| {
            s.execute(params![claim.connector.0, group.0, claim.resource.0, target_id, address])
        })
        .map_err(sql)?;
    }
    let Claim { connector, background, .. } = *claim;
    queue::mark(c, connector, &groups, Reason::Members, background, settlement.now)
}

/// Whoever has left groups is gone from the target, too, and was counted as that: groups that were
/// to keep them need not.
fn free_groups(c: &Connection, settlement: &Settlement) -> Result<()> {
    let claim = &settlement.claim;
    let groups: BTreeSet<RowId> = c
        .prepare_cached(KEPT_IN)
        .and_then(|mut s| {
            s.query_map([claim.connector.0, claim.resource.0], |row| row.get(0).map(RowId))?
                .collect()
        })
        .map_err(sql)?;
    let groups: Vec<RowId> = groups.into_iter().collect();
    queue::mark(c, claim.connector, &groups, Reason::Members, true, settlement.now)
}

pub(super) const KEPT_IN: &str = "
    SELECT m.group_id FROM member_mark m INDEXED BY member_mark_member CROSS JOIN queue q
        ON q.connector = ?1 AND q.resource = m.group_id
    WHERE m.connector = ?1 AND m.member_id = ?2 AND q.hold_kind = 'member_removal'";

pub(super) const GROUPS_OF: &str = "SELECT group_id FROM member WHERE member_id = ?1";

fn stage_number(stage: Stage) -> i64 {
    match stage {
        Stage::Active => ACTIVE,
        Stage::Deactivated => 1,
        Stage::Removed => 2,
    }
}

pub(super) fn stage_of(number: i64) -> Option<Stage> {
    match number {
        ACTIVE => Some(Stage::Active),
        1 => Some(Stage::Deactivated),
        2 => Some(Stage::Removed),
        _ => None,
    }
}
