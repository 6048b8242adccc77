//! The connector against mail servers: a real one (aiosmtpd), and scripted ones for what a real
//! one would not do.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test, helpers included")]

mod conversation;
mod delivery;
mod kit;
mod server;
