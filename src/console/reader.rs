//! How somebody reads dates, times and numbers: their language and their zone. The sentences are
//! English; what stands in them is written as the reader is used to.

use http::{HeaderMap, header};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use minijinja::value::Object;

use crate::operator::words;

/// The languages whose forms are known; the first is for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    American,
    Norwegian,
    Swedish,
    Danish,
    German,
    French,
}

impl Language {
    /// Of what a browser sends (RFC 9110 section 12.5.4): the one wanted most that is known.
    fn of(accepted: &str) -> Self {
        let mut wanted: Vec<(f32, Self)> = accepted
            .split(',')
            .take(20)
            .filter_map(|item| {
                let (tag, quality) = item.split_once(";q=").unwrap_or((item, "1"));
                Some((quality.trim().parse().ok()?, Self::parse(tag)?))
            })
            .filter(|(quality, _)| *quality > 0.0)
            .collect();
        wanted.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        wanted.first().map_or(Self::English, |(_, language)| *language)
    }

    /// Of a BCP 47 tag.
    pub(super) fn parse(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase();
        Some(match tag.split(['-', '_']).next()? {
            "en" if tag == "en-us" => Self::American,
            "en" => Self::English,
            "nb" | "nn" | "no" => Self::Norwegian,
            "sv" => Self::Swedish,
            "da" => Self::Danish,
            "de" => Self::German,
            "fr" => Self::French,
            _ => return None,
        })
    }

    /// Between groups of three digits.
    fn separator(self) -> char {
        match self {
            Self::English | Self::American => ',',
            Self::Danish | Self::German => '.',
            Self::Norwegian | Self::Swedish => '\u{a0}',
            Self::French => '\u{202f}',
        }
    }

    fn date(self) -> &'static str {
        match self {
            Self::English => "%-d\u{a0}%b\u{a0}%Y",
            Self::American => "%b\u{a0}%-d,\u{a0}%Y",
            Self::Norwegian | Self::Danish | Self::German => "%d.%m.%Y",
            Self::Swedish => "%Y-%m-%d",
            Self::French => "%d/%m/%Y",
        }
    }

    fn clock(self) -> &'static str {
        match self {
            Self::American => "%-I:%M\u{a0}%p",
            Self::Danish => "%H.%M",
            _ => "%H:%M",
        }
    }

    fn clock_with_seconds(self) -> &'static str {
        match self {
            Self::American => "%-I:%M:%S\u{a0}%p",
            Self::Danish => "%H.%M.%S",
            _ => "%H:%M:%S",
        }
    }
}

/// What is chosen at the foot of the menu.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Auto, Self::Light, Self::Dark].into_iter().find(|theme| theme.word() == word)
    }
}

/// Somebody's habits, and the moment in which a page is drawn.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) language: Language,
    pub(super) zone: TimeZone,
    pub(super) theme: Theme,
    pub(super) now: Timestamp,
}

impl Reader {
    /// From what a browser sends: its languages, and the zone and theme that are kept as cookies.
    pub(super) fn of(headers: &HeaderMap, house: &TimeZone, now: Timestamp) -> Self {
        let text =
            |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let accepted = text(header::ACCEPT_LANGUAGE).unwrap_or_default();
        let zone = cookie(headers, "zone").filter(|zone| zone.len() < 64);
        Self {
            language: Language::of(accepted),
            zone: zone.and_then(|zone| TimeZone::get(zone).ok()).unwrap_or_else(|| house.clone()),
            theme: cookie(headers, "theme").and_then(Theme::parse).unwrap_or_default(),
            now,
        }
    }

    fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    pub(super) fn today(&self) -> Date {
        self.date_of(self.now)
    }

    /// The day that it was, or will be, where they are.
    pub(super) fn date_of(&self, at: Timestamp) -> Date {
        self.local(at).date()
    }

    /// When a day begins where they are; none beyond the calendar.
    pub(super) fn begin(&self, day: Date) -> Option<Timestamp> {
        day.to_zoned(self.zone.clone()).ok().map(|begin| begin.timestamp())
    }

    /// `27 Nov 2026`, wherever that is.
    pub(super) fn written(&self, day: Date) -> String {
        day.strftime(self.language.date()).to_string()
    }

