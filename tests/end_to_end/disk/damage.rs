//! Files that are damaged, gone, or older than they were: found at the start, named, and left as
//! they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::kit::dice::{Dice, seed};
use crate::kit::provider::Provider;
use crate::kit::relay::{Relay, Setup};
use crate::kit::targets::webhook;
use crate::kit::webhooks::Webhooks;

/// EX_DATAERR of sysexits.h.
const DAMAGED: Option<i32> = Some(65);
/// How many places are damaged, one by one.
const PLACES: u64 = 40;

type Files = BTreeMap<String, Vec<u8>>;

fn files(data: &Path) -> Files {
    let entries = fs::read_dir(data).unwrap().flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        // What an index of the WAL holds is made anew.
        .filter(|(name, _)| name != "relay.db-shm")
        .collect()
}

fn put(files: &Files, data: &Path) {
    fs::remove_dir_all(data).unwrap();
    fs::create_dir(data).unwrap();
    for (name, bytes) in files {
        fs::write(data.join(name), bytes).unwrap();
    }
}

async fn titles(provider: &Provider) -> BTreeMap<String, String> {
    let page = provider.get("Users?count=200").await.expect(200).body;
    let people = page["Resources"].as_array().cloned().unwrap_or_default();
    let text = |person: &serde_json::Value, name: &str| person[name].as_str().unwrap().to_owned();
    people.iter().map(|person| (text(person, "userName"), text(person, "title"))).collect()
}

/// A relay with some people, as a kill leaves it: in the WAL and in the database.
async fn killed(hooks: &Webhooks) -> (Relay, Provider, BTreeMap<String, String>) {
    let mut relay = Setup::new().connector("events", webhook(hooks, "")).start().await;
    let provider = relay.provider("lillevik");
    for name in ["ada", "bea", "carl"] {
        let id = provider.hire(name).await;
        provider.set(&id, "title", "Countess").await;
    }
    relay.settled().await;
    // Some of it into the database.
    relay.terminate().await;
    relay.restart().await;
    for name in ["dora", "emil", "finn"] {
        let id = provider.hire(name).await;
        provider.set(&id, "title", "Duke").await;
    }
    relay.settled().await;
    let known = titles(&provider).await;
    relay.kill();
    (relay, provider, known)
}

fn last_error(relay: &Relay) -> String {
    let log = relay.log();
    log.lines().rfind(|line| line.starts_with("error:")).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_that_is_damaged_or_cut_is_noticed_at_the_start_and_left_as_it_is() {
    let hooks = Webhooks::start().await;
    let (mut relay, provider, known) = killed(&hooks).await;
    let sound = files(&relay.data);
    let length = sound["relay.db-wal"].len();
    let mut refused = 0;
    for place in 0..PLACES {
        let mut dice = Dice::new(seed(), place);
        let mut broken = sound.clone();
        let wal = broken.get_mut("relay.db-wal").unwrap();
        let at = dice.throw(length);
        if dice.throw(2) == 0 {
            wal[at] ^= 1 << dice.throw(8);
        } else {
            wal.truncate(at);
        }
        put(&broken, &relay.data);
        if let Some(ended) = relay.try_restart(&[]).await {
            assert_eq!(ended.code(), DAMAGED, "{at}: {}", relay.log());
            let said = last_error(&relay);
            let file = relay.data.join("relay.db-wal");
            assert!(said.contains(&*file.to_string_lossy()), "{at}: {said}");
            assert!(said.contains("--accept-loss"), "{at}: {said}");
            assert!(files(&relay.data) == broken, "{at}: something was changed");
            refused += 1;
        } else {
            // Damage behind the last change costs nobody anything.
            assert_eq!(titles(&provider).await, known, "{at}");
            relay.kill();
        }
    }
    assert!(refused > PLACES / 2, "{refused} of {PLACES}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_on_the_disk_is_served_to_nobody() {
    let hooks = Webhooks::start().await;
    let (mut relay, provider, known) = killed(&hooks).await;
    relay.restart().await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    let sound = files(&relay.data);
    assert!(sound["relay.db-wal"].is_empty(), "all is in the one file");
    let database = &sound["relay.db"];
    let mut dice = Dice::new(seed(), 0);
    let anywhere = (0..PLACES / 2).map(|_| dice.throw(database.len()));
    // And where it would be seen: in the titles, wherever they stand.
    let titles_at = database.windows(4).enumerate().filter(|(_, piece)| piece == b"Coun");
    // And the kind of the second page, which is in use.
    let places: Vec<_> = anywhere.chain([4_096]).chain(titles_at.map(|(at, _)| at)).collect();
    let (mut refused, mut put_off) = (0, 0);
    for at in places {
        let mut broken = sound.clone();
        broken.get_mut("relay.db").unwrap()[at] ^= 2;
        put(&broken, &relay.data);
        if let Some(ended) = relay.try_restart(&[]).await {
            // Where the history of the layout is hit, it is the layout that is wrong.
            assert!(matches!(ended.code(), Some(1 | 65)), "{at}: {}", relay.log());
            assert!(last_error(&relay).contains("relay.db "), "{}", last_error(&relay));
            assert!(files(&relay.data) == broken, "{at}: something was changed");
            refused += 1;
            continue;
        }
        let answer = provider.get("Users?count=200").await;
        if answer.status == 200 {
            assert_eq!(titles(&provider).await, known, "{at}");
        } else {
            assert!(answer.status == 503 || answer.status == 401, "{at}: {answer:?}");
            put_off += 1;
        }
        relay.kill();
    }
    assert!(refused > 0 && put_off > 0, "{refused} starts, {put_off} answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_its_newest_part_starts_only_on_a_person_s_word() {
    let hooks = Webhooks::start().await;
    let (mut relay, provider, known) = killed(&hooks).await;
    let sound = files(&relay.data);

    // Nothing but the mark is left.
    let mut gone = sound.clone();
    gone.retain(|name, _| name != "relay.db");
    put(&gone, &relay.data);
    assert_eq!(relay.try_restart(&[]).await.unwrap().code(), DAMAGED);
    assert!(files(&relay.data) == gone, "something was changed");

    let mut older = sound.clone();
    older.remove("relay.db-wal");
    put(&older, &relay.data);
    assert_eq!(relay.try_restart(&[]).await.unwrap().code(), DAMAGED);
    assert!(last_error(&relay).contains("lacks its newest part"), "{}", last_error(&relay));

    // A person says so. What is told from now on is told under ids that nobody has seen.
    assert_eq!(relay.try_restart(&["--accept-loss"]).await, None, "{}", relay.log());
    assert_eq!(titles(&provider).await.len(), 3);
    let before: Vec<_> = hooks.taken().into_iter().map(|event| event.id).collect();
    let gro = provider.hire("gro").await;
    provider.set(&gro, "title", "Queen").await;
    relay.settled().await;
    assert_eq!(hooks.story("gro"), ["user.created", "user.updated"]);
    let new = hooks.taken().into_iter().filter(|event| event.of("userName") == "gro");
    assert!(new.into_iter().all(|event| !before.contains(&event.id)), "an id came twice");

    // Once is enough; and with everything in its place nothing is asked.
    relay.terminate().await;
    assert_eq!(relay.try_restart(&[]).await, None);
    relay.kill();
    put(&sound, &relay.data);
    assert_eq!(relay.try_restart(&[]).await, None);
    assert_eq!(titles(&provider).await, known);
}
