//! Sample work, for tests of connectors and of the engine.

mod conformance;
mod samples;

pub use conformance::{Conformance, conformance};
pub use samples::{
    ada, choir, created, deleted, delta, group_work, organization, present, secrets, work,
};
