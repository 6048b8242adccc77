//! Walks "mark everyone" in the background share of the writer, a chunk at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Shared;

pub(super) async fn walk(shared: Shared, stop: CancellationToken) {
    let mut bell = shared.store.bell();
    loop {
        let wait = match shared.store.walk_fanout(shared.clock.now()).await {
            Ok(true) => continue,
            Ok(false) => Duration::from_mins(1),
            Err(error) => {
                tracing::warn!(%error, "cannot mark everyone just now; trying again");
                Duration::from_secs(2)
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = bell.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
