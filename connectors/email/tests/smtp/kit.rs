//! Starting a mail server, and a connector that sends to it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use scim_relay_email::Config;
use scim_relay_sdk::connector::{BuildContext, Connector, Resource, Settings as _};
use scim_relay_sdk::testing::{ada, organization, secrets};
use serde::Deserialize;

/// A running aiosmtpd; it ends with this value.
pub(crate) struct Server {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

/// A mail that the server took.
#[derive(Debug, Deserialize)]
pub(crate) struct Taken {
    /// Which of the connections that brought mails it came over, counted from 1.
    pub(crate) connection: u32,
    pub(crate) tls: bool,
    /// Whether the client had signed in.
    pub(crate) user: bool,
    /// What the client called itself.
    pub(crate) helo: String,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and text.
    pub(crate) data: String,
}

impl Server {
    /// `mode` is `starttls`, `implicit` or `plain`; `options` may have `auth`.
    pub(crate) fn start(mode: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        certificates(folder.path());
        let path = |name: &str| folder.path().join(name);
        let mut process = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp/server.py"))
            .args([path("mails"), path("server.pem"), path("server.key")])
            .arg(mode)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mail server starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut line).expect("it prints its port");
        let port = line.trim().parse().expect("it prints its port");
        Self { process, port, folder }
    }

    /// The server's address for this scheme, under the name its certificate is for.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }

    /// A connector to it over STARTTLS, which trusts its authority and knows the password.
    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        self.connector_with(
            &self.url("smtp"),
            "ca = \"ca.pem\"\npassword = \"s3cret\"\nusername = \"relay\"",
        )
    }

    pub(crate) fn connector_with(&self, url: &str, more: &str) -> Arc<dyn Connector> {
        connector(self.folder.path(), &format!("url = \"{url}\"\n{more}"))
    }

    /// One whose mails come from this address.
    pub(crate) fn connector_from(&self, from: &str, more: &str) -> Arc<dyn Connector> {
        let text = format!("from = \"{from}\"\nurl = \"{}\"\n{more}", self.url("smtp"));
        build(self.folder.path(), &text)
    }

    /// What it has taken so far.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        let mails = fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        mails.lines().map(|line| serde_json::from_str(line).expect("it writes JSON")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A connector from the text of its section; relative paths start from `folder`.
pub(crate) fn connector(folder: &Path, text: &str) -> Arc<dyn Connector> {
    build(folder, &format!("from = \"Lillevik IT <it@lillevik.example>\"\n{text}"))
}

fn build(folder: &Path, text: &str) -> Arc<dyn Connector> {
    let config: Config = toml::from_str(text).expect("the section can be read");
    assert_eq!(config.check(false), []);
    let context = BuildContext {
        name: "welcome",
        folder,
        secrets: &secrets(),
        timeout: Duration::from_secs(3),
        concurrency: 4,
        organizations: &[organization()],
    };
    config.build(&context).unwrap_or_else(|problem| panic!("{problem:?}"))
}

/// Somebody with this address.
pub(crate) fn person(address: &str) -> Resource {
    let mut person = ada();
    let emails = serde_json::json!([{ "value": address, "type": "work", "primary": true }]);
    person.attributes.insert("emails".to_owned(), emails);
    person
}

/// A server that says these things: the first at once, each further one after it has read a line;
/// then nothing more, until the client leaves. What the client said comes back through the handle.
pub(crate) fn scripted(words: &'static [&'static str]) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut write = stream.try_clone().expect("a second handle");
        let mut read = BufReader::new(stream);
        let mut heard = String::new();
        for (number, word) in words.iter().enumerate() {
            if number > 0 && read.read_line(&mut heard).unwrap_or(0) == 0 {
                return heard;
            }
            if write.write_all(word.as_bytes()).is_err() {
                return heard;
            }
        }
        let mut rest = Vec::new();
        drop(read.read_to_end(&mut rest));
        heard + &String::from_utf8_lossy(&rest)
    });
    (port, server)
}

/// A throw-away authority and a certificate of its for `localhost`.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let server = params.signed_by(&key, &authority).expect("a certificate");
    let write = |name: &str, text: String| {
        fs::write(folder.join(name), text).expect("the folder can be written to");
    };
    write("ca.pem", authority.pem());
    write("server.pem", server.pem());
    write("server.key", key.serialize_pem());
}

/// A Python that has aiosmtpd. The first test to ask makes it, the others wait for that.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aiosmtpd-1.4.6");
    let lock = File::create(folder.with_extension("lock")).expect("the lock file");
    lock.lock().expect("the lock");
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    if !ready.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "aiosmtpd==1.4.6"]));
        File::create(ready).expect("the folder is there now");
    }
    python
}

fn run(command: &mut Command) {
    let status = command.status().expect("python3 with venv is needed for these tests");
    assert!(status.success(), "{command:?} failed");
}
