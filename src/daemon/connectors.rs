//! The connectors this daemon has: the one file that names their crates.

use crate::config::Kind;

/// Every kind, in the order in which messages list them.
pub const KINDS: &[Kind] = &[
    Kind::of::<scim_relay_ldap::Config>(),
    Kind::of::<scim_relay_webhook::Config>(),
    Kind::of::<scim_relay_email::Config>(),
];
