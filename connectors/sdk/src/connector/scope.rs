//! Which resources a connector is for.

use super::Resource;
use crate::scim::{Filter, ResourceKind};

/// The `[scope]` of a connector file: SCIM filters; a kind without one is in scope whole.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub users: Option<Filter>,
    pub groups: Option<Filter>,
}

impl Scope {
    pub fn contains(&self, resource: &Resource) -> bool {
        let filter = match resource.key.kind {
            ResourceKind::User => &self.users,
            ResourceKind::Group => &self.groups,
        };
        let schemas = &resource.organization.schemas;
        filter.as_ref().is_none_or(|filter| {
            filter.matches(&resource.attributes, schemas.of(resource.key.kind))
        })
    }
}
