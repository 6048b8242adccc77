//! Writes of the provider: the resource, its memberships, its change row and its queue rows, all
//! in one transaction.

use rusqlite::{Connection, Row, params};
use scim_relay_sdk::connector::{MemberRef, Verb};
use scim_relay_sdk::scim::{MemberOp, MemberValue, ResourceId, ResourceKind};

use super::registry::Subscribers;
use super::turnout::{self, Moved, Refusal};
use super::writer::Done;
use super::{is_taken, kind_number, members, millis, passwords, queue, rows, sql, time};
use crate::store::{
    Content, Deletion, LogRow, OrgId, Origin, Result, RowId, Stored, Update, Written,
};

#[expect(clippy::too_many_arguments, reason = "the parts of one write, each of another kind")]
pub(super) fn create(
    c: &Connection,
    subscribers: &Subscribers,
    organization: OrgId,
    kind: ResourceKind,
    id: ResourceId,
    content: &Content,
    members: Vec<String>,
    origin: Origin,
) -> Result<Done<Written>> {
    let now = millis(origin.now);
    let lookups = &content.lookups;
    let inserted = c
        .prepare_cached(
            "INSERT INTO resource (organization, kind, public_id, version, body, created, modified,
                                   user_name, display_name, external_id, label, sum)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?5, ?6, ?7, ?8, ?4 ->> '$.displayName', ?9)",
        )
        .map_err(sql)?
        .execute(params![
            organization.0,
            kind_number(kind),
            id.0.as_bytes(),
            content.body,
            now,
            lookups.user_name,
            lookups.display_name,
            lookups.external_id,
            rows::sum(&content.body),
        ]);
    match inserted {
        Err(error) if is_taken(&error) => return Ok(Done::quiet(Written::UserNameTaken)),
        other => other.map_err(sql)?,
    };
    let row = c.last_insert_rowid();
    population(c, organization, kind, 1)?;
    let moved = if members.is_empty() {
        Moved::default()
    } else {
        let values = members.into_iter().map(|value| MemberValue { value, kind: None }).collect();
        match turnout::apply(c, organization, row, &[MemberOp::Add(values)])? {
            Ok(moved) => moved,
            Err(refusal) => return Ok(Done::undone(refused(refusal))),
        }
    };
    let written = Logged {
        organization,
        row,
        verb: Verb::Created,
        body: &content.body,
        attributes: &content.changed,
        moved: &moved,
        origin,
    };
    let seq = record(c, subscribers, &written)?;
    if let Some(password) = &content.password {
        passwords::keep(c, subscribers.of(organization), organization, row, seq, password)?;
    }
    let readers = subscribers.reading_groups(organization);
    queue::mark_people(c, &readers, moved.rows(), origin.now)?;
    Ok(Done::ringing(Written::Done {
        stored: Stored {
            row: RowId(row),
            id,
            kind,
            version: 1,
            created: time(now),
            modified: time(now),
            body: content.body.clone(),
        },
        changed: true,
    }))
}

fn refused(refusal: Refusal) -> Written {
    match refusal {
        Refusal::Unknown(value) => Written::UnknownMember(value),
        Refusal::Itself => Written::MemberOfItself,
    }
}

pub(super) fn update(
    c: &Connection,
    subscribers: &Subscribers,
    organization: OrgId,
    update: Update,
    origin: Origin,
) -> Result<Done<Written>> {
    let Some(mut stored) = rows::living(c, organization, update.kind, update.id)? else {
        return Ok(Done::quiet(Written::NotFound));
    };
    if update.expected.is_some_and(|expected| expected != stored.version) {
        return Ok(Done::quiet(Written::Conflict(stored.version)));
    }
    let moved = match turnout::apply(c, organization, stored.row.0, &update.members)? {
        Ok(moved) => moved,
        Err(refusal) => return Ok(Done::undone(refused(refusal))),
    };
    let is_new = |content: &Content| content.body != stored.body || content.password.is_some();
    let content = update.content.filter(is_new);
    if content.is_none() && moved.is_empty() {
        return Ok(Done::quiet(Written::Done { stored, changed: false }));
    }
    stored.version += 1;
    let now = millis(origin.now);
    stored.modified = time(now);
    let (mut attributes, mut password) = (Vec::new(), None);
    if let Some(content) = content {
        let lookups = &content.lookups;
        let written = c
            .prepare_cached(
                "UPDATE resource SET version = ?2, modified = ?3, body = ?4, user_name = ?5,
                        display_name = ?6, external_id = ?7, label = ?4 ->> '$.displayName', sum = ?8
                 WHERE id = ?1",
            )
            .map_err(sql)?
            .execute(params![
                stored.row.0,
                stored.version,
                now,
                content.body,
                lookups.user_name,
                lookups.display_name,
                lookups.external_id,
                rows::sum(&content.body),
            ]);
        match written {
            Err(error) if is_taken(&error) => return Ok(Done::undone(Written::UserNameTaken)),
            other => other.map_err(sql)?,
        };
        stored.body = content.body;
        (attributes, password) = (content.changed, content.password);
    } else {
        touch(c, stored.row.0, stored.version, now)?;
    }
    let written = Logged {
        organization,
        row: stored.row.0,
        verb: Verb::Updated,
        body: &stored.body,
        attributes: &attributes,
        moved: &moved,
        origin,
    };
    let seq = record(c, subscribers, &written)?;
    if let Some(password) = password {
        let row = stored.row.0;
        passwords::keep(c, subscribers.of(organization), organization, row, seq, &password)?;
    }
    let readers = subscribers.reading_groups(organization);
    let renamed =
        update.kind == ResourceKind::Group && attributes.iter().any(|name| name == "displayName");
    let itself = renamed.then_some(&stored.row.0);
    queue::mark_people(c, &readers, moved.rows().chain(itself), origin.now)?;
    Ok(Done::ringing(Written::Done { stored, changed: true }))
}

