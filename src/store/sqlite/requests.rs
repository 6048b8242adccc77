//! The ring of a provider's last requests.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use scim_relay_sdk::scim::{Quirk, ResourceId, ResourceKind, fold};
use serde_json::Value;

use super::{kind_number, kind_of, millis, rows, sql, time};
use crate::store::{
    CallRow, KEPT_REQUESTS, KeptBody, NewRequest, OrgId, RequestFilter, RequestPage, RequestRow,
    RequestSearch, Result, StoreError, TokenId,
};

/// Rows removed in one piece of background work.
const CHUNK: i64 = 500;

pub(super) fn record(c: &Connection, batch: &[NewRequest]) -> Result<()> {
    for request in batch {
        insert(c, request).map_err(sql)?;
    }
    let organizations: BTreeSet<i64> = batch.iter().map(|request| request.organization.0).collect();
    for organization in organizations {
        c.prepare_cached(TRIM)
            .and_then(|mut s| s.execute(params![organization, KEPT_REQUESTS]))
            .map_err(sql)?;
    }
    Ok(())
}

pub(super) const TRIM: &str = "
    DELETE FROM request WHERE organization = ?1 AND id <= (
        SELECT id FROM request WHERE organization = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";

fn insert(c: &Connection, request: &NewRequest) -> rusqlite::Result<usize> {
    let quirks: Vec<&str> = request.quirks.iter().map(|quirk| Quirk::word(*quirk)).collect();
    let (body, answer) = (&request.request, &request.answer);
    c.prepare_cached(
        "INSERT INTO request (organization, at, took, method, path, status, token, user_agent, peer,
                              kind, subject, quirks, scim_type, detail, body, body_length, body_cut,
                              answer, answer_length, answer_cut)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19, ?20)",
    )?
    .execute(params![
        request.organization.0,
        millis(request.at),
        i64::try_from(request.took.as_micros()).unwrap_or(i64::MAX),
        request.method,
        request.path,
        request.status,
        request.token.0,
        request.user_agent,
        request.peer,
        request.subject.map(|(kind, _)| kind_number(kind)),
        request.subject.map(|(_, id)| id.0.into_bytes()),
        Value::from(quirks).to_string(),
        request.scim_type,
        request.detail,
        body.json,
        length(body),
        body.cut,
        answer.json,
        length(answer),
        answer.cut,
    ])
}

fn length(body: &KeptBody) -> i64 {
    i64::try_from(body.length).unwrap_or(i64::MAX)
}

/// Those that match, oldest first.
pub(super) fn requests(
    c: &Connection,
    organization: OrgId,
    filter: RequestFilter,
) -> Result<Vec<RequestRow>> {
    let least = if filter.failed { 400 } else { 0 };
    let limit = filter.limit.min(KEPT_REQUESTS);
    let order = if filter.after.is_some() { Order::OldestFirst } else { Order::NewestFirst };
    let after = filter.after.unwrap_or_default();
    let mut found: Vec<Result<RequestRow>> = c
        .prepare_cached(&read_query(order))
        .and_then(|mut s| {
            s.query_map(params![organization.0, after, filter.only, least, limit], read)?.collect()
        })
        .map_err(sql)?;
    if matches!(order, Order::NewestFirst) {
        found.reverse();
    }
    found.into_iter().collect()
}

/// From which end as many are taken as are wanted.
#[derive(Clone, Copy)]
pub(super) enum Order {
    OldestFirst,
    NewestFirst,
}

