//! kill -9 in the middle of an upgrade: a database in the first released layout, with people in every
//! state there is, is brought to today's by whichever start comes to its end, and nothing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;
use serde_json::Value;

use crate::kit::dice::{Dice, seed};
use crate::kit::relay::{Relay, Setup};
use crate::kit::say;
use crate::kit::targets::{UNLIMITED, events_to};

mod layouts {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// The layout of the first release.
const RELEASED: i32 = 4;
/// Of these, every tenth has been deleted.
const PEOPLE: usize = 3_000;
const GROUPS: usize = 60;

/// One organization with people and groups, at one connector that is paused, so that everything stays
/// as it is: entries in every stage, rows of the queue in every state, some of them claimed by a
/// process that was cut off.
const CONTENT: &str = r"
    INSERT INTO organization VALUES (1, 'lillevik');
    INSERT INTO subscription VALUES (1, 1);
    CREATE TEMP TABLE number AS
        WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < $people)
        SELECT id FROM n;

    INSERT INTO resource (id, organization, kind, public_id, version, body, created, modified,
                          deleted, user_name, external_id, label)
        SELECT id, 1, 0, unhex(printf('%032x', id)), 1,
               json_object('userName', 'p' || id, 'displayName', 'P ' || id, 'active', json('true'),
                           'externalId', 'ext-' || id, 'title', hex(randomblob(100))),
               $now, $now, iif(id % 10 = 0, $now, NULL), 'p' || id, 'ext-' || id, 'P ' || id
        FROM number;
    INSERT INTO resource (id, organization, kind, public_id, version, body, created, modified,
                          display_name, label)
        SELECT $people + id, 1, 1, unhex(printf('%032x', $people + id)), 1,
               json_object('displayName', 'g' || id), $now, $now, 'g' || id, 'g' || id
        FROM number WHERE id <= $groups;
    INSERT INTO population
        SELECT 1, kind, count(*) FROM resource WHERE deleted IS NULL GROUP BY kind;
    INSERT INTO member
        SELECT $people + 1 + id % $groups, id FROM resource WHERE kind = 0 AND deleted IS NULL;
    INSERT INTO change (organization, resource, verb, at, body, attributes)
        SELECT 1, id, 0, $now, body, '[]' FROM resource;
    INSERT INTO change (organization, resource, verb, at, body, attributes)
        SELECT 1, id, 2, $now, body, '[]' FROM resource WHERE deleted IS NOT NULL;

    INSERT INTO link (connector, resource, target_id, address, hash, seq, stage, since)
        SELECT 1, id, 'entry-' || id, 'uid=p' || id, 'hash', id, id % 7 % 4, $now
        FROM number WHERE id % 5 < 4;
    INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state, reason,
                       entire, attempts, first_failed, last_error, hold_kind, approved, approved_at,
                       waits_for, epoch, leased, doubt)
        SELECT 1, id, 1, id, 1 + id % 3, $now, $now + iif(state = 2, 86400000, 0), state,
               iif(id % 4 = 0, 'backfill', 'change'), id % 2, iif(state IN (1, 4), 3, 0),
               iif(state IN (1, 4), $now, NULL), iif(state IN (1, 4), 'it said no', NULL),
               iif(state = 5, 'take_over', NULL), iif(state = 0 AND id % 11 = 0, 1, NULL),
               iif(state = 0 AND id % 11 = 0, $now, NULL), iif(state = 3, id - id % 10 + 10, NULL), 7,
               iif(state = 0 AND id % 4 = 2, $now, NULL), 0
        FROM (SELECT id, id / 3 % 6 AS state FROM number WHERE id % 3 = 0 OR id % 10 = 0);
    INSERT INTO member_mark (connector, group_id, member_id, target_id, address)
        SELECT 1, $people + 1 + id % $groups, id, 'entry-' || id, 'uid=p' || id
        FROM number WHERE id % 10 = 0;
    INSERT INTO mail (key, state, at) SELECT randomblob(32), id % 2, $now FROM number WHERE id < 500;
";

/// Makes the database as the released version left it, with the connector that today's has registered.
fn released(folder: &Path, registered: &Connection) {
    fs::create_dir(folder).unwrap();
    let mut database = Connection::open(folder.join("relay.db")).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    let target = refinery::Target::Version(RELEASED);
    layouts::migrations::runner().set_grouped(true).set_target(target).run(&mut database).unwrap();
    let (id, name, kind, fingerprint): (i64, String, String, String) = registered
        .query_row("SELECT id, name, kind, fingerprint FROM connector", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    let now: i64 = database
        .query_row("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)", [], |row| row.get(0))
        .unwrap();
    database
        .execute(
            "INSERT INTO connector (id, name, kind, every_event, members, reads_groups, enabled,
                                    fingerprint, paused_at, paused_by)
             VALUES (?1, ?2, ?3, 1, 0, 0, 1, ?4, ?5, 'a person')",
            rusqlite::params![id, name, kind, fingerprint, now],
        )
        .unwrap();
    let content = [
        ("$people", PEOPLE.to_string()),
        ("$groups", GROUPS.to_string()),
        ("$now", now.to_string()),
    ]
    .into_iter()
    .fold(CONTENT.to_owned(), |text, (name, value)| text.replace(name, &value));
    database.execute_batch(&format!("BEGIN; {content} COMMIT;")).unwrap();
}

/// What each table of the released layout holds, in the columns that it had.
type Rows = BTreeMap<String, BTreeSet<String>>;

