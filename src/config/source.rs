//! One file of the configuration: its text, where everything stands in it, what of it is secret,
//! and what there is to say about it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Place, Severity, Spot};
use super::mask::{self, MASK};
use super::read::Reading;
use super::shown::{Marks, Piece};

/// A file's text and the places of its keys. Shows nobody the text but line by line, masked.
pub(super) struct Source {
    path: PathBuf,
    text: String,
    entries: BTreeMap<String, Entry>,
    masks: Vec<Range<usize>>,
    marks: Marks,
}

/// Where a key and its value stand.
struct Entry {
    key: Option<Range<usize>>,
    value: Range<usize>,
    /// What of the value to cover, should it turn out to be a secret.
    secret: Vec<Range<usize>>,
}

/// Something found in a file, before its line is looked up.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Finding {
    pub(super) fn error(span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span, message: message.into(), help: None }
    }

    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }
}

/// A file as TOML, as far as it is TOML.
pub(super) struct Parsed<'t> {
    pub(super) source: Source,
    pub(super) tree: Spanned<DeValue<'t>>,
    /// Mistakes of TOML itself; with any, the tree is a guess.
    pub(super) mistakes: Vec<Finding>,
}

impl Source {
    pub(super) fn parse<'t>(path: &Path, text: &'t str) -> Parsed<'t> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let span = table.span();
        let tree = Spanned::new(span, DeValue::Table(table.into_inner()));
        let mut masks = mask::in_tree(text, &tree);
        if !errors.is_empty() {
            masks.extend(mask::in_lines(text));
        }
        let mut entries = BTreeMap::new();
        index(text, &tree, "", &mut entries);
        let marks = Marks::of(text, &tree);
        let source = Self { path: path.to_owned(), text: text.to_owned(), entries, masks, marks };
        let mut mistakes: Vec<Finding> = errors
            .iter()
            .map(|error| Finding::error(error.span(), error.message().replace('\n', " ")))
            .collect();
        // One slip often makes the parser stumble twice over the same spot.
        mistakes.dedup_by(|next, first| next.span == first.span);
        Parsed { source, tree, mistakes }
    }

    /// The file for a person who looks at it.
    pub(super) fn shown(&self) -> Vec<Piece> {
        self.marks.pieces(&self.text, &self.masks_within(0..self.text.len()))
    }

    /// Where the value at a dotted path stands; failing that, the nearest table around it.
    pub(super) fn span(&self, path: &str) -> Option<Range<usize>> {
        if let Some(entry) = self.entries.get(path) {
            return Some(entry.value.clone());
        }
        let mut path = path;
        while let Some((parent, _)) = path.rsplit_once('.') {
            if let Some(entry) = self.entries.get(parent) {
                return Some(entry.key.clone().unwrap_or_else(|| entry.value.clone()));
            }
            path = parent;
        }
        None
    }

    /// Where the key at a dotted path stands.
    pub(super) fn key_span(&self, path: &str) -> Option<Range<usize>> {
        self.entries.get(path)?.key.clone().or_else(|| self.span(path))
    }

    /// From now on nobody sees the value at `path`.
    pub(super) fn cover(&mut self, path: &str) {
        if let Some(entry) = self.entries.get(path) {
            self.masks.extend(entry.secret.iter().cloned());
        }
    }

    /// The finding with its line, and without the file's secrets.
    pub(super) fn diagnose(&self, finding: Finding) -> Diagnostic {
        Diagnostic {
            severity: finding.severity,
            message: without_controls(&self.without_secrets(finding.message)),
            help: finding.help.map(|help| without_controls(&self.without_secrets(help))),
            place: Place {
                file: self.path.clone(),
                spot: finding.span.map(|span| Box::new(self.spot(span))),
            },
        }
    }

    /// Covers a secret that made its way into a sentence.
    fn without_secrets(&self, mut sentence: String) -> String {
        for mask in &self.masks {
            let secret = self.text[mask.clone()].trim().trim_matches(['"', '\'', '=', ' ', '\n']);
            // Shorter ones would cover half of every sentence, and no sentence quotes a value
            // known to be secret in the first place.
            if secret.len() >= 4 && sentence.contains(secret) {
                sentence = sentence.replace(secret, MASK);
            }
        }
        sentence
    }

    fn spot(&self, span: Range<usize>) -> Spot {
        let text = self.text.as_str();
        let mut start = text.floor_char_boundary(span.start);
        // At the end of a file that ends in a line break, the last line is meant.
        if start == text.len() && text.ends_with('\n') && start > 0 {
            start -= 1;
        }
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[line_start..].find('\n').map_or(text.len(), |at| line_start + at);
        let end = text.ceil_char_boundary(span.end).clamp(start, line_end);

        let masks = self.masks_within(line_start..line_end);
        let mut quote = String::new();
        let mut at = line_start;
        for mask in &masks {
            quote.push_str(&text[at..mask.start]);
            quote.push_str(MASK);
            at = mask.end;
        }
        quote.push_str(text[at..line_end].trim_end_matches('\r'));

        // A place on the line as a place in the quotation, and around a mask rather than in it.
        let quoted = |offset: usize, is_end: bool| {
            let (mut at, mut length) = (line_start, 0);
            for mask in masks.iter().take_while(|mask| mask.start < offset) {
                length += mask.start - at;
                if offset < mask.end {
                    return length + if is_end { MASK.len() } else { 0 };
                }
                length += MASK.len();
                at = mask.end;
            }
            length + offset - at
        };
        let mark_start = quoted(start, false).min(quote.len());
        let mark = mark_start..quoted(end, true).clamp(mark_start, quote.len());

        Spot {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            quote: without_controls(&quote),
            mark,
        }
    }
}

