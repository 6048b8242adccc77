//! What runs here, for the settings.

use jiff::Timestamp;
use serde::Serialize;

use super::Operator;

/// The configuration in force, in a few lines.
#[derive(Clone, Debug, Serialize)]
pub struct House {
    pub started: Timestamp,
    pub file: String,
    /// Those that are enabled.
    pub connectors: Vec<String>,
    pub data_dir: String,
    pub console_url: String,
    pub public_url: String,
    /// Where people sign in besides with a password.
    pub provider: Option<String>,
    /// Where such a provider must let browsers go back to.
    pub redirect_uri: String,
}

impl Operator {
    pub fn house(&self) -> House {
        let runtime = self.runtime.load();
        let config = &runtime.config;
        let enabled = config.connectors.iter().filter(|connector| connector.enabled);
        House {
            started: self.started,
            file: config.file.display().to_string(),
            connectors: enabled.map(|connector| connector.name.clone()).collect(),
            data_dir: config.data_dir.display().to_string(),
            console_url: config.console.url.clone(),
            public_url: config.public_url.clone(),
            provider: config.console.oidc.as_ref().map(|oidc| oidc.name.clone()),
            redirect_uri: config.oidc_redirect_uri(),
        }
    }
}
