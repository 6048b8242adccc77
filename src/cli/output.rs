//! Text for people: tables, relative times, colour on a terminal alone, and errors.
//!
//! What goes to stdout is the answer, and can be piped; what is said about it goes to stderr.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use scim_relay::config::{Diagnostic, render};
use serde::Serialize;

use super::{Exit, Failure, Result};

pub(super) use scim_relay::operator::words::{counted, maybe_relative, number, relative, span};

/// How text is set off on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// Where a command speaks.
pub(super) struct Screen {
    out_colour: bool,
    err_colour: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        // https://no-color.org: set and not empty means none.
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let wanted = set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb");
        Self {
            out_colour: wanted && io::stdout().is_terminal(),
            err_colour: wanted && io::stderr().is_terminal(),
        }
    }

    /// Text for stdout, set off where that can be seen.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.out_colour, style, text)
    }

    /// Writes the answer. A reader that has seen enough (`| head`) is no failure.
    pub(super) fn out(&self, text: &str) -> Result<()> {
        self.out_if_read(text).map(|_| ())
    }

    /// The same for one who would go on for ever: `false` once nobody reads any more.
    #[expect(clippy::unused_self, reason = "only who was handed a screen speaks")]
    pub(super) fn out_if_read(&self, text: &str) -> Result<bool> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::Failed(format!("the answer cannot be written: {error}"))),
        }
    }

    /// Writes the answer as JSON, for programs.
    pub(super) fn json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).expect("an answer is JSON");
        self.out(&format!("{text}\n"))
    }

    /// Says something about the answer. Where nobody listens, nothing is lost.
    #[expect(clippy::unused_self, reason = "only who was handed a screen speaks")]
    pub(super) fn note(&self, text: &str) {
        drop(io::stderr().write_all(format!("{text}\n").as_bytes()));
    }

    /// Whether a person at a terminal says yes to a question. Where there is none to ask, what needs
    /// an answer needs `--yes`.
    #[expect(clippy::unused_self, reason = "only who was handed a screen speaks")]
    pub(super) fn confirmed(&self, question: &str) -> Result<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::Usage(format!(
                "{question} There is no terminal to ask at: `--yes` says yes"
            )));
        }
        drop(io::stderr().write_all(format!("{question} [y/N] ").as_bytes()));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Failure::Failed(format!("the answer cannot be read: {error}")))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    pub(super) fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        drop(io::stderr().write_all(render(diagnostics, self.err_colour).as_bytes()));
    }

    /// Says why it came to nothing.
    pub(super) fn failure(&self, failure: &Failure) -> Exit {
        let error = paint(self.err_colour, Style::Red, "error:");
        match failure {
            Failure::Failed(message) => {
                self.note(&format!("{error} {message}"));
                Exit::Failed
            }
            Failure::Usage(message) => {
                self.note(&format!("{error} {message}"));
                Exit::Usage
            }
            Failure::Unusable(message) => {
                self.note(&format!("{error} {message}"));
                Exit::Configuration
            }
            Failure::Damaged(message) => {
                self.note(&format!("{error} {message}"));
                Exit::Damaged
            }
            Failure::Configuration(diagnostics) => {
                self.diagnostics(diagnostics);
                let mistakes = diagnostics.iter().filter(|one| one.is_error()).count();
                let mistakes = counted(mistakes as u64, "mistake", "mistakes");
                self.note(&format!("{error} {mistakes} in the configuration"));
                Exit::Configuration
            }
        }
    }
}

fn paint(colour: bool, style: Style, text: &str) -> String {
    let code = match style {
        _ if !colour => return text.to_owned(),
        Style::Plain => return text.to_owned(),
        Style::Bold => "1",
        Style::Dim => "2",
        Style::Red => "31",
        Style::Green => "32",
        Style::Yellow => "33",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Text that came from elsewhere, on one line, and without what would steer a terminal.
pub(super) fn tame(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The same for text of several lines.
pub(super) fn tame_lines(text: &str) -> String {
    let tamed = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(tamed).collect()
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Columns as wide as their widest cell.
pub(super) struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Side)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One line; a cell is a text, or a text and its style.
    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        assert_eq!(N, self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells.map(|Cell(text, style)| (tame(&text), style)).to_vec());
    }

    pub(super) fn text(&self, screen: &Screen) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].0.as_str());
            let head = self.columns[column].0;
            cells.chain([head]).map(|text| text.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let heads = self.columns.iter().map(|(head, _)| ((*head).to_owned(), Style::Dim));
        let mut text = String::new();
        for row in std::iter::once(heads.collect()).chain(self.rows.iter().cloned()) {
            text.push_str(&self.line(&row, &widths, screen));
            text.push('\n');
        }
        text
    }

    /// Padded first and painted then: a colour has no width.
    fn line(&self, row: &[(String, Style)], widths: &[usize], screen: &Screen) -> String {
        let last = row.len() - 1;
        let mut line = String::new();
        for (index, ((text, style), width)) in row.iter().zip(widths).enumerate() {
            let gap = " ".repeat(width - text.chars().count());
            let painted = screen.paint(*style, text);
            match self.columns[index].1 {
                Side::Left if index == last => line.push_str(&painted),
                Side::Left => line.extend([painted.as_str(), &gap]),
                Side::Right => line.extend([gap.as_str(), &painted]),
            }
            if index < last {
                line.push_str("  ");
            }
        }
        line
    }
}

/// What stands in a table.
pub(super) struct Cell(String, Style);

impl Cell {
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self(text.into(), style)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self(text, Style::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(text.to_owned(), Style::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Screen = Screen { out_colour: false, err_colour: false };
    const COLOUR: Screen = Screen { out_colour: true, err_colour: true };

    #[test]
    fn columns_are_aligned_and_colour_takes_no_room() {
        let mut table = Table::new(&[("NAME", Side::Left), ("N", Side::Right), ("", Side::Left)]);
        table.row(["a".into(), "1,000".into(), "x".into()]);
        table.row([Cell::styled("long name", Style::Green), "7".into(), "".into()]);
        assert_eq!(
            table.text(&PLAIN),
            "NAME           N  \na          1,000  x\nlong name      7  \n"
        );
        let plain = table.text(&COLOUR).replace("\x1b[2m", "").replace("\x1b[32m", "");
        assert_eq!(plain.replace("\x1b[0m", ""), table.text(&PLAIN));
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let mut table = Table::new(&[("NAME", Side::Left)]);
        table.row(["\x1b[2Jada\nroot".into()]);
        assert_eq!(table.text(&PLAIN), "NAME\n\u{fffd}[2Jada\u{fffd}root\n");
        assert_eq!(tame_lines("a: b\r\n\tc\x07\n"), "a: b\n\tc\u{fffd}\n");
    }
}
