//! Reading resources out of their rows.

use rusqlite::ffi::{self, SQLITE_CORRUPT};
use rusqlite::{Connection, OptionalExtension, Row, params};
use scim_relay_sdk::scim::{Attributes, ResourceId, ResourceKind};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{kind_number, kind_of, sql, time};
use crate::store::{OrgId, Result, RowId, StoreError, Stored};

/// The columns of [`stored`], in order.
pub(super) const COLUMNS: &str = "id, public_id, kind, version, created, modified, body, sum";
/// How many those are.
pub(super) const WIDTH: usize = 8;

pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        row: RowId(row.get(0)?),
        id: public_id(row.get(1)?),
        kind: kind_of(row.get(2)?),
        version: row.get(3)?,
        created: time(row.get(4)?),
        modified: time(row.get(5)?),
        body: whole(row, 6)?,
    })
}

/// What is kept beside a body.
pub(super) fn sum(body: &str) -> u32 {
    crc32fast::hash(body.as_bytes())
}

/// The body in this column, if it is as its sum in the next one says. Others are damaged.
pub(super) fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let body: String = row.get(column)?;
    let kept: Option<u32> = row.get(column + 1)?;
    if kept.is_none_or(|kept| kept == sum(&body)) {
        return Ok(body);
    }
    let said = "a body is not what was written".to_owned();
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(SQLITE_CORRUPT), Some(said)))
}

pub(super) fn public_id(bytes: [u8; 16]) -> ResourceId {
    ResourceId(Uuid::from_bytes(bytes))
}

/// A resource of this organization that is not deleted.
pub(super) fn living(
    c: &Connection,
    organization: OrgId,
    kind: ResourceKind,
    id: ResourceId,
) -> Result<Option<Stored>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM resource
         WHERE organization = ?1 AND kind = ?2 AND public_id = ?3 AND deleted IS NULL"
    ))
    .and_then(|mut statement| {
        statement
            .query_row(params![organization.0, kind_number(kind), id.0.as_bytes()], stored)
            .optional()
    })
    .map_err(sql)
}

/// The body as attributes.
pub(super) fn attributes(body: &str) -> Result<Attributes> {
    match serde_json::from_str(body) {
        Ok(Value::Object(attributes)) => Ok(attributes),
        _ => Err(StoreError::Broken("a stored resource is not a JSON object".to_owned())),
    }
}

/// Attributes with `meta`, as filters, templates and connectors read them.
pub(super) fn with_meta(stored: &Stored) -> Result<Attributes> {
    let mut attributes = attributes(&stored.body)?;
    attributes.insert("meta".to_owned(), meta(stored));
    Ok(attributes)
}

pub(super) fn meta(stored: &Stored) -> Value {
    json!({
        "resourceType": stored.kind.name(),
        "created": stored.created.to_string(),
        "lastModified": stored.modified.to_string(),
        "version": format!("W/\"{}\"", stored.version),
    })
}

/// The names in a body, without a tree of all the rest.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Names {
    pub(super) display_name: Option<String>,
    pub(super) user_name: Option<String>,
    pub(super) external_id: Option<String>,
}

impl Names {
    pub(super) fn of(body: &str) -> Result<Self> {
        serde_json::from_str(body)
            .map_err(|_| StoreError::Broken("a stored resource is not a JSON object".to_owned()))
    }
}

/// What people call a resource: its userName, or a group's displayName.
pub(super) fn name(body: &str) -> Option<String> {
    let names = Names::of(body).ok()?;
    names.user_name.or(names.display_name)
}
