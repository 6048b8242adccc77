//! scim-relay: SCIM 2.0 pushes in, written durably, fanned out to directories, webhooks and mail.
//!
//! `main.rs` runs the command line; the rooms and who may use whom are in ARCHITECTURE.md.

pub mod clock;
pub mod operator;
pub mod daemon;
pub mod console;
pub mod config;
pub mod directory;
pub mod http;
pub mod ids;
pub mod metrics;
pub mod delivery;
pub mod reconcile;
pub mod store;
pub mod token;
