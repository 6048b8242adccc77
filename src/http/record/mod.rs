//! What a provider asked lately and what we answered, on its way to the store.
//!
//! Nothing here is on a request's way: `sighting` takes along what passes anyway, here it waits in a
//! bounded place, and a task of its own redacts it (`redact`, `shorten`) and writes it in batches.
//! Under load, and where the store does not take it, it is what is left out first, and counted.

mod redact;
mod shorten;
mod sighting;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::store::{NewRequest, OrgId, Store};

pub(super) use sighting::{Asked, Ended, Of, SeenBody, watch};

use sighting::Sighting;

/// How long what was seen is gathered before it is written, in one commit.
const GATHER: Duration = Duration::from_millis(500);
/// What is kept of one organization in that time: the newest. The ring has room for no more than ten
/// times as many, so that writing all of them would be work for nothing.
const MOST_OF_EACH: usize = 100;
/// What may wait at any time, in bytes.
const MOST_BYTES: usize = 8 << 20;
/// Rows of one piece of background work, so that no request waits long behind them.
const PIECE: usize = 64;

/// Where what was seen waits until it is written.
pub(super) struct Recorder {
    waiting: Mutex<Waiting>,
    woken: Notify,
    dropped: Counter,
}

#[derive(Default)]
struct Waiting {
    seen: HashMap<OrgId, VecDeque<Sighting>>,
    bytes: usize,
}

impl Recorder {
    pub(super) fn new(dropped: Counter) -> Self {
        Self { waiting: Mutex::default(), woken: Notify::new(), dropped }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it, in place of an older one where there are too many; or leaves it out.
    fn offer(&self, sighting: Sighting) {
        let mut waiting = self.waiting();
        let size = sighting.size();
        let Waiting { seen, bytes } = &mut *waiting;
        let own = seen.entry(sighting.organization()).or_default();
        if own.len() >= MOST_OF_EACH {
            // Reads that went well make room first: there are many, and they tell little.
            let first = own.iter().position(Sighting::is_dull).unwrap_or_default();
            if let Some(old) = own.remove(first) {
                *bytes -= old.size();
                self.dropped.inc();
            }
        }
        if *bytes + size > MOST_BYTES {
            self.dropped.inc();
            return;
        }
        *bytes += size;
        own.push_back(sighting);
        drop(waiting);
        self.woken.notify_one();
    }

    /// Writes what is seen until `stop`, and then what is left.
    pub(super) async fn run(&self, store: &dyn Store, stop: &CancellationToken) {
        loop {
            let more = stop.run_until_cancelled(async {
                self.woken.notified().await;
                tokio::time::sleep(GATHER).await;
            });
            let stopped = more.await.is_none();
            self.write(store).await;
            if stopped {
                return;
            }
        }
    }

    async fn write(&self, store: &dyn Store) {
        let seen = mem::take(&mut *self.waiting()).seen;
        let count: usize = seen.values().map(VecDeque::len).sum();
        if count == 0 {
            return;
        }
        // In the order of their arrival, whoever they are from.
        let redact = move || -> Vec<NewRequest> {
            let mut rows: Vec<_> = seen.into_values().flatten().map(Sighting::redacted).collect();
            rows.sort_by_key(|row| row.at);
            rows
        };
        let Ok(mut rows) = tokio::task::spawn_blocking(redact).await else {
            tracing::error!("redacting requests panicked; they are left out");
            self.dropped.inc_by(count as u64);
            return;
        };
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(PIECE));
            let piece = mem::replace(&mut rows, rest);
            let length = piece.len() as u64;
            if let Err(error) = store.record_requests(piece).await {
                self.dropped.inc_by(length);
                tracing::debug!(%error, "requests are left out of what is shown of them");
            }
        }
    }
}
