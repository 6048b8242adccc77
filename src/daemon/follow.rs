//! Follows the log for those who look for people, and for what became of them. Nobody's write waits for it.

use std::time::Duration;

use crate::delivery::Shared;

/// Changes of that time share a piece of work; nobody who looks for somebody new minds it.
const GATHER: Duration = Duration::from_millis(200);
/// When the disk was full, say.
const AGAIN: Duration = Duration::from_secs(10);

pub(super) async fn run(shared: Shared) {
    let mut bell = shared.store.bell();
    loop {
        let wait = match shared.store.follow_log().await {
            Ok(true) => continue,
            Ok(false) => GATHER,
            Err(error) => {
                tracing::warn!(%error, "people cannot be found by what changed just now; trying again");
                AGAIN
            }
        };
        let next = async {
            tokio::time::sleep(wait).await;
            bell.changed().await
        };
        tokio::select! {
            biased;
            () = shared.soft.cancelled() => return,
            _ = next => {}
        }
    }
}
