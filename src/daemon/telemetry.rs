//! The log: plain lines on stderr, which journald or a terminal takes.
//!
//! At the default level a line holds ids and user names, and no other data of a person.

use std::env;
use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// ldap3 warns of every connection that a server closes in the ordinary way.
const DEFAULT: &str = "info,ldap3=error";

/// Starts the log. `RUST_LOG` says what is in it; under systemd the journal has the time.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_target(false)
        .with_ansi(stderr().is_terminal() && env::var_os("NO_COLOR").is_none());
    let started = if env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
    if let Err(error) = started {
        tracing::debug!(error, "there is a log already");
    }
}
