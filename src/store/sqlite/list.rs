//! Lists: how one is read, which the request alone decides, and the page that is cut out of it.

use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::scim::{ResourceKind, Schemas, SortBy, SortKey, Start};

use super::cursor::{self, Place, Position, Sealer};
use super::index::{Index, Name};
use super::members::{Ancestry, Members};
use super::needs::Needs;
use super::{kind_number, registry, rows, sql};
use crate::store::{ListRequest, Listing, OrgId, Page, Result, Scribe, Stored};

/// How far into a list a page may begin and still be read where it is asked for.
const NEAR: usize = 5_000;
/// The longest page that is read where it is asked for: what is served if no length is named.
const SHORT: usize = 100;
/// A page ends early at so many bytes, lest a hundred groups of everybody are in memory at once.
/// RFC 7644 section 3.4.2.4 lets a page be shorter than asked for.
const LONGEST_PAGE: usize = 32 << 20;

/// A list that was asked for.
pub(super) struct List {
    organization: OrgId,
    schemas: Schemas,
    request: ListRequest,
    plan: Plan,
    cursor_key: [u8; 32],
}

/// How it is read.
#[derive(Debug)]
enum Plan {
    /// Everyone of these types, in the order of creation.
    Everyone(Vec<ResourceKind>),
    /// Everyone of one type, in the order of an index.
    ByName(Name),
    /// Whom an index finds.
    LookUp(Vec<(ResourceKind, Index)>),
    /// Everyone is looked at.
    Scan(Vec<ResourceKind>),
}

impl Plan {
    fn of(request: &ListRequest, schemas: &Schemas) -> Self {
        let settled = |kind| match &request.filter {
            None => Some(true),
            Some(filter) => filter.settled(schemas.of(kind)),
        };
        let kinds: Vec<_> = request.kinds.iter().map(|wanted| wanted.kind).collect();
        let kinds: Vec<_> =
            kinds.into_iter().filter(|&kind| settled(kind) != Some(false)).collect();
        let all = kinds.iter().all(|&kind| settled(kind) == Some(true));
        match (request.filter.as_ref().filter(|_| !all), &request.sort, &kinds[..]) {
            // Where no type is left there is nobody, in whatever order.
            (None, None, _) | (_, _, []) => Self::Everyone(kinds),
            (None, Some(sort), &[kind]) => {
                Name::of(sort, kind).map_or(Self::Scan(kinds), Self::ByName)
            }
            (None, Some(_), _) => Self::Scan(kinds),
            (Some(filter), _, _) => {
                let index = |&kind: &ResourceKind| Some((kind, Index::of(filter, kind)?));
                let found: Option<Vec<_>> = kinds.iter().map(index).collect();
                found.map_or(Self::Scan(kinds), Self::LookUp)
            }
        }
    }
}

/// Where the client has come to.
#[derive(Default)]
struct Seen {
    /// So many are passed over.
    skip: usize,
    /// The last one that was seen, or 0.
    row: i64,
    /// Where that one stood, if the list is sorted.
    key: Option<SortKey>,
}

/// What lies after that.
#[derive(Default)]
struct Cut {
    total: usize,
    /// Not the resources: each is read when it is written out.
    rows: Vec<(i64, Option<SortKey>)>,
    /// Whether any are left.
    more: bool,
}

impl List {
    pub(super) fn new(
        organization: OrgId,
        schemas: &Schemas,
        request: ListRequest,
        cursor_key: [u8; 32],
    ) -> Self {
        let plan = Plan::of(&request, schemas);
        Self { organization, schemas: schemas.clone(), request, plan, cursor_key }
    }