    /// `12,345`.
    pub(super) fn number(&self, number: i64) -> String {
        let digits = number.unsigned_abs().to_string();
        let mut text = String::from(if number < 0 { "−" } else { "" });
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(self.language.separator());
            }
            text.push(digit);
        }
        text
    }

    /// `27 Nov 2026`.
    pub(super) fn date(&self, at: Timestamp) -> String {
        self.local(at).strftime(self.language.date()).to_string()
    }

    /// `09:42`.
    pub(super) fn clock(&self, at: Timestamp) -> String {
        self.local(at).strftime(self.language.clock()).to_string()
    }

    /// `09:42:10`.
    pub(super) fn second(&self, at: Timestamp) -> String {
        self.local(at).strftime(self.language.clock_with_seconds()).to_string()
    }

    /// `09:42` today, `27 Nov 2026, 09:42` on another day.
    pub(super) fn when(&self, at: Timestamp) -> String {
        if self.is_today(at) { self.clock(at) } else { self.moment(at) }
    }

    /// `27 Nov 2026, 09:42`.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        format!("{}, {}", self.date(at), self.clock(at))
    }

    pub(super) fn is_today(&self, at: Timestamp) -> bool {
        self.local(at).date() == self.local(self.now).date()
    }

    /// `Today`, `Yesterday`, `Monday, 27 Nov 2026`: over the events of a day.
    pub(super) fn day(&self, at: Timestamp) -> String {
        let (day, today) = (self.local(at).date(), self.local(self.now).date());
        let mut text = match today.since(day).map(|span| span.get_days()) {
            Ok(0) => "Today, ".to_owned(),
            Ok(1) => "Yesterday, ".to_owned(),
            _ => String::new(),
        };
        text += &self.local(at).strftime("%A ").to_string();
        text + &self.date(at)
    }

    /// `2 min ago`, `in 3 h`; a date where it is long ago.
    pub(super) fn ago(&self, at: Timestamp) -> String {
        let distance = self.now.duration_since(at);
        let length = words::span(distance.abs());
        match length {
            Some(_) if distance.abs() < SignedDuration::from_secs(2) => "just now".to_owned(),
            Some(length) if distance.is_negative() => format!("in {length}"),
            Some(length) => format!("{length} ago"),
            None => self.date(at),
        }
    }
}

/// Templates' filters find it under `reader`.
impl Object for Reader {}

/// The value of a cookie (RFC 6265 section 4.2.1).
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(languages: &str) -> Reader {
        Reader {
            language: Language::of(languages),
            zone: TimeZone::get("Europe/Oslo").unwrap(),
            theme: Theme::Auto,
            now: "2026-11-18T08:42:10Z".parse().unwrap(),
        }
    }

    #[test]
    fn each_language_has_its_own_forms() {
        let at: Timestamp = "2026-11-02T13:05:00Z".parse().unwrap();
        for (languages, date, clock, number) in [
            ("en-GB,en;q=0.9", "2\u{a0}Nov\u{a0}2026", "14:05", "12,345"),
            ("en-US", "Nov\u{a0}2,\u{a0}2026", "2:05\u{a0}PM", "12,345"),
            ("nb-NO,nb;q=0.9,en;q=0.8", "02.11.2026", "14:05", "12\u{a0}345"),
            ("nn", "02.11.2026", "14:05", "12\u{a0}345"),
            ("sv", "2026-11-02", "14:05", "12\u{a0}345"),
            ("da", "02.11.2026", "14.05", "12.345"),
            ("de-AT", "02.11.2026", "14:05", "12.345"),
            ("fr", "02/11/2026", "14:05", "12\u{202f}345"),
            ("xx, en;q=0.1, de;q=0.7", "02.11.2026", "14:05", "12.345"),
            ("", "2\u{a0}Nov\u{a0}2026", "14:05", "12,345"),
            ("de;q=0", "2\u{a0}Nov\u{a0}2026", "14:05", "12,345"),
        ] {
            let reader = reader(languages);
            assert_eq!(reader.date(at), date, "{languages}");
            assert_eq!(reader.clock(at), clock, "{languages}");
            assert_eq!(reader.number(12_345), number, "{languages}");
        }
    }

    #[test]
    fn today_has_a_clock_and_another_day_a_date() {
        let reader = reader("en-GB");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(reader.when(at("2026-11-17T23:30:00Z")), "00:30", "in their zone it is today");
        assert_eq!(reader.when(at("2026-11-17T22:30:00Z")), "17\u{a0}Nov\u{a0}2026, 23:30");
        assert_eq!(
            reader.day(at("2026-11-18T01:00:00Z")),
            "Today, Wednesday 18\u{a0}Nov\u{a0}2026"
        );
        assert_eq!(
            reader.day(at("2026-11-17T12:00:00Z")),
            "Yesterday, Tuesday 17\u{a0}Nov\u{a0}2026"
        );
        assert_eq!(reader.day(at("2026-10-17T12:00:00Z")), "Saturday 17\u{a0}Oct\u{a0}2026");
        assert_eq!(reader.ago(at("2026-11-18T08:40:00Z")), "2 min ago");
        assert_eq!(reader.second(at("2026-11-18T08:42:10Z")), "09:42:10");
        assert_eq!(reader.number(-1_000), "−1,000");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; theme=dark; zone=Europe/Paris".parse().unwrap());
        headers.append(header::COOKIE, "b=2".parse().unwrap());
        assert_eq!(cookie(&headers, "theme"), Some("dark"));
        assert_eq!(cookie(&headers, "b"), Some("2"));
        assert_eq!(cookie(&headers, "them"), None);
        let now = Timestamp::UNIX_EPOCH;
        let reader = Reader::of(&headers, &TimeZone::UTC, now);
        assert_eq!((reader.theme, reader.zone.iana_name()), (Theme::Dark, Some("Europe/Paris")));
    }
}
