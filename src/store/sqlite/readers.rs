//! The reading connections: SQLite in WAL mode lets them read while the writer writes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{open, sql};
use crate::store::{OrgId, Result, StoreError};

/// Readers at once. Reads are short; more would only share the same cores.
const READERS: usize = 8;
/// How many of them may be busy with long reads, so that a look-up never waits for all of them.
const LONG: usize = 6;
/// How many of those may be for one organization's clients, so that the others' get on.
const SHARE: usize = 2;
/// How long one may take. Providers wait about half a minute for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so many steps of SQLite's machine, a hundred rows or so, the clock is looked at.
const STEPS: i32 = 1_000;
/// Of a read that ends by itself.
const FOREVER: Option<fn() -> bool> = None;

#[derive(Clone)]
pub(super) struct Readers {
    path: Arc<Path>,
    idle: Arc<Mutex<Vec<Connection>>>,
    slots: Arc<Semaphore>,
    long: Arc<Semaphore>,
    shares: Arc<Mutex<HashMap<OrgId, Arc<Semaphore>>>>,
    pub(super) patience: Duration,
    #[cfg(test)]
    memory: Option<Arc<super::memory::Memory>>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self::of(path, (0..READERS).map(|_| open::reader(path)).collect::<Result<_>>()?))
    }

    #[cfg(test)]
    pub(super) fn of_memory(memory: Arc<super::memory::Memory>) -> Self {
        Self { memory: Some(memory), ..Self::of(Path::new(""), Vec::new()) }
    }

    fn of(path: &Path, connections: Vec<Connection>) -> Self {
        Self {
            path: path.into(),
            idle: Arc::new(Mutex::new(connections)),
            slots: Arc::new(Semaphore::new(READERS)),
            long: Arc::new(Semaphore::new(LONG)),
            shares: Arc::default(),
            patience: PATIENCE,
            #[cfg(test)]
            memory: None,
        }
    }

    /// A look-up by index: microseconds, so it runs where it is asked for.
    pub(super) async fn look_up<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let _slot = self.slots.acquire().await.map_err(closed)?;
        self.with(FOREVER, read)
    }

    /// Anything longer, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.on_a_thread(move |readers| readers.with(FOREVER, read)).await
    }

    /// Anything longer that a client of an organization asks for. `None`: it took too long.
    pub(super) async fn read_for<T: Send + 'static>(
        &self,
        organization: OrgId,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let share = self.share(organization).acquire_owned().await.map_err(closed)?;
        self.read_in_time(move |c| {
            let _share = share;
            read(c)
        })
        .await
    }

    /// Anything longer that somebody waits for. `None`: it took too long. Nor does it go on when they
    /// have gone, which drops the future.
    pub(super) async fn read_in_time<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let client = Arc::new(());
        let (waits, patience) = (Arc::downgrade(&client), self.patience);
        self.on_a_thread(move |readers| {
            let end = Instant::now() + patience;
            let is_over = move || waits.strong_count() == 0 || Instant::now() >= end;
            match readers.with(Some(is_over.clone()), read) {
                Err(_) if is_over() => Ok(None),
                result => result.map(Some),
            }
        })
        .await
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let long = Arc::clone(&self.long).acquire_owned().await.map_err(closed)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(closed)?;
        #[cfg(test)]
        if let Some(memory) = &self.memory {
            return memory.work(|| work(self)).await?;
        }
        let readers = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = work(&readers);
            drop((slot, long));
            result
        })
        .await
        .map_err(|error| {
            if error.is_panic() {
                StoreError::Broken("a read panicked".to_owned())
            } else {
                // The process ends without waiting for anybody.
                closing()
            }
        })?
    }

    fn share(&self, organization: OrgId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry(organization).or_insert_with(|| Arc::new(Semaphore::new(SHARE)));
        Arc::clone(share)
    }

    fn with<T>(
        &self,
        is_over: Option<impl FnMut() -> bool + Send + 'static>,
        read: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        #[cfg(test)]
        if let Some(memory) = &self.memory {
            let connection = memory.connection();
            begin(&connection)?;
            let result = read(&connection);
            connection.execute_batch("COMMIT").map_err(sql)?;
            return result;
        }
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // One snapshot for all of the statements in `read`. A panic in it loses the connection, in
        // whose place a new one is opened.
        let known = idle().pop();
        let mut connection = known.map_or_else(|| open::reader(&self.path), Ok)?;
        begin(&connection)?;
        connection.progress_handler(STEPS, is_over).map_err(sql)?;
        let result = read(&connection);
        connection.progress_handler(0, FOREVER).map_err(sql)?;
        let ended = connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
        if ended.is_err() && !connection.is_autocommit() {
            return result.and(Err(StoreError::Broken("a read could not be ended".to_owned())));
        }
        idle().push(connection);
        result
    }
}

