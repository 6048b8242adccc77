//! The log to take along: as CSV for a spreadsheet, as a line of JSON for each row for programs.
//! Read and sent piece by piece, so that its size costs no memory.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use futures_util::stream;
use http::header;

use super::{Which, words};
use crate::console::Console;
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{ActivityQuery, Operator, Reach};
use crate::store::Audited;

/// The newest that match; who wants more asks for a shorter time.
const MOST: usize = 100_000;
/// Read and sent at once.
const PIECE: usize = 1_000;

#[derive(Clone, Copy)]
enum Format {
    Csv,
    JsonLines,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/jsonl",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    /// Spreadsheets take a file without the mark for one in their old alphabet.
    fn beginning(self) -> Vec<u8> {
        match self {
            Self::Csv => [MARK.as_bytes(), &line(&HEAD.map(str::to_owned))].concat(),
            Self::JsonLines => Vec::new(),
        }
    }

    fn write(self, rows: &[Audited]) -> Vec<u8> {
        let each = rows.iter().flat_map(|row| match self {
            Self::Csv => line(&cells(row)),
            Self::JsonLines => {
                let mut line = serde_json::to_vec(row).unwrap_or_default();
                line.push(b'\n');
                line
            }
        });
        each.collect()
    }
}

const MARK: &str = "\u{feff}";
const HEAD: [&str; 8] = [
    "time",
    "who",
    "from",
    "what",
    "to whom or what",
    "organization",
    "reason or detail",
    "action",
];

fn cells(audited: &Audited) -> [String; 8] {
    let row = &audited.row;
    [
        row.at.to_string(),
        row.actor.clone(),
        row.from.clone().unwrap_or_default(),
        words::said(&row.action).trim_end_matches(':').to_owned(),
        row.subject.clone(),
        row.organization.clone().unwrap_or_default(),
        row.detail.clone().unwrap_or_default(),
        row.action.clone(),
    ]
}

/// RFC 4180, and no cell that a spreadsheet would take for a formula.
fn line(cells: &[String]) -> Vec<u8> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let tame = cells.iter().map(|cell| {
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        if is_formula { format!("'{cell}") } else { cell.clone() }
    });
    writer.write_record(tame).expect("a vector takes all");
    writer.into_inner().expect("a vector takes all")
}

pub(super) async fn csv(
    viewer: Viewer,
    State(console): State<Console>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    export(viewer, console, &which, Format::Csv).await
}

pub(super) async fn jsonl(
    viewer: Viewer,
    State(console): State<Console>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    export(viewer, console, &which, Format::JsonLines).await
}

async fn export(
    viewer: Viewer,
    console: Console,
    which: &Which,
    format: Format,
) -> Result<Response, Trouble> {
    let query = ActivityQuery { limit: PIECE, ..which.query(&viewer.reader)? };
    let what = format!("as {}", format.ending());
    let reach = viewer.rights.reach().clone();
    // What is asked for is looked at before it is promised.
    let (rows, next) = console.operator.activity_rows(&reach, &query).await?;
    console.operator.activity_taken(&viewer.actor, &query, &what).await?;
    let first = [format.beginning(), format.write(&rows)].concat();
    let left = MOST.saturating_sub(rows.len());
    let rest = Rest { operator: console.operator.clone(), reach, query, format, next, left };
    let pieces = stream::unfold((Some(first), rest), |(first, mut rest)| async move {
        let piece = match first {
            Some(first) => first,
            None => rest.piece().await?,
        };
        Some((Ok::<_, Infallible>(piece), (None, rest)))
    });
    let day = viewer.reader.now.strftime("%F");
    let name = format!("attachment; filename=\"activity-{day}.{}\"", format.ending());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((AppendHeaders(headers), Body::from_stream(pieces)).into_response())
}

/// What is still to be sent.
struct Rest {
    operator: Operator,
    reach: Reach,
    query: ActivityQuery,
    format: Format,
    next: Option<i64>,
    left: usize,
}

impl Rest {
    /// None: that was all. A store that fails in the middle ends the file, and is in the log.
    async fn piece(&mut self) -> Option<Vec<u8>> {
        let before = self.next.filter(|_| self.left > 0)?;
        self.query.before = Some(before);
        self.query.limit = PIECE.min(self.left);
        match self.operator.activity_rows(&self.reach, &self.query).await {
            Ok((rows, next)) => {
                self.left -= rows.len();
                self.next = next;
                Some(self.format.write(&rows))
            }
            Err(error) => {
                tracing::warn!(%error, "an export of the activity was broken off");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_whatever_it_begins_with() {
        let check = |cell: &str, expected: &str| {
            let line = String::from_utf8(line(&["a".to_owned(), cell.to_owned()])).unwrap();
            assert_eq!(line, format!("a,{expected}\r\n"));
        };
        check("plain", "plain");
        check("=1+2", "'=1+2");
        check("+47 22", "'+47 22");
        check("-1", "'-1");
        check("@sum", "'@sum");
        check("\tx", "'\tx");
        check("a, b", "\"a, b\"");
        check("she said \"no\"", "\"she said \"\"no\"\"\"");
        check("=a,b", "\"'=a,b\"");
    }
}
