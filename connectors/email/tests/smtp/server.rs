//! A mail server for one test: aiosmtpd, with a certificate and an answer for every case, gone when
//! it is dropped.
//!
//! Needs `python3` with `venv`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
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
            .args(["-c", include_str!("server.py")])
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

    /// Where its authority is, as `ca.pem`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has taken so far.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        let mails = fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        // What follows the last end of a line is still being written.
        let whole = mails.rfind('\n').map_or("", |end| &mails[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("it writes JSON")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
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