fn begin(connection: &Connection) -> Result<()> {
    connection.prepare_cached("BEGIN").and_then(|mut s| s.execute([])).map_err(sql)?;
    Ok(())
}

fn closed(_: tokio::sync::AcquireError) -> StoreError {
    closing()
}

fn closing() -> StoreError {
    StoreError::Busy("it is closing".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_look_up_does_not_wait_for_long_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let _writer = open::writer(&path).unwrap();
        let readers = Readers::open(&path).unwrap();
        // As many as may run stand still until the look-up was answered.
        let still = Arc::new(Barrier::new(LONG + 1));
        let scans = (0..LONG).map(|_| {
            let still = Arc::clone(&still);
            readers.read(move |_| {
                still.wait();
                still.wait();
                Ok(())
            })
        });
        let one_more = readers.read(|_| Ok(()));
        let look_up = async {
            let (all_run, go_on) = (Arc::clone(&still), Arc::clone(&still));
            tokio::task::spawn_blocking(move || all_run.wait()).await.unwrap();
            let answer = readers.look_up(|_| Ok(7)).await.unwrap();
            tokio::task::spawn_blocking(move || go_on.wait()).await.unwrap();
            answer
        };
        let (scans, one_more, answer) = tokio::join!(join_all(scans), one_more, look_up);
        assert!(scans.into_iter().all(|scan| scan.is_ok()) && one_more.is_ok());
        assert_eq!(answer, 7);
    }

    fn readers() -> (tempfile::TempDir, Readers) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let _writer = open::writer(&path).unwrap();
        let readers = Readers::open(&path).unwrap();
        (folder, readers)
    }

    /// Counts up to here.
    fn count(c: &Connection, to: i64) -> Result<i64> {
        let query = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?1)
                     SELECT count(*) FROM n";
        c.query_row(query, [to], |row| row.get(0)).map_err(sql)
    }

    #[tokio::test]
    async fn one_organization_s_clients_leave_room_for_another_s() {
        let (_folder, readers) = readers();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let theirs = (0..LONG).map(|_| {
            let released = Arc::clone(&released);
            readers.read_for(OrgId(1), move |_| {
                assert!(released.lock().unwrap().recv().is_err(), "until it is dropped");
                Ok(())
            })
        });
        let ours = async {
            let ours = readers.read_for(OrgId(2), |_| Ok(7)).await.unwrap();
            let house = readers.read(|_| Ok(8)).await.unwrap();
            drop(release);
            (ours, house)
        };
        let (theirs, ours) = tokio::join!(join_all(theirs), ours);
        assert_eq!(ours, (Some(7), 8));
        assert!(theirs.into_iter().all(|read| read.unwrap().is_some()));
    }

    #[tokio::test]
    async fn a_read_that_the_end_of_the_process_cuts_off_is_no_fault_of_ours() {
        let (_folder, readers) = readers();
        let ended = tokio::runtime::Runtime::new().unwrap();
        let process = ended.handle().clone();
        ended.shutdown_background();
        let mut read = std::pin::pin!(readers.read(|_| Ok(())));
        let cut_off = std::future::poll_fn(|context| {
            let _in_it = process.enter();
            read.as_mut().poll(context)
        });
        assert!(matches!(cut_off.await, Err(StoreError::Busy(_))));
    }

    #[tokio::test]
    async fn a_client_s_read_ends_when_its_time_is_over() {
        let (_folder, mut readers) = readers();
        readers.patience = Duration::ZERO;
        let endless = readers.read_for(OrgId(1), |c| count(c, i64::MAX)).await;
        assert_eq!(endless.unwrap(), None);
        // What the house reads on the same connection takes its time.
        assert_eq!(readers.read(|c| count(c, 50_000)).await.unwrap(), 50_000);
    }

    #[tokio::test]
    async fn a_client_s_read_ends_when_nobody_waits_for_it_any_more() {
        let (_folder, mut readers) = readers();
        readers.patience = Duration::from_hours(1);
        for _ in 0..LONG {
            let (begin, begun) = tokio::sync::oneshot::channel();
            let endless = readers.read_for(OrgId(1), move |c| {
                begin.send(()).unwrap();
                count(c, i64::MAX)
            });
            tokio::select! {
                end = endless => panic!("it has no end: {end:?}"),
                begun = begun => begun.unwrap(),
            }
        }
        assert_eq!(readers.read_for(OrgId(1), |_| Ok(7)).await.unwrap(), Some(7));
    }
}
