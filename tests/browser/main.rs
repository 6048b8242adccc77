//! The console in a real browser: Chromium, driven by its own driver through what a person does.
//!
//! tests/run installs what this needs.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test, helpers included")]

mod axe;
mod chromium;
mod doors;
mod everywhere;
mod help;
mod isolation;
mod keyboard;
#[path = "../kit/mod.rs"]
#[expect(dead_code, reason = "most of the targets and their troubles are for the end-to-end tests")]
mod kit;
mod pictures;
mod sessions;
mod site;
mod tokens;
mod world;
