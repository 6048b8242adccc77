//! The LDAP connector: people and groups in a directory, kept as the relay knows them.
//!
//! A delivery reads the entry, compares it with what the mapping yields and writes the values that
//! differ, one by one: so the same work twice writes nothing, and a request that the server
//! carries out late undoes nothing. Where to start reading: [`deliver`] for what is done,
//! [`project`] for what is wanted, [`transport`] for what is asked of a directory, [`error`] for
//! what its answers mean.

mod check;
mod client;
mod config;
mod connector;
mod deliver;
mod dialect;
mod diff;
mod dn;
mod dn_template;
mod error;
mod filter;
mod group;
mod inventory;
mod ldif;
mod locate;
mod memory;
mod password;
mod preview;
mod project;
mod rename;
mod tls;
mod transport;
mod url;

pub use config::Config;
