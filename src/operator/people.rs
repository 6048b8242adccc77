//! Who is there: people and groups by their names, by what they wait for, or those who changed last.

use jiff::Timestamp;
use scim_relay_sdk::scim::{Attributes, ResourceId, ResourceKind, user_name};
use serde::Serialize;
use serde_json::Value;

use super::{Operator, OperatorError, Reach, Result};
use crate::store::{Found, Hit, Place, Search, State, Typed};

/// People and groups on a page.
pub const PEOPLE: usize = 50;

/// Whom somebody looks for.
#[derive(Clone, Debug, Default)]
pub struct PeopleQuery {
    /// Beginnings of words; without a letter: whoever changed last.
    pub typed: String,
    pub kind: Option<ResourceKind>,
    pub organization: Option<String>,
    pub place: Option<Place>,
    /// From 0.
    pub page: usize,
    /// On a page.
    pub limit: usize,
}

/// A page of them.
#[derive(Clone, Debug, Serialize)]
pub struct PeoplePage {
    pub people: Vec<PersonLine>,
    /// Of all pages; there may be more than are told.
    pub total: usize,
    pub more: bool,
}

/// One person or group.
#[derive(Clone, Debug, Serialize)]
pub struct PersonLine {
    pub organization: String,
    pub organization_name: String,
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// As people say it.
    pub name: String,
    /// Of a person, where that is not their name.
    pub user_name: Option<String>,
    pub active: Option<bool>,
    pub deleted: Option<Timestamp>,
    pub modified: Timestamp,
    /// Where it is not in line, the most pressing first.
    pub waits: Vec<WaitsAt>,
}

/// A connector that has something to do.
#[derive(Clone, Debug, Serialize)]
pub struct WaitsAt {
    pub connector: String,
    pub state: State,
}

impl Operator {
    /// Those of whom this is true, as far as somebody sees them.
    pub async fn people(&self, reach: &Reach, query: &PeopleQuery) -> Result<PeoplePage> {
        let search = Search {
            typed: Typed::parse(&query.typed),
            kind: query.kind,
            organizations: self.within(reach, query.organization.as_deref())?,
            place: query.place,
            group: None,
        };
        self.page_of(search, query).await
    }

    /// Members of a group that lives, of whom this is true.
    pub async fn members(
        &self,
        organization: &str,
        group: ResourceId,
        query: &PeopleQuery,
    ) -> Result<PeoplePage> {
        let of = self.organization(organization)?;
        let kind = ResourceKind::Group;
        let group = self.store.get(of, kind, group).await?.ok_or_else(|| {
            OperatorError::NotFound(format!("{organization} has no group `{group}`"))
        })?;
        let search = Search {
            typed: Typed::parse(&query.typed),
            kind: query.kind,
            organizations: Some(vec![of]),
            place: query.place,
            group: Some(group.row),
        };
        self.page_of(search, query).await
    }

    async fn page_of(&self, search: Search, query: &PeopleQuery) -> Result<PeoplePage> {
        let offset = query.page.saturating_mul(query.limit);
        let Found { total, more, hits } = self.store.find(search, offset, query.limit).await?;
        let names: Vec<(String, String)> = self.organizations();
        let line = |hit: Hit| {
            // Of an organization that is in no configuration any more, nobody is shown.
            let (_, name) = names.iter().find(|(key, _)| *key == hit.organization)?;
            Some(PersonLine::of(hit, name))
        };
        Ok(PeoplePage { people: hits.into_iter().filter_map(line).collect(), total, more })
    }

    /// How many people and groups there are, as far as somebody sees them.
    pub async fn population(
        &self,
        reach: &Reach,
        organization: Option<&str>,
    ) -> Result<(u64, u64)> {
        let organizations = match self.within(reach, organization)? {
            Some(some) => some,
            None => self.runtime.load().organizations.values().copied().collect(),
        };
        let (mut users, mut groups) = (0, 0);
        for organization in organizations {
            let (more_users, more_groups) = self.store.population(organization).await?;
            (users, groups) = (users + more_users, groups + more_groups);
        }
        Ok((users, groups))
    }
}

impl PersonLine {
    fn of(hit: Hit, organization_name: &str) -> Self {
        let Hit { organization, stored, deleted, waits } = hit;
        let attributes: Attributes = serde_json::from_str(&stored.body).unwrap_or_default();
        let name = called(&attributes);
        let mut waits: Vec<WaitsAt> =
            waits.into_iter().map(|(connector, state)| WaitsAt { connector, state }).collect();
        waits.sort_by_key(|one| pressing(one.state));
        Self {
            organization,
            organization_name: organization_name.to_owned(),
            kind: stored.kind,
            id: stored.id,
            user_name: user_name(&attributes).filter(|own| *own != name).map(str::to_owned),
            name,
            active: attributes.get("active").and_then(Value::as_bool),
            deleted,
            modified: stored.modified,
            waits,
        }
    }
}

/// What waits for a person comes first, what lies ahead last.
fn pressing(state: State) -> u8 {
    match state {
        State::Held => 0,
        State::Parked => 1,
        State::Retrying => 2,
        State::Waiting => 3,
        State::Pending => 4,
        State::Scheduled => 5,
    }
}

/// What people call somebody, or a group.
pub(super) fn called(attributes: &Attributes) -> String {
    fn text(value: Option<&Value>) -> Option<&str> {
        value.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }
    let name = |part: &str| text(attributes.get("name").and_then(|name| name.get(part)));
    let whole = text(attributes.get("displayName")).or_else(|| name("formatted"));
    if let Some(whole) = whole {
        return whole.to_owned();
    }
    let parts: Vec<&str> = [name("givenName"), name("familyName")].into_iter().flatten().collect();
    if parts.is_empty() {
        user_name(attributes).unwrap_or_default().to_owned()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn somebody_is_called_as_people_say() {
        for (attributes, expected) in [
            (json!({ "userName": "kn", "displayName": "Kari Nordli" }), "Kari Nordli"),
            (
                json!({ "userName": "kn", "displayName": " ", "name": { "formatted": "Kari N." } }),
                "Kari N.",
            ),
            (
                json!({ "userName": "kn", "name": { "givenName": "Kari", "familyName": "Nordli" } }),
                "Kari Nordli",
            ),
            (json!({ "userName": "kn", "name": { "familyName": "Nordli" } }), "Nordli"),
            (json!({ "userName": "kn" }), "kn"),
            (json!({}), ""),
        ] {
            let Value::Object(attributes) = attributes else { panic!("an object") };
            assert_eq!(called(&attributes), expected);
        }
    }
}
