//! What a request came to, left with its answer for the gate to count and to log.

use scim_relay_sdk::scim::{Quirk, ResourceId, ResourceKind};

/// One for each resource: a bulk has many.
#[derive(Clone, Debug)]
pub(super) struct Outcomes(pub(super) Vec<Outcome>);

impl From<Outcome> for Outcomes {
    fn from(one: Outcome) -> Self {
        Self(vec![one])
    }
}

#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) kind: ResourceKind,
    pub(super) id: ResourceId,
    /// What was written, if anything was.
    pub(super) verb: Option<&'static str>,
}

impl Outcome {
    pub(super) fn deleted(kind: ResourceKind, id: ResourceId) -> Self {
        Self { kind, id, verb: Some("deleted") }
    }
}

/// Where a request left the RFCs, carried out or not; a bulk has those of each operation.
#[derive(Clone, Debug)]
pub(super) struct Deviations(pub(super) Vec<Quirk>);
