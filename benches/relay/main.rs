//! What the daemon can do, measured on this machine: `cargo bench --bench relay`.
//!
//! The real binary runs as a child process with three connectors (an LDAP directory, a webhook
//! receiver, mails as files), so that its processor time and memory are its own. Rates of a shared
//! machine move: the last column relates each to a bare SQLite commit of the same size, taken in
//! the same run. With slapd installed, the way into a real directory is timed as well.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on may stop")]

mod client;
mod limit;
#[expect(dead_code, reason = "the other benchmark uses all of it")]
mod relay;
#[path = "../../connectors/ldap/tests/slapd/mod.rs"]
#[expect(dead_code, reason = "the tests of the connector use all of it")]
mod slapd;

use std::time::{Duration, Instant};

use client::Client;
use relay::{Relay, Target};

const USERS: usize = 10_000;
/// Of the biggest group.
const MEMBERS: usize = 100_000;
const SECONDS: Duration = Duration::from_secs(5);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limit = limit::commits_per_second(1, Duration::from_secs(2));
        let grouped = limit::commits_per_second(32, Duration::from_secs(2));
        println!("bare SQLite, one row of 1.2 KB and three queue rows: {limit:.0}/s alone, {grouped:.0}/s by 32 a commit\n");
        println!("{:<34} {:>9} {:>9} {:>9} {:>10} {:>7}", "", "per s", "p50 ms", "p99 ms", "cpu ms", "limit");
        front(limit, grouped).await;
        groups(limit).await;
        into_the_directory().await;
        start_up().await;
    });
}

async fn directory() -> Option<slapd::Slapd> {
    if std::path::Path::new("/usr/sbin/slapd").exists() {
        Some(slapd::Slapd::start().await)
    } else {
        None
    }
}

/// The SCIM side, with every target at work.
async fn front(limit: f64, grouped: f64) {
    let slapd = directory().await;
    let relay = Relay::start(slapd.as_ref().map_or(Target::File, Target::Slapd)).await;
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>10} {:>7}   {:.1} MB",
        "idle",
        "",
        "",
        "",
        "",
        "",
        relay.megabytes()
    );

    let one = relay.measure(1, SECONDS, |mut client: Client, n| async move {
        client.create(&format!("one-{n}")).await;
        client
    });
    one.await.print("create, 1 connection", Some(limit));
    let many = relay.measure(32, SECONDS, |mut client, n| async move {
        client.create(&format!("many-{n}")).await;
        client
    });
    many.await.print("create, 32 connections", Some(grouped));

    let ids = relay.prepare(USERS).await;
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>10} {:>7}   {:.1} MB",
        format!("with {USERS} more users"),
        "",
        "",
        "",
        "",
        "",
        relay.megabytes()
    );
    relay.until_delivered(Duration::from_mins(5)).await;
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>10} {:>7}   {:.1} MB",
        "all delivered",
        "",
        "",
        "",
        "",
        "",
        relay.megabytes()
    );

    let known = ids.clone();
    let get = relay.measure(8, SECONDS, move |mut client, n| {
        let id = known[n % known.len()].clone();
        async move {
            client.get(&format!("/Users/{id}")).await;
            client
        }
    });
    get.await.print("get, 8 connections", None);
    let lookup = relay.measure(8, SECONDS, |mut client, n| async move {
        let n = n % USERS;
        client.get(&format!("/Users?filter=userName%20eq%20%22user-{n}%40load.example%22")).await;
        client
    });
    lookup.await.print("look-up by userName, 8", None);
    let list = relay.measure(8, SECONDS, |mut client, n| async move {
        client.get(&format!("/Users?startIndex={}&count=100", 1 + 100 * (n % 90))).await;
        client
    });
    list.await.print("page of 100, 8", None);
    let known = ids.clone();
    let patch = relay.measure(8, SECONDS, move |mut client, n| {
        let id = known[n % known.len()].clone();
        async move {
            client.patch(&format!("/Users/{id}"), &client::title(n)).await;
            client
        }
    });
    patch.await.print("patch, 8", Some(limit));
    let group = relay.group(&ids[..1_000]).await;
    let known = ids.clone();
    let member = relay.measure(8, SECONDS, move |mut client, n| {
        let (group, id) = (group.clone(), known[1_000 + n % 9_000].clone());
        async move {
            client
                .patch(&format!("/Groups/{group}"), &client::member(n / 9_000 % 2 == 0, &id))
                .await;
            client
        }
    });
    member.await.print("member of a group of 1,000, 8", Some(limit));
    relay.stop();
}

/// One member in groups of three sizes, and the biggest group as a whole; the SCIM side alone.
async fn groups(limit: f64) {
    let relay = Relay::start(Target::None).await;
    let ids = relay.prepare(MEMBERS + 1_000).await;
    let (members, others) = ids.split_at(MEMBERS);
    let mut biggest = String::new();
    for size in [100, 1_000, MEMBERS] {
        let group = relay.group(&members[..size]).await;
        biggest.clone_from(&group);
        let measured = relay.measure(8, SECONDS, |mut client, n| {
            let (path, id) = (format!("/Groups/{group}"), others[n % others.len()].clone());
            async move {
                client.patch(&path, &client::member(n / 1_000 % 2 == 0, &id)).await;
                client
            }
        });
        measured.await.print(&format!("member of a group of {size}, 8"), Some(limit));
    }
    relay.forget_peak();
    let before = relay.megabytes();
    for (what, query) in [("whole", ""), ("ids", "?attributes=members.value")] {
        let path = format!("/Groups/{biggest}{query}");
        let measured = relay.measure(1, SECONDS, |mut client, _| {
            let path = path.clone();
            async move {
                client.get(&path).await;
                client
            }
        });
        measured.await.print(&format!("get of {MEMBERS} members, {what}"), None);
    }
    println!(
        "memory meanwhile: {before:.1} MB before, {:.1} MB at its peak",
        relay.peak_megabytes()
    );
    relay.stop();
}

/// From the 201 to the entry being in slapd, with the queue otherwise empty.
async fn into_the_directory() {
    let Some(slapd) = directory().await else {
        println!("\nslapd is not installed: the way into a real directory was not timed");
        return;
    };
    let relay = Relay::start(Target::Slapd(&slapd)).await;
    let mut watch = relay::Watch::on(&slapd).await;
    let mut client = relay.client().await;
    let mut lags: Vec<Duration> = Vec::new();
    for n in 0..500 {
        let name = format!("lag-{n}");
        client.create(&name).await;
        let answered = Instant::now();
        watch.until_there(&name).await;
        lags.push(answered.elapsed());
    }
    lags.sort_unstable();
    let at =
        |share: usize| lags[(lags.len() * share / 100).min(lags.len() - 1)].as_secs_f64() * 1e3;
    println!("\n201 to the entry in slapd: p50 {:.1} ms, p99 {:.1} ms", at(50), at(99));

    let begun = Instant::now();
    relay.prepare(2_000).await;
    relay.until_delivered(Duration::from_mins(2)).await;
    let rate = 2_000.0 / begun.elapsed().as_secs_f64();
    println!(
        "2,000 users pushed and in slapd: {rate:.0}/s from the first request to the last entry"
    );
    relay.stop();
}

/// With the target down and everything waiting.
async fn start_up() {
    let mut relay = Relay::start(Target::Nowhere).await;
    relay.prepare(USERS).await;
    let queued = relay.waiting();
    relay.kill();
    let begun = Instant::now();
    relay.run().await;
    println!(
        "start-up with {USERS} users and {queued} queued rows, to the first 200 of /readyz: {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    relay.stop();
}
