//! What a claim is about: the resource, its link, its change, its members, read in one snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use scim_relay_sdk::connector::{Change, Member, MemberDelta, Stage, Verb};
use scim_relay_sdk::scim::{Attributes, ResourceId, ResourceKey, ResourceKind};
use serde_json::json;

use super::links::ACTIVE;
use super::{kind_of, links, members, passwords, queue, resources, rows, sql, time};
use crate::store::{Case, Claim, ConnectorId, OrgId, Reason, Result, RowId, Stored};

pub(super) fn case(c: &Connection, claim: &Claim, organization: &Arc<str>) -> Result<Option<Case>> {
    let Some((stored, deleted)) = resource(c, claim.resource.0)? else { return Ok(None) };
    let manner = manner(c, claim.connector)?;
    let key =
        ResourceKey { organization: Arc::clone(organization), kind: stored.kind, id: stored.id };
    let link = links::link(c, claim.connector, claim.resource)?;
    let mut case = Case {
        key,
        deleted,
        attributes: rows::with_meta(&stored)?,
        earlier: Vec::new(),
        groups: Vec::new(),
        link,
        change: None,
        members: None,
        bygone: BTreeSet::new(),
        first_run: is_first_run(c, claim)?,
        password: passwords::due(c, claim.connector, claim.resource)?,
        gone: deleted,
        mark: mark(c, claim)?,
        covers: queue::last_seq(c, claim.resource.0)?,
        member_mark: 0,
    };
    if manner.reads_groups && stored.kind == ResourceKind::User {
        case.groups = members::Ancestry::new(c, claim.organization).of(claim.resource)?;
    }
    if manner.every_event {
        let Some((mut change, body)) = change(c, claim)? else { return Ok(None) };
        case.covers = change.seq;
        case.deleted = change.verb == Verb::Deleted;
        case.attributes = rows::attributes(&body)?;
        if change.collapsed {
            // Nobody knows any more which.
            change.attributes = case.attributes.keys().cloned().collect();
        }
        // From the change row alone, so that every attempt says the same.
        case.attributes.insert(
            "meta".to_owned(),
            json!({
                "resourceType": stored.kind.name(),
                "created": stored.created.to_string(),
                "lastModified": change.at.to_string(),
            }),
        );
        case.bygone = bygone(c, claim, &change, organization)?;
        case.change = Some(change);
        return Ok(Some(case));
    }
    if claim.in_doubt && case.link.is_none() {
        case.earlier = earlier(c, claim)?;
    }
    if manner.members && stored.kind == ResourceKind::Group && !deleted {
        // While a group was deactivated, nobody told its target who came and went.
        let is_new = case.link.as_ref().is_none_or(|link| link.stage != Stage::Active);
        let told = members_of(c, claim, is_new, organization)?;
        case.members = Some(told.members);
        case.bygone = told.bygone;
        case.member_mark = told.upto;
    }
    Ok(Some(case))
}

fn mark(c: &Connection, claim: &Claim) -> Result<i64> {
    c.prepare_cached("SELECT mark FROM queue WHERE connector = ?1 AND resource = ?2")
        .and_then(|mut s| {
            s.query_row([claim.connector.0, claim.resource.0], |row| row.get(0)).optional()
        })
        .map(|mark| mark.unwrap_or(claim.mark))
        .map_err(sql)
}

struct Manner {
    every_event: bool,
    members: bool,
    reads_groups: bool,
}

fn manner(c: &Connection, connector: ConnectorId) -> Result<Manner> {
    c.prepare_cached("SELECT every_event, members, reads_groups FROM connector WHERE id = ?1")
        .and_then(|mut s| {
            s.query_row([connector.0], |row| {
                Ok(Manner {
                    every_event: row.get(0)?,
                    members: row.get(1)?,
                    reads_groups: row.get(2)?,
                })
            })
        })
        .map_err(sql)
}

