//! From a case to the work a connector is asked to do. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use scim_relay_sdk::connector::{
    Connector, Gone, NoOwners, OrganizationInfo, Permit, Resource, Scope, Semantics, Verb, Wanted,
    Work,
};

use crate::store::Case;

/// The resource of a case, as connectors see it.
pub fn resource(case: &Case, organization: &Arc<OrganizationInfo>) -> Resource {
    Resource {
        key: case.key.clone(),
        organization: Arc::clone(organization),
        attributes: case.attributes.clone(),
        groups: case.groups.clone(),
    }
}

/// One try at a piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    pub in_doubt: bool,
    pub permit: Permit,
    /// 1 for the first.
    pub number: u32,
    pub now: Timestamp,
}

/// What the target should hold of it; `None` when it holds nothing and should hold nothing.
///
/// That a link exists is what "was in scope" means.
pub fn judge(
    case: Case,
    resource: Resource,
    connector: &dyn Connector,
    scope: &Scope,
    this: Try,
) -> Option<Work> {
    let Try { in_doubt, permit, number, now } = this;
    let as_of = |attributes| Resource { attributes, groups: Vec::new(), ..resource.clone() };
    let earlier = case.earlier.into_iter().map(as_of).collect();
    let resource = Arc::new(resource);
    let wanted = if case.deleted {
        Wanted::Gone { last: resource, why: Gone::Deleted }
    } else if scope.contains(&resource) {
        Wanted::Present(resource)
    } else {
        Wanted::Gone { last: resource, why: Gone::OutOfScope }
    };
    let is_event = connector.semantics() == Semantics::EveryEvent;
    if matches!(wanted, Wanted::Gone { .. }) && case.link.is_none() && (is_event || !in_doubt) {
        return None;
    }
    let mut change = case.change;
    if let Some(change) = &mut change
        && change.verb == Verb::Updated
        && case.link.is_none()
        && connector.backfills()
    {
        // Whoever comes into the scope is new to this receiver.
        change.verb = Verb::Created;
    }
    Some(Work {
        key: case.key,
        wanted,
        change,
        members: case.members,
        bygone: case.bygone,
        password: None,
        link: case.link,
        in_doubt,
        earlier,
        permit,
        owners: Arc::new(NoOwners),
        attempt: number,
        now,
    })
}
