//! How many removals a connector may make in an hour before a person is asked. Pure.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use scim_relay_sdk::connector::HoldKind;
use serde::Deserialize;

/// A connector's limits: one for what it removes, one for whom it takes out of groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Safety {
    pub max_removals: Share,
    pub max_member_removals: Share,
    /// A percentage never means less than this many.
    pub floor: u64,
    /// Parts of the year with limits of their own; no two share a day.
    pub windows: Vec<Window>,
    pub first_run: FirstRun,
    /// Whose days the windows count.
    pub zone: TimeZone,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// An entry is deleted, disabled, moved away or purged.
    Entry,
    /// A group loses a member.
    Member,
}

/// So many, or a part of what was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Count(u64),
    Percent(Percent),
}

/// From 0 to 100, to the hundredth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent {
    hundredths: u16,
}

/// Some days on which other limits hold; what it does not limit is as on every other day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub days: Days,
    pub max_removals: Option<Share>,
    pub max_member_removals: Option<Share>,
}

/// The first and the last day, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    Once {
        from: Date,
        until: Date,
    },
    /// May span New Year.
    Yearly {
        from: MonthDay,
        until: MonthDay,
    },
}

/// A day of any year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    month: i8,
    day: i8,
}

/// What becomes of entries that were at the target before the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstRun {
    /// Changing or removing them waits for a person's approval.
    #[default]
    Guard,
    /// So does everybody whom the relay knew before the connector came.
    Plan,
    /// They are taken over at once.
    Go,
}

impl Safety {
    /// What holds where nothing is said.
    pub fn usual(zone: TimeZone) -> Self {
        Self {
            max_removals: Share::Percent(Percent { hundredths: 500 }),
            max_member_removals: Share::Percent(Percent { hundredths: 2_000 }),
            floor: 25,
            windows: Vec::new(),
            first_run: FirstRun::default(),
            zone,
        }
    }

    /// How many may happen in an hour. `delivered`: how many entries, or memberships, the connector
    /// holds; with 0, what may happen however few they are.
    pub fn limit(&self, removal: Removal, now: Timestamp, delivered: u64) -> u64 {
        match self.share(removal, now) {
            Share::Count(count) => count,
            Share::Percent(percent) => percent.of(delivered).max(self.floor),
        }
    }

    /// The window that is open.
    pub fn window(&self, now: Timestamp) -> Option<&Window> {
        let today = self.today(now);
        self.windows.iter().find(|window| window.days.contain(today))
    }

    /// The date in the windows' zone.
    pub fn today(&self, now: Timestamp) -> Date {
        self.zone.to_datetime(now).date()
    }

    fn share(&self, removal: Removal, now: Timestamp) -> Share {
        let window = self.window(now);
        match removal {
            Removal::Entry => {
                window.and_then(|window| window.max_removals).unwrap_or(self.max_removals)
            }
            Removal::Member => window
                .and_then(|window| window.max_member_removals)
                .unwrap_or(self.max_member_removals),
        }
    }
}

impl Removal {
    /// What a hold of this kind waits for, if that is limited.
    pub fn of(kind: HoldKind) -> Option<Self> {
        match kind {
            HoldKind::Removal => Some(Self::Entry),
            HoldKind::MemberRemoval => Some(Self::Member),
            HoldKind::TakeOver | HoldKind::FirstRun => None,
        }
    }
}

impl Share {
    /// `5%` or `2.5 %`.
    pub fn percent(text: &str) -> Option<Self> {
        let number = text.trim().strip_suffix('%')?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 2 {
            return None;
        }
        let hundredths = format!("{whole}{fraction:0<2}").parse().ok()?;
        (hundredths <= 10_000).then_some(Self::Percent(Percent { hundredths }))
    }

    pub fn is_no_percent_at_all(self) -> bool {
        self == Self::Percent(Percent { hundredths: 0 })
    }
}

impl Percent {
    fn of(self, whole: u64) -> u64 {
        let part = u128::from(whole) * u128::from(self.hundredths) / 10_000;
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(Percent { hundredths }) => {
                write!(f, "{}", hundredths / 100)?;
                match hundredths % 100 {
                    0 => write!(f, "%"),
                    tenths if tenths % 10 == 0 => write!(f, ".{}%", tenths / 10),
                    rest => write!(f, ".{rest:02}%"),
                }
            }
        }
    }
}

impl Days {
    pub fn contain(self, day: Date) -> bool {
        match self {
            Self::Once { from, until } => from <= day && day <= until,
            Self::Yearly { from, until } => {
                let day = MonthDay::of(day);
                if from <= until {
                    from <= day && day <= until
                } else {
                    from <= day || day <= until
                }
            }
        }
    }

