//! Pages of the audit log. An organization's rows and a person's go by index; what else a filter
//! wants is looked for in those, up to a bound.

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{millis, sql, time};
use crate::store::{AuditFilter, AuditPage, AuditRow, Audited, Result};

/// Rows that are looked at for a page.
const LOOKED_AT: usize = 10_000;

/// Numbers follow time but for a clock that was set back; by less than this.
const SET_BACK: SignedDuration = SignedDuration::from_hours(24);

macro_rules! walk {
    ($from:literal) => {
        concat!(
            "SELECT id, at, actor, origin, action, organization, subject, detail FROM audit ",
            $from,
            " ORDER BY id DESC"
        )
    };
}

pub(super) const ALL: &str = walk!("WHERE id < ?1");
pub(super) const OF_ACTOR: &str = walk!("INDEXED BY audit_actor WHERE id < ?1 AND actor = ?2");
pub(super) const OF_ORGANIZATION: &str =
    walk!("INDEXED BY audit_organization WHERE id < ?1 AND organization = ?2");
/// The last before a moment.
pub(super) const BEFORE: &str = "SELECT id FROM audit WHERE at < ?1 ORDER BY at DESC LIMIT 1";

pub(super) fn page(c: &Connection, filter: &AuditFilter) -> Result<AuditPage> {
    let Some(before) = before(c, filter)? else { return Ok(AuditPage::default()) };
    let walks = match (&filter.organizations, &filter.actor) {
        (None, None) => vec![walk(c, ALL, &[&before], filter)?],
        (None, Some(actor)) => vec![walk(c, OF_ACTOR, &[&before, actor], filter)?],
        (Some(these), _) => these
            .iter()
            .map(|organization| walk(c, OF_ORGANIZATION, &[&before, organization], filter))
            .collect::<Result<_>>()?,
    };
    // Where one walk was broken off, the others are read on with it.
    let floor = walks.iter().filter_map(|walk| walk.broken_off).max();
    let mut rows: Vec<Audited> = walks.into_iter().flat_map(|walk| walk.found).collect();
    rows.retain(|row| floor.is_none_or(|floor| row.id >= floor));
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let next = if rows.len() > filter.limit {
        rows.truncate(filter.limit);
        rows.last().map(|row| row.id)
    } else {
        floor
    };
    Ok(AuditPage { rows, next })
}

/// Below which number to begin; none: nothing is that old.
fn before(c: &Connection, filter: &AuditFilter) -> Result<Option<i64>> {
    let before = filter.before.unwrap_or(i64::MAX);
    let Some(to) = filter.to else { return Ok(Some(before)) };
    let last: Option<i64> = c
        .prepare_cached(BEFORE)
        .and_then(|mut s| s.query_row([millis(to)], |row| row.get(0)).optional())
        .map_err(sql)?;
    Ok(last.map(|last| before.min(last.saturating_add(1))))
}

/// What was found on one way through the log.
struct Walk {
    found: Vec<Audited>,
    /// At which row, for having looked at so many.
    broken_off: Option<i64>,
}

fn walk(c: &Connection, query: &str, from: &[&dyn ToSql], filter: &AuditFilter) -> Result<Walk> {
    let mut statement = c.prepare_cached(query).map_err(sql)?;
    let mut rows = statement.query(from).map_err(sql)?;
    let mut walk = Walk { found: Vec::new(), broken_off: None };
    let mut looked_at = 0;
    while let Some(row) = rows.next().map_err(sql)? {
        let audited = read(row).map_err(sql)?;
        if filter.from.is_some_and(|from| audited.row.at < long_before(from)) {
            break;
        }
        looked_at += 1;
        let id = audited.id;
        if filter.wants(&audited.row) {
            walk.found.push(audited);
            // One more than is wanted says that there is a next page.
            if walk.found.len() > filter.limit {
                break;
            }
        }
        if looked_at == LOOKED_AT {
            walk.broken_off = Some(id);
            break;
        }
    }
    Ok(walk)
}

fn long_before(from: Timestamp) -> Timestamp {
    from.checked_sub(SET_BACK).unwrap_or(from)
}

impl AuditFilter {
    fn wants(&self, row: &AuditRow) -> bool {
        let about = row.action.split('.').next();
        self.actor.as_ref().is_none_or(|actor| *actor == row.actor)
            && self.about.as_deref().is_none_or(|wanted| Some(wanted) == about)
            && self.from.is_none_or(|from| row.at >= from)
            && self.to.is_none_or(|to| row.at < to)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Audited> {
    Ok(Audited {
        id: row.get(0)?,
        row: AuditRow {
            at: time(row.get(1)?),
            actor: row.get(2)?,
            from: row.get(3)?,
            action: row.get(4)?,
            organization: row.get(5)?,
            subject: row.get(6)?,
            detail: row.get(7)?,
        },
    })
}
