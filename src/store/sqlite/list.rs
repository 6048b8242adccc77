//! Lists and look-ups: by an index where the filter names one value of it, else by reading on.

use rusqlite::{Connection, params};
use scim_relay_sdk::scim::{self, Attributes, Filter, ResourceId, ResourceKind, Schemas};
use serde_json::json;

use super::{kind_number, members, registry, rows, sql};
use crate::store::{ListRequest, OrgId, Page, Result, Stored};

/// How far into an unfiltered list a page may begin and still be read where it is asked for.
const NEAR: usize = 5_000;

/// Whether answering takes microseconds rather than a scan.
pub(super) fn is_quick(request: &ListRequest) -> bool {
    match &request.filter {
        None => request.offset < NEAR && request.count <= 200,
        Some(filter) => Index::of(filter, request.kind).is_some_and(|index| index.is_unique()),
    }
}

pub(super) fn list(
    c: &Connection,
    organization: OrgId,
    schemas: &Schemas,
    request: &ListRequest,
) -> Result<Page> {
    let Some(filter) = &request.filter else { return page(c, organization, request) };
    let needs = Needs::of(filter);
    let mut page = Page::default();
    let mut keep = |stored: Stored| -> Result<()> {
        let attributes = needs.complete(c, organization, &stored)?;
        if filter.matches(&attributes, schemas.of(request.kind)) {
            if page.total >= request.offset && page.resources.len() < request.count {
                page.resources.push(stored);
            }
            page.total += 1;
        }
        Ok(())
    };
    if let Some(index) = Index::of(filter, request.kind) {
        for stored in index.look_up(c, organization, request.kind)? {
            keep(stored)?;
        }
        return Ok(page);
    }
    let mut statement = c
        .prepare_cached(&format!(
            "SELECT {} FROM resource
             WHERE organization = ?1 AND kind = ?2 AND deleted IS NULL ORDER BY id",
            rows::COLUMNS
        ))
        .map_err(sql)?;
    let everybody = statement
        .query_map([organization.0, kind_number(request.kind)], rows::stored)
        .map_err(sql)?;
    for stored in everybody {
        keep(stored.map_err(sql)?)?;
    }
    Ok(page)
}

/// A page of everybody, in the order in which they were made.
fn page(c: &Connection, organization: OrgId, request: &ListRequest) -> Result<Page> {
    let (users, groups) = registry::population(c, organization)?;
    let total = match request.kind {
        ResourceKind::User => users,
        ResourceKind::Group => groups,
    };
    let total = usize::try_from(total).unwrap_or(usize::MAX);
    if request.count == 0 || request.offset >= total {
        return Ok(Page { total, resources: Vec::new() });
    }
    let resources = c
        .prepare_cached(&page_query())
        .and_then(|mut s| {
            s.query_map(
                params![organization.0, kind_number(request.kind), request.count, request.offset],
                rows::stored,
            )?
            .collect()
        })
        .map_err(sql)?;
    Ok(Page { total, resources })
}

pub(super) fn page_query() -> String {
    format!(
        "SELECT {} FROM resource INDEXED BY resource_living
         WHERE organization = ?1 AND kind = ?2 AND deleted IS NULL
         ORDER BY id LIMIT ?3 OFFSET ?4",
        rows::COLUMNS
    )
}

/// A value that every match must have, in a column that has an index.
enum Index {
    Id(ResourceId),
    UserName(String),
    ExternalId(String),
    GroupName(String),
    Member(ResourceId),
    /// It can match nothing: an id that is not one of ours.
    Nothing,
}

impl Index {
    fn of(filter: &Filter, kind: ResourceKind) -> Option<Self> {
        filter.required_equals().into_iter().find_map(|(path, value)| {
            let text = value.as_str()?;
            let id = || ResourceId::parse(text);
            match (path.as_str(), kind) {
                ("id", _) => Some(id().map_or(Self::Nothing, Self::Id)),
                ("username", ResourceKind::User) => Some(Self::UserName(scim::fold(text))),
                ("externalid", _) => Some(Self::ExternalId(text.to_owned())),
                ("displayname", ResourceKind::Group) => Some(Self::GroupName(scim::fold(text))),
                ("members.value" | "members", ResourceKind::Group) => {
                    Some(id().map_or(Self::Nothing, Self::Member))
                }
                _ => None,
            }
        })
    }

    fn is_unique(&self) -> bool {
        !matches!(self, Self::Member(_))
    }

    fn look_up(
        &self,
        c: &Connection,
        organization: OrgId,
        kind: ResourceKind,
    ) -> Result<Vec<Stored>> {
        let number = kind_number(kind);
        let (query, value): (String, &dyn rusqlite::ToSql) = match self {
            Self::Nothing => return Ok(Vec::new()),
            Self::Id(id) => {
                return Ok(rows::living(c, organization, kind, *id)?.into_iter().collect());
            }
            Self::UserName(name) => (look_up_query(BY_USER_NAME), name),
            Self::ExternalId(id) => (look_up_query(BY_EXTERNAL_ID), id),
            Self::GroupName(name) => (look_up_query(BY_DISPLAY_NAME), name),
            Self::Member(id) => (member_query(), &id.0.as_bytes().to_vec()),
        };
        c.prepare_cached(&query)
            .and_then(|mut s| {
                s.query_map(params![organization.0, number, value], rows::stored)?.collect()
            })
            .map_err(sql)
    }
}

/// Where to look, since a planner without statistics may well read everybody, in order.
pub(super) const BY_USER_NAME: [&str; 2] = ["resource_user_name", "user_name = ?3"];
pub(super) const BY_EXTERNAL_ID: [&str; 2] = ["resource_external_id", "external_id = ?3"];
pub(super) const BY_DISPLAY_NAME: [&str; 2] = ["resource_display_name", "display_name = ?3"];

pub(super) fn look_up_query([index, condition]: [&str; 2]) -> String {
    format!(
        "SELECT {} FROM resource INDEXED BY {index}
         WHERE organization = ?1 AND kind = ?2 AND {condition} AND deleted IS NULL ORDER BY id",
        rows::COLUMNS
    )
}

pub(super) fn member_query() -> String {
    format!(
        "SELECT {} FROM resource
         WHERE organization = ?1 AND kind = ?2 AND deleted IS NULL
               AND id IN (SELECT m.group_id FROM resource r CROSS JOIN member m ON m.member_id = r.id
                          WHERE r.organization = ?1 AND r.kind IN (0, 1) AND r.public_id = ?3)
         ORDER BY id",
        rows::COLUMNS
    )
}

/// What a filter reads that is not in the stored JSON.
struct Needs {
    members: bool,
    groups: bool,
}

impl Needs {
    fn of(filter: &Filter) -> Self {
        let reads = |name: &str| {
            filter.attributes().iter().any(|path| path.attribute.eq_ignore_ascii_case(name))
        };
        Self { members: reads("members"), groups: reads("groups") }
    }

    fn complete(&self, c: &Connection, organization: OrgId, stored: &Stored) -> Result<Attributes> {
        let mut attributes = rows::with_meta(stored)?;
        if self.members && stored.kind == ResourceKind::Group {
            let mut members = Vec::new();
            members::of_group(c, organization, stored.row, &mut |one| members.push(json!(one)))?;
            attributes.insert("members".to_owned(), members.into());
        }
        if self.groups && stored.kind == ResourceKind::User {
            let groups = members::Ancestry::new(c, organization).of(stored.row)?;
            attributes.insert("groups".to_owned(), json!(groups));
        }
        Ok(attributes)
    }
}