    /// The last day, for a day on which it is open.
    pub fn last(self, day: Date) -> Date {
        match self {
            Self::Once { until, .. } => until,
            Self::Yearly { until, .. } => {
                let spans_new_year = until < MonthDay::of(day);
                until.in_year(day.year().saturating_add(i16::from(spans_new_year)))
            }
        }
    }

    /// Whether there is a day in both.
    pub fn meet(self, other: Self) -> bool {
        match (self, other) {
            (Self::Once { from, until }, Self::Once { from: other, until: end }) => {
                from <= end && other <= until
            }
            (Self::Yearly { from, .. }, Self::Yearly { from: other_from, .. }) => {
                // 2024 has every day there is.
                self.contain(other_from.in_year(2024)) || other.contain(from.in_year(2024))
            }
            (Self::Once { from, until }, yearly) | (yearly, Self::Once { from, until }) => {
                // Within eight years every day comes at least once, 29 February too.
                let until = until.min(from.saturating_add(8.years()));
                from.series(1.day()).take_while(|day| *day <= until).any(|day| yearly.contain(day))
            }
        }
    }
}

impl MonthDay {
    /// `06-15`; 29 February is a day, too.
    pub fn parse(text: &str) -> Option<Self> {
        let (month, day) = text.split_once('-')?;
        let are_numbers = [month, day].iter().all(|part| part.len() == 2 && is_digits(part));
        if !are_numbers {
            return None;
        }
        let date = Date::new(2024, month.parse().ok()?, day.parse().ok()?).ok()?;
        Some(Self::of(date))
    }

    fn of(date: Date) -> Self {
        Self { month: date.month(), day: date.day() }
    }