    /// Whether reading it takes microseconds, so that no thread is worth it.
    pub(super) fn is_quick(&self) -> bool {
        let near = match self.request.start {
            Start::Index(index) => index <= NEAR,
            Start::Cursor(_) => true,
        };
        let is_long = |kind, memberships| kind == ResourceKind::Group && memberships;
        let with_members = self.request.kinds.iter().any(|one| is_long(one.kind, one.memberships));
        !with_members
            && match &self.plan {
                Plan::Everyone(_) | Plan::ByName(_) => near && self.request.count <= SHORT,
                Plan::LookUp(indexes) => indexes
                    .iter()
                    .all(|(kind, index)| index.is_unique() && !self.needs(*kind).may_be_many()),
                Plan::Scan(_) => false,
            }
    }

    /// What the filter and the order read.
    fn needs(&self, kind: ResourceKind) -> Needs {
        let (filter, sort) = (self.request.filter.as_ref(), self.request.sort.as_ref());
        Needs::of(filter, sort, self.schemas.of(kind))
    }

    pub(super) fn read(&self, c: &Connection, scribe: &mut Scribe) -> Result<Listing> {
        let sealer = match &self.request.start {
            Start::Index(_) => None,
            Start::Cursor(_) => {
                Some(Sealer::new(&self.cursor_key, self.organization, &self.request))
            }
        };
        let seen = match (&self.request.start, &sealer) {
            (Start::Cursor(Some(cursor)), Some(sealer)) => match sealer.open(cursor) {
                None => return Ok(Listing::InvalidCursor),
                Some(position) => match self.resume(c, position)? {
                    None => return Ok(Listing::ExpiredCursor),
                    Some(seen) => seen,
                },
            },
            (Start::Index(index), _) => Seen { skip: index.saturating_sub(1), ..Seen::default() },
            (Start::Cursor(_), _) => Seen::default(),
        };
        let mut cut = match &self.plan {
            Plan::Everyone(kinds) => self.everyone(c, kinds, &seen)?,
            Plan::ByName(name) => self.by_name(c, name, &seen)?,
            Plan::LookUp(_) | Plan::Scan(_) => match &self.request.sort {
                None => self.matching(c, &seen)?,
                Some(sort) => self.matching_sorted(c, sort, &seen)?,
            },
        };
        let total = cut.total;
        let (resources, last) = self.write_out(c, &mut cut, scribe)?;
        let next = match (sealer, last) {
            (Some(sealer), Some(last)) if cut.more => Some(sealer.seal(&last)),
            _ => None,
        };
        Ok(Listing::Page(Page { total, resources, next }))
    }

    /// Nothing where a long key, which the cursor does not carry, is not what it was.
    fn resume(&self, c: &Connection, position: Position) -> Result<Option<Seen>> {
        let key = match position.place {
            Place::Row => None,
            Place::Key(key) => Some(key),
            Place::Digest(digest) => match self.text_of(c, position.row)? {
                Some(text) if cursor::digest(&text) == digest => Some(SortKey::Text(text)),
                _ => return Ok(None),
            },
        };
        Ok(Some(Seen { skip: 0, row: position.row, key }))
    }

    /// What a resource is sorted by now, if that is a text.
    fn text_of(&self, c: &Connection, row: i64) -> Result<Option<String>> {
        let (Some(stored), Some(sort)) = (self.row(c, row)?, &self.request.sort) else {
            return Ok(None);
        };
        let ty = self.schemas.of(stored.kind);
        let mut ancestry = Ancestry::new(c, self.organization);
        let needs = Needs::of(None, Some(sort), ty);
        let read = needs.read(c, self.organization, &self.request.base, &mut ancestry, &stored)?;
        Ok(match sort.key(&read, ty) {
            SortKey::Text(text) => Some(text),
            _ => None,
        })
    }

    /// How many rows a query gives: one more than the page has shows whether any are left.
    fn limit(&self) -> i64 {
        i64::try_from(self.request.count).unwrap_or(i64::MAX).saturating_add(1)
    }

    fn population(&self, c: &Connection, kinds: &[ResourceKind]) -> Result<usize> {
        let (users, groups) = registry::population(c, self.organization)?;
        let of = |kind: &ResourceKind| match kind {
            ResourceKind::User => users,
            ResourceKind::Group => groups,
        };
        Ok(usize::try_from(kinds.iter().map(of).sum::<u64>()).unwrap_or(usize::MAX))
    }

