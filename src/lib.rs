//! scim-relay: SCIM 2.0 pushes in, written durably, fanned out to directories, webhooks and mail.
//!
//! `main.rs` runs the command line; the rooms and who may use whom are in ARCHITECTURE.md.

pub mod clock;
pub mod config;
pub mod console;
pub mod daemon;
pub mod delivery;
pub mod directory;
pub mod http;
pub mod ids;
pub mod metrics;
pub mod network;
pub mod oidc;
pub mod operator;
pub mod reconcile;
pub mod safety;
pub mod store;
pub mod token;
pub mod vault;