fn columns(database: &Connection, table: &str) -> Vec<String> {
    let mut statement = database.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
    let names = statement.query_map([table], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

/// Tables that a start or a look at it writes to, and what is no table of ours.
const OTHERS: [&str; 6] =
    ["setting", "audit", "token", "request", "refinery_schema_history", "sqlite_sequence"];

fn tables(database: &Connection) -> BTreeMap<String, Vec<String>> {
    let mut statement =
        database.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'").unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.collect::<Result<_, _>>().unwrap();
    let ours = names.into_iter().filter(|name| !OTHERS.contains(&name.as_str()));
    ours.map(|name| (name.clone(), columns(database, &name))).collect()
}

fn rows(database: &Connection, tables: &BTreeMap<String, Vec<String>>) -> Rows {
    let of = |(table, columns): (&String, &Vec<String>)| {
        let quoted: Vec<String> = columns.iter().map(|name| format!("quote({name})")).collect();
        let text = format!("SELECT {} FROM {table}", quoted.join(" || ' ' || "));
        let mut statement = database.prepare(&text).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        (table.clone(), rows.collect::<Result<_, _>>().unwrap())
    };
    tables.iter().map(of).collect()
}

fn layout(database: &Connection) -> i32 {
    let newest = "SELECT max(version) FROM refinery_schema_history";
    database.query_row(newest, [], |row| row.get(0)).unwrap()
}

fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

struct Upgrade {
    relay: Relay,
    folder: tempfile::TempDir,
    tables: BTreeMap<String, Vec<String>>,
    /// What is to be there afterwards.
    wanted: Rows,
}

impl Upgrade {
    async fn prepare() -> Self {
        // Nobody receives anything.
        let file = events_to("http://127.0.0.1:9/", UNLIMITED);
        let mut relay = Setup::new().connector("events", file).start().await;
        assert_eq!(relay.terminate().await.code(), Some(0));
        let folder = tempfile::tempdir().unwrap();
        let older = folder.path().join("older");
        released(&older, &Connection::open(relay.data.join("relay.db")).unwrap());
        let looked_at = folder.path().join("looked-at");
        copy(&older, &looked_at);
        let database = Connection::open(looked_at.join("relay.db")).unwrap();
        // What was claimed by a process that was cut off is free again, and in doubt.
        let freed = "UPDATE queue SET leased = NULL, doubt = 1 WHERE leased IS NOT NULL";
        assert!(database.execute(freed, []).unwrap() > 0);
        let tables = tables(&database);
        let wanted = rows(&database, &tables);
        Self { relay, folder, tables, wanted }
    }

    fn place(&self) {
        copy(&self.folder.path().join("older"), &self.relay.data);
    }

    /// The layout that a process which was killed has left, seen in a copy: whoever opens a database
    /// after a crash puts it in order.
    fn left(&self) -> i32 {
        let looked_at = self.folder.path().join("looked-at");
        copy(&self.relay.data, &looked_at);
        layout(&Connection::open(looked_at.join("relay.db")).unwrap())
    }

    /// Everything is as it was, in the newest layout. The relay has ended.
    fn compare(&self) {
        let database = Connection::open(self.relay.data.join("relay.db")).unwrap();
        let sound: String =
            database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        assert!(layout(&database) > RELEASED);
        let found = rows(&database, &self.tables);
        for (table, wanted) in &self.wanted {
            let found = &found[table];
            let lost: Vec<_> = wanted.difference(found).take(3).collect();
            let new: Vec<_> = found.difference(wanted).take(3).collect();
            assert!(lost.is_empty() && new.is_empty(), "{table}: {lost:#?} became {new:#?}");
        }
    }
}

pub(super) async fn kills_in_an_upgrade(kills: usize) {
    let mut upgrade = Upgrade::prepare().await;

    // One in peace, which says how long it takes.
    upgrade.place();
    let begun = Instant::now();
    upgrade.relay.restart().await;
    let takes = begun.elapsed();
    let provider = upgrade.relay.provider("lillevik");
    let living = PEOPLE - PEOPLE / 10;
    assert_eq!(provider.get("Users?count=0").await.expect(200).body["totalResults"], living);
    let ada = provider.get("Users/00000000-0000-0000-0000-000000000001").await.expect(200).body;
    assert_eq!((&ada["userName"], &ada["groups"][0]["display"]), (&"p1".into(), &"g2".into()));
    let held = upgrade.relay.json(&["held", "list"]);
    let is_take_over = |row: &Value| row["hold_kind"] == "take_over";
    assert!(held.as_array().is_some_and(|rows| !rows.is_empty() && rows.iter().all(is_take_over)));
    upgrade.relay.kill();
    upgrade.compare();

    let mut dice = Dice::new(seed(), 996);
    let mut in_the_middle = 0;
    for kill in 0..kills {
        upgrade.place();
        upgrade.relay.launch();
        // One in each part of the time.
        let part = (kill * 1_000 + dice.throw(1_000)) as f64 / (kills * 1_000) as f64;
        tokio::time::sleep(takes.mul_f64(part)).await;
        upgrade.relay.kill();
        in_the_middle += usize::from(upgrade.left() == RELEASED);
        upgrade.relay.restart().await;
        upgrade.relay.kill();
        upgrade.compare();
    }
    say(&format!(
        "{kills} kills in upgrades of {takes:?}: {in_the_middle} before it was committed"
    ));
    assert!(in_the_middle > 0, "no upgrade was cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_keeps_everything_and_one_that_is_killed_is_done_by_the_next_start() {
    kills_in_an_upgrade(6).await;
}