fn resource(c: &Connection, row: i64) -> Result<Option<(Stored, bool)>> {
    c.prepare_cached(&format!("SELECT {}, deleted FROM resource WHERE id = ?1", rows::COLUMNS))
        .and_then(|mut s| {
            s.query_row([row], |row| {
                Ok((rows::stored(row)?, row.get::<_, Option<i64>>(rows::WIDTH)?.is_some()))
            })
            .optional()
        })
        .map_err(sql)
}

/// What the resource was when an attempt at this claim was cut off: one of these, since that
/// attempt read it after what the claim covers.
fn earlier(c: &Connection, claim: &Claim) -> Result<Vec<Attributes>> {
    let bodies: Vec<String> = c
        .prepare_cached(EARLIER)
        .and_then(|mut s| {
            s.query_map([claim.resource.0, claim.since, MOST_EARLIER], |row| row.get(0))?.collect()
        })
        .map_err(sql)?;
    bodies.iter().map(|body| rows::attributes(body)).collect()
}

/// So many are looked for at the target, at most.
const MOST_EARLIER: i64 = 50;

/// A row that something other than a change has marked begins behind the newest one, so that the one
/// before counts, too. Who joined a group or left it changes nothing of the group itself.
pub(super) const EARLIER: &str = "
    SELECT body FROM change
    WHERE resource = ?1
      AND seq >= coalesce((SELECT max(seq) FROM change WHERE resource = ?1 AND seq < ?2), 0)
      AND (verb <> 1 OR attributes <> '[]')
    ORDER BY seq LIMIT ?3";

/// The one change this claim is about, and the resource after it.
fn change(c: &Connection, claim: &Claim) -> Result<Option<(Change, String)>> {
    let found = c
        .prepare_cached(
            "SELECT seq, verb, at, attributes, joined, departed, body, sum FROM change
             WHERE resource = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1",
        )
        .and_then(|mut s| {
            s.query_row([claim.resource.0, claim.since], |row| {
                let change = Change {
                    seq: row.get(0)?,
                    verb: resources::verb_of(row.get(1)?),
                    at: time(row.get(2)?),
                    attributes: resources::names(&row.get::<_, String>(3)?),
                    joined: resources::references(row.get(4)?),
                    left: resources::references(row.get(5)?),
                    collapsed: false,
                };
                Ok((change, rows::whole(row, 6)?))
            })
            .optional()
        })
        .map_err(sql)?;
    Ok(found.map(|(mut change, body)| {
        if claim.reason == Reason::Backfill && change.verb == Verb::Updated {
            // To a connector that is new, whoever is there is created.
            change.verb = Verb::Created;
        }
        change.collapsed = claim.collapsed;
        (change, body)
    }))
}

/// Whether the resource was there before the connector was, which never held anything of it.
fn is_first_run(c: &Connection, claim: &Claim) -> Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM subscription
                        WHERE connector = ?1 AND organization = ?3 AND newest >= ?2)
                AND NOT EXISTS (SELECT 1 FROM link WHERE connector = ?1 AND resource = ?2)",
    )
    .and_then(|mut s| {
        let ids = [claim.connector.0, claim.resource.0, claim.organization.0];
        s.query_row(ids, |row| row.get(0))
    })
    .map_err(sql)
}

/// Who a group's target must hear of.
struct Told {
    members: MemberDelta,
    /// See [`Case::bygone`].
    bygone: BTreeSet<String>,
    /// Up to which member mark that goes.
    upto: i64,
}

