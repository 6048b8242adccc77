//! What a provider asked lately and what we answered, on its way to the store.
//!
//! Nothing here is on a request's way: `sighting` takes along what passes anyway, here it waits in a
//! bounded place, and a task of its own redacts it (`redact`, `shorten`) and writes it in batches.
//! Under load, and where the store does not take it, it is what is left out first, and counted.

mod redact;
mod shorten;
mod sighting;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::store::{NewRequest, OrgId, Store};

pub(super) use sighting::{Asked, Ended, Of, SeenBody, watch};

use sighting::{Room, Sighting};

/// How long what was seen is gathered before it is written, in one commit.
const GATHER: Duration = Duration::from_millis(500);
/// What is written of that time. Every request of a busy hour would keep the writer from its work,
/// for a ring that holds a second of it.
const MOST: usize = 150;
/// Rows of one piece of background work, so that no request waits long behind them.
const PIECE: usize = 25;

/// Where what was seen waits until it is written.
pub(super) struct Recorder {
    waiting: Mutex<Waiting>,
    woken: Notify,
    /// For the bodies of all that passes and waits.
    room: Room,
    dropped: Counter,
}

type Waiting = HashMap<OrgId, VecDeque<Sighting>>;

impl Recorder {
    pub(super) fn new(dropped: Counter) -> Self {
        Self { waiting: Mutex::default(), woken: Notify::new(), room: Room::default(), dropped }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it. Where there are too many, the organization that has the most gives one up: a read
    /// that went well, since those tell little, or else its oldest.
    fn offer(&self, sighting: Sighting) {
        let mut waiting = self.waiting();
        waiting.entry(sighting.organization()).or_default().push_back(sighting);
        let count: usize = waiting.values().map(VecDeque::len).sum();
        let given_up = if count > MOST {
            waiting.values_mut().max_by_key(|seen| seen.len()).and_then(|seen| {
                let first = seen.iter().position(Sighting::is_dull).unwrap_or_default();
                seen.remove(first)
            })
        } else {
            None
        };
        drop(waiting);
        if given_up.is_some() {
            self.dropped.inc();
        }
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
        let seen = mem::take(&mut *self.waiting());
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
