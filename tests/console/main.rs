//! The console over its real socket, by what a browser sends and gets: the real program, a real store.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod activity;
#[path = "../kit/browser.rs"]
mod browser;
mod connectors;
mod integrations;
#[path = "../kit/mod.rs"]
#[expect(dead_code, reason = "the targets and their troubles are for the end-to-end tests")]
mod kit;
mod oidc;
mod overview;
mod people;
mod queue;
mod requests;
mod second_factor;
mod sign_in;
mod ways;