fn members_of(
    c: &Connection,
    claim: &Claim,
    is_new: bool,
    organization: &Arc<str>,
) -> Result<Told> {
    let upto: i64 = c
        .prepare_cached(
            "SELECT coalesce(max(id), 0) FROM member_mark WHERE connector = ?1 AND group_id = ?2",
        )
        .and_then(|mut s| s.query_row([claim.connector.0, claim.resource.0], |row| row.get(0)))
        .map_err(sql)?;
    let is_whole = is_new || claim.entire;
    let touched = if is_whole { marked(c, claim)? } else { touched(c, claim)? };
    let mut joined = Vec::new();
    let mut left = Vec::new();
    let (mut bygone, mut costly) = (BTreeSet::new(), BTreeSet::new());
    for row in touched {
        let mut away = moved_from(c, claim, row, organization)?;
        let entry = entry(c, claim.connector, row, organization)?;
        // Which of their addresses is there, the target knows alone: none of a leaver's is free,
        // whoever had it before.
        let costs = matches!(entry, Some((_, stage)) if stage == ACTIVE);
        let mut stays = false;
        if let Some((member, stage)) = entry {
            let is_member: bool = c
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM member WHERE group_id = ?1 AND member_id = ?2)",
                )
                .and_then(|mut s| s.query_row([claim.resource.0, row], |row| row.get(0)))
                .map_err(sql)?;
            away.retain(|before| before.address != member.address);
            stays = is_member && stage != links::GONE;
            if stays {
                joined.push(member);
            } else {
                away.push(member);
            }
        }
        let addresses = if stays || !costs { &mut bygone } else { &mut costly };
        addresses.extend(away.iter().map(|member| member.address.clone()));
        for member in away {
            // An address that another member has inherited stays in the group, as theirs.
            if is_members_address(c, claim, &member.address)? {
                bygone.remove(&member.address);
            } else {
                left.push(member);
            }
        }
    }
    let members = if is_whole {
        MemberDelta::All(linked_members(c, claim, organization)?)
    } else {
        MemberDelta::Changed { joined, left }
    };
    bygone.retain(|address| !costly.contains(address));
    Ok(Told { members, bygone, upto })
}

/// Of those whose leaving is an event: who is gone from the receiver, too, and was counted as that.
fn bygone(
    c: &Connection,
    claim: &Claim,
    change: &Change,
    organization: &Arc<str>,
) -> Result<BTreeSet<String>> {
    let mut bygone = BTreeSet::new();
    for member in &change.left {
        let Some(row) = row_of(c, claim, &member.value)? else { continue };
        if let Some((member, stage)) = entry(c, claim.connector, row, organization)?
            && stage != ACTIVE
        {
            bygone.insert(member.key.id.to_string());
        }
    }
    Ok(bygone)
}

fn row_of(c: &Connection, claim: &Claim, id: &str) -> Result<Option<i64>> {
    let Some(id) = ResourceId::parse(id) else { return Ok(None) };
    c.prepare_cached(
        "SELECT id FROM resource WHERE organization = ?1 AND kind IN (0, 1) AND public_id = ?2",
    )
    .and_then(|mut s| {
        s.query_row(params![claim.organization.0, id.0.as_bytes()], |row| row.get(0)).optional()
    })
    .map_err(sql)
}

fn is_members_address(c: &Connection, claim: &Claim, address: &str) -> Result<bool> {
    c.prepare_cached(IS_MEMBERS_ADDRESS)
        .and_then(|mut s| {
            s.query_row(params![claim.connector.0, address, claim.resource.0], |row| row.get(0))
        })
        .map_err(sql)
}

pub(super) const IS_MEMBERS_ADDRESS: &str = "
    SELECT EXISTS (SELECT 1 FROM link l INDEXED BY link_address CROSS JOIN member m
                   WHERE l.connector = ?1 AND l.address = ?2 AND l.stage <> 3
                         AND m.group_id = ?3 AND m.member_id = l.resource)";

