//! Organizations and connectors as the configuration names them.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{fanout, millis, passwords, sql, time};
use crate::store::{
    Backlog, ConnectorId, ConnectorRow, OrgId, Paused, Reason, Registration, Result, State,
};

/// A connector that hears of an organization's writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) connector: ConnectorId,
    pub(super) every_event: bool,
    pub(super) reads_groups: bool,
    /// Groups reach it with their members.
    pub(super) members: bool,
    /// Gets people's passwords.
    pub(super) passwords: bool,
}

/// Who hears of a write, by organization.
#[derive(Debug, Default)]
pub(super) struct Subscribers(HashMap<OrgId, Vec<Subscriber>>);

impl Subscribers {
    pub(super) fn of(&self, organization: OrgId) -> &[Subscriber] {
        self.0.get(&organization).map_or(&[], Vec::as_slice)
    }

    /// Those for whom a user's groups are part of what they send.
    pub(super) fn reading_groups(&self, organization: OrgId) -> Vec<Subscriber> {
        self.of(organization).iter().copied().filter(|one| one.reads_groups).collect()
    }
}

pub(super) fn subscribers(c: &Connection) -> Result<Subscribers> {
    let mut by_organization: HashMap<OrgId, Vec<Subscriber>> = HashMap::new();
    let mut statement = c
        .prepare_cached(
            "SELECT s.organization, c.id, c.every_event, c.reads_groups, c.members,
                    c.passwords AND c.enabled AND NOT c.every_event
             FROM subscription s JOIN connector c ON c.id = s.connector ORDER BY c.id",
        )
        .map_err(sql)?;
    let rows = statement
        .query_map([], |row| {
            Ok((
                OrgId(row.get(0)?),
                Subscriber {
                    connector: ConnectorId(row.get(1)?),
                    every_event: row.get(2)?,
                    reads_groups: row.get(3)?,
                    members: row.get(4)?,
                    passwords: row.get(5)?,
                },
            ))
        })
        .map_err(sql)?;
    for row in rows {
        let (organization, subscriber) = row.map_err(sql)?;
        by_organization.entry(organization).or_default().push(subscriber);
    }
    Ok(Subscribers(by_organization))
}

pub(super) fn organizations(c: &Connection, keys: &[String]) -> Result<Vec<OrgId>> {
    keys.iter()
        .map(|key| {
            c.prepare_cached("INSERT INTO organization (key) VALUES (?1) ON CONFLICT DO NOTHING")
                .and_then(|mut s| s.execute([key]))
                .map_err(sql)?;
            organization(c, key)
        })
        .collect()
}

fn organization(c: &Connection, key: &str) -> Result<OrgId> {
    c.prepare_cached("SELECT id FROM organization WHERE key = ?1")
        .and_then(|mut s| s.query_row([key], |row| row.get(0)))
        .map(OrgId)
        .map_err(sql)
}

pub(super) fn organization_keys(c: &Connection) -> Result<HashMap<OrgId, Arc<str>>> {
    c.prepare_cached("SELECT id, key FROM organization")
        .and_then(|mut s| {
            s.query_map([], |row| Ok((OrgId(row.get(0)?), row.get::<_, String>(1)?.into())))?
                .collect()
        })
        .map_err(sql)
}

pub(super) fn register(c: &Connection, wanted: &[Registration]) -> Result<Vec<ConnectorId>> {
    // What is not named any more keeps its rows and goes on coalescing, and `status` says so.
    c.execute("UPDATE connector SET enabled = 0", []).map_err(sql)?;
    let ids = wanted.iter().map(|one| register_one(c, one)).collect::<Result<_>>()?;
    passwords::forget_unasked(c)?;
    Ok(ids)
}

