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
        filter
            .as_ref()
            .is_none_or(|filter| filter.matches(&resource.whole(), schemas.of(resource.key.kind)))
    }

    /// Whether it depends on the groups a user is in.
    pub fn reads_groups(&self) -> bool {
        let reads = |filter: &Filter| {
            filter.attributes().iter().any(|path| path.attribute.eq_ignore_ascii_case("groups"))
        };
        self.users.as_ref().is_some_and(reads)
    }
}