/// Rows of those who joined, left, or whose entry moved, since the group settled.
fn touched(c: &Connection, claim: &Claim) -> Result<BTreeSet<i64>> {
    let mut rows = BTreeSet::new();
    let changes: Vec<(Option<String>, Option<String>)> = c
        .prepare_cached("SELECT joined, departed FROM change WHERE resource = ?1 AND seq >= ?2")
        .and_then(|mut s| {
            s.query_map([claim.resource.0, claim.since], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .map_err(sql)?;
    for member in changes.into_iter().flat_map(|(joined, left)| {
        resources::references(joined).into_iter().chain(resources::references(left))
    }) {
        rows.extend(row_of(c, claim, &member.value)?);
    }
    rows.extend(marked(c, claim)?);
    Ok(rows)
}

/// Rows of those who left, or whose entry moved.
fn marked(c: &Connection, claim: &Claim) -> Result<BTreeSet<i64>> {
    c.prepare_cached("SELECT member_id FROM member_mark WHERE connector = ?1 AND group_id = ?2")
        .and_then(|mut s| {
            s.query_map([claim.connector.0, claim.resource.0], |row| row.get(0))?.collect()
        })
        .map_err(sql)
}

/// Where a member's entry was before it moved, or when they left.
fn moved_from(
    c: &Connection,
    claim: &Claim,
    member: i64,
    organization: &Arc<str>,
) -> Result<Vec<Member>> {
    c.prepare_cached(
        "SELECT DISTINCT r.kind, r.public_id, m.target_id, m.address
         FROM member_mark m JOIN resource r ON r.id = m.member_id
         WHERE m.connector = ?1 AND m.group_id = ?2 AND m.member_id = ?3 AND m.address IS NOT NULL",
    )
    .and_then(|mut s| {
        s.query_map([claim.connector.0, claim.resource.0, member], |row| {
            as_member(row, organization)
        })?
        .collect()
    })
    .map_err(sql)
}

/// A member out of the columns kind, public_id, target_id, address.
fn as_member(row: &Row<'_>, organization: &Arc<str>) -> rusqlite::Result<Member> {
    Ok(Member {
        key: ResourceKey {
            organization: Arc::clone(organization),
            kind: kind_of(row.get(0)?),
            id: rows::public_id(row.get(1)?),
        },
        target_id: row.get(2)?,
        address: row.get(3)?,
    })
}

/// A member's entry at the connector, and its stage on disk. A link whose entry is gone says which
/// address must leave the group.
fn entry(
    c: &Connection,
    connector: ConnectorId,
    row: i64,
    organization: &Arc<str>,
) -> Result<Option<(Member, i64)>> {
    c.prepare_cached(
        "SELECT r.kind, r.public_id, l.target_id, l.address, l.stage
         FROM link l JOIN resource r ON r.id = l.resource
         WHERE l.connector = ?1 AND l.resource = ?2",
    )
    .and_then(|mut s| {
        s.query_row([connector.0, row], |row| {
            let stage: i64 = row.get(4)?;
            Ok((as_member(row, organization)?, stage))
        })
        .optional()
    })
    .map_err(sql)
}

fn linked_members(c: &Connection, claim: &Claim, organization: &Arc<str>) -> Result<Vec<Member>> {
    c.prepare_cached(
        "SELECT r.kind, r.public_id, l.target_id, l.address
         FROM member m JOIN link l ON l.connector = ?1 AND l.resource = m.member_id
                       JOIN resource r ON r.id = m.member_id
         WHERE m.group_id = ?2 AND l.stage <> ?3",
    )
    .and_then(|mut s| {
        s.query_map([claim.connector.0, claim.resource.0, links::GONE], |row| {
            as_member(row, organization)
        })?
        .collect()
    })
    .map_err(sql)
}

/// Addresses of a group's members at a connector, for a comparison.
pub(super) fn member_addresses(
    c: &Connection,
    connector: ConnectorId,
    group: RowId,
    organization: OrgId,
) -> Result<Vec<String>> {
    c.prepare_cached(
        "SELECT l.address FROM member m JOIN link l ON l.connector = ?1 AND l.resource = m.member_id
                                        JOIN resource r ON r.id = m.group_id
         WHERE m.group_id = ?2 AND l.stage <> ?3 AND r.organization = ?4",
    )
    .and_then(|mut s| {
        s.query_map([connector.0, group.0, links::GONE, organization.0], |row| row.get(0))?.collect()
    })
    .map_err(sql)
}
