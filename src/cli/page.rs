//! Pages for people: labels and values, in lines that a screen has room for.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use scim_relay::operator::words::relative;

use super::output::{Screen, Style, tame};

/// How wide a page is.
const WIDTH: usize = 100;

/// A moment in the time of whoever looks: `2026-03-01 13:57:00`.
pub(super) fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment, and how long ago that is, in a piece: `2026-03-01 13:57:00 (5 min ago)`.
pub(super) fn moment(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", local(time), relative(now, time)).replace(' ', "\u{a0}")
}

/// Text in lines of a page's width, each with this before it. A word that is longer has a line of its
/// own; what stands between backticks is a word, since a command is to be copied whole, and so is what
/// no-break spaces join.
pub(super) fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    let room = WIDTH.saturating_sub(indent.chars().count());
    for word in pieces(text) {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > room {
            lines.extend([indent, &line, "\n"]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.extend([indent, &line, "\n"]);
    lines
}

fn pieces(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let paired = text.matches('`').count().is_multiple_of(2);
    let mut within = false;
    for word in text.split([' ', '\n', '\t']).filter(|word| !word.is_empty()) {
        let plain = word.replace('\u{a0}', " ");
        match all.last_mut() {
            Some(last) if within => last.extend([" ", &plain]),
            _ => all.push(plain),
        }
        within ^= paired && !word.matches('`').count().is_multiple_of(2);
    }
    all
}

/// `Label   value` lines, whose values are as long as they are.
pub(super) struct Fields<'s> {
    screen: &'s Screen,
    indent: &'static str,
    last: &'static str,
    text: String,
}

/// Of the labels.
const LABEL: usize = 14;

impl<'s> Fields<'s> {
    pub(super) fn new(screen: &'s Screen, indent: &'static str) -> Self {
        Self { screen, indent, last: "", text: String::new() }
    }

    /// A label that is that of the line before is not said again.
    pub(super) fn line(&mut self, label: &'static str, value: &str) {
        let said = if self.last == label { "" } else { label };
        self.last = label;
        let painted = self.screen.paint(Style::Dim, said);
        let gap = " ".repeat(LABEL.saturating_sub(said.chars().count()) + 2);
        let before = " ".repeat(self.indent.len() + LABEL + 2);
        let value = wrapped(&tame(value), &before);
        let value = value.strip_prefix(&before).unwrap_or(&value);
        self.text.extend([self.indent, &painted, &gap, value]);
    }

    pub(super) fn maybe(&mut self, label: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.line(label, value);
        }
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_width_and_a_long_word_a_line_of_its_own() {
        let text = wrapped(&format!("a {} b c", "x".repeat(120)), "  ");
        assert_eq!(text, format!("  a\n  {}\n  b c\n", "x".repeat(120)));
        let screen = Screen::new();
        let mut fields = Fields::new(&screen, "  ");
        fields.line("One", &"word ".repeat(30));
        fields.line("One", "more");
        fields.maybe("Two", None);
        let text = fields.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches("One").count(), 1, "{text}");
        assert!(text.ends_with(&format!("\n{}more\n", " ".repeat(18))), "{text}");
    }

    #[test]
    fn a_command_and_a_moment_are_never_broken() {
        let (many, command) = ("word ".repeat(17), "`scim-relay connector forget hook`");
        let text = wrapped(&format!("{many}{command} drops it."), "");
        assert!(text.ends_with(&format!("\n{command} drops it.\n")), "{text}");
        let open = wrapped(&format!("one ` alone {many}{many}"), "");
        assert!(open.lines().all(|line| line.chars().count() <= WIDTH), "{open}");
        let then = Timestamp::UNIX_EPOCH;
        let now = then + jiff::SignedDuration::from_mins(5);
        let text = wrapped(&format!("{many}{}", moment(then, now)), "");
        assert!(text.lines().last().unwrap().ends_with(":00 (5 min ago)"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
