//! Idle connections by the hundred, and no descriptors left (faults 45 and 54): the relay goes on with
//! its own work, does not spin, and heals.

use std::fs;
use std::process::Command;

use tokio::net::TcpStream;

use crate::kit::relay::{Relay, Setup};
use crate::kit::targets::webhook;
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

/// Files that the relay may open: half of them are for clients.
const ALLOWED: u32 = 300;

/// So many clients that say nothing; what the relay does not take waits in the kernel's queue, which
/// has room for 128.
async fn idle_connections(relay: &Relay, count: usize) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(TcpStream::connect(relay.listener()).await.unwrap());
    }
    idle
}

/// Changes how many files a running relay may open.
fn allow(relay: &Relay, descriptors: u32) {
    let (process, limit) = (format!("--pid={}", relay.id()), format!("--nofile={descriptors}:"));
    let done = Command::new("prlimit").args([process, limit]).status().unwrap();
    assert!(done.success());
}

/// Hundredths of a second that it has worked for.
fn worked(relay: &Relay) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", relay.id())).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn warnings(relay: &Relay) -> usize {
    relay.log().matches("no connection can be taken").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_leave_the_relay_what_it_needs_for_its_own_work() {
    let hooks = Webhooks::start().await;
    let relay =
        Setup::new().connector("events", webhook(&hooks, "")).descriptors(ALLOWED).start().await;
    let provider = relay.provider("lillevik");
    provider.hire("before").await;
    let idle = idle_connections(&relay, 240).await;
    // On a connection that was there; the targets, the admin socket and the console are reached.
    provider.hire("meanwhile").await;
    until("it is told", async || hooks.story("meanwhile").len() == 1).await;
    assert_eq!(relay.connector("events")["state"], "up");
    TcpStream::connect(&relay.console).await.unwrap();
    assert_eq!(warnings(&relay), 0, "it takes no more than it has room for");

    drop(idle);
    relay.provider("lillevik").hire("after").await;
    relay.settled().await;
    assert_eq!(hooks.taken().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_it_waits_without_spinning_and_heals() {
    let hooks = Webhooks::start().await;
    let relay = Setup::new().connector("events", webhook(&hooks, "")).start().await;
    let provider = relay.provider("lillevik");
    provider.hire("before").await;
    relay.settled().await;

    // Fewer than are open already.
    allow(&relay, 20);
    let idle = idle_connections(&relay, 60).await;
    until("it notices", async || warnings(&relay) > 0).await;
    let (begun, before) = (worked(&relay), warnings(&relay));
    until("it looks again", async || warnings(&relay) >= before + 4).await;
    let spent = worked(&relay) - begun;
    assert!(spent < 60, "in two seconds of waiting it worked for {spent} hundredths of one");
    // Whoever is connected is served.
    provider.hire("meanwhile").await;

    allow(&relay, 1_000);
    drop(idle);
    relay.provider("lillevik").hire("after").await;
    relay.settled().await;
    assert_eq!(hooks.story("meanwhile"), ["user.created"]);
    assert_eq!(hooks.story("after"), ["user.created"]);
}
