//! `[safety]` as written, and what does not fit together in it.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de};
use toml::value::Datetime;

use super::source::Sheet;
use crate::safety::{self, Days, FirstRun, MonthDay, Share};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Safety {
    /// Entries deleted, disabled, moved or purged in an hour.
    pub(super) max_removals: Share,
    /// Memberships that end in an hour.
    pub(super) max_member_removals: Share,
    /// A percentage never means less than this many.
    pub(super) floor: u64,
    /// What becomes of entries that were there before the relay.
    pub(super) first_run: FirstRun,
    /// Parts of the year with limits of their own.
    pub(super) window: Vec<Window>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    pub(super) from: Day,
    pub(super) until: Day,
    pub(super) max_removals: Option<Share>,
    pub(super) max_member_removals: Option<Share>,
}

/// A day of one year, or of every year.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Day {
    Once(Date),
    Yearly(MonthDay),
}

impl Default for Safety {
    fn default() -> Self {
        let usual = safety::Safety::usual(TimeZone::UTC);
        Self {
            max_removals: usual.max_removals,
            max_member_removals: usual.max_member_removals,
            floor: usual.floor,
            first_run: usual.first_run,
            window: Vec::new(),
        }
    }
}

/// Checks the section, and makes of it what the engine asks.
pub(super) fn check(written: &Safety, zone: TimeZone, sheet: &mut Sheet) -> safety::Safety {
    check_share("safety.max_removals", written.max_removals, written.floor, sheet);
    check_share("safety.max_member_removals", written.max_member_removals, written.floor, sheet);
    let mut windows: Vec<(usize, safety::Window)> = Vec::new();
    for (number, window) in written.window.iter().enumerate() {
        let path = format!("safety.window.{number}");
        for (key, share) in [
            ("max_removals", window.max_removals),
            ("max_member_removals", window.max_member_removals),
        ] {
            if let Some(share) = share {
                check_share(&format!("{path}.{key}"), share, written.floor, sheet);
            }
        }
        if window.max_removals.is_none() && window.max_member_removals.is_none() {
            sheet
                .error(&path, "the window changes no limit")
                .help("give it `max_removals`, `max_member_removals` or both");
        }
        let Some(days) = days(window, &path, sheet) else { continue };
        if let Some((other, _)) = windows.iter().find(|(_, other)| other.days.meet(days)) {
            let message = format!("the window shares days with window number {}", other + 1);
            sheet.error(&path, message).help("end one before the other begins");
        }
        let &Window { max_removals, max_member_removals, .. } = window;
        windows.push((number, safety::Window { days, max_removals, max_member_removals }));
    }
    safety::Safety {
        max_removals: written.max_removals,
        max_member_removals: written.max_member_removals,
        floor: written.floor,
        windows: windows.into_iter().map(|(_, window)| window).collect(),
        first_run: written.first_run,
        zone,
    }
}

fn check_share(path: &str, share: Share, floor: u64, sheet: &mut Sheet) {
    if share.is_no_percent_at_all() && floor > 0 {
        sheet
            .error(path, format!("a percentage never means less than `floor`, which is {floor}"))
            .help("write 0 without a percent sign, and every removal waits for approval");
    }
}

fn days(window: &Window, path: &str, sheet: &mut Sheet) -> Option<Days> {
    match (window.from, window.until) {
        (Day::Yearly(from), Day::Yearly(until)) => Some(Days::Yearly { from, until }),
        (Day::Once(from), Day::Once(until)) if from <= until => Some(Days::Once { from, until }),
        (Day::Once(from), Day::Once(until)) => {
            let message = format!("`until` ({until}) is before `from` ({from})");
            sheet
                .error(&format!("{path}.until"), message)
                .help("only a window of every year (\"12-20\" to \"01-06\") spans New Year");
            None
        }
        _ => {
            sheet
                .error(&format!("{path}.until"), "one of `from` and `until` has a year")
                .help("write both like \"2026-06-15\", or both like \"06-15\" for every year");
            None
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

struct ShareVisitor;

impl de::Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a percentage like \"5%\"")
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Share, E> {
        u64::try_from(count).map(Share::Count).map_err(|_| {
            E::custom(format!("`{count}` is less than nothing; with 0 every removal waits"))
        })
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Share, E> {
        Ok(Share::Count(count))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
        Share::percent(text).ok_or_else(|| {
            E::custom(match text.trim().parse::<u64>() {
                Ok(count) => format!("write {count} without the quotes, or \"{count}%\""),
                Err(_) => {
                    format!("`{text}` is not a percentage; write it like \"5%\", up to \"100%\"")
                }
            })
        })
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DayVisitor)
    }
}

struct DayVisitor;

impl<'de> de::Visitor<'de> for DayVisitor {
    type Value = Day;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date like \"2026-06-15\", or like \"06-15\" for every year")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Day, E> {
        MonthDay::parse(text)
            .map(Day::Yearly)
            // Nothing longer: jiff would take a time of day along, and drop it.
            .or_else(|| text.parse().ok().filter(|_| text.len() == 10).map(Day::Once))
            .ok_or_else(|| {
                E::custom(format!(
                    "`{text}` is not a date; write it like \"2026-06-15\", or like \"06-15\" for \
                     every year"
                ))
            })
    }

    /// A date of TOML's own, without quotes.
    fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Day, M::Error> {
        let written = Datetime::deserialize(de::value::MapAccessDeserializer::new(map))
            .map_err(|_| de::Error::invalid_type(de::Unexpected::Map, &self))?;
        self.visit_str(&written.to_string())
    }
}