/// A page of them, newest first. No more than one organization's ring is looked through.
pub(super) fn page(
    c: &Connection,
    organization: OrgId,
    search: &RequestSearch,
) -> Result<RequestPage> {
    let newest = c
        .prepare_cached(NEWEST)
        .and_then(|mut s| s.query_row([organization.0], |row| row.get(0)))
        .map_err(sql)?;
    let text = search.text.as_deref().map(fold);
    let is_it = |row: &RequestRow| {
        let names = [Some(&row.path), row.name.as_ref(), Some(&row.token_name)];
        let mut names = names.into_iter().flatten();
        text.as_ref().is_none_or(|text| names.any(|name| fold(name).contains(text)))
    };
    let mut page = RequestPage { newest, ..RequestPage::default() };
    let mut statement = c.prepare_cached(&page_query()).map_err(sql)?;
    let least = if search.failed { 400 } else { 0 };
    let mut rows = statement
        .query(params![
            organization.0,
            search.before.unwrap_or(i64::MAX),
            least,
            search.method,
            search.since.map_or(i64::MIN, millis),
        ])
        .map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let row = read(row).map_err(sql)??;
        if !is_it(&row) {
            continue;
        }
        // One more than is wanted says that there is a next page.
        if page.rows.len() == search.limit {
            page.next = page.rows.last().map(|row| row.id);
            break;
        }
        page.rows.push(row);
    }
    Ok(page)
}

pub(super) const NEWEST: &str =
    "SELECT coalesce(max(id), 0) FROM request INDEXED BY request_organization
     WHERE organization = ?1";

pub(super) fn page_query() -> String {
    // Nobody reads the bodies of a list.
    let columns = COLUMNS.replace("q.body, ", "NULL, ").replace("q.answer, ", "NULL, ");
    format!(
        "SELECT {columns} {FROM}
         WHERE q.organization = ?1 AND q.id < ?2 AND q.status >= ?3
               AND (?4 IS NULL OR q.method = ?4) AND q.at >= ?5
         ORDER BY q.id DESC"
    )
}

/// How many came after this one.
pub(super) fn newer(c: &Connection, organization: OrgId, than: i64) -> Result<u64> {
    c.prepare_cached(NEWER)
        .and_then(|mut s| s.query_row([organization.0, than], |row| row.get(0)))
        .map_err(sql)
}

pub(super) const NEWER: &str = "SELECT count(*) FROM request WHERE organization = ?1 AND id > ?2";

pub(super) fn read_query(order: Order) -> String {
    let order = match order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    format!("SELECT {COLUMNS} {FROM} {READ} ORDER BY q.id {order} LIMIT ?5")
}

/// A name is that of the resource as it is now; of one that came to nothing, what was sent.
const COLUMNS: &str = "
           q.id, q.at, q.took, q.method, q.path, q.status, t.lookup, t.name, q.user_agent, q.peer,
           q.kind, q.subject, q.quirks, q.scim_type, q.detail, q.body, q.body_length, q.body_cut,
           q.answer, q.answer_length, q.answer_cut,
           CAST(coalesce(r.body ->> 'userName', r.body ->> 'displayName',
                         q.body ->> 'userName', q.body ->> 'displayName') AS TEXT)";

const FROM: &str = "
    FROM request q
    LEFT JOIN token t ON t.id = q.token
    LEFT JOIN resource r ON r.organization = q.organization AND r.kind = q.kind
                            AND r.public_id = q.subject";

const READ: &str = "
    WHERE q.organization = ?1 AND q.id > ?2 AND q.id = coalesce(?3, q.id) AND q.status >= ?4";

/// The newest that were about a resource; and those that named it and came to nothing, such as a second
/// create under its name. One organization's ring is looked through.
pub(super) fn about(
    c: &Connection,
    organization: OrgId,
    (kind, id, name): (ResourceKind, ResourceId, &str),
    limit: usize,
) -> Result<Vec<RequestRow>> {
    let query = format!("SELECT {COLUMNS} {FROM} {READ} {ABOUT}");
    let mut found: Vec<Result<RequestRow>> = c
        .prepare_cached(&query)
        .and_then(|mut s| {
            let id = id.0.as_bytes();
            let none: Option<i64> = None;
            s.query_map(
                params![organization.0, 0, none, 0, limit, kind_number(kind), id, name],
                read,
            )?
            .collect()
        })
        .map_err(sql)?;
    found.reverse();
    found.into_iter().collect()
}

