//! Opening the database: the lock, the pragmas, the migrations.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::mark::{self, Mark};
use super::{FILE, sql};
use crate::ids;
use crate::store::{Lost, Result, StoreError};

mod migrations {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// SQLite before this could corrupt a WAL database (the WAL-reset fault, mended in March 2026).
const OLDEST_SQLITE: i32 = 3_051_003;

/// Pages that a connection keeps for itself, in KiB. There are several readers, and what they miss
/// is in the kernel's cache.
const WRITER_CACHE: i64 = 8_192;
const READER_CACHE: i64 = 1_024;

/// How long a lock of another process on the database is waited for.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a start may look for damage.
const LOOK: Duration = Duration::from_secs(1);

/// Holds the data directory for this process; the kernel lets go of it when the process ends, so
/// there is no stale lock.
pub(super) fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).map_err(|error| {
        StoreError::Open(format!(
            "cannot make the data directory {}: {error}; make it, or set `data_dir` to a folder \
             this user may write",
            folder.display()
        ))
    })?;
    restrict(folder, 0o700);
    let path = folder.join("relay.lock");
    let file = private(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Open(format!(
            "another scim-relay uses {}; stop it first (`systemctl stop scim-relay`)",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(StoreError::Open(format!("cannot lock {}: {error}", path.display())))
        }
    }
}

/// What holds people's data is for its owner alone.
fn restrict(path: &Path, mode: u32) {
    if let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(mode)) {
        tracing::warn!(path = %path.display(), %error, "cannot restrict this to its owner");
    }
}

/// A file that is there from now on, and nobody else's business.
fn private(path: &Path) -> Result<File> {
    let file =
        File::options().create(true).append(true).mode(0o600).open(path).map_err(|error| {
            StoreError::Open(format!("cannot write {}: {error}", path.display()))
        })?;
    restrict(path, 0o600);
    Ok(file)
}

/// The writing connection, with the schema of this version, and the mark beside the database.
/// Whatever is wrong is found before anything is changed.
pub(super) fn writer_of(folder: &Path, lost: Lost) -> Result<(Connection, Mark)> {
    assert!(rusqlite::version_number() >= OLDEST_SQLITE, "SQLite is bundled and new enough");
    let path = folder.join(FILE);
    let new = fs::metadata(&path).map_or(0, |file| file.len()) == 0;
    if new {
        // Before SQLite takes a WAL without a database away.
        mark::missing(None, folder, lost)?;
    }
    // SQLite gives its other files the same mode.
    drop(private(&path)?);
    let mut connection = connect(&path).map_err(|error| unusable(&path, error))?;
    look_over(&mut connection).map_err(|said| damaged(&path, &said))?;
    let missing = mark::missing(Some(&connection), folder, lost)?;
    migrate(&mut connection, &path)?;
    mark::skip(&connection, missing)?;
    let mark = Mark::open(&connection, folder)?;
    if new {
        // The files' names, too, must survive a power cut, and the folder's, which may be new.
        sync(folder).map_err(|error| {
            StoreError::Open(format!("cannot sync {}: {error}", folder.display()))
        })?;
        if let Some(above) = folder.parent()
            && let Err(error) = sync(above)
        {
            tracing::debug!(folder = %above.display(), %error, "not ours to sync");
        }
    }
    Ok((connection, mark))
}

/// The same for tests of what lies above it.
#[cfg(test)]
pub(super) fn writer(path: &Path) -> Result<Connection> {
    let folder = path.parent().expect("a file is in a folder");
    writer_of(folder, Lost::Refused).map(|(connection, _)| connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // The writer copies the WAL itself; what is refused here is to stay as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    pragmas(&connection, WRITER_CACHE)?;
    Ok(connection)
}

fn unusable(path: &Path, error: rusqlite::Error) -> StoreError {
    match sql(error) {
        StoreError::Damaged(said) => damaged(path, &said),
        StoreError::Busy(said) | StoreError::Broken(said) | StoreError::Open(said) => {
            StoreError::Open(format!(
                "cannot use {}: {said}; see that there is room on its disk, that this user may \
                 write it, and that nothing else has it open, and start again",
                path.display()
            ))
        }
    }
}

fn damaged(path: &Path, said: &str) -> StoreError {
    StoreError::Damaged(format!(
        "{} is damaged, or is no database: {said}. Nothing was changed. See what the disk says, and \
         put a copy from before in its place",
        path.display()
    ))
}

/// Looks for damage as long as a start may take: all of a small database, some of a large one.
fn look_over(c: &mut Connection) -> std::result::Result<(), String> {
    let end = Instant::now() + LOOK;
    let wrong = |error: rusqlite::Error| error.to_string();
    c.progress_handler(1_000, Some(move || Instant::now() >= end)).map_err(wrong)?;
    let found = c.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    c.progress_handler(0, None::<fn() -> bool>).map_err(wrong)?;
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(found),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(wrong(error)),
    }
}

fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A reading connection to a database that [`writer_of`] has prepared.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    pragmas(&connection, READER_CACHE).map_err(sql)?;
    Ok(connection)
}

