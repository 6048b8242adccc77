//! Who is called like that, or changed last: some of them at a time, and no more looked at than bounds
//! say.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::scim::ResourceKind;

use super::entries::{self, Keys};
use super::follow::{of_kind, of_organization};
use super::{kind_number, rows, sql, time};
use crate::store::{Found, Hit, MOST_FOUND, OrgId, Place, Result, RowId, Search, State, Typed};

/// Rows that are looked at for one answer; of the log, for who changed last.
const LOOKED_AT: usize = 5_000;
/// Organizations of which the newest are told where the log is about others.
const TOPPED_UP: usize = 20;

/// A page of those that match.
pub(super) fn find(
    c: &Connection,
    search: &Search,
    offset: usize,
    limit: usize,
    keys: &Keys,
) -> Result<Found> {
    let mut looking = Looking { c, search, connectors: connectors(c)?, found: Vec::new() };
    let mut more = false;
    let found = match (&search.typed, search.place) {
        (Some(typed), _) => {
            more = looking.by_words(typed)?;
            let mut found = looking.found;
            found.sort_unstable_by(|one, other| one.1.cmp(&other.1));
            found.into_iter().map(|(resource, _)| resource).collect()
        }
        (None, Some(Place::Underway)) => {
            more = looking.in_states(&[State::Retrying, State::Waiting, State::Pending])?;
            looking.by_change()?
        }
        (None, Some(Place::Human)) => {
            more = looking.in_states(&[State::Held, State::Parked])?;
            looking.by_change()?
        }
        (None, Some(Place::InLine) | None) => {
            if let Some(group) = search.group {
                more = looking.members(group)?;
                looking.found.into_iter().map(|(resource, _)| resource).collect()
            } else {
                looking.changed_last(limit)?;
                looking.by_change()?
            }
        }
    };
    let connectors = connectors(c)?;
    let page = found.iter().skip(offset).take(limit);
    let hits = page.filter_map(|resource| hit(c, *resource, &connectors, keys).transpose());
    Ok(Found { total: found.len(), more, hits: hits.collect::<Result<_>>()? })
}

struct Looking<'a> {
    c: &'a Connection,
    search: &'a Search,
    connectors: Vec<(i64, String)>,
    /// With their words.
    found: Vec<(i64, String)>,
}

