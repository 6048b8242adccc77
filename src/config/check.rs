//! What does not fit together in the main file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use http::Uri;
use jiff::tz::TimeZone;
use scim_relay_sdk::connector::{OrganizationInfo, Secret, Secrets as _};
use scim_relay_sdk::scim::Schemas;
use secrecy::SecretString;

use super::diagnostic::Severity;
use super::file::{self, File};
use super::read::Reading;
use super::schemas::schemas;
use super::secrets::{SystemSecrets, is_world_readable, reason};
use super::source::{Finding, Sheet};
use super::words::near;
use super::{Config, Console, Listener, Organization, RateLimit, Retention, Tls, oidc, passwords};

/// Checks the file and makes of it what can run, without the connectors. What was misread is not
/// checked a second time; with any error on the sheet, the result is not fit to run.
pub(super) fn main_file(
    path: &Path,
    credentials: Option<&Path>,
    reading: &Reading<File>,
    file: &File,
    sheet: &mut Sheet,
) -> Config {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if reading.is_sound("listener") {
        check_listener(file, folder, sheet);
    }
    if reading.is_sound("listener") && reading.is_sound("console") {
        check_console(file, folder, sheet);
    }
    let console_url =
        if reading.is_sound("console") { console_url(file, sheet) } else { String::new() };
    let public_url = if reading.is_sound("public_url") && reading.is_sound("listener") {
        public_url(file, sheet)
    } else {
        String::new()
    };
    check_store(file, sheet);
    let secrets = SystemSecrets::new(folder, credentials.map(Path::to_owned));
    passwords::check(file, &secrets, sheet);
    if file.organizations.is_empty() && reading.is_sound("organizations") {
        sheet
            .warning("organizations", "there is no organization, so nobody can push to the relay")
            .help("add one: `[organizations.example]`");
    }
    Config {
        file: path.to_owned(),
        public_url,
        data_dir: folder.join(&file.data_dir),
        timezone: timezone(file, sheet),
        listener: listener(&file.listener, folder),
        console: Console {
            address: file.console.address,
            tls: file.console.tls.as_ref().map(|written| tls(written, folder)),
            behind_proxy: file.console.behind_proxy,
            url: console_url,
            oidc: oidc::check(file, folder, &secrets, sheet),
        },
        admin_socket: folder.join(&file.admin.socket),
        retention: retention(file, sheet),
        organizations: organizations(reading, file, sheet),
        password_key: file.passwords.key.clone(),
        connectors: Vec::new(),
    }
}

fn check_listener(file: &File, folder: &Path, sheet: &mut Sheet) {
    let listener = &file.listener;
    match &listener.tls {
        Some(tls) => check_tls(tls, "listener.tls", folder, sheet),
        None if !listener.address.ip().is_loopback() && !listener.behind_proxy => {
            sheet
                .error(
                    "listener.address",
                    "the listener would take tokens in clear text from other machines",
                )
                .help(
                    "give it `tls = { certificate = \"...\", key = \"...\" }`, or set \
                     `behind_proxy = true` where a proxy does TLS",
                );
        }
        None => {}
    }
    if listener.max_body.0 == 0 {
        sheet.error("listener.max_body", "`max_body` is 0, so no request would fit");
    }
    for (name, value) in
        [("per_second", listener.rate_limit.per_second), ("burst", listener.rate_limit.burst)]
    {
        if value == 0 {
            let message = format!("`{name}` is 0, so no request would ever be answered");
            sheet.error(&format!("listener.rate_limit.{name}"), message);
        }
    }
}

fn check_tls(tls: &file::Tls, path: &str, folder: &Path, sheet: &mut Sheet) {
    check_file(&folder.join(&tls.certificate), &format!("{path}.certificate"), sheet);
    let (file, path) = (folder.join(&tls.key), format!("{path}.key"));
    if check_file(&file, &path, sheet) && is_world_readable(&file) {
        warn_world_readable(&file, &path, sheet);
    }
}

fn tls(written: &file::Tls, folder: &Path) -> Tls {
    Tls { certificate: folder.join(&written.certificate), key: folder.join(&written.key) }
}

fn listener(written: &file::Listener, folder: &Path) -> Listener {
    // Zeroes are errors of their own.
    let some = |value: u32| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
    Listener {
        address: written.address,
        tls: written.tls.as_ref().map(|written| tls(written, folder)),
        behind_proxy: written.behind_proxy,
        max_body: usize::try_from(written.max_body.0).unwrap_or(usize::MAX),
        rate_limit: RateLimit {
            per_second: some(written.rate_limit.per_second),
            burst: some(written.rate_limit.burst),
        },
    }
}

