//! `[passwords]`: the key that passwords are sealed with until they are passed on.

use std::path::Path;

use scim_relay_sdk::connector::Secrets as _;

use super::check::check_secret;
use super::file::File;
use super::secrets::SystemSecrets;
use super::source::Sheet;
use super::{Config, Diagnostic};
use crate::vault::Vault;

const KEY: &str = "passwords.key";

impl Config {
    /// What passwords are sealed with, where the file names a key: reads it.
    pub fn vault(&self, credentials: Option<&Path>) -> Result<Option<Vault>, Diagnostic> {
        let Some(key) = &self.password_key else { return Ok(None) };
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        let secrets = SystemSecrets::new(folder, credentials.map(Path::to_owned));
        let read = secrets.read(key.reference()).map_err(|error| error.0);
        let vault = read.and_then(|text| Vault::new(&text));
        vault.map(Some).map_err(|why| Diagnostic::about(&self.file, format!("{KEY}: {why}")))
    }

    /// Whether a connector of the organization asks for passwords.
    pub fn wants_passwords(&self, organization: &str) -> bool {
        self.connectors.iter().any(|connector| {
            connector.enabled
                && connector.settings.wants_password()
                && connector.organizations.iter().any(|served| *served.key == *organization)
        })
    }
}

pub(super) fn check(file: &File, secrets: &SystemSecrets, sheet: &mut Sheet) {
    let Some(key) = &file.passwords.key else { return };
    if let Some(text) = check_secret(key, KEY, secrets, sheet)
        && let Err(why) = Vault::new(&text)
    {
        sheet.error(KEY, why);
    }
}
