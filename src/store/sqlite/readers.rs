//! The reading connections: SQLite in WAL mode lets them read while the writer writes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open;
use crate::store::{Result, StoreError};

/// Readers at once. Reads are short; more would only share the same cores.
const READERS: usize = 8;
/// How many of them may be busy with long reads, so that a look-up never waits for all of them.
const LONG: usize = 6;

#[derive(Clone)]
pub(super) struct Readers {
    path: Arc<Path>,
    idle: Arc<Mutex<Vec<Connection>>>,
    slots: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let connections = (0..READERS).map(|_| open::reader(path)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            path: path.into(),
            idle: Arc::new(Mutex::new(connections)),
            slots: Arc::new(Semaphore::new(READERS)),
            long: Arc::new(Semaphore::new(LONG)),
        })
    }

    /// A look-up by index: microseconds, so it runs where it is asked for.
    pub(super) async fn look_up<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let _slot = self.slots.acquire().await.map_err(closed)?;
        self.with(read)
    }

    /// Anything longer, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let long = Arc::clone(&self.long).acquire_owned().await.map_err(closed)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(closed)?;
        let readers = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = readers.with(read);
            drop((slot, long));
            result
        })
        .await
        .map_err(|_| StoreError::Broken("a read panicked".to_owned()))?
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // One snapshot for all of the statements in `read`. A panic in it loses the connection, in
        // whose place a new one is opened.
        let known = idle().pop();
        let connection = known.map_or_else(|| open::reader(&self.path), Ok)?;
        let result = begin(&connection).and_then(|()| read(&connection));
        let ended = connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
        if ended.is_err() && !connection.is_autocommit() {
            return result.and(Err(StoreError::Broken("a read could not be ended".to_owned())));
        }
        idle().push(connection);
        result
    }
}

fn begin(connection: &Connection) -> Result<()> {
    connection.prepare_cached("BEGIN").and_then(|mut s| s.execute([])).map_err(super::sql)?;
    Ok(())
}

fn closed(_: tokio::sync::AcquireError) -> StoreError {
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
}
