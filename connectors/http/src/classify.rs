//! What a status means for a delivery: one table for every target that speaks HTTP.

use http::StatusCode;
use jiff::Timestamp;
use scim_relay_sdk::connector::DeliveryError;

use crate::{Response, retry_after};

/// `Ok` for a 2xx; otherwise what the engine should make of the answer. `target` is named in the
/// message, and `excerpt` (see [`excerpt`](crate::excerpt)) is what the target said about it.
pub fn classify(
    target: &str,
    response: &Response,
    excerpt: &str,
    now: Timestamp,
) -> Result<(), DeliveryError> {
    let status = response.status;
    let said = if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") };
    let answered = |note: &str| format!("{target} answered {status}{note}{said}");

    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        // RFC 9110 section 15.4. A redirect may point anywhere, so it is never followed.
        // Without the query, which may repeat a key of ours.
        let to = response.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
        let to = to.and_then(|to| to.split(['?', '#']).next());
        let to =
            to.map_or_else(String::new, |to| format!(" (to {})", crate::excerpt(to.as_bytes())));
        return Err(DeliveryError::refused(format!(
            "{target} answered {status}{to}: redirects are not followed; name the final address"
        )));
    }
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            DeliveryError::credentials(answered(", so it refuses our credentials"))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            DeliveryError::Later {
                what: answered(""),
                retry_after: retry_after(&response.headers, now),
                in_doubt: status == StatusCode::REQUEST_TIMEOUT,
                source: None,
            }
        }
        // A gateway's 502 and 504, or an error after half the work, say nothing of what was done.
        status if status.is_server_error() => DeliveryError::Later {
            what: answered(""),
            retry_after: retry_after(&response.headers, now),
            in_doubt: true,
            source: None,
        },
        // Standard Webhooks gives 410 this meaning.
        StatusCode::GONE => DeliveryError::refused(answered(
            ", so it wants no more of these; correct the URL, or disable the connector",
        )),
        _ => DeliveryError::refused(answered("")),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::HeaderMap;
    use scim_relay_sdk::connector::Decision;

    use super::*;

    #[track_caller]
    fn classified(status: u16, headers: &[(&'static str, &str)]) -> Result<(), DeliveryError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let response = Response { status, headers: map, body: Bytes::new(), body_error: None };
        classify("https://hr.example/hook", &response, "", Timestamp::UNIX_EPOCH)
    }

    fn decided(status: u16, headers: &[(&'static str, &str)]) -> Result<(), Decision> {
        classified(status, headers).map_err(|error| error.decision())
    }

    const AT_ONCE: Decision = Decision::Retry { at_least: Duration::ZERO };

    #[test]
    fn any_2xx_is_delivered() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(decided(status, &[]), Ok(()), "{status}");
        }
    }

    #[test]
    fn bad_credentials_pause_the_target() {
        assert_eq!(decided(401, &[]), Err(Decision::PauseTarget));
        assert_eq!(decided(403, &[]), Err(Decision::PauseTarget));
    }

    #[test]
    fn overload_waits_as_long_as_asked() {
        let minutes = Decision::Retry { at_least: Duration::from_mins(2) };
        let date = "Thu, 01 Jan 1970 00:02:00 GMT";
        assert_eq!(decided(429, &[("retry-after", "120")]), Err(minutes.clone()));
        assert_eq!(decided(503, &[("retry-after", date)]), Err(minutes));
        assert_eq!(decided(503, &[("retry-after", "soon")]), Err(AT_ONCE));
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(decided(status, &[]), Err(AT_ONCE), "{status}");
        }
    }

    #[test]
    fn a_failure_on_the_way_leaves_the_outcome_in_doubt() {
        for (status, in_doubt) in [(502, true), (504, true), (408, true), (429, false)] {
            let error = classified(status, &[]).unwrap_err();
            assert_eq!(error.is_in_doubt(), in_doubt, "{status}");
        }
    }

    #[test]
    fn a_redirect_is_a_failure_that_says_so() {
        let error =
            classified(302, &[("location", "http://127.0.0.1/admin?key=s3cret")]).unwrap_err();
        assert_eq!(error.decision(), Decision::Park);
        assert_eq!(
            error.to_string(),
            "https://hr.example/hook answered 302 Found (to http://127.0.0.1/admin): redirects are \
             not followed; name the final address"
        );
    }

    #[test]
    fn other_refusals_park_the_item() {
        for status in [400, 404, 405, 407, 409, 413, 422] {
            assert_eq!(decided(status, &[]), Err(Decision::Park), "{status}");
        }
    }

    #[test]
    fn gone_is_said_in_words() {
        let error = classified(410, &[]).unwrap_err();
        assert_eq!(error.decision(), Decision::Park);
        assert!(error.to_string().contains("it wants no more of these"), "{error}");
    }
}
