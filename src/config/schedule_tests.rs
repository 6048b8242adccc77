//! Cron in zones with summer time: what fires, how often, and what is refused.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::Schedule;

#[track_caller]
fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The next few times after a moment, as wall time with offset.
#[track_caller]
fn check(schedule: &str, zone_name: &str, after: &str, expected: &[&str]) {
    let schedule = Schedule::parse(schedule).unwrap();
    let zone = zone(zone_name);
    let mut at: Timestamp = after.parse().unwrap();
    let mut actual = Vec::new();
    for _ in expected {
        at = schedule.next(&zone, at).unwrap();
        actual.push(at.to_zoned(zone.clone()).strftime("%F %T %:z").to_string());
    }
    assert_eq!(actual, expected);
}

#[track_caller]
fn refused(schedule: &str, reason: &str) {
    let error = Schedule::parse(schedule).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn five_fields_start_with_the_minute() {
    check(
        "15 2 * * *",
        "UTC",
        "2026-01-01T00:00:00Z",
        &["2026-01-01 02:15:00 +00:00", "2026-01-02 02:15:00 +00:00"],
    );
}

#[test]
fn six_fields_start_with_the_second() {
    check(
        "*/30 59 23 * * *",
        "UTC",
        "2026-01-01T23:59:10Z",
        &["2026-01-01 23:59:30 +00:00", "2026-01-02 23:59:00 +00:00"],
    );
}

#[test]
fn weekdays_count_from_sunday_and_seven_is_sunday_too() {
    // 2026-01-04 is a Sunday.
    for sunday in ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "0 0 * * SUN"] {
        check(sunday, "UTC", "2026-01-01T00:00:00Z", &["2026-01-04 00:00:00 +00:00"]);
    }
    check("0 0 * * 1", "UTC", "2026-01-01T00:00:00Z", &["2026-01-05 00:00:00 +00:00"]);
}

#[test]
fn a_range_of_weekdays_may_end_on_sunday() {
    for weekend in ["0 0 * * 6-7", "0 0 * * sat-sun", "0 0 * * 6,0"] {
        check(
            weekend,
            "UTC",
            "2026-01-01T00:00:00Z",
            &[
                "2026-01-03 00:00:00 +00:00",
                "2026-01-04 00:00:00 +00:00",
                "2026-01-10 00:00:00 +00:00",
            ],
        );
    }
}

#[test]
fn steps_and_lists_are_understood() {
    check(
        "10-50/20,5 4 * * *",
        "UTC",
        "2026-01-01T00:00:00Z",
        &[
            "2026-01-01 04:05:00 +00:00",
            "2026-01-01 04:10:00 +00:00",
            "2026-01-01 04:30:00 +00:00",
            "2026-01-01 04:50:00 +00:00",
            "2026-01-02 04:05:00 +00:00",
        ],
    );
    check("0 0 1 jan,jul ?", "UTC", "2026-01-02T00:00:00Z", &["2026-07-01 00:00:00 +00:00"]);
}

#[test]
fn a_skipped_time_comes_as_much_later_as_the_clock_jumped() {
    // Europe/Berlin, 2026-03-29: 02:00 becomes 03:00.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        &["2026-03-29 03:30:00 +02:00", "2026-03-30 02:30:00 +02:00"],
    );
}

#[test]
fn a_skipped_time_still_comes_for_one_who_asks_within_the_jump() {
    // 03:10 summer time: a daemon that starts now has 02:30 before it, at 03:30.
    check("30 2 * * *", "Europe/Berlin", "2026-03-29T01:10:00Z", &["2026-03-29 03:30:00 +02:00"]);
}

#[test]
fn a_repeated_time_comes_once() {
    // Europe/Berlin, 2026-10-25: 03:00 becomes 02:00.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &["2026-10-25 02:30:00 +02:00", "2026-10-26 02:30:00 +01:00"],
    );
    // Asked between the two, and in the second: not again.
    for within in ["2026-10-25T00:45:00Z", "2026-10-25T01:10:00Z"] {
        check("30 2 * * *", "Europe/Berlin", within, &["2026-10-26 02:30:00 +01:00"]);
    }
}

#[test]
fn a_frequent_schedule_goes_through_both_changes_in_order() {
    check(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:30:00Z",
        &["2026-03-29 03:00:00 +02:00", "2026-03-29 03:30:00 +02:00", "2026-03-29 04:00:00 +02:00"],
    );
    check(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-10-24T23:45:00Z",
        &[
            "2026-10-25 02:00:00 +02:00",
            "2026-10-25 02:30:00 +02:00",
            "2026-10-25 02:00:00 +01:00",
            "2026-10-25 02:30:00 +01:00",
            "2026-10-25 03:00:00 +01:00",
        ],
    );
    check("30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", &["2026-03-29 03:30:00 +02:00"]);
}

