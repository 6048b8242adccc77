//! `[console.oidc]`: sign-in to the console by an identity provider.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scim_relay_http::Url;
use scim_relay_sdk::connector::{Secret, Secrets as _};
use serde::Deserialize;

use super::check::{check_file, check_secret};
use super::file::File;
use super::secrets::SystemSecrets;
use super::source::Sheet;
use super::{Config, Diagnostic};
use crate::oidc::{self, Settings};

const SECTION: &str = "console.oidc";
/// Where the provider sends browsers back to.
const RETURN: &str = "/sign-in/oidc/return";
const ROLES: [&str; 3] = ["administrator", "owner", "helpdesk"];

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// As the button says it.
    #[serde(default = "usual_name")]
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    /// Certificates to trust besides the system's, as PEM.
    pub(super) ca: Option<PathBuf>,
    #[serde(default = "usual_scopes")]
    pub(super) scopes: Vec<String>,
    /// Who gets which role.
    #[serde(default)]
    pub(super) roles: Vec<WrittenRule>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    pub(super) claim: String,
    pub(super) value: String,
    pub(super) role: String,
    #[serde(default)]
    pub(super) organizations: Vec<String>,
}

fn usual_name() -> String {
    "single sign-on".to_owned()
}

fn usual_scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

/// How people sign in by a provider.
#[derive(Clone, Debug)]
pub struct Oidc {
    pub name: String,
    pub issuer: String,
    pub client_id: String,
    client_secret: Secret,
    ca: Option<PathBuf>,
    scopes: Vec<String>,
    /// The first that fits counts.
    pub rules: Vec<OidcRule>,
}

/// Whoever has this claim has this role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcRule {
    pub claim: String,
    pub value: String,
    /// `administrator`, `owner`, `helpdesk`.
    pub role: String,
    /// None of them: everywhere.
    pub organizations: Vec<Arc<str>>,
}

impl Config {
    /// Where the provider must let browsers go back to.
    pub fn oidc_redirect_uri(&self) -> String {
        format!("{}{RETURN}", self.console.url)
    }

    /// What people sign in with, where the file names one: reads its secrets.
    pub fn oidc(&self, credentials: Option<&Path>) -> Result<Option<oidc::Provider>, Diagnostic> {
        let Some(written) = &self.console.oidc else { return Ok(None) };
        let about = |key: &str, why: String| {
            Diagnostic::about(&self.file, format!("{SECTION}.{key}: {why}"))
        };
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        let secrets = SystemSecrets::new(folder, credentials.map(Path::to_owned));
        let client_secret = secrets
            .read(written.client_secret.reference())
            .map_err(|error| about("client_secret", error.0))?;
        let ca = written.ca.as_ref().map(std::fs::read).transpose();
        let settings = Settings {
            issuer: written.issuer.clone(),
            client_id: written.client_id.clone(),
            client_secret,
            scopes: written.scopes.clone(),
            ca: ca.map_err(|error| about("ca", error.to_string()))?,
            redirect_uri: self.oidc_redirect_uri(),
        };
        oidc::Provider::new(settings).map(Some).map_err(|error| about("ca", error.to_string()))
    }
}

/// Checks the section, and makes of it what signs people in.
pub(super) fn check(
    file: &File,
    folder: &Path,
    secrets: &SystemSecrets,
    sheet: &mut Sheet,
) -> Option<Oidc> {
    let written = file.console.oidc.as_ref()?;
    let path = |key: &str| format!("{SECTION}.{key}");
    match Url::parse(&written.issuer) {
        Ok(url) if !oidc::safe(&url) => {
            sheet
                .error(&path("issuer"), "the issuer is not https, and codes would go in clear text")
                .help("name its https address");
        }
        Ok(_) => {}
        Err(why) => {
            sheet
                .error(&path("issuer"), format!("`{}` is no address: {why}", written.issuer))
                .help("write it like \"https://login.microsoftonline.com/TENANT/v2.0\"");
        }
    }
    if written.client_id.trim().is_empty() {
        sheet
            .error(&path("client_id"), "the client id is empty")
            .help("the provider shows it where the application is registered");
    }
    check_secret(&written.client_secret, &path("client_secret"), secrets, sheet);
    let ca = written.ca.as_ref().map(|ca| folder.join(ca));
    if let Some(ca) = &ca {
        check_file(ca, &path("ca"), sheet);
    }
    if !written.scopes.iter().any(|scope| scope == "openid") {
        sheet
            .error(
                &path("scopes"),
                "without the scope `openid` the provider says nothing of who it is",
            )
            .help("add \"openid\"");
    }
    if written.roles.is_empty() {
        sheet
            .warning(SECTION, "nobody gets a role, so nobody can sign in by it")
            .help("add [[console.oidc.roles]] with `claim`, `value` and `role`");
    }
    let rules = written.roles.iter().enumerate();
    Some(Oidc {
        name: written.name.clone(),
        issuer: written.issuer.clone(),
        client_id: written.client_id.clone(),
        client_secret: written.client_secret.clone(),
        ca,
        scopes: written.scopes.clone(),
        rules: rules.map(|(number, rule)| check_rule(number, rule, file, sheet)).collect(),
    })
}

fn check_rule(number: usize, rule: &WrittenRule, file: &File, sheet: &mut Sheet) -> OidcRule {
    let path = format!("{SECTION}.roles.{number}");
    if !ROLES.contains(&rule.role.as_str()) {
        sheet
            .error(&format!("{path}.role"), format!("`{}` is no role", rule.role))
            .help(format!("there are {}", ROLES.join(", ")));
    }
    for key in &rule.organizations {
        if !file.organizations.contains_key(key.as_str()) {
            sheet
                .error(
                    &format!("{path}.organizations"),
                    format!("there is no organization `{key}`"),
                )
                .help("name the keys of [organizations.KEY]");
        }
    }
    match (rule.role.as_str(), rule.organizations.is_empty()) {
        ("administrator", false) => {
            sheet
                .error(&format!("{path}.organizations"), "an administrator has every organization")
                .help("leave `organizations` out, or let the role be \"owner\"");
        }
        ("owner", true) => {
            sheet
                .error(&path, "an owner is one of some organizations")
                .help("add `organizations = [\"...\"]`");
        }
        _ => {}
    }
    OidcRule {
        claim: rule.claim.clone(),
        value: rule.value.clone(),
        role: rule.role.clone(),
        organizations: rule.organizations.iter().map(|key| key.as_str().into()).collect(),
    }
}
