//! What the tests of both modes share: a connector from its TOML.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use scim_relay_sdk::connector::{BuildContext, Change, Connector, Settings, Verb, Work};
use scim_relay_sdk::testing::{organization, secrets};
use scim_relay_webhook::Config;

/// Never waited for where an answer comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Builds the connector of a `[webhook]` section that has no problems.
pub(crate) fn connector(section: &str) -> Arc<dyn Connector> {
    with_timeout(section, PATIENCE)
}

pub(crate) fn with_timeout(section: &str, timeout: Duration) -> Arc<dyn Connector> {
    let config: Config = toml::from_str(section).unwrap();
    assert_eq!(config.check(false), []);
    let secrets = secrets();
    let context = BuildContext {
        name: "hr",
        folder: Path::new("."),
        secrets: &secrets,
        timeout,
        concurrency: 2,
        organizations: &[organization()],
    };
    config.build(&context).map_err(|problem| problem.message).unwrap()
}

/// The change that `work` is about, at the sequence number 42.
pub(crate) fn change(mut work: Work, verb: Verb, attributes: &[&str]) -> Work {
    work.change = Some(Change {
        seq: 42,
        verb,
        at: Timestamp::constant(1_788_220_800, 0),
        attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
        joined: Vec::new(),
        left: Vec::new(),
        collapsed: false,
    });
    work
}
