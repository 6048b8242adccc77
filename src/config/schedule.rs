//! When something is due: cron's fields, in a time zone with its summer time.
//!
//! The `cron` crate enumerates moments on a clock that never jumps; which instants those are in
//! the zone is jiff's to say. Unix notation (weekdays from 0 = Sunday, five fields) is read here,
//! since that crate numbers weekdays from 1 and wants a field of seconds.

use std::collections::BTreeSet;
use std::fmt;

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Deserializer, de};

/// Five cron fields (minute, hour, day of month, month, weekday), or six with seconds first.
#[derive(Clone)]
pub struct Schedule {
    source: String,
    cron: cron::Schedule,
    /// It comes in every hour, so that the clock's changes neither put it off nor leave it out.
    hourly: bool,
}

/// A schedule that could not be read; the sentence says which field is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a schedule: {reason}")]
pub struct ScheduleError {
    text: String,
    reason: String,
}

impl Schedule {
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        normalise(text)
            .and_then(|(cron, hourly)| {
                let cron = cron.parse::<cron::Schedule>();
                Ok((cron.map_err(|_| "the fields do not fit together".to_owned())?, hourly))
            })
            .and_then(|(cron, hourly)| {
                // The end of the crate's calendar is 2100, so a date that does not come until
                // then, such as 31 February, never does.
                match cron.after(&chrono::DateTime::UNIX_EPOCH).next() {
                    Some(_) => Ok(Self { source: text.to_owned(), cron, hourly }),
                    None => Err("such a day never comes".to_owned()),
                }
            })
            .map_err(|reason| ScheduleError { text: text.to_owned(), reason })
    }

    /// The first time after `after`. A time that the spring change skips comes as much later as
    /// the clock jumped (02:30 is 03:30), one that the autumn change repeats comes once, the
    /// first time. What is due in every hour is due in the repeated one, too, and needs no making
    /// up for the skipped one.
    pub fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        // A time inside a skipped hour is reckoned with the offset from before the change, so for
        // as long as the clock jumped its turn is still to come: start where that clock stands. On
        // the eve of a repeated hour the clock will stand where it stood.
        let clock_of = |hours: i64| {
            let then = after.checked_add(SignedDuration::from_hours(hours)).ok()?;
            Some(zone.to_offset(then).to_datetime(after))
        };
        let start = zone.to_datetime(after).min(clock_of(-24)?).min(clock_of(24)?);

        let mut earliest: Option<Timestamp> = None;
        // Ends by itself: wall times grow, and what lies beyond a repeated hour is after `after`.
        for wall in self.cron.after(&on_a_steady_clock(start)?) {
            let time = zone.to_ambiguous_timestamp(civil_of(&wall)?);
            let (again, settled) = match time.offset() {
                AmbiguousOffset::Gap { .. } if self.hourly => continue,
                // Put off, maybe past one that stands later on the wall.
                AmbiguousOffset::Gap { .. } => (None, false),
                AmbiguousOffset::Fold { .. } if self.hourly => (time.later().ok(), true),
                AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => (None, true),
            };
            let time = time.compatible().ok()?;
            for time in [Some(time), again].into_iter().flatten().filter(|time| *time > after) {
                earliest = Some(earliest.map_or(time, |earliest| earliest.min(time)));
            }
            if settled && time > after {
                break;
            }
        }
        earliest
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schedule").field(&self.source).finish()
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A wall time as the `cron` crate wants it: as if it were UTC, which never jumps.
fn on_a_steady_clock(wall: civil::DateTime) -> Option<chrono::DateTime<chrono::Utc>> {
    let part = |value: i8| u32::try_from(value).ok();
    let date = chrono::NaiveDate::from_ymd_opt(
        i32::from(wall.year()),
        part(wall.month())?,
        part(wall.day())?,
    )?;
    let time = date.and_hms_opt(part(wall.hour())?, part(wall.minute())?, part(wall.second())?)?;
    Some(time.and_utc())
}

