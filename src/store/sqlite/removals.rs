//! What was removed and taken over, what waits for it, and whether one more may be.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use scim_relay_sdk::connector::HoldKind;

use super::{millis, sql};
use crate::store::{Allowed, Ask, Claim, ConnectorId, Refusal, Removals, Result};

/// The hour that is looked at, sliding.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// How long a person's approval holds.
pub(super) const APPROVED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What people and safety said of a row so far.
struct Standing {
    mark: i64,
    held: Option<HoldKind>,
    /// Of how many it was held.
    count: u64,
    approved: bool,
    rejected: Option<String>,
}

pub(super) fn allow(c: &Connection, claim: &Claim, ask: Ask, now: Timestamp) -> Result<Allowed> {
    let Some(row) = standing(c, claim, now)? else {
        // Another claim has it by now; nothing that this one does counts.
        return Ok(Allowed::No(Refusal::Held));
    };
    let concerned = row.held.is_some_and(|held| covers(held, ask));
    if concerned && let Some(reason) = row.rejected {
        return Ok(Allowed::No(Refusal::Rejected(reason)));
    }
    let grant = Grant { claim, ask, mark: row.mark, now };
    // More than a person saw is not what they approved.
    if concerned && row.approved && (row.held != Some(ask.kind) || ask.count <= row.count) {
        grant.write(c, ask.count.saturating_sub(grant.open(c, true)?), true)?;
        return Ok(Allowed::Yes);
    }
    let new = ask.count.saturating_sub(grant.open(c, false)?);
    if new == 0 {
        grant.renew(c)?;
        return Ok(Allowed::Yes);
    }
    if ask.limit < u64::MAX {
        if concerned {
            return Ok(Allowed::No(Refusal::Held));
        }
        let executed = executed(c, claim.connector, ask.kind, now)?;
        let waiting = waiting(c, claim.connector, ask.kind, Some((claim, ask.limit)), now)?;
        if executed.saturating_add(waiting).saturating_add(new) > ask.limit {
            return Ok(Allowed::No(Refusal::Limit { executed, waiting, limit: ask.limit }));
        }
    }
    grant.renew(c)?;
    grant.write(c, new, false)?;
    Ok(Allowed::Yes)
}

/// Whether what was said of the one kind holds for the other: a group that goes loses its members,
/// and who takes an entry over has seen the first run.
fn covers(said: HoldKind, asked: Ask) -> bool {
    use HoldKind::{FirstRun, MemberRemoval, Removal, TakeOver};
    match (said, asked.kind) {
        (Removal, MemberRemoval) | (MemberRemoval, Removal) => asked.whole,
        (TakeOver, FirstRun) => true,
        (said, asked) => said == asked,
    }
}

fn standing(c: &Connection, claim: &Claim, now: Timestamp) -> Result<Option<Standing>> {
    c.prepare_cached(
        "SELECT mark, hold_kind, approved, approved_at, rejected, hold_count FROM queue
         WHERE connector = ?1 AND resource = ?2 AND epoch = ?3 AND leased IS NOT NULL",
    )
    .and_then(|mut s| {
        s.query_row([claim.connector.0, claim.resource.0, claim.epoch], |row| {
            let mark: i64 = row.get(0)?;
            let held: Option<String> = row.get(1)?;
            let approved: Option<i64> = row.get(2)?;
            let approved_at: Option<i64> = row.get(3)?;
            Ok(Standing {
                mark,
                held: held.as_deref().and_then(HoldKind::parse),
                // As it was then: not what has changed since.
                approved: approved == Some(mark)
                    && approved_at.is_some_and(|at| at > millis(now - APPROVED_FOR)),
                rejected: row.get(4)?,
                count: row.get::<_, i64>(5)?.unsigned_abs(),
            })
        })
        .optional()
    })
    .map_err(sql)
}

/// What is about to be allowed.
struct Grant<'a> {
    claim: &'a Claim,
    ask: Ask,
    mark: i64,
    now: Timestamp,
}