fn register_one(c: &Connection, wanted: &Registration) -> Result<ConnectorId> {
    let known: Option<(i64, String)> = c
        .query_row("SELECT id, fingerprint FROM connector WHERE name = ?1", [&wanted.name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(sql)?;
    c.execute(
        "INSERT INTO connector (name, kind, every_event, members, reads_groups, passwords, enabled,
                                fingerprint)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, every_event = excluded.every_event,
             members = excluded.members, reads_groups = excluded.reads_groups,
             passwords = excluded.passwords, enabled = excluded.enabled, fingerprint = excluded.fingerprint",
        params![
            wanted.name,
            wanted.kind,
            wanted.every_event,
            wanted.members,
            wanted.reads_groups,
            wanted.passwords,
            wanted.enabled,
            wanted.fingerprint,
        ],
    )
    .map_err(sql)?;
    let id: i64 = c
        .query_row("SELECT id FROM connector WHERE name = ?1", [&wanted.name], |row| row.get(0))
        .map_err(sql)?;
    unsubscribe(c, id, &wanted.organizations)?;
    let changed = known.as_ref().is_some_and(|(_, fingerprint)| *fingerprint != wanted.fingerprint);
    for key in &wanted.organizations {
        let organization = organization(c, key)?;
        let new = c
            .execute(
                "INSERT INTO subscription (connector, organization, newest)
                 VALUES (?1, ?2, (SELECT coalesce(max(id), 0) FROM resource))
                 ON CONFLICT DO NOTHING",
                params![id, organization.0],
            )
            .map_err(sql)?
            > 0;
        let reason = match (new, changed) {
            (true, _) if wanted.backfills => Reason::Backfill,
            // An event is told once: a changed file does not tell everybody's again.
            (false, true) if !wanted.every_event => Reason::Reconfigured,
            _ => continue,
        };
        fanout::begin(c, ConnectorId(id), Some(organization), reason)?;
    }
    Ok(ConnectorId(id))
}

/// An organization that a connector serves no longer has nothing waiting there; what the target
/// holds of it stays as it is.
fn unsubscribe(c: &Connection, connector: i64, serves: &[Arc<str>]) -> Result<()> {
    let served: Vec<(i64, String)> = c
        .prepare_cached(
            "SELECT o.id, o.key FROM subscription s JOIN organization o ON o.id = s.organization
             WHERE s.connector = ?1",
        )
        .and_then(|mut s| s.query_map([connector], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(sql)?;
    for (organization, key) in served {
        if serves.iter().any(|served| **served == *key) {
            continue;
        }
        for table in ["subscription", "queue", "fanout"] {
            c.execute(
                &format!("DELETE FROM {table} WHERE connector = ?1 AND organization = ?2"),
                [connector, organization],
            )
            .map_err(sql)?;
        }
    }
    Ok(())
}

pub(super) fn connectors(c: &Connection) -> Result<Vec<ConnectorRow>> {
    let mut rows: Vec<ConnectorRow> = c
        .prepare_cached(
            "SELECT id, name, kind, enabled, paused_at, paused_by, links, paused_why FROM connector
             WHERE NOT forgotten ORDER BY name",
        )
        .and_then(|mut s| {
            s.query_map([], |row| {
                let paused_at: Option<i64> = row.get(4)?;
                let paused_by: Option<String> = row.get(5)?;
                let paused_why: Option<String> = row.get(7)?;
                Ok(ConnectorRow {
                    id: ConnectorId(row.get(0)?),
                    name: row.get(1)?,
                    kind: row.get(2)?,
                    enabled: row.get(3)?,
                    paused: paused_at.map(|at| Paused {
                        at: time(at),
                        by: paused_by.unwrap_or_default(),
                        why: paused_why,
                    }),
                    backlog: Backlog::default(),
                    links: row.get::<_, i64>(6)?.try_into().unwrap_or(0),
                })
            })?
            .collect()
        })
        .map_err(sql)?;
    let mut statement = c
        .prepare_cached(
            "SELECT connector, state, sum(entries) FROM backlog GROUP BY connector, state",
        )
        .map_err(sql)?;
    let counts = statement
        .query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, usize>(1)?, row.get::<_, i64>(2)?))
        })
        .map_err(sql)?;
    for count in counts {
        let (connector, state, entries) = count.map_err(sql)?;
        let row = rows.iter_mut().find(|row| row.id.0 == connector);
        if let (Some(row), Some(state)) = (row, State::ALL.get(state)) {
            row.backlog.add(*state, entries.try_into().unwrap_or(0));
        }
    }
    Ok(rows)
}

pub(super) fn pause(c: &Connection, connector: ConnectorId, paused: Option<&Paused>) -> Result<()> {
    c.execute(
        "UPDATE connector SET paused_at = ?2, paused_by = ?3, paused_why = ?4 WHERE id = ?1",
        params![
            connector.0,
            paused.map(|p| millis(p.at)),
            paused.map(|p| &p.by),
            paused.and_then(|p| p.why.as_ref()),
        ],
    )
    .map_err(sql)?;
    Ok(())
}

pub(super) fn population(c: &Connection, organization: OrgId) -> Result<(u64, u64)> {
    let living = |kind: i64| -> Result<u64> {
        let count: Option<i64> = c
            .prepare_cached("SELECT living FROM population WHERE organization = ?1 AND kind = ?2")
            .and_then(|mut s| s.query_row([organization.0, kind], |row| row.get(0)).optional())
            .map_err(sql)?;
        Ok(count.unwrap_or(0).try_into().unwrap_or(0))
    };
    Ok((living(0)?, living(1)?))
}

/// A write that needs room and a working disk, for `readyz`.
pub(super) fn write_nothing_much(c: &Connection) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO setting (name, value) VALUES ('alive', randomblob(8))
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )
    .and_then(|mut s| s.execute([]))
    .map_err(sql)?;
    Ok(())
}
