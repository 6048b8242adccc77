//! The e-mail connector: a mail to a person when something happened to their account.
//!
//! SMTP cannot say whether a server has taken a mail that it never acknowledged, so a mail goes
//! out once or waits for a person: the key it may be sent under is in [`event`], the ledger is the
//! engine's. Sent are single-recipient mails, text and HTML, in the person's own language.

mod address;
mod client;
mod compose;
mod config;
mod deliver;
mod error;
mod event;
mod folder;
mod language;
mod preview;
mod server;
mod stream;
mod templates;

pub use config::Config;
