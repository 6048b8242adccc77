//! Properties of the SCIM rules, asked of generated input: round trips, models, and a second
//! implementation as the judge.

#![expect(clippy::expect_used, reason = "a helper that cannot go on fails the test")]

mod generate;
mod judge;
mod kept;
mod members;
mod model;
mod patch;
mod projection;
mod reference;
mod spelling;

use scim_relay_sdk::scim::{ResourceKind, ResourceType, Schemas};

fn users() -> ResourceType {
    Schemas::builtin().of(ResourceKind::User).clone()
}

fn groups() -> ResourceType {
    Schemas::builtin().of(ResourceKind::Group).clone()
}
