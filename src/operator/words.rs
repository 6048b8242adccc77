//! Numbers and times as people read them.

use jiff::{SignedDuration, Timestamp};
use scim_relay_sdk::connector::HoldKind;

/// `1 removal`, `12 take-overs`: so many of what is held for this.
pub fn held(kind: &str, count: u64) -> String {
    let (one, many) = match HoldKind::parse(kind) {
        Some(HoldKind::Removal) => ("removal", "removals"),
        Some(HoldKind::MemberRemoval) => ("removal of members", "removals of members"),
        Some(HoldKind::TakeOver) => ("take-over", "take-overs"),
        Some(HoldKind::FirstRun) => ("new entry", "new entries"),
        None => ("entry", "entries"),
    };
    counted(count, one, many)
}

/// `1 entry`, `2 entries`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// `12,345`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 min ago`, `in 2 h`; a date where it is long ago.
pub fn relative(now: Timestamp, then: Timestamp) -> String {
    let distance = now.duration_since(then);
    let length = span(distance.abs());
    match length {
        None => then.strftime("%Y-%m-%d").to_string(),
        Some(_) if distance.abs() < SignedDuration::from_secs(2) => "just now".to_owned(),
        Some(length) if distance.is_negative() => format!("in {length}"),
        Some(length) => format!("{length} ago"),
    }
}

/// [`relative`], or a dash.
pub fn maybe_relative(now: Timestamp, then: Option<Timestamp>) -> String {
    then.map_or_else(|| "-".to_owned(), |then| relative(now, then))
}

/// `3 min`; none beyond two years.
pub fn span(length: SignedDuration) -> Option<String> {
    let seconds = length.as_secs();
    Some(match seconds {
        ..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        172_800..63_072_000 => format!("{} days", seconds / 86_400),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_until_they_are_long_ago() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let check = |then: &str, expected: &str| {
            assert_eq!(relative(now, then.parse().unwrap()), expected, "{then}");
        };
        check("2026-03-01T11:59:59Z", "just now");
        check("2026-03-01T11:59:18Z", "42 s ago");
        check("2026-03-01T11:57:00Z", "3 min ago");
        check("2026-03-01T09:00:00Z", "3 h ago");
        check("2026-02-24T12:00:00Z", "5 days ago");
        check("2023-02-24T12:00:00Z", "2023-02-24");
        check("2026-03-01T14:00:00Z", "in 2 h");
    }

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!(number(7), "7");
        assert_eq!(number(1_234), "1,234");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
        assert_eq!(counted(0, "entry", "entries"), "0 entries");
    }

    #[test]
    fn what_is_held_is_counted_in_words() {
        assert_eq!(held("removal", 1), "1 removal");
        assert_eq!(held("member_removal", 1_200), "1,200 removals of members");
        assert_eq!(held("take_over", 2), "2 take-overs");
    }
}
