//! A disk that refuses, fails or is slow, below the program as it is shipped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UnixDatagram;
use tokio::task::JoinSet;

use crate::kit::disk::{Disk, Fault};
use crate::kit::provider::person;
use crate::kit::relay::{Relay, Setup};
use crate::kit::targets::webhook;
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

/// A relay on a disk, with a receiver of events.
async fn start() -> (Disk, Webhooks, Relay) {
    let (disk, hooks) = (Disk::new(), Webhooks::start().await);
    let relay = Setup::new().disk(&disk).connector("events", webhook(&hooks, "")).start().await;
    (disk, hooks, relay)
}

/// Each story was told once and whole.
fn told_once(hooks: &Webhooks, people: &[&str]) {
    for name in people {
        assert_eq!(hooks.story(name), ["user.created"], "{name}");
    }
    assert_eq!(hooks.all().len(), people.len(), "something came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_costs_writes_alone_and_heals_by_itself() {
    let (disk, hooks, relay) = start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let mut people = vec!["ada"];
    let faults = [
        (Fault::Full, "bea", "carl"),
        (Fault::AlmostFull, "dora", "emil"),
        (Fault::ReadOnly, "finn", "gro"),
        (Fault::Write, "hans", "ida"),
    ];
    for (fault, during, after) in faults {
        // What it has just been given is on its way when the disk fails.
        let before = format!("before-{during}");
        provider.hire(&before).await;
        disk.fail(fault);
        let refused = provider.post("Users", person(during)).await.expect(503);
        assert_eq!(refused.body["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
        assert_eq!(refused.body["status"], "503");
        assert!(refused.headers.contains_key("retry-after"), "{fault:?}");
        provider.get(&format!("Users/{ada}")).await.expect(200);
        assert_eq!(provider.get("Users").await.expect(200).body["totalResults"], people.len() + 1);
        until("it is not ready", async || relay.readiness().await == Some(503)).await;

        disk.heal();
        until("it is ready again", async || relay.readiness().await == Some(200)).await;
        provider.hire(after).await;
        people.extend([before.leak() as &str, after]);
        relay.settled().await;
        told_once(&hooks, &people);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_disk_says_what_to_do_and_goes_once_there_is_room() {
    let (disk, hooks, mut relay) = start().await;
    let provider = relay.provider("lillevik");
    provider.hire("ada").await;
    relay.settled().await;
    relay.terminate().await;

    disk.fail(Fault::Full);
    let ended = relay.try_restart(&[]).await.expect("there is no room for what a start needs");
    assert_eq!(ended.code(), Some(1));
    let log = relay.log();
    let said = log.lines().rfind(|line| line.starts_with("error:")).expect("it says why");
    assert!(said.contains("room"), "{said}");
    assert!(said.contains(&*relay.data.to_string_lossy()), "{said}");

    disk.heal();
    relay.restart().await;
    provider.hire("bea").await;
    relay.settled().await;
    told_once(&hooks, &["ada", "bea"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_settled_is_waited_for_at_the_end_with_signs_of_life() {
    let (disk, hooks) = (Arc::new(Disk::new()), Webhooks::start().await);
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let mut relay = Setup::new()
        .disk(&disk)
        .connector("events", webhook(&hooks, ""))
        .environment("NOTIFY_SOCKET", folder.path().join("notify"))
        .environment("WATCHDOG_USEC", "400000")
        .start()
        .await;
    let provider = relay.provider("lillevik");
    // The disk is full from the moment on at which the receiver has the event.
    hooks.then({
        let disk = Arc::clone(&disk);
        move || disk.fail(Fault::Full)
    });
    provider.hire("ada").await;
    until("she was told of", async || hooks.story("ada") == ["user.created"]).await;
    until("it is not ready", async || relay.readiness().await == Some(503)).await;

    relay.signal("-TERM");
    until("it is stopping", async || heard(&socket).await == "STOPPING=1").await;
    for _ in 0..3 {
        until("it gives a sign of life", async || heard(&socket).await == "WATCHDOG=1").await;
    }
    disk.heal();
    assert_eq!(relay.ended().await.code(), Some(0));
    hooks.then(|| {});
    relay.restart().await;
    relay.settled().await;
    told_once(&hooks, &["ada"]);
}

/// The first line of the next word to systemd.
async fn heard(socket: &UnixDatagram) -> String {
    let mut text = [0; 256];
    let length = socket.recv(&mut text).await.unwrap();
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_room_costs_its_lines_and_nothing_else() {
    let hooks = Webhooks::start().await;
    let mut relay = Setup::new().connector("events", webhook(&hooks, "")).install();
    relay.lose_log();
    relay.restart().await;
    relay.find_log();
    relay.provider("lillevik").hire("ada").await;
    relay.settled().await;
    told_once(&hooks, &["ada"]);
    let metrics = relay.metrics().await;
    let line = metrics.lines().find(|line| line.starts_with("scim_relay_log_lines_dropped_total "));
    let lost = line.and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    assert!(lost > Some(3), "{line:?}");
    assert_eq!(relay.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_ends_the_relay_before_it_acknowledges_anything() {
    let (disk, hooks, mut relay) = start().await;
    let provider = relay.provider("lillevik");
    provider.hire("ada").await;
    relay.settled().await;

    disk.fail(Fault::Sync("relay.db-wal"));
    let answer = provider.send(http::Method::POST, "Users", Some(person("bea"))).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(relay.ended().await.code(), Some(74));
    assert!(relay.log().contains("the disk could not sync"), "{}", relay.log());

    // systemd starts it again.
    disk.heal();
    relay.restart().await;
    provider.post("Users", person("bea")).await;
    relay.settled().await;
    told_once(&hooks, &["ada", "bea"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_cannot_be_read_costs_the_request_that_needs_it() {
    let (disk, _hooks, mut relay) = start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    relay.settled().await;
    relay.terminate().await;
    relay.restart().await;

    disk.fail(Fault::Read("relay.db"));
    let path = format!("Users/{ada}");
    let refused = provider.get(&path).await.expect(503);
    assert!(refused.headers.contains_key("retry-after"));
    disk.heal();
    provider.get(&path).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sync_is_waited_for_by_writes_alone() {
    let (disk, hooks, relay) = start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    relay.settled().await;

    disk.fail(Fault::Slow(2_000));
    let begun = Instant::now();
    let mut write = JoinSet::new();
    write.spawn({
        let provider = provider.clone();
        async move { provider.hire("bea").await }
    });
    let mut reads = 0;
    while write.try_join_next().is_none() {
        let asked = Instant::now();
        provider.get(&format!("Users/{ada}")).await.expect(200);
        assert!(asked.elapsed() < Duration::from_secs(1), "a read waited");
        reads += 1;
    }
    assert!(begun.elapsed() >= Duration::from_secs(2) && reads > 10, "{reads}");
    disk.heal();
    relay.settled().await;
    told_once(&hooks, &["ada", "bea"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_holds_is_waited_for_five_seconds() {
    let (_disk, hooks, relay) = start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    relay.settled().await;

    let other = rusqlite::Connection::open(relay.data.join("relay.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = Instant::now();
    // The second comes while the first waits, and does not wait for as long again.
    let (first, second) = tokio::join!(provider.post("Users", person("bea")), async {
        provider.get(&format!("Users/{ada}")).await.expect(200);
        provider.post("Users", person("carl")).await
    });
    let waited = begun.elapsed();
    for refused in [first.expect(503), second.expect(503)] {
        assert!(refused.headers.contains_key("retry-after"));
    }
    assert!(waited < Duration::from_secs(8), "{waited:?}");

    other.execute_batch("ROLLBACK").unwrap();
    until("it is ready again", async || relay.readiness().await == Some(200)).await;
    provider.hire("bea").await;
    relay.settled().await;
    told_once(&hooks, &["ada", "bea"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_relay_on_the_same_data_does_not_start_and_says_why() {
    let relay = Setup::new().start().await;
    let second = Setup::new().data(&relay.data).install();
    let output = second.run(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("another scim-relay uses"), "{said}");
    assert_eq!(relay.readiness().await, Some(200));
}
