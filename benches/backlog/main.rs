//! What a long queue costs, with the target down: `cargo bench --bench backlog -- 1000000`.
//!
//! The same is asked of an empty database and of one with so many users who all wait for one
//! receiver of events: the time to start, memory, the latency of a create, that of a claim; then the
//! receiver comes up and the queue is drained for a while. The users are written through the store,
//! and queued by the daemon's own back-fill; both are timed. Takes some minutes.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on may stop")]

#[path = "../relay/client.rs"]
#[expect(dead_code, reason = "the other benchmark uses all of it")]
mod client;
#[path = "../relay/relay.rs"]
#[expect(dead_code, reason = "the other benchmark uses all of it")]
mod relay;
#[path = "../../connectors/ldap/tests/slapd/mod.rs"]
#[expect(dead_code, reason = "the tests of the connector use all of it")]
mod slapd;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use relay::{Relay, Target};
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::ids;
use scim_relay::store::sqlite::SqliteStore;
use scim_relay::store::{Content, Lookups, Origin, Outcome, Room, Settlement, Store as _, Written};
use scim_relay_sdk::scim::ResourceKind;
use serde_json::json;
use tempfile::TempDir;

const SECONDS: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(20);

fn main() {
    // Cargo adds arguments of its own.
    let rows = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        measure(0).await;
        measure(rows).await;
    });
}

async fn measure(rows: usize) {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    write_users(&folder, rows).await;
    println!("{rows} users written in {:.0} s", begun.elapsed().as_secs_f64());

    let address = format!("127.0.0.1:{}", relay::free_port());
    let mut relay = Relay::start_in(folder, Target::Receiver(&address)).await;
    let begun = Instant::now();
    while relay.waiting() < rows as u64 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("  queued by the back-fill in {:.0} s", begun.elapsed().as_secs_f64());

    relay.kill();
    let begun = Instant::now();
    relay.run().await;
    println!("  start to ready: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    println!("  memory: {:.1} MB", relay.megabytes());
    println!("{:<34} {:>9} {:>9} {:>9} {:>10}", "", "per s", "p50 ms", "p99 ms", "cpu ms");
    for connections in [1, 8] {
        let creates = relay.measure(connections, SECONDS, |mut client, n| async move {
            client.create(&format!("fresh-{connections}-{n}")).await;
            client
        });
        creates.await.print(&format!("  create, {connections} at once"), None);
    }
    println!("  memory: {:.1} MB, {:.1} MB at its peak", relay.megabytes(), relay.peak_megabytes());

    relay.kill();
    claims(&relay.state()).await;
    if rows > 0 {
        drain(&mut relay, &address).await;
    }
    relay.stop();
}

/// Through the store, as the SCIM side writes them, before there is any connector.
async fn write_users(folder: &TempDir, count: usize) {
    let store = SqliteStore::open(&folder.path().join("state"), |_, _| {}).unwrap();
    let organization = store.organizations(vec!["load".to_owned()]).await.unwrap()[0];
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(2_000) {
        join_all(some.iter().map(async |number| {
            let now = SystemClock.now();
            let (id, kind) = (ids::resource_id(now), ResourceKind::User);
            let origin = Origin { token: None, now };
            let created = store.create(organization, kind, id, user(*number), Vec::new(), origin);
            assert!(matches!(created.await, Ok(Written::Done { .. })));
        }))
        .await;
    }
    store.close().await;
}

fn user(number: usize) -> Content {
    let name = format!("user-{number}@load.example");
    let external = format!("ext-{number}");
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "externalId": external, "userName": name, "active": true,
        "displayName": format!("Alexandra Example {number}"), "title": "Pupil",
        "name": { "familyName": "Example", "givenName": "Alexandra" },
        "emails": [{ "type": "work", "primary": true, "value": name }],
    });
    Content {
        body: body.to_string(),
        lookups: Lookups {
            user_name: Some(name),
            external_id: Some(external),
            ..Lookups::default()
        },
        changed: vec!["userName".to_owned()],
        password: None,
    }
}

/// What a lane waits for its next sixteen rows, the commit included.
async fn claims(state: &Path) {
    let store = SqliteStore::open(state, |_, _| {}).unwrap();
    let connector = store.connectors().await.unwrap()[0].id;
    let room = Room { rows: 16, retries: 8 };
    let mut took = Vec::new();
    for _ in 0..500 {
        let now = SystemClock.now();
        let begun = Instant::now();
        let claims = store.claim(connector, room, now).await.unwrap();
        took.push(begun.elapsed());
        join_all(claims.into_iter().map(|claim| {
            let (mark, covers, outcome) = (claim.mark, claim.since - 1, Outcome::Released);
            store.settle(Settlement { claim, mark, covers, member_mark: 0, outcome, now })
        }))
        .await;
    }
    took.sort_unstable();
    let at = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1e3;
    println!("  claim of 16: p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
    store.close().await;
}

async fn drain(relay: &mut Relay, address: &str) {
    relay::take_everything(tokio::net::TcpListener::bind(address).await.unwrap());
    relay.run().await;
    let (before, begun) = (relay.waiting(), Instant::now());
    tokio::time::sleep(DRAIN.min(Duration::from_secs(before / 500 + 1))).await;
    let gone = before.saturating_sub(relay.waiting());
    println!("  drained: {:.0}/s", gone as f64 / begun.elapsed().as_secs_f64());
}
