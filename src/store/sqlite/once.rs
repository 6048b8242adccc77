//! What must happen once ever: welcome mails. Keyed by an HMAC, so that the ledger outlives a
//! person's erasure without naming anybody.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::Sha256;

use super::{millis, sql, time};
use crate::store::{ConnectorId, Once, OnceKey, Result, RowId, StoreError};

pub(super) fn digest(key: &[u8; 32], once: &OnceKey) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC takes a key of any length");
    for part in [once.connector.as_bytes(), once.organization.as_bytes(), once.key.as_bytes()] {
        mac.update(part);
        mac.update(&[0]);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn begin(
    c: &Connection,
    key: &[u8; 32],
    (connector, resource): (ConnectorId, RowId),
    now: Timestamp,
) -> Result<Once> {
    let found: Option<(i64, Option<i64>)> = c
        .prepare_cached("SELECT state, resource FROM mail WHERE key = ?1")
        .and_then(|mut s| s.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(sql)?;
    let once = match found {
        None => Once::Begun,
        Some((0, Some(row))) if row == resource.0 => Once::Interrupted,
        Some((0, _)) => Once::InterruptedElsewhere,
        Some((1, _)) => Once::Sent,
        Some((other, _)) => {
            return Err(StoreError::Broken(format!("mail ledger state {other} is unknown")));
        }
    };
    if matches!(once, Once::Begun | Once::InterruptedElsewhere) {
        c.prepare_cached(
            "INSERT INTO mail (key, state, at, connector, resource) VALUES (?1, 0, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET connector = excluded.connector, resource = excluded.resource",
        )
        .and_then(|mut s| s.execute(params![key, millis(now), connector.0, resource.0]))
        .map_err(sql)?;
    }
    Ok(once)
}

/// Since when it is begun, or (`true`) sent.
pub(super) fn look(c: &Connection, key: &[u8; 32]) -> Result<Option<(Timestamp, bool)>> {
    c.prepare_cached("SELECT at, state FROM mail WHERE key = ?1")
        .and_then(|mut s| {
            s.query_row([key], |row| Ok((time(row.get(0)?), row.get::<_, i64>(1)? == 1))).optional()
        })
        .map_err(sql)
}

/// A connector is forgotten, and its rows with it; what was interrupted there stays in doubt.
pub(super) fn detach(c: &Connection, connector: i64) -> Result<()> {
    c.prepare_cached(
        "UPDATE mail SET connector = NULL, resource = NULL WHERE connector = ?1 AND state = 0",
    )
    .and_then(|mut s| s.execute([connector]))
    .map_err(sql)?;
    Ok(())
}

pub(super) fn end(c: &Connection, key: &[u8; 32], sent: bool) -> Result<()> {
    let query = if sent {
        // Whom it was for is of no more use.
        "UPDATE mail SET state = 1, connector = NULL, resource = NULL WHERE key = ?1"
    } else {
        "DELETE FROM mail WHERE key = ?1 AND state = 0"
    };
    c.prepare_cached(query).and_then(|mut s| s.execute([key])).map_err(sql)?;
    Ok(())
}

/// What a row of the queue was interrupted at counts as sent.
pub(super) fn settle_open(c: &Connection, connector: i64, resource: i64) -> Result<()> {
    c.prepare_cached(
        "UPDATE mail SET state = 1, connector = NULL, resource = NULL
         WHERE connector = ?1 AND resource = ?2 AND state = 0",
    )
    .and_then(|mut s| s.execute([connector, resource]))
    .map_err(sql)?;
    Ok(())
}
