//! What the indexes are good for: a filter that names the one value that a match must have, and an
//! order by name.

use rusqlite::{Connection, params};
use scim_relay_sdk::scim::{self, Filter, ResourceId, ResourceKind, SortBy};

use super::{kind_number, sql};
use crate::store::{OrgId, Result};

/// A value that every match must have, in a column that has an index.
#[derive(Debug)]
pub(super) enum Index {
    Id(ResourceId),
    UserName(String),
    ExternalId(String),
    GroupName(String),
    Member(ResourceId),
    Group(ResourceId),
    /// It can match nothing: an id that is not one of ours.
    Nothing,
}

impl Index {
    pub(super) fn of(filter: &Filter, kind: ResourceKind) -> Option<Self> {
        filter.required_equals().into_iter().find_map(|(path, value)| {
            let text = value.as_str()?;
            let id = || ResourceId::parse(text);
            // The schema has this one without regard to case (RFC 7643 section 8.7.1).
            let group = || ResourceId::parse(&scim::fold(text));
            match (path.as_str(), kind) {
                ("id", _) => Some(id().map_or(Self::Nothing, Self::Id)),
                ("username", ResourceKind::User) => Some(Self::UserName(scim::fold(text))),
                ("externalid", _) => Some(Self::ExternalId(text.to_owned())),
                ("displayname", ResourceKind::Group) => Some(Self::GroupName(scim::fold(text))),
                ("members.value", ResourceKind::Group) => {
                    Some(id().map_or(Self::Nothing, Self::Member))
                }
                ("groups.value", ResourceKind::User) => {
                    Some(group().map_or(Self::Nothing, Self::Group))
                }
                _ => None,
            }
        })
    }

    /// Whether it finds one at most: several may have the same external id or the same name.
    pub(super) fn is_unique(&self) -> bool {
        matches!(self, Self::Id(_) | Self::UserName(_) | Self::Nothing)
    }

    /// The rows that have it.
    pub(super) fn look_up(
        &self,
        c: &Connection,
        organization: OrgId,
        kind: ResourceKind,
    ) -> Result<Vec<i64>> {
        let (query, value): (String, &dyn rusqlite::ToSql) = match self {
            Self::Nothing => return Ok(Vec::new()),
            Self::Id(id) => (look_up_query(BY_ID), &id.0.as_bytes().to_vec()),
            Self::UserName(name) => (look_up_query(BY_USER_NAME), name),
            Self::ExternalId(id) => (look_up_query(BY_EXTERNAL_ID), id),
            Self::GroupName(name) => (look_up_query(BY_DISPLAY_NAME), name),
            Self::Member(id) => (ABOVE.to_owned(), &id.0.as_bytes().to_vec()),
            Self::Group(id) => (BELOW.to_owned(), &id.0.as_bytes().to_vec()),
        };
        c.prepare_cached(&query)
            .and_then(|mut s| {
                s.query_map(params![organization.0, kind_number(kind), value], |row| row.get(0))?
                    .collect()
            })
            .map_err(sql)
    }
}

/// Where to look, since a planner without statistics may well read everybody, in order.
pub(super) const BY_ID: [&str; 2] = ["resource_public_id", "public_id = ?3"];
pub(super) const BY_USER_NAME: [&str; 2] = ["resource_user_name", "user_name = ?3"];
pub(super) const BY_EXTERNAL_ID: [&str; 2] = ["resource_external_id", "external_id = ?3"];
pub(super) const BY_DISPLAY_NAME: [&str; 2] = ["resource_display_name", "display_name = ?3"];

pub(super) fn look_up_query([index, condition]: [&str; 2]) -> String {
    format!(
        "SELECT id FROM resource INDEXED BY {index}
         WHERE organization = ?1 AND kind = ?2 AND {condition} AND deleted IS NULL"
    )
}

/// The groups that name somebody.
pub(super) const ABOVE: &str = "
    SELECT g.id FROM resource r CROSS JOIN member m ON m.member_id = r.id
                                CROSS JOIN resource g ON g.id = m.group_id
    WHERE r.organization = ?1 AND r.kind IN (0, 1) AND r.public_id = ?3
          AND g.kind = ?2 AND g.deleted IS NULL";

/// Whom a group names, itself or through groups in it.
pub(super) const BELOW: &str = "
    WITH RECURSIVE below (id) AS (
        SELECT id FROM resource WHERE organization = ?1 AND kind = 1 AND public_id = ?3
        UNION SELECT m.member_id FROM below CROSS JOIN member m ON m.group_id = below.id)
    SELECT r.id FROM below CROSS JOIN resource r ON r.id = below.id
    WHERE r.kind = ?2 AND r.deleted IS NULL";

/// An order that an index has.
#[derive(Debug)]
pub(super) struct Name {
    kind: ResourceKind,
    descending: bool,
}

impl Name {
    pub(super) fn of(sort: &SortBy, kind: ResourceKind) -> Option<Self> {
        let (path, descending) = (sort.path(), sort.is_descending());
        let plain = path.schema.is_none() && path.sub.is_none();
        match (path.attribute.as_str(), kind) {
            ("userName", ResourceKind::User) if plain => Some(Self { kind, descending }),
            // Groups may have one name, and backwards the index has those the wrong way round.
            ("displayName", ResourceKind::Group) if plain && !descending => {
                Some(Self { kind, descending })
            }
            _ => None,
        }
    }

    pub(super) fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// The rows of a page in the order of the name, and the name; `after` one that was seen, or
    /// from the first.
    pub(super) fn query(&self, after: bool) -> String {
        let (index, column) = match self.kind {
            ResourceKind::User => ("resource_user_name", "user_name"),
            ResourceKind::Group => ("resource_display_name", "display_name"),
        };
        let (order, beyond) = if self.descending { ("DESC", "<") } else { ("ASC, id", ">") };
        let after = if after {
            format!("AND {column} {beyond}= ?4 AND ({column} {beyond} ?4 OR id > ?5)")
        } else {
            String::new()
        };
        format!(
            "SELECT id, {column} FROM resource INDEXED BY {index}
             WHERE organization = ?1 AND deleted IS NULL AND {column} IS NOT NULL {after}
             ORDER BY {column} {order} LIMIT ?2 OFFSET ?3"
        )
    }
}
