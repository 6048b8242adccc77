//! One connector file: its general part, the section of its kind, and what does not fit together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use scim_relay_sdk::connector::{BuildContext, Connector, OrganizationInfo, Problem, Scope};
use scim_relay_sdk::scim::ResourceKind;
use sha2::{Digest as _, Sha256};
use toml::Spanned;
use toml::de::DeValue;

use super::check::{check_secret, checked_name};
use super::diagnostic::Diagnostic;
use super::file::{CONNECTOR_TOP, ConnectorFile};
use super::kinds::{AnySettings, Kind};
use super::read::{Around, Reading, decode, join, read};
use super::safety;
use super::secrets::SystemSecrets;
use super::shown::Piece;
use super::source::{Finding, Parsed, Sheet, Source};
use super::words::{listed, near};
use super::{ConnectorConfig, Limits, Organization, Orphans, Reconcile, Retry};

/// What a connector file is read with.
pub(super) struct Surroundings<'a> {
    pub(super) kinds: &'a [Kind],
    /// None where the main file does not say, being at fault itself.
    pub(super) organizations: Option<&'a BTreeMap<Arc<str>, Organization>>,
    pub(super) credentials: Option<&'a Path>,
    /// Whose days `[[safety.window]]` counts.
    pub(super) zone: TimeZone,
    /// Whether passwords that a connector asks for can be kept for it.
    pub(super) seals_passwords: bool,
}

/// Reads and checks one file; `absolute` is where it is, however it was named.
pub(super) fn connector_file(
    path: &Path,
    absolute: &Path,
    text: &str,
    around: &Surroundings<'_>,
) -> (Vec<Diagnostic>, Option<ConnectorConfig>) {
    let Parsed { source, mut tree, mistakes } = Source::parse(path, text);
    let mut sheet = Sheet { source, findings: mistakes };
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if let Err(reason) = checked_name(name, true) {
        let message = format!("the file's name gives the connector its name, and {reason}");
        sheet.findings.push(Finding::error(None, message));
    }
    if !sheet.findings.is_empty() {
        return (sheet.diagnostics(), None);
    }

    let sections = take_sections(&mut tree, around.kinds);
    let names: Vec<&str> = around.kinds.iter().map(Kind::section).collect();
    let place = Around { prefix: "", also: &names, top: CONNECTOR_TOP };
    let general = read(tree, &place, decode::<ConnectorFile>);
    sheet.note(&general);
    check_number_of_sections(&sections, &names, &general, &mut sheet);

    let organizations = general
        .value
        .as_ref()
        .filter(|_| general.is_sound("organizations"))
        .and_then(|file| served(file, around.organizations, &mut sheet));
    let mut settings = None;
    for (kind, section) in sections {
        settings = read_section(&kind, section, organizations.as_deref(), &mut sheet);
    }
    let safety = general
        .value
        .as_ref()
        .filter(|_| general.is_sound("safety"))
        .map(|file| safety::check(&file.safety, around.zone.clone(), &mut sheet));
    if let Some(file) = &general.value {
        check_general(file, &general, organizations.as_deref().unwrap_or_default(), &mut sheet);
    }
    if let (Some(file), Some(settings)) = (&general.value, &settings) {
        cover_secrets(settings.as_ref(), &mut sheet);
        if file.enabled {
            check_secrets(settings.as_ref(), absolute, around.credentials, &mut sheet);
            if settings.wants_password() && !around.seals_passwords {
                sheet
                    .warning(
                        settings.kind(),
                        "it asks for people's passwords, and there is no key to seal them with, so \
                         they are dropped",
                    )
                    .help("give the main file `[passwords] key = { credential = \"...\" }`");
            }
        }
    }

    let diagnostics = sheet.diagnostics();
    if diagnostics.iter().any(Diagnostic::is_error) {
        return (diagnostics, None);
    }
    let (Some(file), Some(safety), Some(settings)) = (general.value, safety, settings) else {
        return (diagnostics, None);
    };
    let config = ConnectorConfig {
        name: name.to_owned(),
        file: absolute.to_owned(),
        enabled: file.enabled,
        organizations: organizations.unwrap_or_default(),
        scope: Scope { users: file.scope.users, groups: file.scope.groups },
        limits: Limits {
            concurrency: file.limits.concurrency,
            rate: file.limits.rate,
            timeout: file.limits.timeout.0,
        },
        retry: Retry {
            first: file.retry.first.0,
            longest: file.retry.longest.0,
            give_up_after: file.retry.give_up_after.0,
        },
        reconcile: Reconcile {
            schedule: file.reconcile.schedule,
            repair: file.reconcile.repair,
            orphans: file.reconcile.orphans,
        },
        safety,
        settings,
        fingerprint: fingerprint(text),
        source: Arc::new(sheet.source),
    };
    (diagnostics, Some(config))
}