impl Looking<'_> {
    /// `true`: there are more than are told.
    fn by_words(&mut self, typed: &Typed) -> Result<bool> {
        let mut statement = self.c.prepare_cached(MATCH).map_err(sql)?;
        let mut rows = statement.query(params![self.terms(typed), LOOKED_AT]).map_err(sql)?;
        let mut looked_at = 0;
        while let Some(row) = rows.next().map_err(sql)? {
            looked_at += 1;
            let resource: i64 = row.get(0).map_err(sql)?;
            if !self.is_in_group(resource)? || !self.is_in_place(resource)? {
                continue;
            }
            if self.found.len() == MOST_FOUND {
                return Ok(true);
            }
            self.found.push((resource, row.get(1).map_err(sql)?));
        }
        Ok(looked_at == LOOKED_AT)
    }

    /// As FTS5 reads it. Words have letters and digits alone, so nothing in them is syntax.
    fn terms(&self, typed: &Typed) -> String {
        let each: Vec<String> = typed.words.iter().map(|word| format!("\"{word}\"*")).collect();
        let mut terms = vec![format!("({})", each.join(" AND "))];
        if let Some(whole) = &typed.whole {
            terms[0] = format!("({} OR \"{whole}\"*)", terms[0]);
        }
        if let Some(organizations) = &self.search.organizations {
            // None of them: nobody.
            let each = organizations.iter().map(|id| format!("\"{}\"", of_organization(*id)));
            let each: Vec<String> = each.chain(["\"=none\"".to_owned()]).collect();
            terms.push(format!("({})", each.join(" OR ")));
        }
        if let Some(kind) = self.search.kind {
            terms.push(format!("\"{}\"", of_kind(kind_number(kind))));
        }
        terms.join(" AND ")
    }

    fn is_in_place(&self, resource: i64) -> Result<bool> {
        let Some(place) = self.search.place else { return Ok(true) };
        let waits = waits(self.c, resource, &self.connectors)?;
        Ok(Place::of(waits.into_iter().map(|(_, state)| state)) == place)
    }

    /// A group's first, who stand where they should.
    fn members(&mut self, group: RowId) -> Result<bool> {
        let members: Vec<i64> = self
            .c
            .prepare_cached(FIRST_MEMBERS)
            .and_then(|mut s| s.query_map(params![group.0, LOOKED_AT], |row| row.get(0))?.collect())
            .map_err(sql)?;
        let looked_at = members.len();
        for member in members {
            if self.is_one(member)? {
                if self.found.len() == MOST_FOUND {
                    return Ok(true);
                }
                self.found.push((member, String::new()));
            }
        }
        Ok(looked_at == LOOKED_AT)
    }

    /// Those of whom something is in one of these states.
    fn in_states(&mut self, states: &[State]) -> Result<bool> {
        let mut seen = HashSet::new();
        let mut looked_at = 0;
        let places = entries::counted(self.c, self.search.organizations.as_deref())?;
        for place in places.iter().filter(|place| states.contains(&place.state)) {
            let mut statement = self.c.prepare_cached(entries::AT_PLACE).map_err(sql)?;
            let (connector, organization) = (place.connector.0, place.organization.0);
            let from = params![connector, organization, place.state as i64, i64::MIN, i64::MIN];
            let mut rows = statement.query(from).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                looked_at += 1;
                let resource: i64 = row.get(1).map_err(sql)?;
                if looked_at > LOOKED_AT || self.found.len() == MOST_FOUND {
                    return Ok(true);
                }
                if seen.insert(resource) && self.is_one(resource)? {
                    self.found.push((resource, String::new()));
                }
            }
        }
        Ok(false)
    }

    /// The last `limit` of them that changed.
    fn changed_last(&mut self, limit: usize) -> Result<()> {
        let mut seen = HashSet::new();
        let changed: Vec<i64> = self
            .c
            .prepare_cached(NEWEST_CHANGES)
            .and_then(|mut s| s.query_map([LOOKED_AT], |row| row.get(0))?.collect())
            .map_err(sql)?;
        let mine = self.search.organizations.iter().flatten().take(TOPPED_UP);
        let mut newest: Vec<i64> = Vec::new();
        for organization in mine {
            for kind in ResourceKind::ALL {
                let query = self.c.prepare_cached(NEWEST_RESOURCES).and_then(|mut s| {
                    let of = params![organization.0, kind_number(kind), limit];
                    s.query_map(of, |row| row.get::<_, i64>(0))?
                        .collect::<rusqlite::Result<Vec<_>>>()
                });
                newest.extend(query.map_err(sql)?);
            }
        }
        newest.sort_unstable_by(|one, other| other.cmp(one));
        for resource in changed.into_iter().chain(newest) {
            if self.found.len() == limit {
                break;
            }
            if seen.insert(resource) && self.is_one(resource)? {
                self.found.push((resource, String::new()));
            }
        }
        Ok(())
    }

    /// Whether it is of an organization and a kind that are asked for, and stands where it should.
    fn is_one(&self, resource: i64) -> Result<bool> {
        let found: Option<(i64, i64)> = self
            .c
            .prepare_cached("SELECT organization, kind FROM resource WHERE id = ?1")
            .and_then(|mut s| {
                s.query_row([resource], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(sql)?;
        let Some((organization, kind)) = found else { return Ok(false) };
        let Search { organizations, kind: wanted, .. } = self.search;
        Ok(organizations.as_ref().is_none_or(|all| all.contains(&OrgId(organization)))
            && wanted.is_none_or(|wanted| kind_number(wanted) == kind)
            && self.is_in_group(resource)?
            && self.is_in_place(resource)?)
    }

    fn is_in_group(&self, resource: i64) -> Result<bool> {
        let Some(group) = self.search.group else { return Ok(true) };
        self.c
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM member WHERE group_id = ?1 AND member_id = ?2)",
            )
            .and_then(|mut s| s.query_row([group.0, resource], |row| row.get(0)))
            .map_err(sql)
    }

    /// In the order of their changes, the last one first.
    fn by_change(self) -> Result<Vec<i64>> {
        let mut found = Vec::with_capacity(self.found.len());
        for (resource, _) in self.found {
            let modified: i64 = self
                .c
                .prepare_cached("SELECT modified FROM resource WHERE id = ?1")
                .and_then(|mut s| s.query_row([resource], |row| row.get(0)))
                .map_err(sql)?;
            found.push((modified, resource));
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        Ok(found.into_iter().map(|(_, resource)| resource).collect())
    }
}

pub(super) const MATCH: &str =
    "SELECT rowid, words FROM search WHERE search MATCH ?1 ORDER BY rowid LIMIT ?2";
pub(super) const FIRST_MEMBERS: &str =
    "SELECT member_id FROM member WHERE group_id = ?1 ORDER BY member_id LIMIT ?2";
pub(super) const NEWEST_CHANGES: &str = "SELECT resource FROM change ORDER BY seq DESC LIMIT ?1";
pub(super) const NEWEST_RESOURCES: &str = "
    SELECT id FROM resource INDEXED BY resource_living
    WHERE organization = ?1 AND kind = ?2 AND deleted IS NULL ORDER BY id DESC LIMIT ?3";

fn connectors(c: &Connection) -> Result<Vec<(i64, String)>> {
    c.prepare_cached("SELECT id, name FROM connector WHERE NOT forgotten ORDER BY name")
        .and_then(|mut s| s.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(sql)
}

/// Where something waits.
fn waits(
    c: &Connection,
    resource: i64,
    connectors: &[(i64, String)],
) -> Result<Vec<(String, State)>> {
    let mut waits = Vec::new();
    for (connector, name) in connectors {
        let state: Option<usize> = c
            .prepare_cached("SELECT state FROM queue WHERE connector = ?1 AND resource = ?2")
            .and_then(|mut s| s.query_row([*connector, resource], |row| row.get(0)).optional())
            .map_err(sql)?;
        if let Some(state) = state.and_then(|number| State::ALL.get(number).copied()) {
            waits.push((name.clone(), state));
        }
    }
    Ok(waits)
}

fn hit(
    c: &Connection,
    resource: i64,
    connectors: &[(i64, String)],
    keys: &Keys,
) -> Result<Option<Hit>> {
    let query =
        format!("SELECT {}, deleted, organization FROM resource WHERE id = ?1", rows::COLUMNS);
    let found = c
        .prepare_cached(&query)
        .and_then(|mut s| {
            s.query_row([resource], |row| {
                let deleted: Option<i64> = row.get(rows::WIDTH)?;
                let organization = OrgId(row.get(rows::WIDTH + 1)?);
                Ok((rows::stored(row)?, deleted.map(time), organization))
            })
            .optional()
        })
        .map_err(sql)?;
    let Some((stored, deleted, organization)) = found else { return Ok(None) };
    // One that is in no configuration any more is nobody's to look at.
    let Some(key) = keys.get(&organization) else { return Ok(None) };
    let waits = waits(c, resource, connectors)?;
    Ok(Some(Hit { organization: key.to_string(), stored, deleted, waits }))
}
