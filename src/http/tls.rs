//! TLS for the listener: a certificate and its key, read from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::version::{TLS12, TLS13};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {what} from {path}; it must be a PEM file that the relay may read")]
    Read { what: &'static str, path: PathBuf, source: pem::Error },
    #[error(
        "{path} holds no certificate; it must be a PEM file with the certificate and its chain"
    )]
    Empty { path: PathBuf },
    #[error(
        "the certificate in {certificate} and the private key in {key} cannot be used together"
    )]
    Unfit { certificate: PathBuf, key: PathBuf, source: rustls::Error },
}

/// Reads a certificate chain and its key. For a reload, read first and swap only what was read:
/// with an error here the old ones stay in force.
pub fn load(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { what, path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable("a certificate", certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: certificate.to_owned() });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable("a private key", key))?;
    let unfit = |source| TlsError::Unfit {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    };
    // The provider is named, so that no crate's features can make it another one.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        _folder: tempfile::TempDir,
        certificate: PathBuf,
        key: PathBuf,
        other_key: PathBuf,
    }

    fn files() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Files {
            certificate: write("chain.pem", made.cert.pem()),
            key: write("key.pem", made.signing_key.serialize_pem()),
            other_key: write("other.pem", other.signing_key.serialize_pem()),
            _folder: folder,
        }
    }

    #[test]
    fn both_protocols_are_offered() {
        let files = files();
        let config = load(&files.certificate, &files.key).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let files = files();
        let error = load(&files.certificate, &files.other_key).unwrap_err();
        assert!(matches!(error, TlsError::Unfit { .. }), "{error:?}");
    }

    #[test]
    fn a_file_that_is_missing_or_holds_something_else_is_named() {
        let files = files();
        let error = load(&files.key, &files.key).unwrap_err().to_string();
        assert!(error.contains("key.pem holds no certificate"), "{error}");
        let error = load(&files.certificate, &files.certificate).unwrap_err().to_string();
        assert!(
            error.contains("cannot read a private key from") && error.contains("chain.pem"),
            "{error}"
        );
        let missing = files.key.with_file_name("missing.pem");
        let error = load(&missing, &files.key).unwrap_err().to_string();
        assert!(error.contains("missing.pem"), "{error}");
    }
}