pub(super) fn delete(
    c: &Connection,
    subscribers: &Subscribers,
    organization: OrgId,
    kind: ResourceKind,
    id: ResourceId,
    expected: Option<i64>,
    origin: Origin,
) -> Result<Done<Deletion>> {
    let Some(stored) = rows::living(c, organization, kind, id)? else {
        return Ok(Done::quiet(Deletion::NotFound));
    };
    if expected.is_some_and(|expected| expected != stored.version) {
        return Ok(Done::quiet(Deletion::Conflict(stored.version)));
    }
    let row = stored.row.0;
    if kind == ResourceKind::Group {
        // While it is still known who is in it.
        let readers = subscribers.reading_groups(organization);
        queue::mark_people(c, &readers, [&row], origin.now)?;
        c.prepare_cached("DELETE FROM member WHERE group_id = ?1")
            .and_then(|mut s| s.execute([row]))
            .map_err(sql)?;
    }
    leave_all_groups(c, subscribers, organization, row, origin)?;
    c.prepare_cached("UPDATE resource SET deleted = ?2, version = version + 1 WHERE id = ?1")
        .and_then(|mut s| s.execute([row, millis(origin.now)]))
        .map_err(sql)?;
    population(c, organization, kind, -1)?;
    passwords::forget(c, row)?;
    let written = Logged {
        organization,
        row,
        verb: Verb::Deleted,
        body: &stored.body,
        attributes: &[],
        moved: &Moved::default(),
        origin,
    };
    record(c, subscribers, &written)?;
    Ok(Done::ringing(Deletion::Done))
}

