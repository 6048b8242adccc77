//! Sample work, for tests of connectors and of the engine; and the laws of the SCIM parsers, for
//! property tests and fuzzing.

mod conformance;
pub mod laws;
mod samples;

pub use conformance::{Conformance, conformance, member_conformance};
pub use samples::{
    ada, choir, created, deleted, delta, group_work, organization, present, secrets, work,
};