/// `cache` in KiB.
fn pragmas(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    // A plan stays as it was made: SQLite is built to think again with each new value, and no
    // query here has more than one good plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Negative: a size instead of a number of pages.
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.set_prepared_statement_cache_capacity(200);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // FULL is per connection; NORMAL would lose the last commits in a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// A database that lasts as long as its connection.
#[cfg(test)]
pub(super) fn in_memory() -> Result<Connection> {
    let mut connection = Connection::open_in_memory().map_err(sql)?;
    pragmas(&connection, WRITER_CACHE).map_err(sql)?;
    migrate(&mut connection, Path::new(":memory:"))?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    // Each step with its entry in the history, or else one that was cut off in between would be
    // done twice.
    let runner = migrations::migrations::runner().set_grouped(true);
    let known = runner.get_migrations().iter().map(refinery::Migration::version).max().unwrap_or(0);
    let found: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .map_err(|error| unusable(path, error))?;
    if found > 0 {
        let version: i64 = connection
            .query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| {
                row.get(0)
            })
            .map_err(|error| unusable(path, error))?;
        if version > i64::from(known) {
            return Err(StoreError::Open(format!(
                "{} was written by a newer scim-relay (layout {version}, this one knows {known}); \
                 install that version again, or restore a backup made by this one",
                path.display()
            )));
        }
    }
    runner.run(connection).map_err(|error| {
        StoreError::Open(format!(
            "{} could not be brought to this version's layout: {error}",
            path.display()
        ))
    })?;
    Ok(())
}

/// A secret of this database, made when it is first asked for.
pub(super) fn key(c: &Connection, name: &str) -> Result<[u8; 32]> {
    c.execute(
        "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![name, ids::secret_bytes::<32>()],
    )
    .map_err(sql)?;
    c.query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0)).map_err(sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_is_cut_off_after_any_commit_is_finished_by_the_next() {
        let mut commits = 0;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE);
            let mut cut_off = Connection::open(&path).unwrap();
            let mut left = commits;
            let is_over = move || {
                left -= 1;
                left < 0
            };
            cut_off.commit_hook(Some(is_over)).unwrap();
            let finished = migrate(&mut cut_off, &path).is_ok();
            drop(cut_off);
            migrate(&mut Connection::open(&path).unwrap(), &path).unwrap();
            if finished {
                break;
            }
            commits += 1;
        }
        assert!(commits > 0, "it was cut off");
    }

    #[test]
    fn who_was_there_before_labels_were_has_one() {
        let mut c = Connection::open_in_memory().unwrap();
        let before = refinery::Target::Version(3);
        migrations::migrations::runner().set_target(before).run(&mut c).unwrap();
        for (number, kind, body) in [
            (1, 0, r#"{"userName":"ada","displayName":"Ada \"L\""}"#),
            (2, 0, r#"{"userName":"bea"}"#),
            (3, 1, r#"{"displayName":"choir"}"#),
        ] {
            c.execute(
                "INSERT INTO resource (id, organization, kind, public_id, version, body, created, modified)
                 VALUES (?1, 1, ?2, randomblob(16), 1, ?3, 0, 0)",
                rusqlite::params![number, kind, body],
            )
            .unwrap();
        }
        migrations::migrations::runner().run(&mut c).unwrap();
        let labels: Vec<Option<String>> = c
            .prepare("SELECT label FROM resource ORDER BY id")
            .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
            .unwrap();
        // A userName identifies, and is not to be shown.
        let shown = [Some("Ada \"L\""), None, Some("choir")];
        assert_eq!(labels, shown.map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn what_was_held_and_deleted_before_limits_were_counts_as_waiting() {
        let mut c = Connection::open_in_memory().unwrap();
        let before = refinery::Target::Version(4);
        migrations::migrations::runner().set_target(before).run(&mut c).unwrap();
        c.execute_batch(
            "INSERT INTO connector (id, name, kind, every_event, members, reads_groups, enabled, fingerprint)
                 VALUES (1, 'dir', 'ldap', 0, 1, 0, 1, '');
             INSERT INTO subscription (connector, organization) VALUES (1, 1);",
        )
        .unwrap();
        // Held; deleted and there; deleted and removed already.
        for (number, deleted, stage, state, kind) in
            [(1, None, 0, 5, Some("take_over")), (2, Some(7), 1, 0, None), (3, Some(7), 2, 2, None)]
        {
            c.execute(
                "INSERT INTO resource (id, organization, kind, public_id, version, body, created, modified, deleted)
                 VALUES (?1, 1, 0, randomblob(16), 1, '{}', 0, 0, ?2)",
                params![number, deleted],
            )
            .unwrap();
            c.execute(
                "INSERT INTO link (connector, resource, target_id, address, seq, stage, since)
                 VALUES (1, ?1, ?1, ?1, 0, ?2, 0)",
                [number, stage],
            )
            .unwrap();
            c.execute(
                "INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state,
                                    reason, entire, attempts, hold_kind, epoch, doubt)
                 VALUES (1, ?1, 1, 0, 1, 0, 0, ?2, 'change', 0, 0, ?3, 0, 0)",
                params![number, state, kind],
            )
            .unwrap();
        }
        migrations::migrations::runner().run(&mut c).unwrap();
        let rows: Vec<(i64, i64)> = c
            .prepare("SELECT hold_count, leaving FROM queue ORDER BY resource")
            .and_then(|mut s| s.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .unwrap();
        assert_eq!(rows, [(1, 0), (0, 1), (0, 0)]);
        let newest: i64 =
            c.query_row("SELECT newest FROM subscription", [], |row| row.get(0)).unwrap();
        assert_eq!(newest, 0, "a connector that was there has had its first run");
    }
}
