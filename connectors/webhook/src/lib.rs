//! The webhook connector: signed events, or a REST interface described in templates.
//!
//! `[webhook]` with a `url` tells a receiver what happened, one signed POST for each event
//! ([`events`]); with `[webhook.rest]` it keeps a foreign system in line by calls that the
//! administrator writes down ([`rest`]). Both send through [`target`].

mod config;
mod events;
mod headers;
mod preview;
mod rest;
mod target;
mod words;

pub use config::Config;
