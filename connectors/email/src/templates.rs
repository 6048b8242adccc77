//! The mails' texts: those that are compiled in, and an administrator's own in their place.
//!
//! A mail is made of `EVENT.LANGUAGE.txt`, whose first line is `Subject: ...`, and, if it is to
//! have an HTML part, `EVENT.LANGUAGE.html` beside it. Every other `.txt` and `.html` file of the
//! folder is there to be included or extended.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use fluent_langneg::LanguageIdentifier;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use scim_relay_sdk::connector::template::environment;
use scim_relay_sdk::connector::{Escape, Problem, View};

use crate::event::Event;
use crate::language;

/// What one part of a mail may come to, in bytes.
const MAX_PART: usize = 1 << 20;

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../templates/", $name)))),+]
    };
}

/// The texts that need no file.
pub(crate) const BUILT_IN: &[(&str, &str)] = built_in![
    "layout.html",
    "welcome.da.html",
    "welcome.da.txt",
    "welcome.de.html",
    "welcome.de.txt",
    "welcome.en.html",
    "welcome.en.txt",
    "welcome.fr.html",
    "welcome.fr.txt",
    "welcome.nb.html",
    "welcome.nb.txt",
    "welcome.nn.html",
    "welcome.nn.txt",
    "welcome.sv.html",
    "welcome.sv.txt",
];

/// A mail is read on the way, and kept: whoever wants a password in one is told at once.
fn demand_no_password(environment: &Environment<'_>) -> Result<(), Problem> {
    let reads = |variables: HashSet<String>| {
        variables.iter().any(|name| name.split('.').next() == Some("password"))
    };
    match environment.templates().find(|(_, template)| reads(template.undeclared_variables(true))) {
        None => Ok(()),
        Some((name, _)) => Err(Problem::new(
            "templates",
            format!(
                "`{}` reads `password`, which no mail ever gets",
                name.replace(".subject", ".txt")
            ),
        )
        .help("send a link by which people choose one")),
    }
}

/// Every text there is, parsed.
pub(crate) struct Templates {
    environment: Environment<'static>,
    mails: Vec<Written>,
    reads_groups: bool,
}

/// One event in one language.
struct Written {
    event: Event,
    language: LanguageIdentifier,
    /// `welcome.nb`.
    stem: String,
    html: bool,
}

/// A mail's texts for one person.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: Option<String>,
}