fn check_console(file: &File, folder: &Path, sheet: &mut Sheet) {
    let (console, listener) = (&file.console, file.listener.address);
    if let Some(tls) = &console.tls {
        check_tls(tls, "console.tls", folder, sheet);
    }
    if overlap(console.address, listener) {
        sheet
            .error("console.address", "the console and the listener cannot share an address")
            .help(format!("the listener has {listener}; give the console another port"));
    } else if !console.address.ip().is_loopback() && console.tls.is_none() && !console.behind_proxy
    {
        sheet.error("console.address", "the console would take passwords in clear text").help(
            "give it `tls = { certificate = \"...\", key = \"...\" }`, set `behind_proxy = true` \
                 where a proxy does TLS, or let it listen on 127.0.0.1",
        );
    }
}

/// Where people reach the console; links to it begin with this.
fn console_url(file: &File, sheet: &mut Sheet) -> String {
    let console = &file.console;
    let Some(url) = &console.url else {
        if console.behind_proxy || console.address.ip().is_unspecified() {
            let key = if console.behind_proxy { "console.behind_proxy" } else { "console.address" };
            sheet
                .warning(
                    key,
                    "`console.url` is left out, and the console's address is not the one that \
                     people type, so links to it would not work",
                )
                .help("add `url = \"https://...\"` to `[console]`");
        }
        let scheme = if console.tls.is_some() { "https" } else { "http" };
        return format!("{scheme}://{}", console.address);
    };
    let url = url.trim_end_matches('/');
    let checked = checked_url(url).and_then(|uri| match uri.path() {
        "" | "/" => Ok(()),
        _ => Err("it has a path, and the console has its host for itself"),
    });
    if let Err(reason) = checked {
        sheet
            .error("console.url", format!("`{url}` cannot be the console's address: {reason}"))
            .help("write it like \"https://scim-console.lillevik.example\"");
    }
    url.to_owned()
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn public_url(file: &File, sheet: &mut Sheet) -> String {
    let listener = &file.listener;
    let Some(url) = &file.public_url else {
        if listener.behind_proxy || listener.address.ip().is_unspecified() {
            sheet
                .warning(
                    if listener.behind_proxy {
                        "listener.behind_proxy"
                    } else {
                        "listener.address"
                    },
                    "`public_url` is left out, and the listener's address is not the one that \
                     identity providers use",
                )
                .help("add `public_url = \"https://...\"` at the top of the file");
        }
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        return format!("{scheme}://{}", listener.address);
    };
    match checked_url(url) {
        Ok(uri) => {
            let host = uri.host().unwrap_or_default();
            let here = host == "localhost"
                || host
                    .trim_matches(['[', ']'])
                    .parse()
                    .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
            if uri.scheme_str() == Some("http") && !here {
                sheet
                    .warning(
                        "public_url",
                        "identity providers would send their tokens in clear text",
                    )
                    .help("use https, with TLS at the listener or at a proxy in front of it");
            }
        }
        Err(reason) => {
            sheet
                .error("public_url", format!("`{url}` cannot be the public address: {reason}"))
                .help("write it like \"https://scim.lillevik.example\"");
        }
    }
    url.trim_end_matches('/').to_owned()
}

fn checked_url(url: &str) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is not a URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it does not start with https:// or http://");
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user in it");
    }
    if uri.query().is_some() || url.contains('#') {
        return Err("it has a query or a fragment");
    }
    Ok(uri)
}

fn check_store(file: &File, sheet: &mut Sheet) {
    let url = file.store.url.as_str();
    if url == "sqlite" {
        return;
    }
    let finding = if url.starts_with("postgres") {
        sheet.error("store.url", "this version stores in SQLite only")
    } else {
        sheet.error("store.url", format!("`{url}` is not a store"))
    };
    finding.help("leave the key out, or write \"sqlite\"");
}

fn timezone(file: &File, sheet: &mut Sheet) -> TimeZone {
    let name = file.timezone.as_str();
    TimeZone::get(name).unwrap_or_else(|_| {
        let known: Vec<String> =
            jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
        let help = match near(name, known.iter().map(String::as_str)) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None if known.len() < 2 => "this machine knows no time zones; install the package \
                                        `tzdata`"
                .to_owned(),
            None => "write a name of the tz database, like \"Europe/Oslo\"".to_owned(),
        };
        sheet.error("timezone", format!("there is no time zone `{name}`")).help(help);
        TimeZone::UTC
    })
}

