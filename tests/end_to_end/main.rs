//! The relay from end to end: the program itself, pushed to as by an identity provider, delivering
//! to an OpenLDAP, a mail server and a receiver of webhooks, each of them real.
//!
//! What is waited for is polled; nothing sleeps and hopes.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test, helpers included")]

#[path = "../kit/mod.rs"]
mod kit;

mod broken_ways;
mod churn;
mod configuration;
mod crashes;
mod descriptors;
mod disk;
mod full_disk;
mod hostile;
mod isolation;
mod kills;
mod lifecycle;
mod mail_trouble;
mod mails;
mod passwords;
mod reconciliation;
mod renames;
mod rude_receivers;
mod safety;
mod scope;
mod stubborn_directories;
mod take_over;
mod trouble;
mod unaffected;
