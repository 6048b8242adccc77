//! What the disk and SQLite alone allow: the reference that rates are related to.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// Rows of a user's size with three queue rows each, so many to a commit, synced.
pub(crate) fn commits_per_second(group: usize, time: Duration) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join("limit.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE r (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT, body TEXT);
             CREATE INDEX r_b ON r (b);
             CREATE TABLE q (c INTEGER, r INTEGER, due INTEGER, PRIMARY KEY (c, r)) WITHOUT ROWID;
             CREATE INDEX q_due ON q (c, due);",
        )
        .unwrap();
    let body = "x".repeat(1_200);
    let begun = Instant::now();
    let mut rows = 0i64;
    while begun.elapsed() < time {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..group {
            rows += 1;
            connection
                .prepare_cached("INSERT INTO r (a, b, body) VALUES (?1, ?2, ?3)")
                .unwrap()
                .execute(params![format!("user-{rows}"), format!("ext-{rows}"), body])
                .unwrap();
            for connector in 0..3 {
                connection
                    .prepare_cached("INSERT INTO q VALUES (?1, ?2, ?3)")
                    .unwrap()
                    .execute([connector, rows, rows])
                    .unwrap();
            }
        }
        connection.execute_batch("COMMIT").unwrap();
    }
    rows as f64 / begun.elapsed().as_secs_f64()
}