    /// The day before, where that year has no 29 February.
    fn in_year(self, year: i16) -> Date {
        let day = |day| Date::new(year, self.month, day);
        day(self.day).or_else(|_| day(28)).unwrap_or(Date::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oslo() -> TimeZone {
        TimeZone::get("Europe/Oslo").unwrap()
    }

    fn safety(max_removals: Share) -> Safety {
        Safety { max_removals, ..Safety::usual(oslo()) }
    }

    fn percent(text: &str) -> Share {
        Share::percent(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn yearly(from: &str, until: &str) -> Days {
        let day = |text| MonthDay::parse(text).unwrap();
        Days::Yearly { from: day(from), until: day(until) }
    }

    fn once(from: &str, until: &str) -> Days {
        Days::Once { from: from.parse().unwrap(), until: until.parse().unwrap() }
    }

    #[test]
    fn a_percentage_is_of_what_was_delivered_and_never_less_than_the_floor() {
        let limit = |share: &str, delivered| {
            safety(percent(share)).limit(Removal::Entry, Timestamp::UNIX_EPOCH, delivered)
        };
        for (share, delivered, expected) in [
            ("5%", 0, 25),
            ("5%", 500, 25),
            ("5%", 519, 25),
            ("5%", 520, 26),
            ("5%", 999, 49),
            ("5%", 20_000, 1_000),
            ("2.5%", 20_000, 500),
            ("0.01%", 1_000_000, 100),
            ("100%", 800, 800),
            ("100%", u64::MAX, u64::MAX),
        ] {
            assert_eq!(limit(share, delivered), expected, "{share} of {delivered}");
        }
    }

    #[test]
    fn a_number_is_itself_whatever_the_floor_and_whatever_was_delivered() {
        for count in [0, 3, 40] {
            let limit =
                safety(Share::Count(count)).limit(Removal::Entry, Timestamp::UNIX_EPOCH, 1_000_000);
            assert_eq!(limit, count);
        }
    }

    #[test]
    fn entries_and_members_have_limits_of_their_own() {
        let safety = Safety::usual(oslo());
        assert_eq!(safety.limit(Removal::Entry, Timestamp::UNIX_EPOCH, 1_000), 50);
        assert_eq!(safety.limit(Removal::Member, Timestamp::UNIX_EPOCH, 1_000), 200);
    }

    #[test]
    fn a_window_is_open_from_its_first_midnight_to_its_last_in_the_configured_zone() {
        let window = Window {
            days: yearly("06-15", "08-15"),
            max_removals: Some(percent("60%")),
            max_member_removals: None,
        };
        let safety = Safety { windows: vec![window], ..Safety::usual(oslo()) };
        let limit = |removal, now: &str| safety.limit(removal, at(now), 1_000);
        // Summer time: midnight in Oslo is 22:00 UTC.
        assert_eq!(limit(Removal::Entry, "2026-06-14T21:59:59Z"), 50);
        assert_eq!(limit(Removal::Entry, "2026-06-14T22:00:00Z"), 600);
        assert_eq!(limit(Removal::Entry, "2031-08-15T21:59:59Z"), 600);
        assert_eq!(limit(Removal::Entry, "2031-08-15T22:00:00Z"), 50);
        assert_eq!(limit(Removal::Member, "2026-07-01T00:00:00Z"), 200, "as on every other day");
    }

    #[test]
    fn a_window_keeps_to_the_days_where_the_clocks_change_in_it() {
        // Both changes of the clocks in Oslo, at 01:00 UTC: a day of 23 hours, and one of 25.
        let count = |day: &str| Safety {
            windows: vec![Window {
                days: once(day, day),
                max_removals: Some(Share::Count(7)),
                max_member_removals: None,
            }],
            ..Safety::usual(oslo())
        };
        for (day, first, last) in [
            ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z"),
            ("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z"),
        ] {
            let safety = count(day);
            let limit = |now: Timestamp| safety.limit(Removal::Entry, now, 0);
            assert_eq!((limit(at(first)), limit(at(last))), (7, 7), "{day}");
            assert_eq!(limit(at(first) - 1.second()), 25, "{day}");
            assert_eq!(limit(at(last) + 1.second()), 25, "{day}");
        }
    }

    #[test]
    fn a_window_may_span_new_year_and_a_day_that_not_every_year_has() {
        let winter = yearly("12-20", "01-06");
        for (day, open, last) in [
            ("2026-12-19", false, ""),
            ("2026-12-20", true, "2027-01-06"),
            ("2026-12-31", true, "2027-01-06"),
            ("2027-01-01", true, "2027-01-06"),
            ("2027-01-07", false, ""),
        ] {
            let day: Date = day.parse().unwrap();
            assert_eq!(winter.contain(day), open, "{day}");
            if open {
                assert_eq!(winter.last(day).to_string(), last, "{day}");
            }
        }
        let february = yearly("02-01", "02-29");
        for (day, open) in [("2027-02-28", true), ("2027-03-01", false), ("2028-02-29", true)] {
            assert_eq!(february.contain(day.parse().unwrap()), open, "{day}");
        }
        assert_eq!(february.last("2027-02-28".parse().unwrap()).to_string(), "2027-02-28");
    }

    #[test]
    fn windows_meet_where_a_day_is_in_both() {
        for (one, other, meet) in [
            (once("2026-06-01", "2026-06-30"), once("2026-06-30", "2026-07-02"), true),
            (once("2026-06-01", "2026-06-30"), once("2026-07-01", "2026-07-02"), false),
            (yearly("06-01", "06-30"), yearly("06-30", "07-02"), true),
            (yearly("06-01", "06-30"), yearly("07-01", "07-02"), false),
            (yearly("12-20", "01-06"), yearly("01-06", "01-10"), true),
            (yearly("12-20", "01-06"), yearly("01-07", "12-19"), false),
            (yearly("06-01", "06-30"), once("2026-06-30", "2026-07-02"), true),
            (yearly("06-01", "06-30"), once("2026-07-01", "2026-07-02"), false),
            (yearly("06-01", "06-30"), once("2026-07-01", "2028-01-01"), true),
            (yearly("02-29", "02-29"), once("2026-01-01", "2027-12-31"), false),
            (yearly("02-29", "02-29"), once("2026-01-01", "2028-12-31"), true),
        ] {
            assert_eq!(one.meet(other), meet, "{one:?} {other:?}");
            assert_eq!(other.meet(one), meet, "{other:?} {one:?}");
        }
    }

    #[test]
    fn a_percentage_is_a_number_up_to_a_hundred_and_a_sign() {
        for (text, printed) in
            [("5%", "5%"), (" 2.5 %", "2.5%"), ("0.05%", "0.05%"), ("100%", "100%"), ("7.0%", "7%")]
        {
            assert_eq!(percent(text).to_string(), printed, "{text}");
        }
        for wrong in ["", "%", "5", "-5%", "+5%", "100.01%", "120%", "5.123%", ".5%", "5.%", "5%%"]
        {
            assert_eq!(Share::percent(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_of_every_year_is_written_with_two_digits_each() {
        assert!(MonthDay::parse("02-29").is_some());
        for wrong in
            ["02-30", "13-01", "6-15", "06-15-01", "0615", "06_15", "-6-15", "+6-15", "é-15"]
        {
            assert_eq!(MonthDay::parse(wrong), None, "{wrong}");
        }
    }
}
