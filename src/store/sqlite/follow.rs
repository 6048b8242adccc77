//! What follows the log in the background, a piece at a time: the words that people are found by, and
//! who came into which group. What differs is worked out on a reading connection, so that the writer
//! only writes it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::connector::MemberRef;
use scim_relay_sdk::scim::ResourceId;

use super::standing::name_of;
use super::{kind_number, resources, rows, sql, time};
use crate::store::{Move, OrgId, Result, RowId, search};

/// Rows of the log, or resources, that are followed in one piece.
const CHUNK: usize = 250;
/// Members that come and go in one piece: a change may have a hundred thousand of them.
const MOVES_AT_ONCE: usize = 1_000;

/// The newest change that was followed; and of the one behind it, how many members.
const SEQ: &str = "search seq";
const SKIP: &str = "search skip";
/// Up to where those were looked at who were there before.
const WALK: &str = "search walk";

/// What is to be written.
pub(super) struct Piece {
    /// By resource: its words, or none where it is gone.
    words: BTreeMap<i64, Option<String>>,
    moves: Vec<Moved>,
    place: Place,
}

struct Moved {
    member: i64,
    group: i64,
    at: i64,
    departed: bool,
}

#[derive(Clone, Copy)]
enum Place {
    Log {
        seq: i64,
        skip: usize,
    },
    Walk(i64),
    /// Whoever was there before has been looked at.
    Walked,
}

/// Whether there is anything to follow.
pub(super) fn is_behind(c: &Connection) -> Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM setting WHERE name = 'search walk')
                OR coalesce((SELECT max(seq) FROM change), 0)
                   > (SELECT value FROM setting WHERE name = 'search seq')",
    )
    .and_then(|mut s| s.query_row([], |row| row.get(0)))
    .map_err(sql)
}

/// What comes next; none, if nothing does.
pub(super) fn next(c: &Connection) -> Result<Option<Piece>> {
    if let Some(piece) = next_changes(c)? {
        return Ok(Some(piece));
    }
    let Some(walked) = setting(c, WALK)? else { return Ok(None) };
    let there: BTreeSet<i64> = c
        .prepare_cached(THERE)
        .and_then(|mut s| s.query_map(params![walked, CHUNK], |row| row.get(0))?.collect())
        .map_err(sql)?;
    let place = there.last().map_or(Place::Walked, |last| Place::Walk(*last));
    Ok(Some(Piece { words: differing(c, there)?, moves: Vec::new(), place }))
}

/// A row of the log.
struct Change {
    seq: i64,
    resource: i64,
    at: i64,
    organization: OrgId,
    joined: Vec<MemberRef>,
    departed: Vec<MemberRef>,
}

fn next_changes(c: &Connection) -> Result<Option<Piece>> {
    let seq = setting(c, SEQ)?.unwrap_or_default();
    let skip = setting(c, SKIP)?.unwrap_or_default() as usize;
    let mut statement = c.prepare_cached(CHANGES).map_err(sql)?;
    let changes = statement
        .query_map(params![seq, CHUNK], |row| {
            Ok(Change {
                seq: row.get(0)?,
                resource: row.get(1)?,
                at: row.get(2)?,
                organization: OrgId(row.get(3)?),
                joined: resources::references(row.get(4)?),
                departed: resources::references(row.get(5)?),
            })
        })
        .map_err(sql)?;
    let (mut changed, mut moves, mut place) = (BTreeSet::new(), Vec::new(), None);
    for change in changes {
        let change = change.map_err(sql)?;
        let skip = if change.seq == seq + 1 { skip } else { 0 };
        let joined = change.joined.iter().map(|member| (member, false));
        let all = joined.chain(change.departed.iter().map(|member| (member, true)));
        let room = MOVES_AT_ONCE - moves.len();
        for (member, departed) in all.clone().skip(skip).take(room) {
            if let Some(member) = row_of(c, change.organization, member)? {
                let (group, at) = (change.resource, change.at);
                moves.push(Moved { member, group, at, departed });
            }
        }
        if all.count() > skip + room {
            place = Some(Place::Log { seq: change.seq - 1, skip: skip + room });
            break;
        }
        changed.insert(change.resource);
        place = Some(Place::Log { seq: change.seq, skip: 0 });
    }
    let Some(place) = place else { return Ok(None) };
    Ok(Some(Piece { words: differing(c, changed)?, moves, place }))
}

pub(super) const CHANGES: &str = "
    SELECT seq, resource, at, organization, joined, departed FROM change
    WHERE seq > ?1 ORDER BY seq LIMIT ?2";
pub(super) const THERE: &str = "SELECT id FROM resource WHERE id > ?1 ORDER BY id LIMIT ?2";

fn row_of(c: &Connection, organization: OrgId, member: &MemberRef) -> Result<Option<i64>> {
    let Some(id) = ResourceId::parse(&member.value) else { return Ok(None) };
    c.prepare_cached(
        "SELECT id FROM resource WHERE organization = ?1 AND kind = ?2 AND public_id = ?3",
    )
    .and_then(|mut s| {
        let of = params![organization.0, kind_number(member.kind), id.0.as_bytes()];
        s.query_row(of, |row| row.get(0)).optional()
    })
    .map_err(sql)
}

