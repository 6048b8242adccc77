//! Memberships as they are read: a group's members, and the groups above a user.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, params};
use scim_relay_sdk::connector::MemberRef;
use scim_relay_sdk::scim::{MemberFilter, Membership, Relation, ResourceId, ResourceKind};

use super::{kind_number, kind_of, rows, sql};
use crate::store::{Memberships, OrgId, Result, RowId, Scribe, Stored};

/// A resource as `scribe` writes it down while its memberships are read.
pub(super) fn write_out(
    c: &Connection,
    organization: OrgId,
    kind: ResourceKind,
    id: ResourceId,
    mut scribe: Scribe,
) -> Result<Option<(Stored, String)>> {
    let Some(stored) = rows::living(c, organization, kind, id)? else { return Ok(None) };
    let text = match kind {
        ResourceKind::User => scribe(&stored, &mut Ancestry::new(c, organization).of(stored.row)?)?,
        ResourceKind::Group => {
            scribe(&stored, &mut Members { c, organization, group: stored.row })?
        }
    };
    Ok(Some((stored, text)))
}

/// A group's members, read as they are told.
pub(super) struct Members<'c> {
    pub(super) c: &'c Connection,
    pub(super) organization: OrgId,
    pub(super) group: RowId,
}

impl Memberships for Members<'_> {
    fn count(&mut self) -> Result<usize> {
        self.c
            .prepare_cached("SELECT count(*) FROM member WHERE group_id = ?1")
            .and_then(|mut s| s.query_row([self.group.0], |row| row.get(0)))
            .map_err(sql)
    }

    fn each(&mut self, tell: &mut dyn FnMut(Membership)) -> Result<()> {
        of_group(self.c, self.organization, self.group, tell)
    }
}

/// Tells a group's members one by one, oldest resource first.
pub(super) fn of_group(
    c: &Connection,
    organization: OrgId,
    group: RowId,
    tell: &mut dyn FnMut(Membership),
) -> Result<()> {
    let mut statement = c.prepare_cached(MEMBERS).map_err(sql)?;
    let members = statement.query_map([group.0, organization.0], membership).map_err(sql)?;
    for member in members {
        tell(member.map_err(sql)?);
    }
    Ok(())
}

/// One member of a group, if it is one.
pub(super) fn one(
    c: &Connection,
    organization: OrgId,
    group: RowId,
    id: ResourceId,
) -> Result<Option<Membership>> {
    let values = params![group.0, organization.0, id.0.as_bytes()];
    c.prepare_cached(ONE).and_then(|mut s| s.query_row(values, membership).optional()).map_err(sql)
}

fn membership(row: &Row<'_>) -> rusqlite::Result<Membership> {
    Ok(Membership {
        id: rows::public_id(row.get(0)?),
        relation: Relation::Member(kind_of(row.get(1)?)),
        display: row.get(2)?,
    })
}

/// The rows of the members that a filter selects. Where it names ids, nobody else is looked at.
pub(super) fn selected(
    c: &Connection,
    organization: OrgId,
    group: i64,
    filter: &MemberFilter,
) -> Result<Vec<i64>> {
    let mut selected = Vec::new();
    let mut ask = |row: &Row<'_>| -> rusqlite::Result<()> {
        if filter.selects(&membership(row)?) {
            selected.push(row.get(3)?);
        }
        Ok(())
    };
    let asked = match filter.ids() {
        Some(ids) => c.prepare_cached(ONE).and_then(|mut s| {
            ids.into_iter().filter_map(ResourceId::parse).try_for_each(|id| {
                let member = params![group, organization.0, id.0.as_bytes()];
                s.query_map(member, &mut ask)?.collect()
            })
        }),
        None => c
            .prepare_cached(MEMBERS)
            .and_then(|mut s| s.query_map([group, organization.0], &mut ask)?.collect()),
    };
    asked.map_err(sql)?;
    Ok(selected)
}

pub(super) const ONE: &str = "
    SELECT r.public_id, r.kind, r.label, m.member_id FROM resource r CROSS JOIN member m
    WHERE r.organization = ?2 AND r.kind IN (0, 1) AND r.public_id = ?3
          AND m.group_id = ?1 AND m.member_id = r.id";

pub(super) const MEMBERS: &str = "
    SELECT r.public_id, r.kind, r.label, m.member_id
    FROM member m CROSS JOIN resource r ON r.id = m.member_id
    WHERE m.group_id = ?1 AND r.organization = ?2 ORDER BY m.member_id";

