//! Charts from the past: shapes in numbers, and what they show in words. Pure.
//!
//! Shapes stretch with the page, so that they have no words in them; whoever cannot see them is told
//! the finding.

use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use crate::console::reader::Reader;
use crate::store::{ConnectorPast, Past, PastHealth, Quarter};

/// What a chart is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Period {
    /// Each quarter of an hour.
    #[default]
    Day,
    /// Each day.
    Month,
}

/// Of a month.
const DAYS: i64 = 30;
/// Of a day.
const QUARTERS: i64 = 96;
const HOURS: usize = 24;
/// From one slot to the next, in the drawing's own measure.
const STEP: usize = 6;

/// A part of the period, and what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    start: Timestamp,
    past: Past,
}

impl Period {
    /// When the first slot begins.
    pub(super) fn start(self, reader: &Reader) -> Timestamp {
        self.starts(reader).first().copied().unwrap_or(reader.now)
    }

    fn starts(self, reader: &Reader) -> Vec<Timestamp> {
        let now = Quarter::of(reader.now).0;
        match self {
            Self::Day => {
                (0..QUARTERS).map(|back| Quarter(now - QUARTERS + 1 + back).start()).collect()
            }
            Self::Month => {
                let today = reader.now.to_zoned(reader.zone.clone()).date();
                let midnight = |back: i64| {
                    let day = today.checked_sub((DAYS - 1 - back).days()).ok()?;
                    Some(day.to_zoned(reader.zone.clone()).ok()?.timestamp())
                };
                (0..DAYS).filter_map(midnight).collect()
            }
        }
    }

    /// What was in each slot; what came before the first is left out.
    pub(super) fn slots(self, reader: &Reader, past: &[(Quarter, Past)]) -> Vec<Slot> {
        let empty = |start| Slot { start, past: Past::default() };
        let mut slots: Vec<Slot> = self.starts(reader).into_iter().map(empty).collect();
        for (quarter, past) in past {
            let at = slots.partition_point(|slot| slot.start <= quarter.start());
            if let Some(slot) = at.checked_sub(1).and_then(|at| slots.get_mut(at)) {
                slot.past = slot.past.then(*past);
            }
        }
        slots
    }

    fn during(self) -> &'static str {
        match self {
            Self::Day => "in the last 24 hours",
            Self::Month => "in the last 30 days",
        }
    }

    /// Below the chart, equally far from each other; the last is the present.
    pub(super) fn marks(self, reader: &Reader) -> Vec<String> {
        let starts = self.starts(reader);
        let (every, last) = match self {
            Self::Day => (24, "now"),
            Self::Month => (10, "today"),
        };
        let named = starts.iter().step_by(every).map(|start| self.name(reader, *start));
        named.chain([last.to_owned()]).collect()
    }

    fn name(self, reader: &Reader, start: Timestamp) -> String {
        match self {
            Self::Day => reader.clock(start),
            Self::Month => reader.date(start),
        }
    }
}

