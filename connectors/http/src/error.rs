//! What can go wrong with a request, told apart by whether it was sent.

use std::time::Duration;

use scim_relay_sdk::connector::DeliveryError;

use crate::RefusedAddress;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request without an answer. `target` is the scheme, host and port.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Never sent: the address is not one that a target may have.
    #[error("{target} is not connected to")]
    Address { target: String, source: RefusedAddress },
    /// Never sent: no address, or nobody accepts connections there.
    #[error("cannot connect to {target}")]
    Connect { target: String, source: BoxError },
    /// Never sent: no connection in time.
    #[error("no connection to {target} within {after:?}")]
    ConnectTimeout { target: String, after: Duration },
    /// Never sent: the other side's certificate is not trusted, or it speaks no TLS.
    #[error(
        "no TLS connection to {target} (is its certificate for that name, and its CA known or named with `ca`?)"
    )]
    Tls { target: String, source: BoxError },
    /// Sent, perhaps, and the connection ended before an answer came.
    #[error("{target} ended the connection without an answer")]
    Unanswered { target: String, source: BoxError },
    /// Sent, and no answer came in time.
    #[error("{target} gave no answer within {after:?}")]
    Timeout { target: String, after: Duration },
}

impl SendError {
    /// Whether the target may have carried the request out.
    pub fn may_be_done(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::Timeout { .. })
    }
}

impl From<SendError> for DeliveryError {
    fn from(error: SendError) -> Self {
        let what = error.to_string();
        let in_doubt = error.may_be_done();
        match error {
            SendError::Address { source, .. } => {
                Self::Credentials { what, source: Some(source.into()) }
            }
            SendError::ConnectTimeout { .. } => Self::Unreachable { what, source: None },
            SendError::Connect { source, .. } | SendError::Tls { source, .. } => {
                Self::Unreachable { what, source: Some(source) }
            }
            SendError::Unanswered { source, .. } => {
                Self::Later { what, retry_after: None, in_doubt, source: Some(source) }
            }
            SendError::Timeout { .. } => {
                Self::Later { what, retry_after: None, in_doubt, source: None }
            }
        }
    }
}

/// A client that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(pub(crate) String);
