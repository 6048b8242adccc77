//! The connector against a real OpenLDAP server, one for each test.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests; the lint's exception does not reach helpers"
)]

#[path = "../../../../tests/kit/proxy.rs"]
#[expect(dead_code, reason = "the relay's own tests know more troubles")]
mod proxy;
#[path = "../slapd/mod.rs"]
mod slapd;

mod between;
mod connection;
mod doubt;
mod ds389;
mod groups;
mod kit;
mod leavers;
mod listing;
mod neighbours;
mod passwords;
mod people;
