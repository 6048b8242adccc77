//! The admin socket: what a person may do, as HTTP and JSON for the command line.
//!
//! Whoever may write to the socket administers the relay, so its mode (0660) is the access
//! control; the kernel says who is at the other end, and that is who the audit log names.

mod people;
mod routes;
mod socket;
pub mod wire;

use std::io;
use std::path::Path;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http;
use crate::operator::Operator;

pub use people::{group_name, user_name};
pub use routes::router;

/// Commands, at the same time; more wait.
const MAX_CONNECTIONS: usize = 100;

/// Listens at `socket` when it returns, and serves there until `stop`.
pub async fn serve(
    socket: &Path,
    operator: Operator,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> io::Result<()> {
    let bound = socket::Bound::new(socket).await?;
    let router = router(operator, stop.clone());
    let options = http::Options { max_connections: MAX_CONNECTIONS, ..http::Options::default() };
    tasks.spawn(async move {
        let (listener, place) = bound.split();
        let removal = async {
            stop.cancelled().await;
            place.remove();
        };
        // Gone before the last command has its answer, so that the next daemon may have the place.
        tokio::join!(http::serve(listener, None, router, stop.clone(), options), removal);
    });
    Ok(())
}