/// One change and one version for each group that the resource leaves by being deleted.
fn leave_all_groups(
    c: &Connection,
    subscribers: &Subscribers,
    organization: OrgId,
    row: i64,
    origin: Origin,
) -> Result<()> {
    let groups: Vec<(i64, i64, String)> = c
        .prepare_cached(
            "SELECT r.id, r.version, r.body FROM member m JOIN resource r ON r.id = m.group_id
             WHERE m.member_id = ?1 ORDER BY r.id",
        )
        .and_then(|mut s| {
            s.query_map([row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .map_err(sql)?;
    if groups.is_empty() {
        return Ok(());
    }
    let reference: MemberRef = members::reference(c, row)?;
    c.prepare_cached("DELETE FROM member WHERE member_id = ?1")
        .and_then(|mut s| s.execute([row]))
        .map_err(sql)?;
    for (group, version, body) in groups {
        touch(c, group, version + 1, millis(origin.now))?;
        let moved =
            Moved { left: vec![reference.clone()], left_rows: vec![row], ..Moved::default() };
        let written = Logged {
            organization,
            row: group,
            verb: Verb::Updated,
            body: &body,
            attributes: &[],
            moved: &moved,
            origin,
        };
        record(c, subscribers, &written)?;
    }
    Ok(())
}

fn touch(c: &Connection, row: i64, version: i64, now: i64) -> Result<()> {
    c.prepare_cached("UPDATE resource SET version = ?2, modified = ?3 WHERE id = ?1")
        .and_then(|mut s| s.execute([row, version, now]))
        .map_err(sql)?;
    Ok(())
}

fn population(c: &Connection, organization: OrgId, kind: ResourceKind, by: i64) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO population (organization, kind, living) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET living = living + excluded.living",
    )
    .and_then(|mut s| s.execute([organization.0, kind_number(kind), by]))
    .map_err(sql)?;
    Ok(())
}

/// A change, for the log and the queue.
struct Logged<'a> {
    organization: OrgId,
    row: i64,
    verb: Verb,
    body: &'a str,
    attributes: &'a [String],
    moved: &'a Moved,
    origin: Origin,
}

/// Writes it down; its number in the log.
fn record(c: &Connection, subscribers: &Subscribers, written: &Logged<'_>) -> Result<i64> {
    let list = |members: &[MemberRef]| {
        (!members.is_empty()).then(|| serde_json::to_string(members).expect("names are JSON"))
    };
    c.prepare_cached(
        "INSERT INTO change (organization, resource, verb, at, body, attributes, joined, departed, token, sum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .map_err(sql)?
    .execute(params![
        written.organization.0,
        written.row,
        verb_number(written.verb),
        millis(written.origin.now),
        written.body,
        serde_json::to_string(written.attributes).expect("names are JSON"),
        list(&written.moved.joined),
        list(&written.moved.left),
        written.origin.token.map(|token| token.0),
        rows::sum(written.body),
    ])
    .map_err(sql)?;
    let seq = c.last_insert_rowid();
    let now = written.origin.now;
    queue::mark_change(
        c,
        subscribers.of(written.organization),
        written.row,
        written.organization,
        seq,
        now,
    )?;
    note_leavers(c, subscribers, written)?;
    Ok(seq)
}

/// Where those who leave a group are now: their entries may move before the group is delivered, and
/// nobody must stay in it under an address that someone else may inherit.
fn note_leavers(c: &Connection, subscribers: &Subscribers, written: &Logged<'_>) -> Result<()> {
    for subscriber in subscribers.of(written.organization).iter().filter(|one| one.members) {
        for row in &written.moved.left_rows {
            c.prepare_cached(
                "INSERT INTO member_mark (connector, group_id, member_id, target_id, address)
                 SELECT connector, ?3, resource, target_id, address FROM link
                 WHERE connector = ?1 AND resource = ?2",
            )
            .and_then(|mut s| s.execute([subscriber.connector.0, *row, written.row]))
            .map_err(sql)?;
        }
    }
    Ok(())
}

pub(super) fn verb_number(verb: Verb) -> i64 {
    match verb {
        Verb::Created => 0,
        Verb::Updated => 1,
        Verb::Deleted => 2,
    }
}

pub(super) fn verb_of(number: i64) -> Verb {
    match number {
        0 => Verb::Created,
        1 => Verb::Updated,
        _ => Verb::Deleted,
    }
}

/// The newest changes first.
pub(super) fn log(
    c: &Connection,
    organization: OrgId,
    resource: RowId,
    limit: usize,
) -> Result<Vec<LogRow>> {
    c.prepare_cached(&format!(
        "{LOG} WHERE c.resource = ?1 AND c.organization = ?2 ORDER BY c.seq DESC LIMIT ?3"
    ))
    .and_then(|mut s| s.query_map(params![resource.0, organization.0, limit], log_row)?.collect())
    .map_err(sql)
}

/// The changes of a resource from one on, the oldest first.
pub(super) fn log_from(
    c: &Connection,
    resource: i64,
    seq: i64,
    limit: usize,
) -> Result<Vec<LogRow>> {
    c.prepare_cached(&format!(
        "{LOG} WHERE c.resource = ?1 AND c.seq >= ?2 ORDER BY c.seq LIMIT ?3"
    ))
    .and_then(|mut s| s.query_map(params![resource, seq, limit], log_row)?.collect())
    .map_err(sql)
}

const LOG: &str = "
    SELECT c.seq, c.verb, c.at, c.attributes, iif(octet_length(c.joined) > 65536, NULL, c.joined),
           iif(octet_length(c.departed) > 65536, NULL, c.departed), t.name, c.body, c.sum,
           max(octet_length(coalesce(c.joined, '')), octet_length(coalesce(c.departed, ''))) > 65536
    FROM change c LEFT JOIN token t ON t.id = c.token";

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        seq: row.get(0)?,
        verb: verb_of(row.get(1)?),
        at: time(row.get(2)?),
        attributes: names(&row.get::<_, String>(3)?),
        joined: references(row.get(4)?),
        left: references(row.get(5)?),
        crowd: row.get(9)?,
        token: row.get(6)?,
        body: rows::whole(row, 7)?,
    })
}

/// The names in a JSON array of the log.
pub(super) fn names(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

/// The members in a JSON array of the log.
pub(super) fn references(json: Option<String>) -> Vec<MemberRef> {
    json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}
