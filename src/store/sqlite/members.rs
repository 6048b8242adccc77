//! Memberships: one row each, changed one at a time whatever the group's size.

use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::connector::MemberRef;
use scim_relay_sdk::scim::{MemberOp, ResourceId, ResourceKind};
use serde_json::Value;

use super::{kind_of, rows, sql};
use crate::store::{Membership, OrgId, Result, RowId};

/// Who joined and who left, net.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) joined: Vec<MemberRef>,
    pub(super) left: Vec<MemberRef>,
    /// Their rows, in the same orders.
    pub(super) joined_rows: Vec<i64>,
    pub(super) left_rows: Vec<i64>,
}

impl Moved {
    pub(super) fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty()
    }
}

/// A member that cannot be one.
pub(super) enum Refusal {
    Unknown(String),
    Itself,
}

/// Carries out member operations in order, and says what they come to.
pub(super) fn apply(
    c: &Connection,
    organization: OrgId,
    group: i64,
    operations: &[MemberOp],
) -> Result<std::result::Result<Moved, Refusal>> {
    let mut turnout = Turnout::default();
    for operation in operations {
        match operation {
            MemberOp::Add(members) => {
                for member in members {
                    match find(c, organization, &member.value)? {
                        Some(row) if row == group => return Ok(Err(Refusal::Itself)),
                        Some(row) => add(c, group, row, &mut turnout)?,
                        None => return Ok(Err(Refusal::Unknown(member.value.clone()))),
                    }
                }
            }
            MemberOp::Remove(values) => {
                for value in values {
                    // One that is not a member has left already.
                    if let Some(row) = find_any(c, organization, value)? {
                        remove(c, group, row, &mut turnout)?;
                    }
                }
            }
            MemberOp::RemoveAll => {
                for row in all(c, group)? {
                    remove(c, group, row, &mut turnout)?;
                }
            }
            MemberOp::Replace(members) => {
                let mut wanted = Vec::with_capacity(members.len());
                for member in members {
                    match find(c, organization, &member.value)? {
                        Some(row) if row == group => return Ok(Err(Refusal::Itself)),
                        Some(row) => wanted.push(row),
                        None => return Ok(Err(Refusal::Unknown(member.value.clone()))),
                    }
                }
                wanted.sort_unstable();
                for row in all(c, group)? {
                    if wanted.binary_search(&row).is_err() {
                        remove(c, group, row, &mut turnout)?;
                    }
                }
                for row in wanted {
                    add(c, group, row, &mut turnout)?;
                }
            }
        }
    }
    turnout.settle(c).map(Ok)
}

/// Members in the order in which they came and went; one that came and went is neither.
#[derive(Default)]
struct Turnout {
    moves: Vec<(i64, bool)>,
    net: std::collections::HashMap<i64, i8>,
}

impl Turnout {
    fn count(&mut self, row: i64, by: i8) {
        self.moves.push((row, by > 0));
        *self.net.entry(row).or_default() += by;
    }

    fn settle(mut self, c: &Connection) -> Result<Moved> {
        let mut moved = Moved::default();
        for (row, came) in self.moves {
            let net = self.net.get(&row).copied().unwrap_or_default();
            if net == 0 || (net > 0) != came {
                continue;
            }
            self.net.remove(&row);
            let (list, rows) = if came {
                (&mut moved.joined, &mut moved.joined_rows)
            } else {
                (&mut moved.left, &mut moved.left_rows)
            };
            list.push(reference(c, row)?);
            rows.push(row);
        }
        Ok(moved)
    }
}

