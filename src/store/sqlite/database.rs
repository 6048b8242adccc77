//! The open database: its writer and its readers, and what is known of it without a look.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;

use super::claims::{self, Turns};
use super::clock::Seen;
#[cfg(test)]
use super::memory;
use super::open;
use super::readers::Readers;
use super::registry::{self, Subscribers};
use super::writer::{Done, Urgency, Writer};
use crate::store::{Lost, OrgId, Result, StoreError};

/// The name of the database in the data directory.
pub const FILE: &str = "relay.db";

pub struct SqliteStore {
    pub(super) writer: Writer,
    pub(super) readers: Readers,
    /// Who hears of a write, by organization: what `register` last said.
    pub(super) subscribers: Arc<RwLock<Subscribers>>,
    /// Names of organizations by row, which never change.
    pub(super) keys: Arc<RwLock<HashMap<OrgId, Arc<str>>>>,
    pub(super) turns: Arc<Mutex<Turns>>,
    pub(super) clock: Seen,
    /// How far the log has been looked through for what can go.
    pub(super) pruned: Arc<AtomicI64>,
    pub(super) ledger_key: [u8; 32],
    pub(super) recorded: watch::Sender<()>,
    pub(super) cursor_key: [u8; 32],
    _lock: Option<File>,
}

/// What is read once, when a database is opened.
struct Known {
    ledger_key: [u8; 32],
    cursor_key: [u8; 32],
    clock: Seen,
    subscribers: Subscribers,
    keys: HashMap<OrgId, Arc<str>>,
}

impl Known {
    /// Takes back, too, what a process that was cut off had claimed.
    fn read(c: &Connection) -> Result<Self> {
        claims::cut_off(c)?;
        Ok(Self {
            ledger_key: open::key(c, "ledger_key")?,
            cursor_key: open::key(c, "cursor_key")?,
            clock: Seen::read(c)?,
            subscribers: registry::subscribers(c)?,
            keys: registry::organization_keys(c)?,
        })
    }
}

impl SqliteStore {
    /// Opens or makes the database in `folder`, and takes back what a process that was cut off had
    /// claimed. `commits` hears how long each commit took and how many writes it served.
    ///
    /// Blocks; call it before serving.
    pub fn open(
        folder: &Path,
        commits: impl Fn(Duration, usize) + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::open_with(folder, Lost::Refused, commits)
    }

    /// The same, with a person's word on what is missing from it.
    pub fn open_with(
        folder: &Path,
        lost: Lost,
        commits: impl Fn(Duration, usize) + Send + Sync + 'static,
    ) -> Result<Self> {
        let lock = open::lock(folder)?;
        let path = folder.join(FILE);
        let (connection, mark) = open::writer_of(folder, lost)?;
        let known = Known::read(&connection)?;
        let readers = Readers::open(&path)?;
        let writer = Writer::start(connection, mark, Box::new(commits))?;
        Ok(Self::of(known, writer, readers, Some(lock)))
    }

    /// Opens a database in memory, as [`open`](Self::open) does one in a folder.
    #[cfg(test)]
    pub(crate) fn in_memory(memory: &Arc<memory::Memory>) -> Self {
        let known = Known::read(&memory.connection()).expect("memory can be read");
        let writer = Writer::of_memory(Arc::clone(memory));
        Self::of(known, writer, Readers::of_memory(Arc::clone(memory)), None)
    }

    fn of(known: Known, writer: Writer, readers: Readers, lock: Option<File>) -> Self {
        Self {
            writer,
            readers,
            subscribers: Arc::new(RwLock::new(known.subscribers)),
            keys: Arc::new(RwLock::new(known.keys)),
            turns: Arc::default(),
            clock: known.clock,
            pruned: Arc::default(),
            ledger_key: known.ledger_key,
            recorded: watch::Sender::new(()),
            cursor_key: known.cursor_key,
            _lock: lock,
        }
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<Done<T>> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(Urgency::Foreground, work).await
    }

    pub(super) async fn background<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<Done<T>> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(Urgency::Background, work).await
    }

    /// What is due must not wait until a clock that was set back has caught up.
    pub(super) async fn mind_the_clock(&self, now: Timestamp) -> Result<()> {
        let (clock, latest) = (self.clock.clone(), self.clock.latest());
        if !clock.is_ahead_of(now) {
            return Ok(());
        }
        let followed = self.background(move |c| clock.follow(c, now).map(Done::quiet)).await;
        if followed.is_err() {
            self.clock.forget(latest);
        }
        followed
    }

    pub(super) fn subscribers(&self) -> Arc<RwLock<Subscribers>> {
        Arc::clone(&self.subscribers)
    }

    /// Something was not committed: the list is again what is on disk.
    pub(super) async fn subscribe_as_written(&self) -> Result<()> {
        let known = self.readers.look_up(registry::subscribers).await?;
        *self.subscribers.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    pub(super) fn key_of(&self, organization: OrgId) -> Result<Arc<str>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&organization).cloned().ok_or_else(|| {
            StoreError::Broken(format!("organization {} is unknown", organization.0))
        })
    }

    pub(super) fn keys(&self) -> HashMap<OrgId, Arc<str>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