impl Templates {
    /// The built-in texts, and over them what the folder holds.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, Problem> {
        let mut sources: BTreeMap<String, String> = BUILT_IN
            .iter()
            .map(|(name, source)| ((*name).to_owned(), (*source).to_owned()))
            .collect();
        if let Some(folder) = folder {
            let own = read(folder)?;
            // Someone who rewrites a mail's text means the whole mail: the HTML part that most
            // people see must not go on saying what the built-in one says.
            for name in own.keys() {
                if let Some(stem) = name.strip_suffix(".txt") {
                    sources.remove(&format!("{stem}.html"));
                }
            }
            sources.extend(own);
        }
        Self::parse(&sources)
    }

    fn parse(sources: &BTreeMap<String, String>) -> Result<Self, Problem> {
        let mut environment = environment(Escape::Plain);
        environment.set_auto_escape_callback(|name| {
            if has_extension(name, "html") { AutoEscape::Html } else { AutoEscape::None }
        });
        let mut mails = Vec::new();
        for (name, source) in sources {
            let Some((event, language, stem)) = mail_name(name)? else {
                add(&mut environment, name, name, source.clone())?;
                continue;
            };
            if has_extension(name, "html") {
                if !sources.contains_key(&format!("{stem}.txt")) {
                    return Err(Problem::new(
                        "templates",
                        format!("`{name}` has no `{stem}.txt` beside it, so it has no subject"),
                    )
                    .help("every mail has a text part, and its first line is `Subject: ...`"));
                }
                add(&mut environment, name, name, source.clone())?;
                continue;
            }
            let (subject, body) = split_subject(name, source)?;
            add(&mut environment, name, &format!("{stem}.subject"), subject)?;
            add(&mut environment, name, name, body)?;
            let html = sources.contains_key(&format!("{stem}.html"));
            mails.push(Written { event, language, stem: stem.to_owned(), html });
        }
        let reads_groups = environment.templates().any(|(_, template)| {
            let variables = template.undeclared_variables(true);
            variables.iter().any(|name| match name.split('.').next() {
                Some("scim") => template.source().contains("groups"),
                first => first == Some("groups"),
            })
        });
        demand_no_password(&environment)?;
        Ok(Self { environment, mails, reads_groups })
    }

    /// Whether a text looks up `groups`.
    pub(crate) fn reads_groups(&self) -> bool {
        self.reads_groups
    }

    /// The languages that this event's mail exists in.
    pub(crate) fn languages(&self, event: Event) -> Vec<LanguageIdentifier> {
        let of_event = self.mails.iter().filter(|mail| mail.event == event);
        of_event.map(|mail| mail.language.clone()).collect()
    }

    /// Fills in one mail.
    pub(crate) fn render(
        &self,
        event: Event,
        language: &LanguageIdentifier,
        view: View,
    ) -> Result<Rendered, String> {
        let mail = self.find(event, language)?;
        let stem = &mail.stem;
        let view = view.with("language", language.to_string());
        let root = view.root();
        let subject = self.fill(&format!("{stem}.subject"), &root).map_err(|error| {
            let why = sentence(&error);
            format!("the subject in `{stem}.txt` cannot be filled in: {why}")
        })?;
        let subject = subject.trim().to_owned();
        let root = view.with("subject", &subject).root();
        let part = |name: String| {
            self.fill(&name, &root)
                .map_err(|error| format!("`{name}` cannot be filled in: {}", sentence(&error)))
        };
        let text = part(format!("{stem}.txt"))?.trim_start().to_owned();
        let html = mail.html.then(|| part(format!("{stem}.html"))).transpose()?;
        Ok(Rendered { subject, text, html })
    }

    /// Fills every mail of this event in for a person with everything, to find a filter or an
    /// included file that does not exist: those show up only when a template runs.
    pub(crate) fn try_out(&self, event: Event, view: &View) -> Result<(), Problem> {
        for mail in self.mails.iter().filter(|mail| mail.event == event) {
            let names = [".subject", ".txt", ".html"].map(|part| format!("{}{part}", mail.stem));
            for name in names.iter().take(if mail.html { 3 } else { 2 }) {
                match self.fill(name, &view.root()) {
                    Err(error) if is_mistake(error.kind()) => {
                        let file = name.replace(".subject", ".txt");
                        return Err(Problem::new(
                            "templates",
                            format!("`{file}` cannot be used: {}", sentence(&error)),
                        ));
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn find(&self, event: Event, language: &LanguageIdentifier) -> Result<&Written, String> {
        self.mails
            .iter()
            .find(|mail| mail.event == event && mail.language == *language)
            .ok_or_else(|| format!("there is no template `{}.{language}.txt`", event.template()))
    }

    fn fill(&self, name: &str, root: &Value) -> Result<String, Error> {
        let mut part = Bounded(Vec::new());
        self.environment.get_template(name)?.render_captured_to(root.clone(), &mut part)?;
        String::from_utf8(part.0)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
    }
}

/// Reads what a folder has in `.txt` and `.html` files.
fn read(folder: &Path) -> Result<BTreeMap<String, String>, Problem> {
    let problem = |path: &Path, error: &io::Error| {
        Problem::new("templates", format!("`{}` cannot be read: {error}", path.display()))
    };
    let mut sources = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| problem(folder, &error))? {
        let path = entry.map_err(|error| problem(folder, &error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') || !(has_extension(name, "txt") || has_extension(name, "html")) {
            continue;
        }
        let source = fs::read_to_string(&path).map_err(|error| problem(&path, &error))?;
        sources.insert(name.to_owned(), source);
    }
    Ok(sources)
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// `welcome.nb.txt` is the creation's mail in bokmål, and its stem `welcome.nb`; `None` for a file
/// that is no mail's.
fn mail_name(name: &str) -> Result<Option<(Event, LanguageIdentifier, &str)>, Problem> {
    let Some((stem, _)) = name.rsplit_once('.') else { return Ok(None) };
    let Some((first, tag)) = stem.split_once('.') else { return Ok(None) };
    let Some(event) = Event::ALL.into_iter().find(|event| event.template() == first) else {
        return Ok(None);
    };
    let language = language::tag(tag).ok_or_else(|| {
        Problem::new("templates", format!("`{name}`: `{tag}` is not a language tag"))
            .help(format!("name it like `{first}.nb.txt` or `{first}.zh-Hant.html`"))
    })?;
    Ok(Some((event, language, stem)))
}

/// Takes the subject off a text. An empty line stays in its place, so that the line numbers in an
/// error are those of the file.
fn split_subject(name: &str, source: &str) -> Result<(String, String), Problem> {
    let source = source.trim_start_matches('\u{feff}');
    let (first, body) = source.split_once('\n').unwrap_or((source, ""));
    let subject = first.strip_prefix("Subject:").map(str::trim).filter(|text| !text.is_empty());
    match subject {
        Some(subject) => Ok((subject.to_owned(), format!("\n{body}"))),
        None => Err(Problem::new("templates", format!("`{name}` has no subject"))
            .help("make its first line `Subject: ...`, and its second line empty")),
    }
}

fn add(
    environment: &mut Environment<'static>,
    file: &str,
    name: &str,
    source: String,
) -> Result<(), Problem> {
    environment.add_template_owned(name.to_owned(), source).map_err(|error| {
        Problem::new("templates", format!("`{file}` does not parse: {}", sentence(&error)))
    })
}

/// Errors that no person's attributes can cause.
fn is_mistake(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownBlock
            | ErrorKind::TemplateNotFound
            | ErrorKind::BadInclude
            | ErrorKind::SyntaxError
            | ErrorKind::OutOfFuel
    )
}

/// What the template library says, with the line it says it of.
fn sentence(error: &Error) -> String {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it runs too long".to_owned(),
        ErrorKind::WriteFailure => format!("it yields more than {MAX_PART} bytes"),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

/// A writer that stops at [`MAX_PART`]: the template library bounds steps and not what they print.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PART {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