fn add(c: &Connection, group: i64, row: i64, turnout: &mut Turnout) -> Result<()> {
    let added = c
        .prepare_cached(
            "INSERT INTO member (group_id, member_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| s.execute([group, row]))
        .map_err(sql)?;
    if added > 0 {
        turnout.count(row, 1);
    }
    Ok(())
}

fn remove(c: &Connection, group: i64, row: i64, turnout: &mut Turnout) -> Result<()> {
    let removed = c
        .prepare_cached("DELETE FROM member WHERE group_id = ?1 AND member_id = ?2")
        .and_then(|mut s| s.execute([group, row]))
        .map_err(sql)?;
    if removed > 0 {
        turnout.count(row, -1);
    }
    Ok(())
}

fn all(c: &Connection, group: i64) -> Result<Vec<i64>> {
    c.prepare_cached("SELECT member_id FROM member WHERE group_id = ?1")
        .and_then(|mut s| s.query_map([group], |row| row.get(0))?.collect())
        .map_err(sql)
}

/// A living user or group of this organization.
fn find(c: &Connection, organization: OrgId, value: &str) -> Result<Option<i64>> {
    find_where(c, organization, value, "AND deleted IS NULL")
}

fn find_any(c: &Connection, organization: OrgId, value: &str) -> Result<Option<i64>> {
    find_where(c, organization, value, "")
}

fn find_where(c: &Connection, organization: OrgId, value: &str, also: &str) -> Result<Option<i64>> {
    let Some(id) = ResourceId::parse(value) else { return Ok(None) };
    let mut statement = c
        .prepare_cached(&format!(
            "SELECT id FROM resource
             WHERE organization = ?1 AND kind IN (0, 1) AND public_id = ?2 {also}"
        ))
        .map_err(sql)?;
    statement
        .query_row(params![organization.0, id.0.as_bytes()], |row| row.get(0))
        .optional()
        .map_err(sql)
}

/// A member as the change log names it.
pub(super) fn reference(c: &Connection, row: i64) -> Result<MemberRef> {
    let (id, kind, body): ([u8; 16], i64, String) = c
        .prepare_cached("SELECT public_id, kind, body FROM resource WHERE id = ?1")
        .and_then(|mut s| s.query_row([row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
        .map_err(sql)?;
    let attributes = rows::attributes(&body)?;
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(MemberRef {
        value: rows::public_id(id).to_string(),
        kind: kind_of(kind),
        display: text("displayName"),
        user_name: text("userName"),
        external_id: text("externalId"),
    })
}

/// Everybody in a group, as the change log would name them.
pub(super) fn roster(c: &Connection, group: RowId) -> Result<Vec<MemberRef>> {
    all(c, group.0)?.into_iter().map(|row| reference(c, row)).collect()
}

/// A group's members, oldest resource first.
pub(super) fn of_group(
    c: &Connection,
    organization: OrgId,
    group: RowId,
) -> Result<Vec<Membership>> {
    memberships(
        c,
        "SELECT r.public_id, r.kind, r.body FROM member m JOIN resource r ON r.id = m.member_id
         WHERE m.group_id = ?1 AND r.organization = ?2 ORDER BY m.member_id",
        group,
        organization,
    )
}

/// The groups that a resource is directly in.
pub(super) fn groups_of(
    c: &Connection,
    organization: OrgId,
    member: RowId,
) -> Result<Vec<Membership>> {
    memberships(
        c,
        "SELECT r.public_id, r.kind, r.body FROM member m JOIN resource r ON r.id = m.group_id
         WHERE m.member_id = ?1 AND r.organization = ?2 AND r.deleted IS NULL ORDER BY m.group_id",
        member,
        organization,
    )
}

fn memberships(
    c: &Connection,
    query: &str,
    row: RowId,
    organization: OrgId,
) -> Result<Vec<Membership>> {
    c.prepare_cached(query)
        .and_then(|mut s| {
            s.query_map([row.0, organization.0], |row| {
                let kind: ResourceKind = kind_of(row.get(1)?);
                let body: String = row.get(2)?;
                Ok(Membership {
                    id: rows::public_id(row.get(0)?),
                    kind,
                    display: rows::display(&body, kind),
                })
            })?
            .collect()
        })
        .map_err(sql)
}

/// Display names of the groups that a resource is in, sorted.
pub(super) fn group_names(
    c: &Connection,
    organization: OrgId,
    member: RowId,
) -> Result<Vec<String>> {
    let mut names: Vec<String> =
        groups_of(c, organization, member)?.into_iter().filter_map(|group| group.display).collect();
    names.sort();
    Ok(names)
}
