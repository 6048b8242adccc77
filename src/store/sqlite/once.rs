//! What must happen once ever: welcome mails. Keyed by an HMAC, so that the ledger outlives a
//! person's erasure without naming anybody.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::Sha256;

use super::{millis, sql};
use crate::ids;
use crate::store::{Once, OnceKey, Result, StoreError};

/// The ledger's key, made when the database is.
pub(super) fn key(c: &Connection) -> Result<[u8; 32]> {
    c.execute(
        "INSERT INTO setting (name, value) VALUES ('ledger_key', ?1) ON CONFLICT DO NOTHING",
        [ids::secret_bytes::<32>()],
    )
    .map_err(sql)?;
    c.query_row("SELECT value FROM setting WHERE name = 'ledger_key'", [], |row| row.get(0))
        .map_err(sql)
}

pub(super) fn digest(key: &[u8; 32], once: &OnceKey) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC takes a key of any length");
    for part in [once.connector.as_bytes(), once.organization.as_bytes(), once.key.as_bytes()] {
        mac.update(part);
        mac.update(&[0]);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn begin(c: &Connection, key: &[u8; 32], now: Timestamp) -> Result<Once> {
    let state: Option<i64> = c
        .prepare_cached("SELECT state FROM mail WHERE key = ?1")
        .and_then(|mut s| s.query_row([key], |row| row.get(0)).optional())
        .map_err(sql)?;
    match state {
        None => {
            c.prepare_cached("INSERT INTO mail (key, state, at) VALUES (?1, 0, ?2)")
                .and_then(|mut s| s.execute(params![key, millis(now)]))
                .map_err(sql)?;
            Ok(Once::Begun)
        }
        Some(0) => Ok(Once::Interrupted),
        Some(1) => Ok(Once::Sent),
        Some(other) => Err(StoreError::Broken(format!("mail ledger state {other} is unknown"))),
    }
}

pub(super) fn end(c: &Connection, key: &[u8; 32], sent: bool) -> Result<()> {
    let query = if sent {
        "UPDATE mail SET state = 1 WHERE key = ?1"
    } else {
        "DELETE FROM mail WHERE key = ?1 AND state = 0"
    };
    c.prepare_cached(query).and_then(|mut s| s.execute([key])).map_err(sql)?;
    Ok(())
}
