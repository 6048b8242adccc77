//! What end-to-end tests are made of: the relay as the program that is shipped, the targets it
//! writes to as real servers, and a provider that pushes.

pub(crate) mod dice;
pub(crate) mod disk;
pub(crate) mod ldap_script;
pub(crate) mod load;
pub(crate) mod provider;
#[expect(dead_code, reason = "the ldap connector's own tests go through it, too")]
pub(crate) mod proxy;
pub(crate) mod recording;
pub(crate) mod relay;
pub(crate) mod rude;
pub(crate) mod targets;
pub(crate) mod webhooks;

#[path = "../../connectors/ldap/tests/slapd/mod.rs"]
#[expect(dead_code, reason = "the ldap connector's own tests look at more of it")]
pub(crate) mod slapd;

#[path = "../../connectors/email/tests/smtp/server.rs"]
#[expect(dead_code, reason = "the email connector's own tests look at more of it")]
pub(crate) mod smtp;

use std::fmt::Display;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Tells whoever watches the run; not by `println!`, which a passing test says to nobody.
pub(crate) fn say(line: &impl Display) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// How long something that must happen may take. A slow machine sets SCIM_RELAY_TEST_PATIENCE, in
/// seconds.
fn patience() -> Duration {
    let seconds = std::env::var("SCIM_RELAY_TEST_PATIENCE").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(150))
}

/// Waits for `condition`, and fails the test if it never comes true.
#[track_caller]
pub(crate) fn until(
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while !condition().await {
            assert!(begun.elapsed() < patience(), "{place}: in vain waited until {what}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}
