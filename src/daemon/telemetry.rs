//! The log: plain lines on stderr, which journald or a terminal takes.
//!
//! At the default level a line holds ids and user names, and no other data of a person.

use std::env;
use std::io::{self, IsTerminal, Write, stderr};

use tracing_subscriber::EnvFilter;

use crate::metrics::LOG_LINES_DROPPED;

/// ldap3 warns of every connection that a server closes in the ordinary way.
const DEFAULT: &str = "info,ldap3=error";

/// A place for lines that may be out of room or gone: that costs the line, which is counted, and
/// nothing else.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if stderr().write_all(line).is_err() {
            LOG_LINES_DROPPED.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the log. `RUST_LOG` says what is in it; under systemd the journal has the time.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
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
