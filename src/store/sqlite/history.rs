//! What was in the last month, in quarters of an hour.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::writer::Done;
use super::{SqliteStore, sql};
use crate::store::{
    ConnectorId, ConnectorPast, EVERYONE, History, Note, OrgId, Past, PastHealth, Quarter, Result,
};

#[async_trait]
impl History for SqliteStore {
    async fn note(&self, note: Note) -> Result<()> {
        self.background(move |c| write(c, &note).map(Done::quiet)).await
    }

    async fn history(
        &self,
        of: Vec<OrgId>,
        from: Quarter,
    ) -> Result<BTreeMap<OrgId, Vec<(Quarter, Past)>>> {
        self.readers
            .read(move |c| of.iter().map(|one| Ok((*one, read(c, *one, from)?))).collect())
            .await
    }

    async fn connector_history(
        &self,
        from: Quarter,
    ) -> Result<BTreeMap<ConnectorId, Vec<(Quarter, ConnectorPast)>>> {
        self.readers.read(move |c| connectors(c, from)).await
    }

    async fn forget_history(&self, before: Quarter) -> Result<()> {
        let forget = move |c: &Connection| {
            for statement in FORGET {
                c.prepare_cached(statement).and_then(|mut s| s.execute([before.0])).map_err(sql)?;
            }
            Ok(Done::quiet(()))
        };
        self.background(forget).await
    }
}

fn write(c: &Connection, note: &Note) -> Result<()> {
    let quarter = Quarter::of(note.now).0;
    let all = note.organizations.iter().fold(Past::default(), |all, (_, one)| all.beside(*one));
    for (organization, past) in note.organizations.iter().chain([&(EVERYONE, all)]) {
        if *past == Past::default() {
            continue;
        }
        c.prepare_cached(
            "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET
                 changes = changes + excluded.changes, answered = answered + excluded.answered,
                 refused = refused + excluded.refused, delivered = delivered + excluded.delivered,
                 failed = failed + excluded.failed, backlog = max(backlog, excluded.backlog)",
        )
        .and_then(|mut s| {
            let Past { changes, answered, refused, delivered, failed, backlog } = past;
            let of = organization.0;
            s.execute(params![of, quarter, changes, answered, refused, delivered, failed, backlog])
        })
        .map_err(sql)?;
    }
    for (connector, past) in &note.connectors {
        c.prepare_cached(
            "INSERT INTO connector_history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET
                 delivered = delivered + excluded.delivered, failed = failed + excluded.failed,
                 backlog = max(backlog, excluded.backlog), lag = max(lag, excluded.lag),
                 health = max(health, excluded.health)",
        )
        .and_then(|mut s| {
            let ConnectorPast { delivered, failed, backlog, lag, health } = past;
            let (lag, health) = (lag.as_secs(), *health as i64);
            s.execute(params![connector.0, quarter, delivered, failed, backlog, lag, health])
        })
        .map_err(sql)?;
    }
    Ok(())
}

fn read(c: &Connection, of: OrgId, from: Quarter) -> Result<Vec<(Quarter, Past)>> {
    c.prepare_cached(READ)
        .and_then(|mut s| {
            s.query_map([of.0, from.0], |row| {
                let past = Past {
                    changes: row.get(1)?,
                    answered: row.get(2)?,
                    refused: row.get(3)?,
                    delivered: row.get(4)?,
                    failed: row.get(5)?,
                    backlog: row.get(6)?,
                };
                Ok((Quarter(row.get(0)?), past))
            })?
            .collect()
        })
        .map_err(sql)
}

pub(super) const READ: &str = "
    SELECT quarter, changes, answered, refused, delivered, failed, backlog FROM history
    WHERE organization = ?1 AND quarter >= ?2 ORDER BY quarter";

fn connectors(
    c: &Connection,
    from: Quarter,
) -> Result<BTreeMap<ConnectorId, Vec<(Quarter, ConnectorPast)>>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let rows: Vec<(i64, Quarter, ConnectorPast)> = c
        .prepare_cached(CONNECTORS)
        .and_then(|mut s| {
            s.query_map([from.0], |row| {
                let health = PastHealth::ALL.get(row.get::<_, usize>(6)?).copied();
                let past = ConnectorPast {
                    delivered: row.get(2)?,
                    failed: row.get(3)?,
                    backlog: row.get(4)?,
                    lag: Duration::from_secs(row.get(5)?),
                    health: health.unwrap_or(PastHealth::Trouble),
                };
                Ok((row.get(0)?, Quarter(row.get(1)?), past))
            })?
            .collect()
        })
        .map_err(sql)?;
    for (connector, quarter, past) in rows {
        all.entry(ConnectorId(connector)).or_default().push((quarter, past));
    }
    Ok(all)
}

pub(super) const CONNECTORS: &str = "
    SELECT h.connector, h.quarter, h.delivered, h.failed, h.backlog, h.lag, h.health
    FROM connector k CROSS JOIN connector_history h
         ON h.connector = k.id AND h.quarter >= ?1
    WHERE NOT k.forgotten ORDER BY k.id, h.quarter";

/// A few of each, once an hour.
pub(super) const FORGET: [&str; 2] = [
    "DELETE FROM history WHERE quarter < ?1
         AND organization IN (SELECT k.id FROM organization k UNION ALL SELECT 0)",
    "DELETE FROM connector_history WHERE quarter < ?1
         AND connector IN (SELECT k.id FROM connector k)",
];
