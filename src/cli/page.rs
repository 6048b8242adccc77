//! Pages for people: labels and values, in lines that a screen has room for.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::output::{Screen, Style, tame};

/// How wide a page is.
const WIDTH: usize = 100;

/// A moment in the time of whoever looks: `2026-03-01 13:57:00`.
pub(super) fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Text in lines of a page's width, each with this before it. A word that is longer has a line of its
/// own.
pub(super) fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    let room = WIDTH.saturating_sub(indent.chars().count());
    for word in text.split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > room {
            lines.extend([indent, &line, "\n"]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.extend([indent, &line, "\n"]);
    lines
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
}
