//! Changes of memberships: one row at a time, whatever the group's size, unless whoever leaves is
//! only known by looking at everybody.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::connector::MemberRef;
use scim_relay_sdk::scim::{MemberOp, MemberValue, ResourceId};

use super::{members, sql};
use crate::store::{OrgId, Result};

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

    pub(super) fn rows(&self) -> impl Iterator<Item = &i64> {
        self.joined_rows.iter().chain(&self.left_rows)
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
            MemberOp::Add(members) => match rows_of(c, organization, group, members)? {
                Ok(rows) => {
                    for row in rows {
                        add(c, group, row, &mut turnout)?;
                    }
                }
                Err(refusal) => return Ok(Err(refusal)),
            },
            MemberOp::Remove(values) => {
                for value in values {
                    // One that is not a member has left already.
                    if let Some(row) = find_any(c, organization, value)? {
                        remove(c, group, row, &mut turnout)?;
                    }
                }
            }
            MemberOp::RemoveWhere(filter) => {
                for row in members::selected(c, organization, group, filter)? {
                    remove(c, group, row, &mut turnout)?;
                }
            }
            MemberOp::RemoveAll => {
                for row in all(c, group)? {
                    remove(c, group, row, &mut turnout)?;
                }
            }
            MemberOp::Replace(members) => {
                let mut wanted = match rows_of(c, organization, group, members)? {
                    Ok(rows) => rows,
                    Err(refusal) => return Ok(Err(refusal)),
                };
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
    net: HashMap<i64, i8>,
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
            list.push(members::reference(c, row)?);
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

/// The rows of those who are to be members, in the order given. Whom an id names says the id: a
/// `type` beside it that says otherwise is the client's label, as are its `display` and `$ref`.
fn rows_of(
    c: &Connection,
    organization: OrgId,
    group: i64,
    members: &[MemberValue],
) -> Result<std::result::Result<Vec<i64>, Refusal>> {
    let mut rows = Vec::with_capacity(members.len());
    for member in members {
        match find(c, organization, &member.value)? {
            Some(row) if row == group => return Ok(Err(Refusal::Itself)),
            Some(row) => rows.push(row),
            None => return Ok(Err(Refusal::Unknown(member.value.clone()))),
        }
    }
    Ok(Ok(rows))
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