const ABOUT: &str = "
    AND ((q.kind = ?6 AND q.subject = ?7)
         OR (q.subject IS NULL AND q.status >= 400
             AND ?8 = coalesce(q.body ->> 'userName', q.body ->> 'displayName')))
    ORDER BY q.id DESC LIMIT ?5";

fn read(row: &Row<'_>) -> rusqlite::Result<Result<RequestRow>> {
    let subject: Option<[u8; 16]> = row.get(11)?;
    let kind: Option<i64> = row.get(10)?;
    let resource =
        kind.zip(subject).map(|(kind, id)| format!("{}/{}", kind_of(kind), rows::public_id(id)));
    let lookup: Option<String> = row.get(6)?;
    let quirks: String = row.get(12)?;
    let (request, answer): (Option<String>, Option<String>) = (row.get(15)?, row.get(18)?);
    let bodies = json(&quirks).and_then(|quirks| {
        let json = |text: Option<String>| text.as_deref().map(json::<Value>).transpose();
        Ok((quirks, json(request)?, json(answer)?))
    });
    let (quirks, request, answer) = match bodies {
        Ok(bodies) => bodies,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(RequestRow {
        id: row.get(0)?,
        at: time(row.get(1)?),
        milliseconds: row.get::<_, i64>(2)? as f64 / 1_000.0,
        method: row.get(3)?,
        path: row.get(4)?,
        status: row.get(5)?,
        token: lookup.map(|lookup| format!("scimr_{lookup}_")).unwrap_or_default(),
        token_name: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        user_agent: row.get(8)?,
        peer: row.get(9)?,
        resource,
        name: row.get(21)?,
        quirks,
        scim_type: row.get(13)?,
        detail: row.get(14)?,
        request,
        request_length: row.get(16)?,
        request_cut: row.get(17)?,
        answer,
        answer_length: row.get(19)?,
        answer_cut: row.get(20)?,
    }))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Broken(format!("a kept request is not JSON: {error}")))
}

/// The ring at a glance. Bodies lie behind the other columns, and are not read for the rest.
pub(super) const CALLS: &str = "
    SELECT id, at, method, path, status, token, peer, detail,
           CASE WHEN status < 400 AND method IN ('PUT', 'PATCH') AND path LIKE '/Users/%'
                     AND body LIKE '%active%' THEN body END,
           CASE WHEN status < 400 AND method = 'POST' AND path LIKE '/Bulk%' THEN answer END
    FROM request WHERE organization = ?1 ORDER BY id DESC LIMIT ?2";

pub(super) fn calls(c: &Connection, organization: OrgId) -> Result<Vec<CallRow>> {
    c.prepare_cached(CALLS)
        .and_then(|mut s| {
            s.query_map(params![organization.0, KEPT_REQUESTS], |row| {
                Ok(CallRow {
                    id: row.get(0)?,
                    at: time(row.get(1)?),
                    method: row.get(2)?,
                    path: row.get(3)?,
                    status: row.get(4)?,
                    token: TokenId(row.get(5)?),
                    peer: row.get(6)?,
                    detail: row.get(7)?,
                    body: row.get(8)?,
                    bulk: row.get(9)?,
                })
            })?
            .collect()
        })
        .map_err(sql)
}

/// Removes what is too old. Does a piece of it; `true` when there may be more.
pub(super) fn forget(c: &Connection, before: Timestamp) -> Result<bool> {
    let removed = c
        .prepare_cached(FORGET)
        .and_then(|mut s| s.execute([millis(before), CHUNK]))
        .map_err(sql)?;
    Ok(removed as i64 == CHUNK)
}

pub(super) const FORGET: &str =
    "DELETE FROM request WHERE id IN (SELECT id FROM request WHERE at < ?1 LIMIT ?2)";