/// Whether a group has more members than this.
pub(super) fn are_more(
    c: &Connection,
    organization: OrgId,
    group: ResourceId,
    than: usize,
) -> Result<bool> {
    let kind = kind_number(ResourceKind::Group);
    let values = params![organization.0, kind, group.0.as_bytes(), than as i64];
    c.prepare_cached(ARE_MORE).and_then(|mut s| s.query_row(values, |row| row.get(0))).map_err(sql)
}

pub(super) const ARE_MORE: &str = "
    SELECT EXISTS (
        SELECT 1 FROM resource r JOIN member m ON m.group_id = r.id
        WHERE r.organization = ?1 AND r.kind = ?2 AND r.public_id = ?3 LIMIT 1 OFFSET ?4)";

/// The groups above users. What was read of a group is kept: a page of a hundred pupils is in a few
/// classes.
pub(super) struct Ancestry<'c> {
    c: &'c Connection,
    organization: OrgId,
    known: HashMap<i64, Group>,
}

#[derive(Clone)]
struct Group {
    id: ResourceId,
    display: Option<String>,
    /// The groups it is in itself.
    above: Vec<i64>,
}

impl<'c> Ancestry<'c> {
    pub(super) fn new(c: &'c Connection, organization: OrgId) -> Self {
        Self { c, organization, known: HashMap::new() }
    }

    /// The groups that a user is in, each once, those that name the user first. Groups that contain
    /// each other are walked once, too.
    pub(super) fn of(&mut self, user: RowId) -> Result<Vec<Membership>> {
        let direct = self.above(user.0)?;
        let mut seen: BTreeSet<i64> = direct.iter().copied().collect();
        let mut memberships = Vec::with_capacity(direct.len());
        let mut indirect = BTreeSet::new();
        let mut next = direct.clone();
        while let Some(group) = next.pop() {
            for &above in &self.group(group)?.above {
                if seen.insert(above) {
                    indirect.insert(above);
                    next.push(above);
                }
            }
        }
        for (rows, relation) in [
            (direct, Relation::DirectGroup),
            (indirect.into_iter().collect(), Relation::IndirectGroup),
        ] {
            for row in rows {
                let Group { id, display, .. } = self.group(row)?.clone();
                memberships.push(Membership { id, display, relation });
            }
        }
        Ok(memberships)
    }

    fn group(&mut self, row: i64) -> Result<&Group> {
        if !self.known.contains_key(&row) {
            let (id, display) = self
                .c
                .prepare_cached(
                    "SELECT public_id, label FROM resource WHERE id = ?1 AND organization = ?2",
                )
                .and_then(|mut s| {
                    s.query_row([row, self.organization.0], |row| {
                        Ok((rows::public_id(row.get(0)?), row.get(1)?))
                    })
                })
                .map_err(sql)?;
            let above = self.above(row)?;
            self.known.insert(row, Group { id, display, above });
        }
        Ok(&self.known[&row])
    }

    fn above(&self, member: i64) -> Result<Vec<i64>> {
        self.c
            .prepare_cached(ABOVE)
            .and_then(|mut s| s.query_map([member], |row| row.get(0))?.collect())
            .map_err(sql)
    }
}

pub(super) const ABOVE: &str = "SELECT group_id FROM member WHERE member_id = ?1 ORDER BY group_id";

/// A member as the change log names it.
pub(super) fn reference(c: &Connection, row: i64) -> Result<MemberRef> {
    c.prepare_cached("SELECT public_id, kind, body FROM resource WHERE id = ?1")
        .and_then(|mut s| {
            s.query_row([row], |row| {
                let (id, kind) = (rows::public_id(row.get(0)?), kind_of(row.get(1)?));
                Ok(rows::Names::of(row.get_ref(2)?.as_str()?).map(|names| MemberRef {
                    value: id.to_string(),
                    kind,
                    display: names.display_name,
                    user_name: names.user_name,
                    external_id: names.external_id,
                }))
            })
        })
        .map_err(sql)?
}

/// Everybody in a group, as the change log would name them.
pub(super) fn roster(c: &Connection, group: RowId) -> Result<Vec<MemberRef>> {
    let members: Vec<i64> = c
        .prepare_cached("SELECT member_id FROM member WHERE group_id = ?1")
        .and_then(|mut s| s.query_map([group.0], |row| row.get(0))?.collect())
        .map_err(sql)?;
    members.into_iter().map(|row| reference(c, row)).collect()
}