/// How often a schedule comes on a day, and on the day after it.
#[track_caller]
fn count(schedule: &str, zone_name: &str, day: &str, expected: [usize; 2]) {
    let (schedule, zone) = (Schedule::parse(schedule).unwrap(), zone(zone_name));
    let first: jiff::civil::Date = day.parse().unwrap();
    let counted = [first, first.tomorrow().unwrap()].map(|date| {
        let begin = date.to_zoned(zone.clone()).unwrap();
        let end = date.tomorrow().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
        let mut at = begin.timestamp() - jiff::SignedDuration::from_nanos(1);
        let mut times = 0;
        while let Some(next) = schedule.next(&zone, at).filter(|next| *next < end) {
            (at, times) = (next, times + 1);
        }
        times
    });
    assert_eq!(counted, expected, "{} in {zone_name} on {day}", schedule.source());
}

#[test]
fn a_day_has_its_one_run_whatever_becomes_of_the_hour_and_an_hourly_one_has_as_many_as_hours() {
    for (zone, day, hours) in [
        ("Europe/Oslo", "2026-03-29", 23),
        ("Europe/Oslo", "2026-10-25", 25),
        // At midnight, so that it is the day's first or the evening's last hour.
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("America/Sao_Paulo", "2018-02-17", 25),
    ] {
        for hour in 0..24 {
            for minute in [0, 15, 59] {
                count(&format!("{minute} {hour} * * *"), zone, day, [1, 1]);
            }
        }
        count("0 * * * *", zone, day, [hours, 24]);
        count("59 * * * *", zone, day, [hours, 24]);
        count("*/20 * * * *", zone, day, [3 * hours, 72]);
    }
}

#[test]
fn where_midnight_was_skipped_the_day_still_has_its_run() {
    // America/Sao_Paulo began summer time at midnight until 2018: 2018-11-04 starts at 01:00.
    check(
        "0 0 * * *",
        "America/Sao_Paulo",
        "2018-11-03T12:00:00Z",
        &["2018-11-04 01:00:00 -02:00", "2018-11-05 00:00:00 -02:00"],
    );
    // And the evening before 2018-02-18 had its last hour twice.
    check(
        "30 23 * * *",
        "America/Sao_Paulo",
        "2018-02-17T12:00:00Z",
        &["2018-02-17 23:30:00 -02:00", "2018-02-18 23:30:00 -03:00"],
    );
}

#[test]
fn a_jump_of_half_an_hour_keeps_the_order() {
    // Lord Howe, 2026-10-04: 02:00 becomes 02:30, so 02:15 comes at 02:45, after 02:35.
    check(
        "15,35 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        &["2026-10-04 02:35:00 +11:00", "2026-10-04 02:45:00 +11:00", "2026-10-05 02:15:00 +11:00"],
    );
}

#[test]
fn a_leap_day_is_waited_for() {
    check("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29 00:00:00 +00:00"]);
}

#[test]
fn a_mistake_names_its_field() {
    refused("61 * * * *", "minute `61` is not between 0 and 59");
    refused("0 24 * * *", "hour `24` is not between 0 and 23");
    refused("0 0 0 * *", "day of month `0` is not between 1 and 31");
    refused("0 0 * 1,13 *", "`13` in month `1,13` is not between 1 and 12");
    refused("0 0 * * 8", "weekday `8` is not between 0 and 7");
    refused("*/0 * * * *", "`/0` in minute `*/0` is not a step");
    refused("30-10 * * * *", "minute `30-10` runs backwards");
    refused("0 2 * *", "it has 4 fields");
    refused("@daily", "it has 1 fields");
    refused("", "it has 0 fields");
}

#[test]
fn two_restricted_day_fields_are_refused() {
    refused("0 0 1 * mon", "day of month and weekday are both restricted");
}

#[test]
fn a_day_that_never_comes_is_refused() {
    refused("0 0 31 2 *", "such a day never comes");
}

fn schedules() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        Just("*".to_owned()),
        (0..60u8).prop_map(|m| m.to_string()),
        (1..40u8).prop_map(|s| format!("*/{s}"))
    ];
    let hour = prop_oneof![Just("*".to_owned()), (0..24u8).prop_map(|h| h.to_string())];
    let weekday = prop_oneof![Just("*".to_owned()), (0..8u8).prop_map(|d| d.to_string())];
    (minute, hour, weekday).prop_map(|(m, h, d)| format!("{m} {h} * * {d}"))
}

proptest! {
    /// However one asks, the answer lies ahead, and asking a little later never yields an
    /// earlier time: nothing is fired out of order, twice, or lost between two questions.
    #[test]
    fn the_next_time_is_ahead_and_never_moves_back(
        schedule in schedules(),
        zone_name in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia",
        ]),
        after in 0i64..2_000_000_000,
        step in 0i64..200_000,
    ) {
        let schedule = Schedule::parse(&schedule).unwrap();
        let zone = zone(zone_name);
        let first = Timestamp::from_second(after).unwrap();
        let later = Timestamp::from_second(after + step).unwrap();
        let next = schedule.next(&zone, first).unwrap();
        let next_later = schedule.next(&zone, later).unwrap();
        prop_assert!(next > first);
        prop_assert!(next_later >= next);
        if later < next {
            prop_assert_eq!(next_later, next);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,40}") {
        drop(Schedule::parse(&text));
    }
}