/// One drawing and its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What it shows.
    found: String,
    width: usize,
    /// At the height of the top line, and of the middle.
    top: String,
    half: String,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// From the left, and from the top; each as high as it must be to end at the bottom.
    Bars(Vec<Bar>),
    /// A path.
    Line(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Bar {
    x: usize,
    y: String,
    height: String,
}

/// Of bars and of lines, above the ground; 4 are left for the top line.
const HIGH: f64 = 76.0;
const LOW: f64 = 46.0;

pub(super) fn changes(period: Period, reader: &Reader, slots: &[Slot]) -> Chart {
    let total: u64 = slots.iter().map(|slot| slot.past.changes).sum();
    let most = slots.iter().max_by_key(|slot| slot.past.changes);
    let (title, each) = match period {
        Period::Day => ("Changes received, each quarter of an hour", "in a quarter of an hour"),
        Period::Month => ("Changes received, each day", "in a day"),
    };
    let during = period.during();
    let found = match most.filter(|slot| slot.past.changes > 0) {
        None => format!("No changes were received {during}."),
        Some(most) => format!(
            "Changes received {during}: {}. Busiest {} {} with {} {each}.",
            count(reader, total),
            if period == Period::Day { "at" } else { "on" },
            period.name(reader, most.start),
            count(reader, most.past.changes),
        ),
    };
    let top = ceiling(most.map_or(0, |slot| slot.past.changes));
    let bar = |(at, slot): (usize, &Slot)| {
        let height = scaled(slot.past.changes, top, HIGH);
        let bar = Bar {
            x: at * STEP + 1,
            y: format!("{:.1}", HIGH + 4.0 - height),
            height: format!("{height:.1}"),
        };
        (slot.past.changes > 0).then_some(bar)
    };
    Chart {
        title,
        found,
        width: slots.len() * STEP,
        top: count(reader, top),
        half: count(reader, top / 2),
        shape: Shape::Bars(slots.iter().enumerate().filter_map(bar).collect()),
    }
}

pub(super) fn backlog(period: Period, reader: &Reader, slots: &[Slot], now: u64) -> Chart {
    let most = slots.iter().max_by_key(|slot| slot.past.backlog);
    let during = period.during();
    let found = match most.filter(|slot| slot.past.backlog > 0) {
        None => format!("Nothing waited in the queue for long {during}."),
        Some(most) => format!(
            "Waiting in the queue {during}: at most {} {} {}; now {}.",
            count(reader, most.past.backlog),
            if period == Period::Day { "at" } else { "on" },
            period.name(reader, most.start),
            count(reader, now),
        ),
    };
    let top = ceiling(most.map_or(0, |slot| slot.past.backlog));
    let point = |(at, slot): (usize, &Slot)| {
        let height = scaled(slot.past.backlog, top, LOW);
        format!("{} {:.1}", at * STEP + STEP / 2, LOW + 4.0 - height)
    };
    let points: Vec<String> = slots.iter().enumerate().map(point).collect();
    Chart {
        title: "Most that waited in the queue",
        found,
        width: slots.len() * STEP,
        top: count(reader, top),
        half: count(reader, top / 2),
        shape: Shape::Line(points.join("L")),
    }
}

fn scaled(value: u64, top: u64, height: f64) -> f64 {
    value as f64 / top as f64 * height
}

/// The next number of which half is one, too, as people count.
fn ceiling(most: u64) -> u64 {
    let mut unit = 1;
    loop {
        if let Some(factor) = [2, 4, 6, 8, 10].into_iter().find(|factor| factor * unit >= most) {
            return factor * unit;
        }
        unit *= 10;
    }
}

fn count(reader: &Reader, count: u64) -> String {
    reader.number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A day of an organization in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Spark {
    path: String,
    found: String,
}

pub(super) fn spark(reader: &Reader, past: &[(Quarter, Past)]) -> Spark {
    let mut hours = [0_u64; HOURS];
    for (quarter, past) in past {
        if let Some(hour) = hour(reader, *quarter).and_then(|hour| hours.get_mut(hour)) {
            *hour += past.changes;
        }
    }
    let most = hours.iter().copied().max().unwrap_or_default();
    let points = hours.iter().enumerate().map(|(at, changes)| {
        let height = if most == 0 { 0.0 } else { scaled(*changes, most, 18.0) };
        format!("{at} {:.1}", 19.0 - height)
    });
    let points: Vec<String> = points.collect();
    let total: u64 = hours.iter().sum();
    let found = match hours.iter().position(|changes| *changes == most && most > 0) {
        None => "No changes in the last 24 hours".to_owned(),
        Some(at) => {
            let ago = (HOURS - 1 - at) as i64;
            let start = Quarter(Quarter::of(reader.now).0 - 3 - 4 * ago).start();
            format!("{} changes, most after {}", count(reader, total), reader.clock(start))
        }
    };
    Spark { path: points.join("L"), found }
}

/// Which of the last 24 hours; the last one ends with this quarter.
fn hour(reader: &Reader, quarter: Quarter) -> Option<usize> {
    let first = Quarter::of(reader.now).0 - QUARTERS + 1;
    usize::try_from((quarter.0 - first).div_euclid(4)).ok()
}

/// How a connector did in each of the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Strip {
    hours: Vec<Hour>,
    found: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Hour {
    /// The relay did not run, or did not know the connector.
    Unknown,
    Well,
    Stopped,
    Trouble,
}

pub(super) fn strip(reader: &Reader, past: &[(Quarter, ConnectorPast)]) -> Strip {
    let mut worst: [Option<PastHealth>; HOURS] = [None; HOURS];
    for (quarter, past) in past {
        if let Some(hour) = hour(reader, *quarter).and_then(|hour| worst.get_mut(hour)) {
            *hour = (*hour).max(Some(past.health));
        }
    }
    let of = |health| past.iter().filter(move |(_, past)| past.health == health);
    let last = |health| of(health).map(|(quarter, _)| *quarter).max();
    let clock = |quarter: Quarter| reader.clock(quarter.start());
    let found = match (last(PastHealth::Trouble), last(PastHealth::Stopped)) {
        (Some(trouble), _) => {
            let hours = worst.iter().filter(|hour| **hour == Some(PastHealth::Trouble)).count();
            let hours = if hours == 1 { "1 hour".to_owned() } else { format!("{hours} hours") };
            format!("Trouble in {hours} of the last 24, last after {}", clock(trouble))
        }
        (None, Some(stopped)) => format!("Paused, last after {}", clock(stopped)),
        (None, None) => match worst.iter().filter(|hour| hour.is_some()).count() {
            0 => "Nothing is known of the last 24 hours".to_owned(),
            HOURS => "Worked all of the last 24 hours".to_owned(),
            1 => "Worked in the last hour; nothing is known of the time before".to_owned(),
            hours => format!(
                "Worked in {hours} of the last 24 hours; the relay did not run in the others"
            ),
        },
    };
    let hours = worst.iter().map(|worst| match worst {
        None => Hour::Unknown,
        Some(PastHealth::Well) => Hour::Well,
        Some(PastHealth::Stopped) => Hour::Stopped,
        Some(PastHealth::Trouble) => Hour::Trouble,
    });
    Strip { hours: hours.collect(), found }
}

/// What was delivered since midnight.
pub(super) fn today(reader: &Reader, past: &[(Quarter, Past)]) -> u64 {
    let today = past.iter().filter(|(quarter, _)| reader.is_today(quarter.start()));
    today.map(|(_, past)| past.delivered).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::console::page::sample;
    use crate::operator::Rights;

    fn reader() -> Reader {
        sample::viewer(Rights::administrator()).reader
    }

    /// So many quarters before the sample's.
    fn back(quarters: i64) -> Quarter {
        Quarter(Quarter::of(reader().now).0 - quarters)
    }

    fn past(changes: u64, backlog: u64) -> Past {
        Past { changes, backlog, delivered: changes, ..Past::default() }
    }

    #[test]
    fn a_quarter_has_its_slot_and_a_day_has_all_of_its_quarters() {
        let reader = reader();
        let old = (back(500), past(7, 7));
        let day = [old, (back(95), past(1, 1)), (back(0), past(2, 9))];
        let slots = Period::Day.slots(&reader, &day);
        assert_eq!(slots.len(), 96);
        assert_eq!((slots[0].past.changes, slots[95].past.changes), (1, 2));
        assert_eq!(slots.iter().map(|slot| slot.past.changes).sum::<u64>(), 3, "not the older");

        // In Oslo the day began at 23:00 in Greenwich.
        let midnight = "2026-11-17T23:00:00Z".parse().unwrap();
        let month = [
            (Quarter(Quarter::of(midnight).0 - 1), past(4, 6)),
            (Quarter::of(midnight), past(1, 3)),
            (back(0), past(2, 2)),
        ];
        let slots = Period::Month.slots(&reader, &month);
        assert_eq!(slots.len(), 30);
        assert_eq!(slots[28].past, past(4, 6));
        assert_eq!(slots[29].past, past(3, 3), "changes add up, and what waited does not");
        assert_eq!(today(&reader, &month), 3);
    }

    #[test]
    fn a_chart_says_what_it_shows() {
        let reader = reader();
        let nothing = Period::Day.slots(&reader, &[]);
        assert_eq!(
            changes(Period::Day, &reader, &nothing).found,
            "No changes were received in the last 24 hours."
        );
        let day = [(back(4), past(1_072, 40)), (back(0), past(28, 74))];
        let slots = Period::Day.slots(&reader, &day);
        let chart = changes(Period::Day, &reader, &slots);
        assert_eq!(
            chart.found,
            "Changes received in the last 24 hours: 1,100. Busiest at 08:30 with 1,072 in a quarter of \
             an hour."
        );
        assert_eq!((chart.top.as_str(), chart.half.as_str()), ("2,000", "1,000"));
        let Shape::Bars(bars) = chart.shape else { panic!("bars") };
        assert_eq!(bars[0], Bar { x: 91 * 6 + 1, y: "39.3".to_owned(), height: "40.7".to_owned() });
        assert_eq!(bars.len(), 2);
        assert_eq!(
            backlog(Period::Day, &reader, &slots, 70).found,
            "Waiting in the queue in the last 24 hours: at most 74 at 09:30; now 70."
        );
    }

    #[test]
    fn a_scale_ends_with_a_round_number_and_has_a_half() {
        for (most, top) in [(0, 2), (1, 2), (3, 4), (9, 10), (11, 20), (72, 80), (1_001, 2_000)] {
            assert_eq!(ceiling(most), top, "{most}");
        }
    }

    #[test]
    fn a_strip_tells_the_worst_of_each_hour() {
        let reader = reader();
        let health = |quarters: i64, health| {
            let lag = Duration::ZERO;
            (back(quarters), ConnectorPast { delivered: 0, failed: 0, backlog: 0, lag, health })
        };
        let all = |worst: PastHealth| {
            let mut day: Vec<_> = (0..96).map(|at| health(95 - at, PastHealth::Well)).collect();
            day[94].1.health = worst;
            day
        };
        for (day, last, found) in [
            (vec![], Hour::Unknown, "Nothing is known of the last 24 hours"),
            (all(PastHealth::Well), Hour::Well, "Worked all of the last 24 hours"),
            (all(PastHealth::Stopped), Hour::Stopped, "Paused, last after 09:15"),
            (
                all(PastHealth::Trouble),
                Hour::Trouble,
                "Trouble in 1 hour of the last 24, last after 09:15",
            ),
            (
                vec![health(1, PastHealth::Well)],
                Hour::Well,
                "Worked in the last hour; nothing is known of the time before",
            ),
        ] {
            let strip = strip(&reader, &day);
            assert_eq!((strip.hours[23], strip.found.as_str()), (last, found));
            assert_eq!(strip.hours.len(), 24);
        }
    }

    #[test]
    fn a_spark_is_as_high_as_its_busiest_hour() {
        let reader = reader();
        let day = spark(&reader, &[(back(0), past(10, 0)), (back(7), past(5, 0))]);
        assert!(day.path.ends_with("22 10.0L23 1.0"), "{}", day.path);
        assert_eq!(day.found, "15 changes, most after 08:45");
        assert_eq!(spark(&reader, &[]).found, "No changes in the last 24 hours");
    }
}
