//! The audit log: who did what, when, from where, and why. It cannot be changed from here.

mod export;
mod list;
mod words;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::get;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::console::addresses;
use crate::console::reader::Reader;
use crate::console::trouble::Trouble;
use crate::console::viewer::needs;
use crate::operator::{ActivityQuery, Right};

/// Rows of a page.
const ROWS: usize = 50;
/// Of what is typed into the filter.
const LONGEST: usize = 200;

pub(super) fn routes() -> Router<Console> {
    let pages = Router::new()
        .route("/activity", get(list::page))
        .route("/activity.csv", get(export::csv))
        .route("/activity.jsonl", get(export::jsonl));
    needs(Right::Operate, pages)
}

/// Which rows, as the address says it. Empty: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Which {
    org: String,
    who: String,
    about: String,
    /// Days, the reader's own.
    from: String,
    to: String,
    before: String,
}

impl Which {
    fn query(&self, reader: &Reader) -> Result<ActivityQuery, Trouble> {
        let said = |text: &str| {
            let text = text.trim();
            if text.chars().count() > LONGEST {
                return Err(Trouble::Invalid(format!("that is longer than {LONGEST} characters")));
            }
            Ok((!text.is_empty()).then(|| text.to_owned()))
        };
        let before = said(&self.before)?.map(|before| before.parse()).transpose();
        Ok(ActivityQuery {
            organization: said(&self.org)?,
            actor: said(&self.who)?,
            about: said(&self.about)?,
            from: said(&self.from)?.map(|day| midnight(&day, reader, 0)).transpose()?,
            to: said(&self.to)?.map(|day| midnight(&day, reader, 1)).transpose()?,
            before: before.map_err(|_| Trouble::Invalid("that is no place in the list".into()))?,
            limit: ROWS,
        })
    }

    fn at(&self, path: &str) -> String {
        let Self { org, who, about, from, to, before } = self;
        addresses::with_query(
            path,
            &[
                ("org", org),
                ("who", who),
                ("about", about),
                ("from", from),
                ("to", to),
                ("before", before),
            ],
        )
    }
}

/// When a day begins for its reader, or so many days later.
fn midnight(day: &str, reader: &Reader, later: i64) -> Result<Timestamp, Trouble> {
    let wrong = || Trouble::Invalid(format!("`{day}` is no day; write it as 2026-11-18"));
    let day: Date = day.parse().map_err(|_| wrong())?;
    let day = day.checked_add(later.days()).map_err(|_| wrong())?;
    let midnight = day.to_zoned(reader.zone.clone()).map_err(|_| wrong())?;
    Ok(midnight.timestamp())
}