impl Grant<'_> {
    /// How many an earlier attempt of this hour was allowed. Members must be the same ones: of
    /// those that it took out, nobody knows.
    fn open(&self, c: &Connection, approved: bool) -> Result<u64> {
        let count: i64 = c
            .prepare_cached(OPEN)
            .and_then(|mut s| {
                s.query_row(
                    params![
                        self.claim.connector.0,
                        self.claim.resource.0,
                        self.ask.kind.word(),
                        millis(self.now - WINDOW),
                        approved,
                        self.mark
                    ],
                    |row| row.get(0),
                )
            })
            .map_err(sql)?;
        Ok(count.unsigned_abs())
    }

    /// What an earlier attempt was allowed happens now, if it has not: its hour begins again.
    fn renew(&self, c: &Connection) -> Result<()> {
        c.prepare_cached(RENEW)
            .and_then(|mut s| {
                s.execute(params![
                    self.claim.connector.0,
                    self.claim.resource.0,
                    self.ask.kind.word(),
                    millis(self.now - WINDOW),
                    self.mark,
                    millis(self.now)
                ])
            })
            .map_err(sql)?;
        Ok(())
    }

    fn write(&self, c: &Connection, count: u64, approved: bool) -> Result<()> {
        // That everything of a new connector was looked at first removes and takes over nothing.
        if count == 0 || self.ask.kind == HoldKind::FirstRun {
            return Ok(());
        }
        c.prepare_cached(
            "INSERT INTO removal (connector, resource, kind, count, at, approved, mark, open)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
        )
        .and_then(|mut s| {
            s.execute(params![
                self.claim.connector.0,
                self.claim.resource.0,
                self.ask.kind.word(),
                i64::try_from(count).unwrap_or(i64::MAX),
                millis(self.now),
                approved,
                self.mark
            ])
        })
        .map_err(sql)?;
        Ok(())
    }
}

pub(super) const OPEN: &str = "
    SELECT coalesce(sum(count), 0) FROM removal INDEXED BY removal_open
    WHERE connector = ?1 AND resource = ?2 AND kind = ?3 AND at > ?4 AND open = 1
          AND approved = ?5 AND (kind <> 'member_removal' OR mark = ?6)";

pub(super) const RENEW: &str = "
    UPDATE removal INDEXED BY removal_open SET at = max(at, ?6)
    WHERE connector = ?1 AND resource = ?2 AND kind = ?3 AND at > ?4 AND open = 1
          AND approved = 0 AND (kind <> 'member_removal' OR mark = ?5)";

/// The row came to an end: what it asks for next is something else.
pub(super) fn close(c: &Connection, connector: i64, resource: i64) -> Result<()> {
    c.prepare_cached(CLOSE).and_then(|mut s| s.execute([connector, resource])).map_err(sql)?;
    Ok(())
}

pub(super) const CLOSE: &str = "
    UPDATE removal INDEXED BY removal_open SET open = 0
    WHERE connector = ?1 AND resource = ?2 AND open = 1";

fn executed(c: &Connection, connector: ConnectorId, kind: HoldKind, now: Timestamp) -> Result<u64> {
    let count: i64 = c
        .prepare_cached(EXECUTED)
        .and_then(|mut s| {
            let values = params![connector.0, kind.word(), millis(now - WINDOW)];
            s.query_row(values, |row| row.get(0))
        })
        .map_err(sql)?;
    Ok(count.unsigned_abs())
}

pub(super) const EXECUTED: &str = "
    SELECT coalesce(sum(count), 0) FROM removal INDEXED BY removal_window
    WHERE connector = ?1 AND kind = ?2 AND at > ?3 AND approved = 0";