impl ConnectorConfig {
    /// Makes the connector: reads the secrets and files that its section names, reaches no
    /// target. What goes wrong is said with the line that asked for it.
    pub fn build(&self, credentials: Option<&Path>) -> Result<Arc<dyn Connector>, Diagnostic> {
        let folder = self.folder();
        let secrets = SystemSecrets::new(folder, credentials.map(Path::to_owned));
        let context = BuildContext {
            name: &self.name,
            folder,
            secrets: &secrets,
            timeout: self.limits.timeout,
            concurrency: self.limits.concurrency,
            organizations: &self.organizations,
        };
        self.settings.build(&context).map_err(|problem| {
            let span = self.source.span(&join(self.settings.kind(), &problem.path));
            let mut finding = Finding::error(span, problem.message);
            finding.help = problem.help;
            self.source.diagnose(finding)
        })
    }

    /// Whether this process can read every secret: a systemd credential is out of reach of a
    /// command that is not the service.
    pub fn secrets_are_in_reach(&self, credentials: Option<&Path>) -> bool {
        let secrets = SystemSecrets::new(self.folder(), credentials.map(Path::to_owned));
        let named = self.settings.secrets();
        !named.iter().any(|(_, secret)| secrets.is_out_of_reach(secret.reference()))
    }

    /// Its file, without what is secret in it.
    pub fn shown(&self) -> Vec<Piece> {
        self.source.shown()
    }

    /// Where the relative paths in its file start.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }
}

/// The sections of known kinds, in the order in which they stand in the file.
fn take_sections<'t>(
    tree: &mut Spanned<DeValue<'t>>,
    kinds: &[Kind],
) -> Vec<(Kind, Spanned<DeValue<'t>>)> {
    let DeValue::Table(table) = tree.get_mut() else { return Vec::new() };
    let take = |kind: &Kind| Some((*kind, table.remove(kind.section())?));
    let mut sections: Vec<_> = kinds.iter().filter_map(take).collect();
    sections.sort_by_key(|(_, section)| section.span().start);
    sections
}

