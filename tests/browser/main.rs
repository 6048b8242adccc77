//! The console in a real browser: Chromium, driven by its own driver through what a person does.
//!
//! tests/run installs what this needs.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test, helpers included")]

mod axe;
#[expect(dead_code, reason = "the stories that use it follow their pages")]
mod chromium;
#[expect(dead_code, reason = "the stories that use it follow their pages")]
mod doors;
mod everywhere;
mod isolation;
#[path = "../kit/mod.rs"]
#[expect(dead_code, reason = "most of the targets and their troubles are for the end-to-end tests")]
mod kit;
mod pictures;
mod sessions;
mod site;
#[expect(dead_code, reason = "the stories that use it follow their pages")]
mod world;