/// What is held, and what is on its way and will have to be asked for, but for what was decided.
/// `besides`: without this claim's own row, and no further than a limit.
fn waiting(
    c: &Connection,
    connector: ConnectorId,
    kind: HoldKind,
    besides: Option<(&Claim, u64)>,
    now: Timestamp,
) -> Result<u64> {
    let resource = besides.map_or(0, |(claim, _)| claim.resource.0);
    let most = besides.and_then(|(_, limit)| i64::try_from(limit).ok()?.checked_add(1));
    let most = most.unwrap_or(i64::MAX);
    let held: i64 = c
        .prepare_cached(HELD)
        .and_then(|mut s| {
            let approved_since = millis(now - APPROVED_FOR);
            s.query_row(params![connector.0, kind.word(), resource, approved_since, most], |row| {
                row.get(0)
            })
        })
        .map_err(sql)?;
    if kind != HoldKind::Removal || held >= most {
        return Ok(held.unsigned_abs());
    }
    let leaving: i64 = c
        .prepare_cached(LEAVING)
        .and_then(|mut s| {
            let since = millis(now - WINDOW);
            s.query_row(params![connector.0, resource, since, most - held], |row| row.get(0))
        })
        .map_err(sql)?;
    Ok((held + leaving).unsigned_abs())
}

/// Each of them counts for one at least.
pub(super) const HELD: &str = "
    SELECT coalesce(sum(hold_count), 0)
    FROM (SELECT hold_count FROM queue INDEXED BY queue_hold
          WHERE connector = ?1 AND hold_kind = ?2 AND resource <> ?3 AND rejected IS NULL
                AND NOT coalesce(approved = mark AND approved_at > ?4, 0)
          LIMIT ?5)";

pub(super) const LEAVING: &str = "
    SELECT count(*)
    FROM (SELECT 1 FROM queue q INDEXED BY queue_leaving
          WHERE q.connector = ?1 AND q.leaving = 1 AND q.resource <> ?2 AND q.hold_kind IS NULL
                AND NOT EXISTS (SELECT 1 FROM removal r INDEXED BY removal_open
                                WHERE r.connector = ?1 AND r.resource = q.resource
                                      AND r.kind = 'removal' AND r.at > ?3 AND r.open = 1)
          LIMIT ?4)";

pub(super) fn all(c: &Connection, connector: ConnectorId, now: Timestamp) -> Result<Vec<Removals>> {
    HoldKind::ALL
        .into_iter()
        .map(|kind| {
            let held: i64 = c
                .prepare_cached(HELD_ROWS)
                .and_then(|mut s| s.query_row(params![connector.0, kind.word()], |row| row.get(0)))
                .map_err(sql)?;
            Ok(Removals {
                kind,
                executed: executed(c, connector, kind, now)?,
                waiting: waiting(c, connector, kind, None, now)?,
                held: held.unsigned_abs(),
            })
        })
        .collect()
}

pub(super) const HELD_ROWS: &str = "
    SELECT count(*) FROM queue INDEXED BY queue_hold
    WHERE connector = ?1 AND hold_kind = ?2 AND state = 5";

/// How much there would be without the removals of this hour, so that a share of it does not shrink
/// while they are made.
pub(super) fn delivered(
    c: &Connection,
    connector: ConnectorId,
    kind: HoldKind,
    now: Timestamp,
) -> Result<u64> {
    let query = match kind {
        HoldKind::MemberRemoval => MEMBERSHIPS,
        _ => ENTRIES,
    };
    let count: i64 = c
        .prepare_cached(query)
        .and_then(|mut s| s.query_row([connector.0, millis(now - WINDOW)], |row| row.get(0)))
        .map_err(sql)?;
    Ok(count.unsigned_abs())
}

pub(super) const ENTRIES: &str = "
    SELECT (SELECT links FROM connector WHERE id = ?1)
         + (SELECT count(*) FROM removal r INDEXED BY removal_window CROSS JOIN link l
                ON l.connector = ?1 AND l.resource = r.resource AND l.stage = 3
            WHERE r.connector = ?1 AND r.kind = 'removal' AND r.at > ?2)";

/// Those that wait to be taken out are no members any more, and still there.
pub(super) const MEMBERSHIPS: &str = "
    SELECT (SELECT count(*) FROM link l CROSS JOIN member m ON m.group_id = l.resource
            WHERE l.connector = ?1 AND l.stage <> 3)
         + (SELECT coalesce(sum(count), 0) FROM removal INDEXED BY removal_window
            WHERE connector = ?1 AND kind = 'member_removal' AND at > ?2)
         + (SELECT coalesce(sum(hold_count), 0) FROM queue INDEXED BY queue_hold
            WHERE connector = ?1 AND hold_kind = 'member_removal')";