fn civil_of(wall: &chrono::DateTime<chrono::Utc>) -> Option<civil::DateTime> {
    use chrono::{Datelike as _, Timelike as _};
    let part = |value: u32| i8::try_from(value).ok();
    civil::DateTime::new(
        i16::try_from(wall.year()).ok()?,
        part(wall.month())?,
        part(wall.day())?,
        part(wall.hour())?,
        part(wall.minute())?,
        part(wall.second())?,
        0,
    )
    .ok()
}

/// One of cron's fields.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const SECOND: Field = Field { name: "second", least: 0, most: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field { name: "month", least: 1, most: 12, names: MONTHS };
const WEEKDAY: Field = Field { name: "weekday", least: 0, most: 6, names: WEEKDAYS };

/// Unix notation in, the notation of the `cron` crate out: six lists of numbers, weekdays by name;
/// and whether it comes in every hour.
fn normalise(text: &str) -> Result<(String, bool), String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let (second, rest) = match fields.as_slice() {
        [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday]),
        [second, minute, hour, day, month, weekday] => {
            (*second, [minute, hour, day, month, weekday])
        }
        other => {
            return Err(format!(
                "it has {} fields; it takes five (minute, hour, day of month, month, weekday), or \
                 six with seconds first",
                other.len()
            ));
        }
    };
    let [minute, hour, day, month, weekday] = rest;
    let days = DAY.read(day)?;
    let weekdays = WEEKDAY.read(weekday)?;
    if !DAY.is_whole(&days) && !WEEKDAY.is_whole(&weekdays) {
        return Err("day of month and weekday are both restricted, and systems disagree whether \
                    that means both or either; leave one of them `*`"
            .to_owned());
    }
    let weekdays: Vec<&str> = weekdays.iter().map(|&day| WEEKDAYS[day as usize]).collect();
    let hours = HOUR.read(hour)?;
    let fields = [
        list(&SECOND.read(second)?),
        list(&MINUTE.read(minute)?),
        list(&hours),
        list(&days),
        list(&MONTH.read(month)?),
        weekdays.join(","),
    ];
    Ok((fields.join(" "), HOUR.is_whole(&hours)))
}

fn list(numbers: &BTreeSet<u32>) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

impl Field {
    /// The numbers that a field names: `*`, `5`, `1-5`, `*/15`, `10-50/20`, `mon,wed`.
    fn read(&self, text: &str) -> Result<BTreeSet<u32>, String> {
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            let every =
                match step {
                    Some(step) => step.parse().ok().filter(|&step| step > 0).ok_or_else(|| {
                        format!("`/{step}` in {} `{text}` is not a step", self.name)
                    })?,
                    None => 1,
                };
            let (from, to) = match range.split_once('-') {
                Some((from, to)) => (self.number(from, text)?, self.number(to, text)?),
                None if range == "*" || range == "?" => (self.least, self.most),
                None => {
                    let from = self.number(range, text)?;
                    (from, if step.is_some() { self.most.max(from) } else { from })
                }
            };
            // `fri-sun`: a week may end on Sunday.
            let to = if self.is_weekday() && to == 0 && from > 0 { 7 } else { to };
            if from > to {
                return Err(format!("{} `{part}` runs backwards", self.name));
            }
            numbers.extend(
                (from..=to).step_by(every).map(
                    |number| {
                        if self.is_weekday() { number % 7 } else { number }
                    },
                ),
            );
        }
        Ok(numbers)
    }

    fn number(&self, word: &str, field: &str) -> Result<u32, String> {
        let lower = word.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return Ok(self.least + at as u32);
        }
        let most = if self.is_weekday() { 7 } else { self.most };
        match word.parse() {
            Ok(number) if (self.least..=most).contains(&number) => Ok(number),
            _ if word == field => {
                Err(format!("{} `{word}` is not between {} and {most}", self.name, self.least))
            }
            _ => Err(format!(
                "`{word}` in {} `{field}` is not between {} and {most}",
                self.name, self.least
            )),
        }
    }

    fn is_weekday(&self) -> bool {
        self.most == WEEKDAY.most
    }

    fn is_whole(&self, numbers: &BTreeSet<u32>) -> bool {
        numbers.len() as u32 == self.most - self.least + 1
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