fn check_number_of_sections(
    sections: &[(Kind, Spanned<DeValue<'_>>)],
    names: &[&str],
    general: &Reading<ConnectorFile>,
    sheet: &mut Sheet,
) {
    let bracketed: Vec<String> = names.iter().map(|name| format!("[{name}]")).collect();
    let help = format!("a connector has exactly one of {}", bracketed.join(", "));
    match sections {
        [] => {
            // A misspelt section is its own mistake.
            let misspelt = |key: &String| near(key, names.iter().copied()).is_some();
            if !general.broken.iter().any(misspelt) {
                sheet
                    .key_error("", "the file does not say what kind of connector it is")
                    .help(help);
            }
        }
        [_] => {}
        [(first, _), more @ ..] => {
            for (second, _) in more {
                let message =
                    format!("the file has both [{}] and [{}]", first.section(), second.section());
                sheet
                    .key_error(second.section(), message)
                    .help(format!("{help}; give each a file of its own"));
            }
        }
    }
}

/// The organizations a connector serves; `None` when that cannot be said.
fn served(
    file: &ConnectorFile,
    known: Option<&BTreeMap<Arc<str>, Organization>>,
    sheet: &mut Sheet,
) -> Option<Vec<Arc<OrganizationInfo>>> {
    let known = known?;
    let Some(wanted) = &file.organizations else {
        return Some(known.values().map(|one| Arc::clone(&one.info)).collect());
    };
    if wanted.is_empty() {
        sheet
            .error("organizations", "the connector would serve no organization")
            .help("leave the key out for all, or set `enabled = false` for none");
    }
    let mut served: BTreeMap<&str, Arc<OrganizationInfo>> = BTreeMap::new();
    let mut complete = true;
    for (number, key) in wanted.iter().enumerate() {
        if let Some(one) = known.get(key.as_str()) {
            served.insert(key, Arc::clone(&one.info));
            continue;
        }
        complete = false;
        let names: Vec<&str> = known.keys().map(AsRef::as_ref).collect();
        let help = match near(key, names.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if names.is_empty() => "the main file has no [organizations.NAME]".to_owned(),
            None => format!("the main file has {}", listed(&names, '"', "and")),
        };
        let path = format!("organizations.{number}");
        sheet.error(&path, format!("there is no organization `{key}`")).help(help);
    }
    complete.then(|| served.into_values().collect())
}

fn read_section(
    kind: &Kind,
    section: Spanned<DeValue<'_>>,
    organizations: Option<&[Arc<OrganizationInfo>]>,
    sheet: &mut Sheet,
) -> Option<Arc<dyn AnySettings>> {
    let place = Around { prefix: kind.section(), also: &[], top: CONNECTOR_TOP };
    let reading = read(section, &place, |value| kind.read(value));
    let sound = reading.mistakes.is_empty();
    sheet.note(&reading);
    let settings = reading.value.filter(|_| sound)?;
    let several = organizations.is_some_and(|organizations| organizations.len() > 1);
    for Problem { path, message, help } in settings.check(several) {
        let path = join(kind.section(), &path);
        let path = path.trim_end_matches('.');
        sheet.error(path, message).help = help;
    }
    Some(settings)
}

fn check_general(
    file: &ConnectorFile,
    reading: &Reading<ConnectorFile>,
    organizations: &[Arc<OrganizationInfo>],
    sheet: &mut Sheet,
) {
    for (path, kind, filter) in [
        ("scope.users", ResourceKind::User, &file.scope.users),
        ("scope.groups", ResourceKind::Group, &file.scope.groups),
    ] {
        let Some(filter) = filter else { continue };
        let first = organizations.iter().find_map(|organization| {
            let error = filter.check(organization.schemas.of(kind)).err()?;
            Some((error, &organization.key))
        });
        if let Some((error, organization)) = first {
            let finding = sheet.error(path, error.detail);
            if organizations.len() > 1 {
                finding.help(format!("so it is in the organization `{organization}`"));
            }
        }
    }
    if file.limits.concurrency == 0 {
        sheet
            .error("limits.concurrency", "`concurrency` is 0, so nothing would be delivered")
            .help("leave it out for 8, or set `enabled = false`");
    }
    if file.limits.timeout.0.is_zero() {
        sheet.error("limits.timeout", "`timeout` is 0, so every delivery would fail");
    }
    if file.retry.first.0.is_zero() {
        sheet.error("retry.first", "`first` is 0, so a failing target would never get a pause");
    }
    if reading.is_sound("retry") && file.retry.first > file.retry.longest {
        let message = format!(
            "`first` ({}) is longer than `longest` ({})",
            file.retry.first, file.retry.longest
        );
        sheet.error("retry.first", message);
    }
    if reading.is_sound("reconcile")
        && !file.reconcile.repair
        && file.reconcile.orphans == Orphans::Deprovision
    {
        sheet
            .warning("reconcile.orphans", "orphans are only reported while `repair` is false")
            .help("set `repair = true`, or leave `orphans` out");
    }
}

fn cover_secrets(settings: &dyn AnySettings, sheet: &mut Sheet) {
    for (path, secret) in settings.secrets() {
        if secret.is_inline() {
            sheet.source.cover(&join(settings.kind(), path));
        }
    }
}

fn check_secrets(
    settings: &dyn AnySettings,
    file: &Path,
    credentials: Option<&Path>,
    sheet: &mut Sheet,
) {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let secrets = SystemSecrets::new(folder, credentials.map(Path::to_owned));
    for (path, secret) in settings.secrets() {
        check_secret(secret, &join(settings.kind(), path), &secrets, sheet);
    }
}

fn fingerprint(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
