//! When the WAL is copied into the database: after a commit was answered, so that nobody waits for
//! it, and not by SQLite itself, which would keep a failure to itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, ErrorCode};

/// Pages in the WAL from which on it is worth the while: 4 MiB.
const ENOUGH: i32 = 1_000;
/// Pages from which on writes wait for the readers that keep it from starting over: 64 MiB.
const TOO_MANY: i32 = 16_000;
/// For how long, and how often at most.
const PATIENCE: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);

/// Watches how long the WAL of the writing connection is.
pub(super) struct Checkpoints {
    pages: Arc<AtomicI32>,
    enough: i32,
    too_many: i32,
    /// When readers were last waited for.
    waited: Option<Instant>,
    failing: bool,
}

impl Checkpoints {
    /// Takes them over from SQLite.
    pub(super) fn take_over(connection: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut _, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { pages, enough: ENOUGH, too_many: TOO_MANY, waited: None, failing: false })
    }

    /// To be called when everybody has their answer. What a disk cannot take is tried again after
    /// the next commit; until then it is in the WAL.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.enough {
            return Ok(());
        }
        let may_wait = self.waited.is_none_or(|at| at.elapsed() >= SELDOM);
        let copied = if pages >= self.too_many && may_wait {
            self.waited = Some(Instant::now());
            waiting(connection, CheckpointMode::RESTART)
        } else {
            copy(connection, CheckpointMode::PASSIVE)
        };
        match &copied {
            Ok(()) => self.failing = false,
            Err(error) if std::mem::replace(&mut self.failing, true) => {
                tracing::debug!(%error, "the WAL still cannot be copied into the database");
            }
            Err(error) => {
                tracing::warn!(%error, pages, "the WAL cannot be copied into the database; it grows until that goes again");
            }
        }
        copied
    }
}

/// At the end: all that there is goes into the one file, as far as the disk takes it.
pub(super) fn last(connection: &Connection) {
    if let Err(error) = waiting(connection, CheckpointMode::TRUNCATE) {
        tracing::warn!(%error, "the WAL stays for the next start: it cannot be copied into the database now");
    }
}

/// With some patience for readers.
fn waiting(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    let copied = copy(connection, mode);
    connection.busy_timeout(super::open::BUSY_TIMEOUT)?;
    copied
}

/// Readers that are in the way are no fault: there will be another time.
fn copy(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<()> {
    match connection.wal_checkpoint_v2(DEFAULT_NAME, mode) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    struct Kit {
        folder: tempfile::TempDir,
        connection: Connection,
        checkpoints: Checkpoints,
    }

    impl Kit {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut connection = open::writer(&folder.path().join("relay.db")).unwrap();
            connection.execute_batch("CREATE TABLE blob (data BLOB)").unwrap();
            let mut checkpoints = Checkpoints::take_over(&mut connection).unwrap();
            (checkpoints.enough, checkpoints.too_many) = (50, 100);
            Self { folder, connection, checkpoints }
        }

        fn reader(&self) -> Connection {
            open::reader(&self.folder.path().join("relay.db")).unwrap()
        }

        fn write(&mut self, times: usize) {
            for _ in 0..times {
                let row = "INSERT INTO blob VALUES (randomblob(10000))";
                self.connection.execute_batch(row).unwrap();
                self.checkpoints.after_commit(&self.connection).unwrap();
            }
        }

        fn wal_pages(&self) -> u64 {
            let wal = std::fs::metadata(self.folder.path().join("relay.db-wal")).unwrap();
            wal.len() / 4_096
        }
    }

    #[test]
    fn the_wal_starts_over_again_and_again() {
        let mut kit = Kit::new();
        kit.write(1_000);
        assert!(kit.wal_pages() < 100, "{}", kit.wal_pages());
    }

    #[test]
    fn a_long_read_keeps_the_wal_and_refuses_no_write_and_when_it_ends_it_starts_over() {
        let mut kit = Kit::new();
        let reader = kit.reader();
        reader.execute_batch("BEGIN").unwrap();
        let rows = "SELECT count(*) FROM blob";
        let before: i64 = reader.query_row(rows, [], |row| row.get(0)).unwrap();
        kit.write(100);
        assert!(kit.wal_pages() > 100, "it reads what was then");
        assert_eq!(reader.query_row(rows, [], |row| row.get::<_, i64>(0)).unwrap(), before);
        reader.execute_batch("COMMIT").unwrap();
        let longest = kit.wal_pages();
        kit.write(1_000);
        assert!(kit.wal_pages() < longest + 50, "hardly longer than that");
    }

    #[test]
    fn reads_that_overlap_without_end_are_waited_for() {
        let mut kit = Kit::new();
        let mut readers = [kit.reader(), kit.reader()];
        readers[0].execute_batch("BEGIN; SELECT count(*) FROM blob").unwrap();
        let (done, ended) = std::sync::mpsc::channel::<()>();
        // There is always one that reads what was a moment ago, as under load.
        let reading = std::thread::spawn(move || {
            while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                readers[1].execute_batch("BEGIN; SELECT count(*) FROM blob").unwrap();
                readers[0].execute_batch("COMMIT").unwrap();
                readers.reverse();
            }
        });
        // On a machine that is busy itself one wait may be in vain.
        let starts_over = (0..30).any(|_| {
            kit.checkpoints.waited = None;
            kit.write(20);
            kit.wal_pages() > 100 && kit.checkpoints.pages.load(Ordering::Relaxed) < 50
        });
        drop(done);
        reading.join().unwrap();
        assert!(starts_over, "{} pages", kit.wal_pages());
    }

    #[test]
    fn in_the_end_the_database_is_one_file() {
        let mut kit = Kit::new();
        let _idle = kit.reader();
        kit.write(3);
        last(&kit.connection);
        assert_eq!(kit.wal_pages(), 0);
    }
}
