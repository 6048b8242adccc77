//! The running account on stdout: short lines, in colour on a terminal, at a pace to be read.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

/// How long a person reads before the next act.
const PAUSE: Duration = Duration::from_millis(1_400);
/// Lines of one target in one act; more are counted.
const MOST_LINES: usize = 4;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";

/// Where the story is told.
pub(super) struct Account {
    out: io::Stdout,
    terminal: bool,
    colour: bool,
    acts: usize,
}

impl Account {
    pub(super) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { out: io::stdout(), terminal, colour: terminal && !dumb && !set("NO_COLOR"), acts: 0 }
    }

    /// Whether somebody sits there.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(super) fn acts(&self) -> usize {
        self.acts
    }

    pub(super) fn line(&self, text: impl Display) {
        // Whoever closed the pipe has read enough; that is no reason to stop half-way.
        drop(writeln!(self.out.lock(), "{text}"));
    }

    pub(super) fn title(&self, text: &str) {
        self.line(self.paint(BOLD, text));
    }

    /// Begins an act, after a pause in which the last one is read.
    pub(super) async fn act(&mut self, title: &str) {
        self.pause().await;
        self.acts += 1;
        let number = self.paint(CYAN, &self.acts.to_string());
        self.line(format!("\n{number}  {}", self.paint(BOLD, title)));
    }

    /// What the provider did.
    pub(super) fn pushed(&self, text: &str) {
        self.line(format!("   {}", self.paint(DIM, text)));
    }

    /// What arrived at a target.
    pub(super) fn arrived(&self, target: &str, text: impl Display) {
        let target = self.paint(GREEN, &format!("{target:<10}"));
        self.line(format!("   → {target}  {text}"));
    }

    /// What arrived at a target, one line each, up to a few.
    pub(super) fn arrived_all(&self, target: &str, lines: &[String]) {
        for line in lines.iter().take(MOST_LINES) {
            self.arrived(target, line);
        }
        if let Some(more) = lines.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
            self.arrived(target, format!("... and {more} more like these"));
        }
    }

    /// What does not go well.
    pub(super) fn trouble(&self, target: &str, text: impl Display) {
        let target = self.paint(YELLOW, &format!("{target:<10}"));
        self.line(format!("   ! {target}  {text}"));
    }

    /// A name and its value, in a table.
    pub(super) fn row(&self, name: &str, value: impl Display) {
        self.line(format!("  {}  {value}", self.paint(DIM, &format!("{name:<20}"))));
    }

    /// Time to read, where somebody reads.
    async fn pause(&self) {
        if self.terminal {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("{style}{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `1 pupil`, `12 pupils`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
