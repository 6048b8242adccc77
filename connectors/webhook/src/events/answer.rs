//! What a receiver's answer means for an event. Where it differs from what a status means
//! elsewhere, it is because there is one URL for everybody, and no content that would be at fault.

use std::time::Duration;

use http::StatusCode;
use scim_relay_sdk::connector::DeliveryError;

/// How long a receiver that refuses an event is left alone with it, at least. Most refusals are a
/// receiver's own trouble (a path that is missing while it is updated), and end by themselves.
const LATER: Duration = Duration::from_mins(5);

/// `judged` is what the status means in general.
pub(super) fn answered(
    status: StatusCode,
    judged: Result<(), DeliveryError>,
) -> Result<(), DeliveryError> {
    let reason = match judged {
        Err(DeliveryError::Refused { reason }) => reason,
        other => return other,
    };
    // 410 is how a receiver says that it wants no more (Standard Webhooks), and what is redirected
    // is redirected for every event: nobody's event would get through.
    if status.is_redirection() || status == StatusCode::GONE {
        return Err(DeliveryError::credentials(reason));
    }
    Err(DeliveryError::Later {
        what: reason,
        retry_after: Some(LATER),
        in_doubt: false,
        source: None,
    })
}
