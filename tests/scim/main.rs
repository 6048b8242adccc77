//! The SCIM service over a real socket and a real store.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod access;
mod bodies;
mod bulk;
mod connections;
mod discovery;
mod hostile;
mod lists;
mod memberships;
mod names;
mod passwords;
mod providers;
mod races;
mod relay;
mod requests;
mod statuses;
mod strict;
mod verbs;