    fn everyone(&self, c: &Connection, kinds: &[ResourceKind], seen: &Seen) -> Result<Cut> {
        let total = self.population(c, kinds)?;
        if self.request.count == 0 || seen.skip >= total {
            return Ok(Cut { total, ..Cut::default() });
        }
        let rows = c
            .prepare_cached(&everyone_query(kinds, "id"))
            .and_then(|mut s| {
                let values = params![self.organization.0, seen.row, self.limit(), seen.skip];
                s.query_map(values, |row| Ok((row.get(0)?, None)))?.collect()
            })
            .map_err(sql)?;
        Ok(Cut { total, rows, more: false }.shortened(self.request.count))
    }

    fn by_name(&self, c: &Connection, name: &Name, seen: &Seen) -> Result<Cut> {
        let total = self.population(c, &[name.kind()])?;
        if self.request.count == 0 || seen.skip >= total {
            return Ok(Cut { total, ..Cut::default() });
        }
        let after = match &seen.key {
            Some(SortKey::Text(text)) => Some(text),
            _ => None,
        };
        let rows = c
            .prepare_cached(&name.query(after.is_some()))
            .and_then(|mut s| {
                let read =
                    |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Some(SortKey::Text(row.get(1)?))));
                let (first, limit) = (self.organization.0, self.limit());
                match after {
                    None => s.query_map(params![first, limit, seen.skip], read)?.collect(),
                    Some(after) => s
                        .query_map(params![first, limit, seen.skip, after, seen.row], read)?
                        .collect(),
                }
            })
            .map_err(sql)?;
        Ok(Cut { total, rows, more: false }.shortened(self.request.count))
    }

    /// In the order of creation, so that only the page is kept.
    fn matching(&self, c: &Connection, seen: &Seen) -> Result<Cut> {
        let mut cut = Cut::default();
        self.each_match(c, &mut |stored, _| {
            cut.total += 1;
            if cut.total <= seen.skip || stored.row.0 <= seen.row {
                return;
            }
            if cut.rows.len() < self.request.count {
                cut.rows.push((stored.row.0, None));
            } else {
                cut.more = true;
            }
        })?;
        Ok(cut)
    }

    /// Of all that match only the keys are kept.
    fn matching_sorted(&self, c: &Connection, sort: &SortBy, seen: &Seen) -> Result<Cut> {
        let mut keys = Vec::new();
        self.each_match(c, &mut |stored, key| keys.push((key, stored.row.0)))?;
        let order = |(one, row): &(SortKey, i64), (other, second): &(SortKey, i64)| {
            sort.compare(one, other).then(row.cmp(second))
        };
        keys.sort_unstable_by(order);
        let total = keys.len();
        let first = match &seen.key {
            None => seen.skip.min(total),
            Some(key) => {
                let last = (key.clone(), seen.row);
                keys.partition_point(|one| order(one, &last).is_le())
            }
        };
        let more = total - first > self.request.count;
        let page = keys.into_iter().skip(first).take(self.request.count);
        let rows = page.map(|(key, row)| (row, Some(key))).collect();
        Ok(Cut { total, rows, more })
    }

    /// Shows every match, oldest first, with what it is sorted by.
    fn each_match(&self, c: &Connection, show: &mut dyn FnMut(Stored, SortKey)) -> Result<()> {
        let (filter, sort) = (self.request.filter.as_ref(), self.request.sort.as_ref());
        let needs = ResourceKind::ALL.map(|kind| (kind, self.needs(kind)));
        let mut ancestry = Ancestry::new(c, self.organization);
        let mut look_at = |stored: Stored| -> Result<()> {
            let ty = self.schemas.of(stored.kind);
            let Some((_, needs)) = needs.iter().find(|(kind, _)| *kind == stored.kind) else {
                return Ok(());
            };
            let read =
                needs.read(c, self.organization, &self.request.base, &mut ancestry, &stored)?;
            if filter.is_none_or(|filter| filter.matches(&read, ty)) {
                let key = sort.map_or(SortKey::Missing, |sort| sort.key(&read, ty));
                show(stored, key);
            }
            Ok(())
        };
        match &self.plan {
            Plan::LookUp(indexes) => {
                let mut found = Vec::new();
                for (kind, index) in indexes {
                    found.extend(index.look_up(c, self.organization, *kind)?);
                }
                found.sort_unstable();
                for row in found {
                    self.row(c, row)?.map_or(Ok(()), &mut look_at)?;
                }
                Ok(())
            }
            Plan::Everyone(kinds) | Plan::Scan(kinds) => {
                let mut statement =
                    c.prepare_cached(&everyone_query(kinds, rows::COLUMNS)).map_err(sql)?;
                let from_the_first = params![self.organization.0, 0, -1, 0];
                let all = statement.query_map(from_the_first, rows::stored).map_err(sql)?;
                for stored in all {
                    look_at(stored.map_err(sql)?)?;
                }
                Ok(())
            }
            Plan::ByName(_) => Ok(()),
        }
    }

    /// The page, written down one by one until it is full or there is no room left, and the position
    /// of the last one on it.
    fn write_out(
        &self,
        c: &Connection,
        cut: &mut Cut,
        scribe: &mut Scribe,
    ) -> Result<(Vec<String>, Option<Position>)> {
        let mut resources = Vec::with_capacity(cut.rows.len());
        let (mut last, mut room) = (None, LONGEST_PAGE);
        let mut ancestry = Ancestry::new(c, self.organization);
        for (row, key) in std::mem::take(&mut cut.rows) {
            // Still there, since the whole list is read from one snapshot.
            let Some(stored) = self.row(c, row)? else { continue };
            let wanted =
                self.request.kinds.iter().any(|one| one.kind == stored.kind && one.memberships);
            let text = match stored.kind {
                _ if !wanted => scribe(&stored, &mut Vec::new())?,
                ResourceKind::User => scribe(&stored, &mut ancestry.of(stored.row)?)?,
                ResourceKind::Group => {
                    let (organization, group) = (self.organization, stored.row);
                    scribe(&stored, &mut Members { c, organization, group })?
                }
            };
            if text.len() > room && !resources.is_empty() {
                cut.more = true;
                break;
            }
            room = room.saturating_sub(text.len());
            let place = key.map_or(Place::Row, Place::of);
            last = Some(Position { row, place });
            resources.push(text);
        }
        Ok((resources, last))
    }

    fn row(&self, c: &Connection, row: i64) -> Result<Option<Stored>> {
        c.prepare_cached(&format!(
            "SELECT {} FROM resource WHERE id = ?1 AND organization = ?2",
            rows::COLUMNS
        ))
        .and_then(|mut s| s.query_row([row, self.organization.0], rows::stored).optional())
        .map_err(sql)
    }
}

impl Cut {
    /// Without the one that was read to see whether any are left.
    fn shortened(mut self, count: usize) -> Self {
        self.more = self.rows.len() > count;
        self.rows.truncate(count);
        self
    }
}

/// Everyone of these types after a row, oldest first. Of several types each comes in its own order
/// from the index, and SQLite merges them.
pub(super) fn everyone_query(kinds: &[ResourceKind], columns: &str) -> String {
    let of = |kind: &ResourceKind| {
        format!(
            "SELECT {columns} FROM resource INDEXED BY resource_living
             WHERE organization = ?1 AND kind = {} AND deleted IS NULL AND id > ?2",
            kind_number(*kind)
        )
    };
    let all: Vec<_> = kinds.iter().map(of).collect();
    format!("{} ORDER BY id LIMIT ?3 OFFSET ?4", all.join(" UNION ALL "))
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
