//! From a path to a configuration, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeValue;

use super::check;
use super::connector::{Surroundings, connector_file};
use super::diagnostic::Diagnostic;
use super::file::{CONNECTORS, FILE_TOP, File};
use super::kinds::Kind;
use super::read::{Around, Reading, decode, read};
use super::secrets::reason;
use super::source::{Finding, Parsed, Sheet, Source};
use super::{Config, ConnectorConfig};

/// Reads the main file and the connector files it names.
///
/// The configuration comes with warnings; without one, what comes are all errors and warnings of
/// all files. `credentials` is the folder of systemd's credentials
/// ([`credentials_directory`](super::credentials_directory)). Reaches no target and changes
/// nothing.
pub fn load(
    path: &Path,
    kinds: &[Kind],
    credentials: Option<&Path>,
) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let text = read_text(path).map_err(|error| {
        let named = "name the main file with --config FILE or SCIM_RELAY_CONFIG";
        vec![if error.help.is_none() { error.help(named) } else { error }]
    })?;
    let absolute = absolute(path);
    let Parsed { source, tree, mistakes } = Source::parse(path, &text);
    let pattern = connectors_pattern(&tree);
    let mut sheet = Sheet { source, findings: mistakes };

    let mut config = None;
    let mut organizations_known = false;
    if sheet.findings.is_empty() {
        let around = Around { prefix: "", also: &[], top: FILE_TOP };
        let reading: Reading<File> = read(tree, &around, decode::<File>);
        sheet.note(&reading);
        if let Some(file) = &reading.value {
            config = Some(check::main_file(&absolute, credentials, &reading, file, &mut sheet));
            organizations_known = reading.is_sound("organizations");
        }
    }

    let files =
        pattern.map_or_else(Vec::new, |pattern| find_connectors(path, &pattern, &mut sheet));
    let mut diagnostics = sheet.diagnostics();
    let around = Surroundings {
        kinds,
        organizations: config.as_ref().filter(|_| organizations_known).map(|c| &c.organizations),
        credentials,
        zone: config.as_ref().map_or(TimeZone::UTC, |config| config.timezone.clone()),
        seals_passwords: config.as_ref().is_none_or(|config| config.password_key.is_some()),
    };
    let mut connectors = Vec::new();
    for file in &files {
        match read_text(file) {
            Ok(text) => {
                let (found, connector) =
                    connector_file(file, &self::absolute(file), &text, &around);
                diagnostics.extend(found);
                connectors.extend(connector);
            }
            Err(error) => diagnostics.push(error),
        }
    }
    diagnostics.extend(same_names(&files));

    match config {
        Some(mut config) if !diagnostics.iter().any(Diagnostic::is_error) => {
            connectors.sort_by(|a: &ConnectorConfig, b| a.name.cmp(&b.name));
            config.connectors = connectors;
            Ok((config, diagnostics))
        }
        _ => Err(diagnostics),
    }
}

fn read_text(path: &Path) -> Result<String, Diagnostic> {
    let bytes = fs::read(path).map_err(|error| {
        Diagnostic::about(path, format!("the configuration file {}", reason(&error)))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].split(|&byte| byte == b'\n').count();
        Diagnostic::about(path, format!("line {line} is not UTF-8 text"))
            .help("save the file with the encoding UTF-8")
    })
}

fn absolute(path: &Path) -> PathBuf {
    // Fails only for an empty path or without a current folder; such a path was never read.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The glob for connector files, even from a main file that is not right otherwise.
fn connectors_pattern(tree: &Spanned<DeValue<'_>>) -> Option<String> {
    let DeValue::Table(table) = tree.get_ref() else { return None };
    match table.get("connectors").map(Spanned::get_ref) {
        None => Some(CONNECTORS.to_owned()),
        Some(DeValue::String(pattern)) => Some(pattern.to_string()),
        Some(_) => None,
    }
}

/// The files that `connectors` names, in alphabetical order.
fn find_connectors(main: &Path, pattern: &str, sheet: &mut Sheet) -> Vec<PathBuf> {
    let folder = main.parent().and_then(Path::to_str).unwrap_or_default();
    let whole = Path::new(&glob::Pattern::escape(folder)).join(pattern);
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        // An editor's `.#hr.toml` is no connector.
        require_literal_leading_dot: true,
    };
    let found = match glob::glob_with(&whole.to_string_lossy(), options) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("`{pattern}` is not a pattern for files: {}", error.msg);
            sheet.error("connectors", message).help("write it like \"connectors.d/*.toml\"");
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for file in found {
        match file {
            Ok(file) if file.is_dir() || file == main => {}
            Ok(file) => files.push(file),
            Err(error) => {
                let message =
                    format!("the folder `{}` {}", error.path().display(), reason(error.error()));
                sheet.findings.push(Finding::error(sheet.source.span("connectors"), message));
            }
        }
    }
    files
}

/// Two files with one stem would be two connectors with one name.
fn same_names(files: &[PathBuf]) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&std::ffi::OsStr, &Path> = BTreeMap::new();
    let mut diagnostics = Vec::new();
    for file in files {
        let Some(stem) = file.file_stem() else { continue };
        if let Some(other) = first.insert(stem, file) {
            let name = stem.to_string_lossy();
            let message = format!("there is another connector `{name}`, in `{}`", other.display());
            diagnostics.push(Diagnostic::about(file, message).help("rename one of the files"));
        }
    }
    diagnostics
}
