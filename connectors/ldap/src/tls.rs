//! Whom we believe: the certificate authorities of a connection, and what is said when a
//! certificate is refused.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// A configuration that believes `ca` alone, or the system's authorities without one.
///
/// The provider is given by hand, so that nothing depends on a default of the whole process.
pub(crate) fn config(ca: Option<&Path>, host: &str) -> Result<Arc<ClientConfig>, String> {
    let roots = Arc::new(match ca {
        Some(path) => from_file(path)?,
        None => from_system()?,
    });
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(Arc::new(match host.parse::<Ipv6Addr>() {
        Ok(address) => {
            let verifier = ForAddress::new(address, roots, provider)?;
            let mut config = builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
            // The name in the handshake is a stand-in; an address has none (RFC 6066 section 3).
            config.enable_sni = false;
            config
        }
        Err(_) => builder.with_root_certificates(roots).with_no_client_auth(),
    }))
}

fn from_file(path: &Path) -> Result<RootCertStore, String> {
    let unreadable = |error: rustls::pki_types::pem::Error| {
        format!("{} cannot be read: {error}", path.display())
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?).map_err(|error| {
            format!("a certificate in {} cannot be used: {error}", path.display())
        })?;
    }
    if roots.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", path.display()));
    }
    Ok(roots)
}

/// The system's authorities. One that cannot be read costs itself only.
fn from_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "this system has no certificate authorities; name the directory's with ca = \"..\""
                .to_owned(),
        );
    }
    Ok(roots)
}

/// Checks the certificate against an IPv6 address, whatever name the handshake was begun with:
/// the LDAP library takes no such literal for a server's name.
#[derive(Debug)]
struct ForAddress {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl ForAddress {
    fn new(
        address: Ipv6Addr,
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        Ok(Self { name: ServerName::from(std::net::IpAddr::V6(address)), inner })
    }
}

impl ServerCertVerifier for ForAddress {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Why a certificate is not accepted, and what to do about it.
pub(crate) fn explain(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it expired on {}; renew it", day(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is valid from {} on; check this machine's clock", day(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "it is for {}, not for {}; write the name that it has into `url`",
            presented.join(", "),
            expected.to_str()
        ),
        CertificateError::UnknownIssuer => {
            "no authority that is believed here has signed it; name the right one with `ca`"
                .to_owned()
        }
        other => other.to_string(),
    }
}

fn day(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "an unknown day".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}
