//! A mistake in a configuration, shown as a compiler would: the file, the line, the spot, the way
//! out.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, and somebody should look at this.
    Warning,
}

/// Something to say about a configuration. No part of it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    pub place: Place,
}

/// What a diagnostic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// None where it is about the file as a whole.
    pub spot: Option<Box<Spot>>,
}

/// A spot in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line, its secrets masked.
    pub quote: String,
    /// The bytes of `quote` that are meant.
    pub mark: Range<usize>,
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn about(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            place: Place { file: file.into(), spot: None },
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = self.place.file.display().to_string();
        let title = level.primary_title(self.message.as_str());
        let group = match &self.place.spot {
            None => title.element(Origin::path(path.as_str())),
            Some(spot) => title.element(
                Snippet::source(spot.quote.as_str())
                    .path(path.as_str())
                    .line_start(spot.line)
                    .annotation(AnnotationKind::Primary.span(spot.mark.clone())),
            ),
        };
        let group = match &self.help {
            None => group,
            Some(help) => group.element(Level::HELP.message(help.as_str())),
        };
        let shown = renderer.render(&[group]);
        let Some(spot) = &self.place.spot else { return shown };
        // The renderer counts columns in the quotation, where a masked secret is shorter.
        let (line, column) = (spot.line, spot.column);
        let counted = spot.quote[..spot.mark.start].chars().count() + 1;
        let is = format!("{path}:{line}:{column}");
        shown.replacen(&format!("{path}:{line}:{counted}"), &is, 1)
    }
}

/// One line, for a log: `hr.toml:3:1: unknown key ...`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Path::display(&self.place.file))?;
        if let Some(spot) = &self.place.spot {
            write!(f, ":{}:{}", spot.line, spot.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// For a person, at length; in colour when `colour` says so. Empty when there is nothing to say.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&diagnostic.render(&renderer));
        out.push_str("\n\n");
    }
    out
}