fn retention(file: &File, sheet: &mut Sheet) -> Retention {
    let (changes, reports) = (file.retention.changes.0, file.retention.reports.0);
    for (name, period) in [("changes", changes), ("reports", reports)] {
        if period.is_zero() {
            let message = format!("`{name}` is 0, so nothing would be kept at all");
            sheet.error(&format!("retention.{name}"), message);
        }
    }
    Retention { changes, reports }
}

fn organizations(
    reading: &Reading<File>,
    file: &File,
    sheet: &mut Sheet,
) -> BTreeMap<Arc<str>, Organization> {
    let mut organizations = BTreeMap::new();
    for (key, written) in &file.organizations {
        let path = format!("organizations.{key}");
        if let Err(reason) = checked_name(key, false) {
            sheet
                .key_error(&path, format!("`{key}` cannot be an organization's key: {reason}"))
                .help("the key is part of the address that its provider uses");
        }
        if let Some(locale) = &written.locale
            && !is_language_tag(locale)
        {
            sheet
                .error(&format!("{path}.locale"), format!("`{locale}` is not a language tag"))
                .help("write it like \"nb\", \"en\" or \"de-AT\" (BCP 47)");
        }
        let sound = reading.is_sound(&format!("{path}.schemas"));
        let schemas = if sound { schemas(&path, written, sheet) } else { Schemas::builtin() };
        let key: Arc<str> = key.as_str().into();
        let info = OrganizationInfo {
            key: Arc::clone(&key),
            name: written.name.clone().unwrap_or_else(|| key.to_string()),
            locale: written.locale.clone(),
            schemas: Arc::new(schemas),
        };
        let (info, members) = (Arc::new(info), written.members);
        organizations.insert(key, Organization { info, strict: written.strict, members });
    }
    organizations
}

/// A name that goes into addresses, metrics and commands.
pub(super) fn checked_name(name: &str, underscores: bool) -> Result<(), &'static str> {
    let fits = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (underscores && c == '_')
    };
    if name.is_empty() || name.len() > 63 {
        return Err("it has from 1 to 63 characters");
    }
    match name.chars().all(fits) {
        true => Ok(()),
        false if underscores => Err("it consists of a-z, 0-9, `-` and `_`"),
        false => Err("it consists of a-z, 0-9 and `-`"),
    }
}

/// Whether a text looks like a language tag (RFC 5646 section 2.1), known or not.
fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    (2..=8).contains(&language.len())
        && language.chars().all(|c| c.is_ascii_alphabetic())
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
        })
}

/// Reads a secret and says what is wrong with where it is; `None` if it cannot be had here.
pub(super) fn check_secret(
    secret: &Secret,
    path: &str,
    secrets: &SystemSecrets,
    sheet: &mut Sheet,
) -> Option<SecretString> {
    let reference = secret.reference();
    if secrets.is_out_of_reach(reference) {
        sheet.findings.push(Finding {
            severity: Severity::Warning,
            span: sheet.source.span(path),
            message: "the credential comes from systemd, so only the service can read it"
                .to_owned(),
            help: None,
        });
        return None;
    }
    let text = match secrets.read(reference) {
        Ok(text) => text,
        Err(error) => {
            sheet.error(path, error.0);
            return None;
        }
    };
    if secret.is_inline() {
        sheet.warning(path, "the secret stands in the configuration itself").help(
            "keep it elsewhere: `{ file = \"...\" }`, `{ env = \"...\" }` or \
             `{ credential = \"...\" }`",
        );
    } else if let Some(file) = secrets.file(reference)
        && is_world_readable(&file)
    {
        warn_world_readable(&file, path, sheet);
    }
    Some(text)
}

/// Whether a file that the configuration names can be opened; if not, that is an error.
pub(super) fn check_file(path: &Path, key: &str, sheet: &mut Sheet) -> bool {
    match std::fs::File::open(path) {
        Ok(_) => true,
        Err(error) => {
            let message = format!("the file `{}` {}", path.display(), reason(&error));
            sheet.error(key, message);
            false
        }
    }
}

fn warn_world_readable(path: &Path, key: &str, sheet: &mut Sheet) {
    let path = path.display();
    sheet
        .warning(key, format!("everybody on this machine may read the secret in `{path}`"))
        .help(format!("chmod o-rwx {path}"));
}
