//! Comparing a target with what it should hold.
//!
//! A run takes no hints: it lists the target, reads the store, and compares. What differs is
//! *drift*; repairing it is marking rows dirty, so that order, safety and retries hold there too.
//! A listing that fails or ends early is a failed run, never absence.

mod plan;
mod run;
mod timer;

pub use plan::{Difference, Drift, DriftKind, Plan};
pub use run::{Progress, Report, Target, run};
pub use timer::{Due, timer};
