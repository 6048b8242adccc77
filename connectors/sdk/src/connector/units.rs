//! Durations, sizes and rates as people write them.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration in words: `30 days`, `90s`, `1h 30m`. A day has 24 hours, a month is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// A size in words: `1 MiB`, `64 KiB`, `500 kB`, `1024`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// So many in so long: `50/s`, `600/min`, `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

/// A duration that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration; write it like \"30 days\", \"2h 30m\" or \"90s\"")]
pub struct PeriodError {
    text: String,
}

impl Period {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub fn parse(text: &str) -> Result<Self, PeriodError> {
        let wrong = || PeriodError { text: text.to_owned() };
        let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
        if span.get_months() != 0 || span.get_years() != 0 || span.is_negative() {
            return Err(wrong());
        }
        let day = jiff::SpanRelativeTo::days_are_24_hours();
        let exact = span.to_duration(day).map_err(|_| wrong())?;
        Ok(Self(exact.unsigned_abs()))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [("day", 86_400), ("hour", 3_600), ("minute", 60)];
        for (unit, length) in units {
            if seconds >= length && seconds.is_multiple_of(length) {
                let count = seconds / length;
                return write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" });
            }
        }
        write!(f, "{:?}", self.0)
    }
}

impl Size {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let count: u64 = text[..digits].parse().ok()?;
        let unit = match text[digits..].trim() {
            "" | "B" => 1,
            "kB" => 1_000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            _ => return None,
        };
        count.checked_mul(unit).map(Self)
    }
}

impl Rate {
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let per = match unit.trim() {
            "s" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3_600,
            "d" | "day" => 86_400,
            _ => return None,
        };
        let count = count.trim().parse().ok().filter(|&count| count > 0)?;
        Some(Self { count, per: Duration::from_secs(per) })
    }
}

/// Deserializes from a string, with the parser's sentence as the error.
struct Words<T>(&'static str, fn(&str) -> Result<T, String>);

impl<T> Visitor<'_> for Words<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Words("a duration such as \"30 days\" or \"90s\"", |text| {
            Self::parse(text).map_err(|error| error.to_string())
        }))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Words("a size such as \"1 MiB\"", |text| {
            Self::parse(text).ok_or_else(|| {
                format!("`{text}` is not a size; write it like \"1 MiB\" or \"64 KiB\"")
            })
        }))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Words("a rate such as \"50/s\"", |text| {
            Self::parse(text).ok_or_else(|| {
                format!("`{text}` is not a rate; write it like \"50/s\", \"600/min\" or \"1000/h\"")
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_words() {
        let check = |text: &str, seconds: u64| {
            assert_eq!(Period::parse(text), Ok(Period::from_secs(seconds)), "{text}");
        };
        check("30 days", 30 * 86_400);
        check("90s", 90);
        check("1h 30m", 5_400);
        check("2 weeks", 14 * 86_400);
        assert!(Period::parse("3 months").is_err());
        assert!(Period::parse("soon").is_err());
        assert!(Period::parse("-5s").is_err());
    }

    #[test]
    fn durations_are_printed_in_their_largest_whole_unit() {
        assert_eq!(Period::from_secs(7 * 86_400).to_string(), "7 days");
        assert_eq!(Period::from_secs(3_600).to_string(), "1 hour");
        assert_eq!(Period::from_secs(90).to_string(), "90s");
    }

    #[test]
    fn sizes_know_binary_and_decimal_units() {
        assert_eq!(Size::parse("1 MiB"), Some(Size(1 << 20)));
        assert_eq!(Size::parse("500kB"), Some(Size(500_000)));
        assert_eq!(Size::parse("12"), Some(Size(12)));
        assert_eq!(Size::parse("1 mib"), None);
    }

    #[test]
    fn a_rate_is_a_count_and_a_unit_of_time() {
        assert_eq!(Rate::parse("50/s"), Some(Rate { count: 50, per: Duration::from_secs(1) }));
        assert_eq!(Rate::parse("600/min").map(|rate| rate.per.as_secs()), Some(60));
        assert_eq!(Rate::parse("0/s"), None);
        assert_eq!(Rate::parse("many"), None);
    }
}
