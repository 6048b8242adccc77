//! How far the database had come, noted beside it, so that one that has lost its newest part is
//! noticed.
//!
//! Where a WAL is damaged it ends, as SQLite reads it, and where it is gone there was none: either
//! would take back acknowledged writes without a word. The mark is written after each commit that
//! made something new and synced now and then, so it may be behind the database and is never ahead.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use super::{FILE, sql};
use crate::store::{Lost, Result, StoreError};

/// Beside the database.
const MARK: &str = "relay.mark";

/// The open file, and what it says.
pub(super) struct Mark {
    file: File,
    path: PathBuf,
    reached: i64,
    failing: bool,
}

/// How many rows were ever made in the tables that never give a number twice. It grows with every
/// change, request, token and audited action.
fn reached(c: &Connection) -> Result<i64> {
    let count = || {
        let there = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'";
        if c.prepare_cached(there)?.query_row([], |_| Ok(())).optional()?.is_none() {
            return Ok(0);
        }
        c.prepare_cached("SELECT coalesce(sum(seq), 0) FROM sqlite_sequence")?
            .query_row([], |row| row.get(0))
    };
    count().map_err(sql)
}

/// By how much a database is behind its mark, if a person has said that this is to be put up with.
/// Otherwise it is refused, and nothing was touched. `None`: there is no database.
pub(super) fn missing(c: Option<&Connection>, folder: &Path, lost: Lost) -> Result<i64> {
    // There is none before the first start, and a power cut may have left half of one.
    let text = std::fs::read_to_string(folder.join(MARK)).unwrap_or_default();
    let noted: i64 = text.strip_suffix('\n').and_then(|text| text.parse().ok()).unwrap_or(0);
    let missing = (noted - c.map_or(Ok(0), reached)?).max(0);
    if missing == 0 || lost == Lost::Accepted {
        return Ok(missing);
    }
    let database = folder.join(FILE);
    Err(StoreError::Damaged(format!(
        "{database} lacks its newest part: {missing} rows that were written are not there. Its WAL \
         ({database}-wal) is damaged or was removed, or an older copy was put in its place. Nothing \
         was touched. Bring back the files that belong together; or go on without what is missing: \
         `scim-relay serve --accept-loss`, once, and then let the provider push everyone again",
        database = database.display(),
    )))
}

/// No number that was given to what is missing is given again: receivers of events know them.
pub(super) fn skip(c: &Connection, missing: i64) -> Result<()> {
    if missing > 0 {
        tracing::warn!(missing, "going on without what is missing from the database");
        c.execute("UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'change'", [missing])
            .map_err(sql)?;
    }
    Ok(())
}

impl Mark {
    /// Notes what the database has come to.
    pub(super) fn open(c: &Connection, folder: &Path) -> Result<Self> {
        let path = folder.join(MARK);
        let failed = |error| StoreError::Open(format!("cannot write {}: {error}", path.display()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut mark = Self { file, reached: -1, path: path.clone(), failing: false };
        mark.note(c);
        mark.sync();
        Ok(mark)
    }

    /// After a commit. One that cannot be written stays behind, which loses nothing.
    pub(super) fn note(&mut self, c: &Connection) {
        let written = reached(c).map_err(|error| error.to_string()).and_then(|reached| {
            if reached != self.reached {
                // Always as long, so that it takes no more room and is written in one piece.
                let line = format!("{reached:020}\n");
                self.file.write_all_at(line.as_bytes(), 0).map_err(|error| error.to_string())?;
                self.reached = reached;
            }
            Ok(())
        });
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(error, file = %self.path.display(), "cannot note how far the database has come");
        }
        self.failing = written.is_err();
    }

    /// At the start and at the end; in between the kernel writes it in its own time.
    pub(super) fn sync(&self) {
        if let Err(error) = self.file.sync_all() {
            tracing::warn!(%error, file = %self.path.display(), "cannot sync how far the database has come");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NEW: &str = "INSERT INTO change (organization, resource, verb, at, body, attributes)
                       VALUES (1, 1, 0, 0, '{}', '[]')";

    fn database(folder: &Path) -> Connection {
        super::super::open::writer(&folder.join(FILE)).unwrap()
    }

    #[test]
    fn a_database_that_is_behind_its_mark_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let c = database(folder.path());
        let mut mark = Mark::open(&c, folder.path()).unwrap();
        assert_eq!(missing(Some(&c), folder.path(), Lost::Refused).unwrap(), 0);
        c.execute_batch(NEW).unwrap();
        c.execute_batch(NEW).unwrap();
        mark.note(&c);
        assert_eq!(missing(Some(&c), folder.path(), Lost::Refused).unwrap(), 0);

        let older = tempfile::tempdir().unwrap();
        let c = database(older.path());
        fs::copy(folder.path().join(MARK), older.path().join(MARK)).unwrap();
        let refused = missing(Some(&c), older.path(), Lost::Refused);
        let Err(StoreError::Damaged(said)) = refused else { panic!("{refused:?}") };
        let file = older.path().join(FILE);
        assert!(said.contains(&format!("{} lacks its newest part: 2", file.display())), "{said}");
        assert!(said.contains("--accept-loss"), "{said}");
        assert!(matches!(missing(None, older.path(), Lost::Refused), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn what_is_missing_and_accepted_leaves_its_numbers_unused() {
        let folder = tempfile::tempdir().unwrap();
        let c = database(folder.path());
        c.execute_batch(NEW).unwrap();
        fs::write(folder.path().join(MARK), "00000000000000000042\n").unwrap();
        let missing = missing(Some(&c), folder.path(), Lost::Accepted).unwrap();
        assert_eq!(missing, 41);
        skip(&c, missing).unwrap();
        c.execute_batch(NEW).unwrap();
        assert_eq!(c.last_insert_rowid(), 43);
        Mark::open(&c, folder.path()).unwrap();
        assert_eq!(super::missing(Some(&c), folder.path(), Lost::Refused).unwrap(), 0);
    }

    #[test]
    fn a_mark_that_is_half_written_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let c = database(folder.path());
        for text in ["", "\0\0\0\0", "000000000"] {
            fs::write(folder.path().join(MARK), text).unwrap();
            assert_eq!(missing(Some(&c), folder.path(), Lost::Refused).unwrap(), 0, "{text:?}");
        }
    }
}
