//! The HTTPS client that connectors share.
//!
//! What every request of ours has in common: the private CA, a deadline over the whole exchange, a
//! limit on what is read, no redirects, no proxy from the environment, and a check of the address
//! that a name really led to. What failed is told apart by whether the request can have been
//! carried out: [`SendError`]. Knows nothing of webhooks or SCIM; never retries.

mod classify;
mod client;
mod dial;
mod error;
mod guard;
mod response;
mod retry_after;
mod url;

pub use classify::classify;
pub use client::{Client, Options, Reached};
pub use error::{ClientError, SendError};
pub use guard::{Guard, Network, RefusedAddress};
pub use response::{BodyError, MAX_BODY, Response, excerpt};
pub use retry_after::retry_after;
pub use url::Url;
