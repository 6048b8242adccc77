//! Passwords on their way: one sealed value for each person, and who has not got it yet. The last
//! one who gets it, or who will not, takes it out of the database (a trigger does).

use rusqlite::{Connection, OptionalExtension, params};

use super::registry::Subscriber;
use super::sql;
use crate::store::{ConnectorId, OrgId, Result, RowId};
use crate::vault::{KeyId, Sealed};

/// Keeps a password for those who ask for it, in the place of an older one.
pub(super) fn keep(
    c: &Connection,
    subscribers: &[Subscriber],
    organization: OrgId,
    row: i64,
    seq: i64,
    password: &Sealed,
) -> Result<()> {
    forget(c, row)?;
    for subscriber in subscribers.iter().filter(|one| one.passwords) {
        c.prepare_cached(
            "INSERT INTO password_due (resource, connector, organization) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut s| s.execute([row, subscriber.connector.0, organization.0]))
        .map_err(sql)?;
    }
    if subscribers.iter().any(|one| one.passwords) {
        c.prepare_cached(
            "INSERT INTO password (resource, seq, key, sealed) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut s| s.execute(params![row, seq, password.key.0, password.bytes]))
        .map_err(sql)?;
    }
    Ok(())
}

/// The password that a connector has not got yet.
pub(super) fn due(
    c: &Connection,
    connector: ConnectorId,
    resource: RowId,
) -> Result<Option<Sealed>> {
    c.prepare_cached(DUE)
        .and_then(|mut s| {
            s.query_row([resource.0, connector.0], |row| {
                Ok(Sealed { key: KeyId(row.get(0)?), bytes: row.get(1)? })
            })
            .optional()
        })
        .map_err(sql)
}

pub(super) const DUE: &str = "
    SELECT p.key, p.sealed FROM password_due d CROSS JOIN password p ON p.resource = d.resource
    WHERE d.resource = ?1 AND d.connector = ?2";

/// A connector has dealt with everything up to that change: a password that came later is still to
/// be delivered.
pub(super) fn settled(c: &Connection, connector: i64, resource: i64, covers: i64) -> Result<()> {
    c.prepare_cached(SETTLED)
        .and_then(|mut s| s.execute([resource, connector, covers]))
        .map_err(sql)?;
    Ok(())
}

pub(super) const SETTLED: &str = "
    DELETE FROM password_due WHERE resource = ?1 AND connector = ?2
           AND EXISTS (SELECT 1 FROM password WHERE resource = ?1 AND seq <= ?3)";

/// Somebody's password is of no more use, to anybody.
pub(super) fn forget(c: &Connection, resource: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM password_due WHERE resource = ?1")
        .and_then(|mut s| s.execute([resource]))
        .map_err(sql)?;
    Ok(())
}

/// A connector that is gone or disabled, asks no more, or serves the organization no longer, gets
/// no password that was meant for it.
pub(super) fn forget_unasked(c: &Connection) -> Result<()> {
    c.execute(
        "DELETE FROM password_due WHERE NOT EXISTS (
             SELECT 1 FROM connector k JOIN subscription s ON s.connector = k.id
             WHERE k.id = password_due.connector AND k.enabled AND k.passwords
                   AND s.organization = password_due.organization)",
        [],
    )
    .map_err(sql)?;
    Ok(())
}

/// What another key has sealed, nobody can open any more; how many those were.
pub(super) fn forget_unreadable(c: &Connection, key: Option<KeyId>) -> Result<u64> {
    let key = key.map(|key| key.0);
    let unreadable: i64 = c
        .query_row("SELECT count(*) FROM password WHERE key IS NOT ?1", [key], |row| row.get(0))
        .map_err(sql)?;
    c.execute(
        "DELETE FROM password_due
         WHERE resource IN (SELECT resource FROM password WHERE key IS NOT ?1)",
        [key],
    )
    .map_err(sql)?;
    Ok(unreadable.try_into().unwrap_or(0))
}
