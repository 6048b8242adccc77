//! `Retry-After` (RFC 9110 section 10.2.3): how long a target asks us to wait.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// No target makes us wait longer than this, whatever it says.
const LONGEST: Duration = Duration::from_hours(24);

/// The three forms a date may have (RFC 9110 section 5.6.7); the last two are obsolete and must be
/// understood all the same.
const DATES: [&str; 3] =
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The wait a response asks for; `None` when it asks for none, or for something unreadable.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number can have is a very long wait.
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        // A date that has passed asks for no wait.
        let wait = date(value)?.duration_since(now);
        Duration::try_from(wait).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST))
}

fn date(text: &str) -> Option<Timestamp> {
    let civil =
        DATES.iter().find_map(|form| strtime::parse(form, text).ok()?.to_datetime().ok())?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: &str = "1994-11-06T08:00:00Z";

    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        let wait = retry_after(&headers, NOW.parse().unwrap());
        assert_eq!(wait.map(|wait| wait.as_secs()), expected, "{value}");
    }

    #[test]
    fn seconds_and_all_three_kinds_of_date_are_read() {
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(2977));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(2977));
        check("Sun Nov  6 08:49:37 1994", Some(2977));
    }

    #[test]
    fn nobody_makes_us_wait_longer_than_a_day() {
        check("1000000000", Some(86_400));
        check("99999999999999999999999999", Some(86_400));
        check("Tue, 06 Nov 2294 08:49:37 GMT", Some(86_400));
    }

    #[test]
    fn a_date_that_has_passed_asks_for_no_wait() {
        check("Sun, 06 Nov 1994 07:59:59 GMT", Some(0));
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for value in ["soon", "-5", "1.5", "", "12 s", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            check(value, None);
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW.parse().unwrap()), None);
    }
}
