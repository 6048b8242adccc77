//! Whether the wall clock was set back: what is due must not wait until it has caught up.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{millis, queue, sql};
use crate::store::Result;

/// By how many milliseconds it may go back without anybody minding: what time servers do.
const SLACK: i64 = 60_000;
/// How much of the time that was seen may be lost with the process, in milliseconds.
const NOTED_EVERY: i64 = 60_000;

/// The latest time that was seen, in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    latest: Arc<AtomicI64>,
    /// What is on disk of it.
    noted: Arc<AtomicI64>,
}

impl Seen {
    pub(super) fn read(c: &Connection) -> Result<Self> {
        let noted: Option<i64> = c
            .query_row("SELECT value FROM setting WHERE name = 'clock'", [], |row| row.get(0))
            .optional()
            .map_err(sql)?;
        let latest = queue::latest(c)?.max(noted.unwrap_or_default());
        let [latest, noted] = [latest, noted.unwrap_or_default()].map(AtomicI64::new).map(Arc::new);
        Ok(Self { latest, noted })
    }

    /// Whether it is worth a look at the queue.
    pub(super) fn is_ahead_of(&self, now: Timestamp) -> bool {
        self.latest.fetch_max(millis(now), Ordering::AcqRel) - millis(now) > SLACK
    }

    /// Moves what is due by as much as the clock was set back, once. To be called in the writer.
    pub(super) fn follow(&self, c: &Connection, now: Timestamp) -> Result<()> {
        let by = self.latest.load(Ordering::Acquire) - millis(now);
        if by <= SLACK {
            return Ok(());
        }
        queue::set_back(c, by, now)?;
        note(c, now)?;
        self.noted.store(millis(now), Ordering::Release);
        self.latest.store(millis(now), Ordering::Release);
        Ok(())
    }

    /// What was followed is not on disk, and is to be followed once more.
    pub(super) fn forget(&self, followed: i64) {
        self.latest.fetch_max(followed, Ordering::AcqRel);
    }

    pub(super) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Acquire)
    }

    /// That something is about to be written with this time. It may have been read before the clock
    /// was set back, and is followed then, too.
    pub(super) fn see(&self, now: Timestamp) {
        self.latest.fetch_max(millis(now), Ordering::AcqRel);
    }

    /// Writes the time down now and then, since the clock may be set back while nobody looks.
    pub(super) fn note(&self, c: &Connection, now: Timestamp) -> Result<()> {
        self.see(now);
        if millis(now) - self.noted.load(Ordering::Acquire) < NOTED_EVERY {
            return Ok(());
        }
        note(c, now)?;
        self.noted.store(millis(now), Ordering::Release);
        Ok(())
    }
}

fn note(c: &Connection, now: Timestamp) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO setting (name, value) VALUES ('clock', ?1)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )
    .and_then(|mut s| s.execute([millis(now)]))
    .map_err(sql)?;
    Ok(())
}