/// What a terminal would obey, and not show, becomes a dot of the same length.
fn without_controls(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => c,
            _ if c.is_ascii_control() => '.',
            _ if c.is_control() => '\u{b7}',
            _ => c,
        })
        .collect()
}

impl Source {
    /// The masks on a line, in order, each byte under one at most.
    fn masks_within(&self, line: Range<usize>) -> Vec<Range<usize>> {
        let mut masks: Vec<Range<usize>> = self
            .masks
            .iter()
            .map(|mask| mask.start.max(line.start)..mask.end.min(line.end))
            .filter(|mask| mask.start < mask.end)
            .collect();
        masks.sort_by_key(|mask| mask.start);
        masks.dedup_by(|next, first| {
            let touches = next.start <= first.end;
            if touches {
                first.end = first.end.max(next.end);
            }
            touches
        });
        masks
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.path).finish()
    }
}

fn index(
    text: &str,
    value: &Spanned<DeValue<'_>>,
    path: &str,
    entries: &mut BTreeMap<String, Entry>,
) {
    let below = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    let mut add = |name: &str, key: Option<Range<usize>>, value: &Spanned<DeValue<'_>>| {
        let path = below(name);
        index(text, value, &path, entries);
        let secret = mask::in_value(text, value);
        entries.insert(path, Entry { key, value: value.span(), secret });
    };
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                add(key.get_ref(), Some(key.span()), value);
            }
        }
        DeValue::Array(array) => {
            for (number, value) in array.iter().enumerate() {
                add(&number.to_string(), None, value);
            }
        }
        _ => {}
    }
}

/// A file's source and the findings about it, while it is being checked.
pub(super) struct Sheet {
    pub(super) source: Source,
    pub(super) findings: Vec<Finding>,
}

impl Sheet {
    pub(super) fn error(&mut self, path: &str, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, self.source.span(path), message)
    }

    pub(super) fn warning(&mut self, path: &str, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, self.source.span(path), message)
    }

    /// Takes over what reading found.
    pub(super) fn note<T>(&mut self, reading: &Reading<T>) {
        self.findings.extend(reading.mistakes.iter().cloned());
        for path in &reading.secret {
            self.source.cover(path);
        }
    }

    /// An error about the key itself, not its value.
    pub(super) fn key_error(&mut self, path: &str, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, self.source.key_span(path), message)
    }

    fn add(
        &mut self,
        severity: Severity,
        span: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> &mut Finding {
        let finding = Finding { severity, span, message: message.into(), help: None };
        self.findings.push_mut(finding)
    }

    /// The findings in the order of the lines they are about.
    pub(super) fn diagnostics(&mut self) -> Vec<Diagnostic> {
        let mut findings = std::mem::take(&mut self.findings);
        findings.sort_by_key(|finding| finding.span.as_ref().map(|span| (span.start, span.end)));
        let mut diagnostics = Vec::new();
        for finding in findings {
            let diagnostic = self.source.diagnose(finding);
            // A list of secrets may be wrong in the same way several times over.
            if !diagnostics.contains(&diagnostic) {
                diagnostics.push(diagnostic);
            }
        }
        diagnostics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, line: usize, column: usize, marked: &str) {
        let parsed = Source::parse(Path::new("x.toml"), text);
        let span = parsed.source.span(path);
        let spot = parsed.source.diagnose(Finding::error(span, "")).place.spot.unwrap();
        assert_eq!(
            (spot.line, spot.column, &spot.quote[spot.mark.clone()]),
            (line, column, marked)
        );
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let text = "a = 1\n\n[b]\nc = { d = \"x\" }\n[[e]]\nf = 2\n[[e]]\nf = 3\n";
        check(text, "a", 1, 5, "1");
        check(text, "b", 3, 1, "[b]");
        check(text, "b.c.d", 4, 11, "\"x\"");
        check(text, "e.1.f", 8, 5, "3");
    }

    #[test]
    fn what_is_not_there_is_shown_at_the_table_that_lacks_it() {
        check("[b]\nc = 1\n", "b.d.e", 1, 2, "b");
    }

    #[test]
    fn a_table_without_a_header_is_shown_at_the_one_that_makes_it() {
        check("[ldap.users]\nc = 1\n", "ldap", 1, 2, "ldap");
    }

    #[test]
    fn a_mark_behind_a_masked_value_keeps_its_column() {
        let text = "a = { \"ü\" = 1, password = \"geheim\", o = 5 }\n";
        check(text, "a.password", 1, 27, "***");
        check(text, "a.o", 1, 41, "5");
        check("a = \"https://u:geheim@h/\" # ä", "a", 1, 5, "\"https://u:***@h/\"");
    }

    #[test]
    fn a_secret_is_taken_out_of_a_sentence() {
        let parsed = Source::parse(Path::new("x.toml"), "token = \"geheim\"");
        let finding = Finding::error(None, "the value geheim will not do");
        assert_eq!(parsed.source.diagnose(finding).message, "the value *** will not do");
    }
}