fn setting(c: &Connection, name: &str) -> Result<Option<i64>> {
    c.prepare_cached("SELECT value FROM setting WHERE name = ?1")
        .and_then(|mut s| s.query_row([name], |row| row.get(0)).optional())
        .map_err(sql)
}

/// The words of these that are not in the index as they should be.
fn differing(c: &Connection, resources: BTreeSet<i64>) -> Result<BTreeMap<i64, Option<String>>> {
    let mut words = BTreeMap::new();
    for resource in resources {
        let should = words_of(c, resource)?;
        let is = c
            .prepare_cached("SELECT words FROM search WHERE rowid = ?1")
            .and_then(|mut s| s.query_row([resource], |row| row.get(0)).optional())
            .map_err(sql)?;
        if should != is {
            words.insert(resource, should);
        }
    }
    Ok(words)
}

fn words_of(c: &Connection, resource: i64) -> Result<Option<String>> {
    c.prepare_cached("SELECT organization, kind, public_id, body FROM resource WHERE id = ?1")
        .and_then(|mut s| {
            s.query_row([resource], |row| {
                let (organization, kind): (i64, i64) = (row.get(0)?, row.get(1)?);
                let id = rows::public_id(row.get(2)?).to_string();
                let mut words = search::of_resource(&id, row.get_ref(3)?.as_str()?);
                words.extend([of_organization(OrgId(organization)), of_kind(kind)]);
                Ok(words.join(" "))
            })
            .optional()
        })
        .map_err(sql)
}

/// A word that is in no name.
pub(super) fn of_organization(organization: OrgId) -> String {
    format!("=o{}", organization.0)
}

/// A word that is in no name.
pub(super) fn of_kind(number: i64) -> String {
    format!("=k{number}")
}

/// Writes it down. Whoever is gone meanwhile stays out of it.
pub(super) fn write(c: &Connection, piece: &Piece) -> Result<()> {
    for (resource, words) in &piece.words {
        unlist(c, *resource)?;
        if let Some(words) = words {
            c.prepare_cached(
                "INSERT INTO search (rowid, words) SELECT id, ?2 FROM resource WHERE id = ?1",
            )
            .and_then(|mut s| s.execute(params![resource, words]))
            .map_err(sql)?;
        }
    }
    for Moved { member, group, at, departed } in &piece.moves {
        c.prepare_cached(
            "INSERT INTO moved (member, group_id, at, departed)
             SELECT id, ?2, ?3, ?4 FROM resource WHERE id = ?1",
        )
        .and_then(|mut s| s.execute(params![member, group, at, departed]))
        .map_err(sql)?;
    }
    match piece.place {
        Place::Log { seq, skip } => {
            set(c, SEQ, seq)?;
            set(c, SKIP, skip as i64)
        }
        Place::Walk(row) => set(c, WALK, row),
        Place::Walked => c
            .prepare_cached("DELETE FROM setting WHERE name = ?1")
            .and_then(|mut s| s.execute([WALK]))
            .map(drop)
            .map_err(sql),
    }
}

fn set(c: &Connection, name: &str, value: i64) -> Result<()> {
    c.prepare_cached("UPDATE setting SET value = ?2 WHERE name = ?1 AND value <> ?2")
        .and_then(|mut s| s.execute(params![name, value]))
        .map_err(sql)?;
    Ok(())
}

fn unlist(c: &Connection, resource: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM search WHERE rowid = ?1")
        .and_then(|mut s| s.execute([resource]))
        .map_err(sql)?;
    Ok(())
}

/// Nothing of a resource stays.
pub(super) fn forget(c: &Connection, resource: i64) -> Result<()> {
    unlist(c, resource)?;
    c.prepare_cached("DELETE FROM moved WHERE member = ?1")
        .and_then(|mut s| s.execute([resource]))
        .map_err(sql)?;
    Ok(())
}

/// Removes what is too old, which comes first. Does a piece of it; `true` when there may be more.
pub(super) fn prune(c: &Connection, before: i64, limit: i64) -> Result<bool> {
    let removed = c
        .prepare_cached(
            "DELETE FROM moved WHERE id IN (
                 SELECT id FROM (SELECT id, at FROM moved ORDER BY id LIMIT ?2) WHERE at < ?1)",
        )
        .and_then(|mut s| s.execute([before, limit]))
        .map_err(sql)?;
    Ok(removed as i64 == limit)
}

/// The last of them first.
pub(super) fn moves(c: &Connection, member: RowId, limit: usize) -> Result<Vec<Move>> {
    let moved: Vec<(i64, i64, bool)> = c
        .prepare_cached(MOVES)
        .and_then(|mut s| {
            s.query_map(params![member.0, limit], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect()
        })
        .map_err(sql)?;
    moved
        .into_iter()
        .map(|(at, group, left)| Ok(Move { at: time(at), group: name_of(c, group)?, left }))
        .collect()
}

pub(super) const MOVES: &str =
    "SELECT at, group_id, departed FROM moved WHERE member = ?1 ORDER BY id DESC LIMIT ?2";
