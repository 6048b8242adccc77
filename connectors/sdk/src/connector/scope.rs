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
    fn of(&self, kind: ResourceKind) -> Option<&Filter> {
        match kind {
            ResourceKind::User => self.users.as_ref(),
            ResourceKind::Group => self.groups.as_ref(),
        }
    }

    pub fn contains(&self, resource: &Resource) -> bool {
        let kind = resource.key.kind;
        let schemas = &resource.organization.schemas;
        self.of(kind).is_none_or(|filter| filter.matches(&resource.whole(), schemas.of(kind)))
    }

    /// Why a resource is not in it, in words; `None` where it is.
    pub fn explain(&self, resource: &Resource) -> Option<String> {
        let kind = resource.key.kind;
        let schemas = &resource.organization.schemas;
        self.of(kind)?.explain(&resource.whole(), schemas.of(kind))
    }

    /// Whether it depends on the groups a user is in.
    pub fn reads_groups(&self) -> bool {
        let reads = |filter: &Filter| {
            filter.attributes().iter().any(|path| path.attribute.eq_ignore_ascii_case("groups"))
        };
        self.users.as_ref().is_some_and(reads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ada;

    #[test]
    fn a_scope_sees_the_groups_a_user_is_in() {
        let mut elsewhere = ada();
        elsewhere.groups.clear();
        for (filter, reads, contains) in [
            ("groups.display eq \"Choir\"", true, [true, false]),
            ("not (Groups[display eq \"choir\" and type eq \"direct\"])", true, [false, true]),
            ("groups.type eq \"indirect\"", true, [false, false]),
            ("userType eq \"student\"", false, [true, true]),
        ] {
            let users = Some(Filter::parse(filter).expect("it parses"));
            let scope = Scope { users, groups: None };
            assert_eq!(scope.reads_groups(), reads, "{filter}");
            assert_eq!(
                [ada(), elsewhere.clone()].map(|user| scope.contains(&user)),
                contains,
                "{filter}"
            );
            for user in [ada(), elsewhere.clone()] {
                assert_eq!(scope.explain(&user).is_none(), scope.contains(&user), "{filter}");
            }
        }
    }
}
