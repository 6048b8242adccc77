//! Secrets as the machine keeps them: in files, in the environment, in systemd's credentials.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use scim_relay_sdk::connector::{SecretError, SecretRef, Secrets};
use secrecy::{ExposeSecret as _, SecretString};

/// Where systemd puts a service's credentials (`LoadCredential=`): `$CREDENTIALS_DIRECTORY`.
pub fn credentials_directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Reads secrets for one connector.
#[derive(Clone, Debug)]
pub struct SystemSecrets {
    folder: PathBuf,
    credentials: Option<PathBuf>,
}

impl SystemSecrets {
    /// `folder` is where relative paths start: the folder of the connector's file.
    pub fn new(folder: impl Into<PathBuf>, credentials: Option<PathBuf>) -> Self {
        Self { folder: folder.into(), credentials }
    }

    /// The file that a reference names, if it names one of the administrator's.
    pub(super) fn file(&self, reference: &SecretRef) -> Option<PathBuf> {
        match reference {
            SecretRef::File(path) => Some(self.folder.join(path)),
            _ => None,
        }
    }

    /// Whether the secret is a credential and this process was given none at all, as on an
    /// administrator's command line.
    pub(super) fn is_out_of_reach(&self, reference: &SecretRef) -> bool {
        matches!(reference, SecretRef::Credential(_)) && self.credentials.is_none()
    }
}

impl Secrets for SystemSecrets {
    fn read(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let (place, text) = match reference {
            SecretRef::Inline(secret) => {
                ("the secret".to_owned(), secret.expose_secret().to_owned())
            }
            SecretRef::File(path) => {
                let path = self.folder.join(path);
                (format!("the file `{}`", path.display()), read_file(&path)?)
            }
            SecretRef::Env(name) => {
                (format!("the environment variable `{name}`"), read_environment(name)?)
            }
            SecretRef::Credential(name) => {
                (format!("the credential `{name}`"), self.read_credential(name)?)
            }
        };
        let secret = without_line_break(text);
        if secret.is_empty() {
            return Err(SecretError(format!("{place} is empty")));
        }
        Ok(SecretString::from(secret))
    }
}

impl SystemSecrets {
    fn read_credential(&self, name: &str) -> Result<String, SecretError> {
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(SecretError(format!("`{name}` cannot be the name of a credential")));
        }
        let Some(folder) = &self.credentials else {
            return Err(SecretError(format!(
                "the credential `{name}` comes from systemd, and this process was not given any; \
                 start the relay as a service that has `LoadCredential={name}:...`"
            )));
        };
        read_file(&folder.join(name)).map_err(|error| {
            SecretError(format!("{error}; the service needs `LoadCredential={name}:...`"))
        })
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let bytes = fs::read(path).map_err(|error| {
        SecretError(format!("the file `{}` {}", path.display(), reason(&error)))
    })?;
    String::from_utf8(bytes)
        .map_err(|_| SecretError(format!("the file `{}` is not UTF-8 text", path.display())))
}

fn read_environment(name: &str) -> Result<String, SecretError> {
    let value = std::env::var_os(name).map(OsString::into_string);
    match value {
        None => Err(SecretError(format!("the environment variable `{name}` is not set"))),
        Some(Err(_)) => {
            Err(SecretError(format!("the environment variable `{name}` is not UTF-8 text")))
        }
        Some(Ok(value)) => Ok(value),
    }
}

fn without_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Why a file cannot be used, as the end of a sentence that names it.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        io::ErrorKind::IsADirectory => "is a folder".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Whether everybody on the machine may read a file.
pub(super) fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::connector::Secret;

    use super::*;

    #[track_caller]
    fn read(secrets: &SystemSecrets, reference: &SecretRef) -> Result<String, String> {
        let secret = secrets.read(reference).map_err(|error| error.0)?;
        Ok(secret.expose_secret().to_owned())
    }

    fn folder_with(name: &str, content: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), content).unwrap();
        folder
    }

    #[test]
    fn a_file_is_read_from_the_connectors_folder_without_its_line_break() {
        for content in ["geheim", "geheim\n", "geheim\r\n"] {
            let folder = folder_with("bind", content.as_bytes());
            let secrets = SystemSecrets::new(folder.path(), None);
            assert_eq!(read(&secrets, &SecretRef::File("bind".into())), Ok("geheim".to_owned()));
        }
    }

    #[test]
    fn only_one_line_break_is_cut() {
        let folder = folder_with("bind", b"two\n\n");
        let secrets = SystemSecrets::new(folder.path(), None);
        assert_eq!(read(&secrets, &SecretRef::File("bind".into())), Ok("two\n".to_owned()));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let folder = folder_with("bind", b"\n");
        let secrets = SystemSecrets::new(folder.path(), None);
        let error = read(&secrets, &SecretRef::File("bind".into())).unwrap_err();
        assert!(error.ends_with("bind` is empty"), "{error}");
        let inline = Secret::inline("");
        assert_eq!(read(&secrets, inline.reference()), Err("the secret is empty".to_owned()));
    }

    #[test]
    fn a_missing_file_is_named_and_bytes_are_not_quoted() {
        let folder = folder_with("bytes", b"\xff\xfe");
        let secrets = SystemSecrets::new(folder.path(), None);
        let missing = read(&secrets, &SecretRef::File("bind".into())).unwrap_err();
        assert!(missing.ends_with("/bind` does not exist"), "{missing}");
        let bytes = read(&secrets, &SecretRef::File("bytes".into())).unwrap_err();
        assert!(bytes.ends_with("/bytes` is not UTF-8 text"), "{bytes}");
    }

    #[test]
    fn a_credential_comes_from_systemds_folder_and_nowhere_else() {
        let folder = folder_with("ldap", b"geheim\n");
        let secrets = SystemSecrets::new("/nowhere", Some(folder.path().to_owned()));
        let credential = |name: &str| SecretRef::Credential(name.to_owned());
        assert_eq!(read(&secrets, &credential("ldap")), Ok("geheim".to_owned()));
        assert_eq!(
            read(&secrets, &credential("../ldap")),
            Err("`../ldap` cannot be the name of a credential".to_owned())
        );
        let missing = read(&secrets, &credential("smtp")).unwrap_err();
        assert!(missing.ends_with("the service needs `LoadCredential=smtp:...`"), "{missing}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let secrets = SystemSecrets::new("/nowhere", None);
        assert_eq!(
            read(&secrets, &SecretRef::Env("SCIM_RELAY_NO_SUCH_VARIABLE".to_owned())),
            Err("the environment variable `SCIM_RELAY_NO_SUCH_VARIABLE` is not set".to_owned())
        );
        // Cargo sets this one for every test.
        assert_eq!(
            read(&secrets, &SecretRef::Env("CARGO_PKG_NAME".to_owned())),
            Ok("scim-relay".to_owned())
        );
    }
}
