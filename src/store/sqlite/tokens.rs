//! Bearer tokens (hashes of them) and the audit log.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{millis, sql, time};
use crate::store::{AuditRow, NewToken, OrgId, Result, TokenId, TokenRow};

pub(super) fn add(c: &Connection, token: &NewToken) -> Result<TokenId> {
    c.execute(
        "INSERT INTO token (organization, lookup, hash, name, read_only, created, expires, made_by,
                            replaces)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            token.organization.0,
            token.lookup,
            token.hash,
            token.name,
            token.read_only,
            millis(token.created),
            token.expires.map(millis),
            token.made_by,
            token.replaces.map(|old| old.0),
        ],
    )
    .map_err(sql)?;
    Ok(TokenId(c.last_insert_rowid()))
}

pub(super) fn all(c: &Connection) -> Result<Vec<TokenRow>> {
    c.prepare_cached(
        "SELECT id, organization, lookup, hash, name, read_only, created, expires, last_used, revoked,
                made_by, replaces
         FROM token ORDER BY id",
    )
    .and_then(|mut s| {
        s.query_map([], |row| {
            let at = |index| -> rusqlite::Result<Option<Timestamp>> {
                Ok(row.get::<_, Option<i64>>(index)?.map(time))
            };
            Ok(TokenRow {
                id: TokenId(row.get(0)?),
                organization: OrgId(row.get(1)?),
                lookup: row.get(2)?,
                hash: row.get(3)?,
                name: row.get(4)?,
                read_only: row.get(5)?,
                created: time(row.get(6)?),
                expires: at(7)?,
                last_used: at(8)?,
                revoked: at(9)?,
                made_by: row.get(10)?,
                replaces: row.get::<_, Option<i64>>(11)?.map(TokenId),
            })
        })?
        .collect()
    })
    .map_err(sql)
}

pub(super) fn end(
    c: &Connection,
    organization: OrgId,
    token: TokenId,
    at: Timestamp,
    revoke: bool,
) -> Result<bool> {
    let query = if revoke {
        "UPDATE token SET revoked = coalesce(revoked, ?3) WHERE id = ?1 AND organization = ?2"
    } else {
        "UPDATE token SET expires = min(coalesce(expires, ?3), ?3) WHERE id = ?1 AND organization = ?2"
    };
    c.execute(query, [token.0, organization.0, millis(at)]).map(|rows| rows > 0).map_err(sql)
}

pub(super) fn used(c: &Connection, used: &[(TokenId, Timestamp)]) -> Result<()> {
    for (token, at) in used {
        c.prepare_cached(
            "UPDATE token SET last_used = max(coalesce(last_used, 0), ?2) WHERE id = ?1",
        )
        .and_then(|mut s| s.execute([token.0, millis(*at)]))
        .map_err(sql)?;
    }
    Ok(())
}

pub(super) fn audit(c: &Connection, row: &AuditRow) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO audit (at, actor, origin, action, organization, subject, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .and_then(|mut s| {
        s.execute(params![
            millis(row.at),
            row.actor,
            row.from,
            row.action,
            row.organization,
            row.subject,
            row.detail
        ])
    })
    .map_err(sql)?;
    Ok(())
}

pub(super) fn audit_log(c: &Connection, limit: usize) -> Result<Vec<AuditRow>> {
    c.prepare_cached(
        "SELECT at, actor, origin, action, organization, subject, detail
         FROM audit ORDER BY id DESC LIMIT ?1",
    )
    .and_then(|mut s| {
        s.query_map([limit], |row| {
            Ok(AuditRow {
                at: time(row.get(0)?),
                actor: row.get(1)?,
                from: row.get(2)?,
                action: row.get(3)?,
                organization: row.get(4)?,
                subject: row.get(5)?,
                detail: row.get(6)?,
            })
        })?
        .collect()
    })
    .map_err(sql)
}
