//! The ways to a directory, a receiver of events and a mail server, all broken at once and in every
//! manner (faults 18 to 20, 31 and 36): what each connector says meanwhile, how often it tries, and
//! that everything arrives, once, when the way is open again.

use std::time::Duration;

use serde_json::Value;

use crate::kit::proxy::{Proxy, Way};
use crate::kit::relay::{Relay, Setup};
use crate::kit::slapd::Slapd;
use crate::kit::smtp;
use crate::kit::targets::{ldap, mail, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

const LIMITS: &str = "[limits]\ntimeout = \"500ms\"\n";

/// What is said of a connector and of the one entry that waits: `state` of the connector, and a piece
/// of the connector's or the entry's error.
struct Said {
    connector: &'static str,
    state: &'static str,
    words: &'static str,
}

fn said(connector: &'static str, state: &'static str, words: &'static str) -> Said {
    Said { connector, state, words }
}

fn ways() -> Vec<(Way, [Said; 3])> {
    vec![
        (
            Way::Refused,
            [
                said("directory", "down", "cannot be reached: Connection refused"),
                said("events", "down", "cannot connect to"),
                said("welcome", "down", "cannot be reached"),
            ],
        ),
        (
            Way::Swallowed,
            [
                said("directory", "down", "did not answer within 500ms"),
                // It takes connections, so that it is not known to be down.
                said("events", "up", "gave no answer within 500ms"),
                said("welcome", "down", "no answer in time"),
            ],
        ),
        (
            Way::CutAfterAnswered(1),
            [
                said("directory", "down", "no connection to"),
                said("events", "up", "ended the connection without an answer"),
                said("welcome", "down", "does not answer as a mail server does"),
            ],
        ),
    ]
}

fn error(relay: &Relay, connector: &Value) -> String {
    let queue = relay.json(&["queue", "list", "--connector", connector["name"].as_str().unwrap()]);
    format!("{} {}", connector["error"], queue[0]["last_error"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_way_costs_time_and_nothing_else() {
    let slapd = Slapd::start().await;
    let mails = smtp::Server::start("starttls", &["auth"]);
    let hooks = Webhooks::start().await;
    let (to_slapd, to_hooks, to_mails) = (
        Proxy::before(&slapd.tls_url()).await,
        Proxy::before(&hooks.url()).await,
        Proxy::before(&mails.url("smtp")).await,
    );
    let relay = Setup::new()
        .connector("directory", to_slapd.on_the_way(&ldap(&slapd, LIMITS)))
        .connector("events", to_hooks.on_the_way(&webhook(&hooks, LIMITS)))
        .connector("welcome", to_mails.on_the_way(&mail(&mails, LIMITS)))
        .start()
        .await;
    let proxies = [&to_slapd, &to_hooks, &to_mails];
    let provider = relay.provider("lillevik");
    provider.hire("first").await;
    relay.settled().await;

    for (number, (way, sayings)) in ways().into_iter().enumerate() {
        let before = proxies.map(Proxy::connections);
        for proxy in proxies {
            proxy.turn(way);
        }
        let name = format!("person{number}");
        provider.hire(&name).await;
        for Said { connector, state, words } in sayings {
            until(&format!("{way:?} is said of {connector}"), async || {
                let shown = relay.connector(connector);
                shown["state"] == state && error(&relay, &shown).contains(words)
            })
            .await;
            assert_eq!(relay.backlog(connector, "parked"), 0, "{connector} at {way:?}");
        }
        let asked = [0, 1, 2].map(|at| proxies[at].connections() - before[at]);
        assert!(asked.into_iter().all(|times| times < 20), "{way:?}: {asked:?} connections");

        for proxy in proxies {
            proxy.turn(Way::Open);
        }
        for connector in ["directory", "events", "welcome"] {
            relay.command(&["connector", "resume", connector]);
        }
        relay.settled().await;
        assert_eq!(slapd.one(&format!("(uid={name})")).values("title").len(), 0);
        assert_eq!(hooks.story(&name), ["user.created"], "{way:?}");
    }
    let mut addresses: Vec<String> = mails.taken().into_iter().flat_map(|mail| mail.to).collect();
    addresses.sort();
    let expected =
        ["first", "person0", "person1", "person2"].map(|name| format!("{name}@lillevik.example"));
    assert_eq!(addresses, expected, "each got one mail");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_directory_lets_its_own_queue_grow_and_nobody_elses() {
    let (slapd, hooks) = (Slapd::start().await, Webhooks::start().await);
    let proxy = Proxy::before(&slapd.tls_url()).await;
    let relay = Setup::new()
        .connector("directory", proxy.on_the_way(&ldap(&slapd, "")))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    provider.hire("first").await;
    relay.settled().await;
    let before = proxy.connections();
    proxy.turn(Way::Slow(Duration::from_millis(300)));
    for number in 0..20 {
        provider.hire(&format!("person{number}")).await;
    }
    until("the receiver was told", async || hooks.taken().len() == 21).await;
    assert!(!relay.is_idle(), "the directory has all of them in no time");
    assert_eq!(relay.connector("directory")["state"], "up", "slow is not down");
    assert!(proxy.connections() - before <= 4, "the pool is bounded");
    proxy.turn(Way::Open);
    relay.settled().await;
    assert_eq!(slapd.search(crate::kit::slapd::SUFFIX, "(uid=person*)").len(), 20);
}
