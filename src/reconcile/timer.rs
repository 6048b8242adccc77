//! When the next reconciliation is due, by the wall clock of the configured zone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::config::Schedule;

/// The longest sleep without looking at the clock, which may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// A connector and its schedule.
pub struct Due {
    pub connector: Arc<str>,
    pub schedule: Schedule,
}

/// Calls `fire` with a connector's name whenever its schedule says so, one after another, until
/// `stop`. A run that takes longer than its interval is followed by the next future one, not by
/// those that were missed.
pub async fn timer<F>(
    clock: SharedClock,
    zone: TimeZone,
    due: Vec<Due>,
    stop: CancellationToken,
    fire: impl Fn(Arc<str>) -> F,
) where
    F: Future<Output = ()>,
{
    let next = |one: &Due| one.schedule.next(&zone, clock.now());
    let mut at: Vec<Option<Timestamp>> = due.iter().map(next).collect();
    loop {
        let now = clock.now();
        let ready = at.iter().position(|at| at.is_some_and(|at| at <= now));
        if let Some(index) = ready {
            let one = &due[index];
            fire(Arc::clone(&one.connector)).await;
            at[index] = next(one);
            continue;
        }
        let wait = at.iter().flatten().min().map_or(LOOK_AGAIN, |soonest| {
            Duration::try_from(soonest.duration_since(now)).unwrap_or_default().min(LOOK_AGAIN)
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
