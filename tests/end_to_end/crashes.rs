//! Nothing that was acknowledged is lost, whatever ends the relay.

use crate::kit::load::Load;
use crate::kit::relay::Setup;
use crate::kit::slapd::Slapd;
use crate::kit::targets::{ldap, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_acknowledged_writes_kill_9_loses_none() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let mut relay = Setup::new()
        .connector("directory", ldap(&slapd, ""))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let load = Load::start(&provider);

    for writes in [300, 650] {
        until("enough is written", async || load.writes() >= writes).await;
        relay.kill();
        relay.restart().await;
    }
    until("a thousand writes are acknowledged", async || load.writes() >= 1_000).await;
    relay.kill();
    let ledger = load.stop().await;

    relay.restart().await;
    relay.settled().await;
    ledger.check(&provider, Some(&slapd), Some(&hooks)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_ends_with_success_and_loses_nothing() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let mut relay = Setup::new()
        .connector("directory", ldap(&slapd, ""))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let load = Load::start(&provider);
    until("enough is written", async || load.writes() >= 200).await;

    let ended = relay.terminate().await;
    let ledger = load.stop().await;

    assert_eq!(ended.code(), Some(0), "{ended}");
    // What was being delivered came to its end, so nothing comes twice.
    let told = hooks.all().len();
    assert_eq!(hooks.taken().len(), told);
    relay.restart().await;
    relay.settled().await;
    ledger.check(&provider, Some(&slapd), Some(&hooks)).await;
    assert_eq!(hooks.taken().len(), hooks.all().len(), "nothing came twice");
}
