//! A database in memory, whose work is done where it is asked for, so that a simulation needs no
//! threads and goes the same way each time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::open;
use crate::store::{Result, StoreError};

/// A simulated disk. It outlives the stores on it, as a disk does.
pub(crate) struct Memory {
    connection: Mutex<Connection>,
    manners: Box<dyn Fn() -> Manners + Send + Sync>,
}

/// How the disk deals with a piece of work.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// Until it is done.
    pub(crate) before: Duration,
    /// From then on until whoever asked hears of it.
    pub(crate) after: Duration,
    /// It is refused, and nothing done.
    pub(crate) full: bool,
}

impl Memory {
    /// `manners` is asked before each write, and before each read that takes a thread elsewhere.
    pub(crate) fn new(manners: impl Fn() -> Manners + Send + Sync + 'static) -> Arc<Self> {
        let connection = open::in_memory().expect("memory is there");
        Arc::new(Self { connection: Mutex::new(connection), manners: Box::new(manners) })
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn work<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let manners = (self.manners)();
        pass(manners.before).await;
        if manners.full {
            return Err(StoreError::Busy("the disk is full".to_owned()));
        }
        let result = work();
        pass(manners.after).await;
        Ok(result)
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
