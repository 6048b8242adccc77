//! The ways to the console: by its own TLS, behind a proxy, and what is different about them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use http::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::browser::PASSWORD;
use crate::kit::relay::{Relay, Setup};

/// From where people signed in or failed to, by the audit log.
async fn came_from(relay: &mut Relay) -> Vec<String> {
    relay.terminate().await;
    let database = rusqlite::Connection::open(relay.data.join("relay.db")).unwrap();
    let query = "SELECT action || ' ' || origin FROM audit WHERE origin IS NOT NULL ORDER BY id";
    let mut rows = database.prepare(query).unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

async fn sign_in(relay: &Relay, email: &str, forwarded: &str) -> crate::browser::Page {
    let headers = [("x-forwarded-for", forwarded.to_owned())];
    let body = format!("email={email}&password={}", PASSWORD.replace(' ', "+"));
    relay.browser().send(Method::POST, "/sign-in", &headers, &body).await
}

#[tokio::test]
async fn behind_a_proxy_cookies_are_for_https_alone_and_the_proxy_says_who_comes() {
    let mut relay = Setup::new().install();
    let behind = "[console]\nbehind_proxy = true\nurl = \"https://console.lillevik.example\"\n";
    relay.replace_in_main_file("[console]\n", behind);
    relay.restart().await;
    let email = relay.account("owner", &["lillevik"]);
    let page = sign_in(&relay, &email, "198.51.100.1, 192.0.2.7").await.expect(303);
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-session="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    assert_eq!(page.headers["strict-transport-security"], "max-age=31536000");
    let link = relay.command(&["account", "password", &email]);
    assert!(link.starts_with("https://console.lillevik.example/welcome/"), "{link}");

    // The proxy has its own idea of the Host.
    let origin = [("origin", "https://console.lillevik.example".to_owned())];
    relay.browser().send(Method::POST, "/sign-out", &origin, "").await.expect(303);
    assert_eq!(came_from(&mut relay).await, ["account.sign_in 192.0.2.7"]);
}

#[tokio::test]
async fn without_a_proxy_nobody_says_for_themselves_where_they_come_from() {
    let mut relay = Setup::new().start().await;
    let email = relay.account("owner", &["lillevik"]);
    let page = sign_in(&relay, &email, "192.0.2.7").await.expect(303);
    assert!(!page.headers.contains_key("strict-transport-security"));
    assert_eq!(came_from(&mut relay).await, ["account.sign_in 127.0.0.1"]);
}

#[tokio::test]
async fn the_console_has_tls_of_its_own_and_a_new_certificate_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("console.crt"), folder.path().join("console.key"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    };
    renew();
    let mut relay = Setup::new().install();
    let (crt, pem) = (certificate.display(), key.display());
    let tls = format!("[console]\ntls = {{ certificate = \"{crt}\", key = \"{pem}\" }}\n");
    relay.replace_in_main_file("[console]\n", &tls);
    relay.restart().await;
    let answer = over_tls(&relay.console, &certificate).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=31536000"), "{answer}");

    let old = folder.path().join("old.crt");
    fs::copy(&certificate, &old).unwrap();
    renew();
    relay.reload().await;
    over_tls(&relay.console, &certificate).await.unwrap();
    over_tls(&relay.console, &old).await.unwrap_err();
}

/// The sign-in page, to somebody who trusts this certificate alone.
async fn over_tls(console: &str, trusted: &Path) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(console).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let request = "GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
