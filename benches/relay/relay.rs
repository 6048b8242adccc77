//! The daemon as a child process, and what it costs.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use ldap3::{LdapConnAsync, Scope};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::client::{self, Client};
use crate::slapd::{RELAY, RELAY_PASSWORD, SUFFIX, Slapd};

const BINARY: &str = env!("CARGO_BIN_EXE_scim-relay");

/// Where the LDAP connector writes.
pub(crate) enum Target<'a> {
    /// An LDIF file.
    File,
    Slapd(&'a Slapd),
    /// A port that nobody listens on.
    Nowhere,
    /// A receiver of events at this address, up or not, and no other connector.
    Receiver(&'a str),
    /// No connector at all.
    None,
}

pub(crate) struct Relay {
    folder: TempDir,
    child: Child,
    address: String,
    token: String,
}

impl Relay {
    pub(crate) async fn start(target: Target<'_>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), target).await
    }

    /// In a folder whose `state` may hold a database.
    pub(crate) async fn start_in(folder: TempDir, target: Target<'_>) -> Self {
        let (port, console) = (free_port(), free_port());
        configure(folder.path(), port, console, target).await;
        let child = spawn(folder.path());
        let mut relay =
            Self { folder, child, address: format!("127.0.0.1:{port}"), token: String::new() };
        relay.until_ready().await;
        let made = relay.command(&["token", "create", "load"]);
        String::from_utf8(made).unwrap().trim().clone_into(&mut relay.token);
        relay
    }

    /// Starts it again after [`kill`](Self::kill).
    pub(crate) async fn run(&mut self) {
        self.child = spawn(self.folder.path());
        self.until_ready().await;
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn stop(mut self) {
        self.kill();
    }

    async fn until_ready(&self) {
        let begun = Instant::now();
        while !self.is_ready().await {
            assert!(begun.elapsed() < Duration::from_mins(1), "the daemon did not start");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let Ok(mut stream) = TcpStream::connect(&self.address).await else { return false };
        let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        stream.write_all(request).await.is_ok()
            && stream.read_to_end(&mut answer).await.is_ok()
            && answer.starts_with(b"HTTP/1.1 200")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(BINARY)
            .arg("--config")
            .arg(self.folder.path().join("config.toml"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Rows that the engine still has to deal with.
    pub(crate) fn waiting(&self) -> u64 {
        let status: Value = serde_json::from_slice(&self.command(&["status", "--json"])).unwrap();
        let connectors = status["connectors"].as_array().unwrap();
        connectors
            .iter()
            .map(|one| {
                let backlog = &one["backlog"];
                ["pending", "retrying", "waiting"]
                    .iter()
                    .filter_map(|s| backlog[s].as_u64())
                    .sum::<u64>()
            })
            .sum()
    }

    pub(crate) async fn until_delivered(&self, patience: Duration) {
        let begun = Instant::now();
        while self.waiting() > 0 {
            assert!(begun.elapsed() < patience, "{} rows still wait", self.waiting());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.address, &self.token).await
    }

    /// Creates users over 32 connections; their ids in order.
    pub(crate) async fn prepare(&self, users: usize) -> Vec<String> {
        let next = AtomicUsize::new(0);
        let workers = (0..32).map(|_| async {
            let mut client = self.client().await;
            let mut ids = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= users {
                    return ids;
                }
                ids.push((n, client.create(&format!("user-{n}")).await));
            }
        });
        let mut ids: Vec<_> =
            futures_util::future::join_all(workers).await.into_iter().flatten().collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    pub(crate) async fn group(&self, members: &[String]) -> String {
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "Everyone",
        });
        let mut client = self.client().await;
        let id = client.create_group(&group).await;
        for some in members.chunks(10_000) {
            client.patch(&format!("/Groups/{id}"), &client::members(some)).await;
        }
        id
    }

    /// A closed loop over so many connections, for so long.
    pub(crate) async fn measure<F>(
        &self,
        connections: usize,
        time: Duration,
        step: impl Fn(Client, usize) -> F,
    ) -> Measured
    where
        F: Future<Output = Client>,
    {
        let next = Arc::new(AtomicUsize::new(0));
        let before = self.cpu_seconds();
        let begun = Instant::now();
        let workers = (0..connections).map(|_| async {
            let mut client = self.client().await;
            let mut latencies = Vec::new();
            while begun.elapsed() < time {
                let sent = Instant::now();
                client = step(client, next.fetch_add(1, Ordering::Relaxed)).await;
                latencies.push(sent.elapsed());
            }
            latencies
        });
        let mut latencies: Vec<_> =
            futures_util::future::join_all(workers).await.into_iter().flatten().collect();
        latencies.sort_unstable();
        Measured { took: begun.elapsed(), cpu: self.cpu_seconds() - before, latencies }
    }

    /// Resident memory.
    pub(crate) fn megabytes(&self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most there was since [`forget_peak`](Self::forget_peak).
    pub(crate) fn peak_megabytes(&self) -> f64 {
        self.memory("VmHWM:")
    }

    /// See `clear_refs` in proc(5).
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    fn memory(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// User and system time, from fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms.
    fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) struct Measured {
    took: Duration,
    cpu: f64,
    latencies: Vec<Duration>,
}

impl Measured {
    #[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
    pub(crate) fn print(&self, what: &str, limit: Option<f64>) {
        let count = self.latencies.len();
        let rate = count as f64 / self.took.as_secs_f64();
        let at = |share: usize| {
            self.latencies
                .get((count * share / 100).min(count.saturating_sub(1)))
                .map_or(0.0, Duration::as_secs_f64)
                * 1e3
        };
        let limit = limit.map(|limit| format!("{:.0} %", 100.0 * rate / limit)).unwrap_or_default();
        println!(
            "{what:<34} {rate:>9.0} {:>9.2} {:>9.2} {:>10.3} {limit:>7}",
            at(50),
            at(99),
            1e3 * self.cpu / count.max(1) as f64
        );
    }
}

/// Sees entries come into a directory.
pub(crate) struct Watch(ldap3::Ldap);

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "the connection's task ends with the benchmark")]
    pub(crate) async fn on(slapd: &Slapd) -> Self {
        let (connection, mut ldap) = LdapConnAsync::new(&slapd.plain_url()).await.unwrap();
        tokio::spawn(connection.drive());
        ldap.simple_bind(RELAY, RELAY_PASSWORD).await.unwrap().success().unwrap();
        Self(ldap)
    }

    pub(crate) async fn until_there(&mut self, name: &str) {
        let filter = format!("(uid={name}@load.example)");
        let base = format!("ou=people,{SUFFIX}");
        let begun = Instant::now();
        loop {
            let found = self.0.search(&base, Scope::OneLevel, &filter, vec!["1.1"]).await.unwrap();
            if !found.0.is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{name} did not arrive");
        }
    }
}

fn spawn(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    Command::new(BINARY)
        .arg("--config")
        .arg(folder.join("config.toml"))
        .arg("serve")
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Ports that were free a moment ago, no two alike.
pub(crate) fn free_port() -> u16 {
    static GIVEN: std::sync::Mutex<Option<HashSet<u16>>> = std::sync::Mutex::new(None);
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().get_or_insert_default().insert(port) {
            return port;
        }
    }
}

async fn configure(folder: &Path, port: u16, console: u16, target: Target<'_>) {
    let connectors = folder.join("connectors.d");
    fs::create_dir(&connectors).unwrap();
    let write = |name: &str, text: String| fs::write(connectors.join(name), text).unwrap();
    let path = |name: &str| -> PathBuf { folder.join(name) };
    fs::write(
        folder.join("config.toml"),
        format!(
            "data_dir = \"{}\"\nconnectors = \"connectors.d/*.toml\"\n\
             [listener]\naddress = \"127.0.0.1:{port}\"\nrate_limit = {{ per_second = 1000000, burst = 1000000 }}\n\
             [console]\naddress = \"127.0.0.1:{console}\"\n[admin]\nsocket = \"{}\"\n\
             [organizations.load]\nname = \"Load\"\n",
            path("state").display(),
            path("admin.sock").display()
        ),
    )
    .unwrap();
    let connection = match target {
        Target::None => return,
        Target::Receiver(address) => return write("events.toml", events(address)),
        Target::File => format!("url = \"ldif://{}\"\n", path("directory.ldif").display()),
        Target::Nowhere => format!(
            "url = \"ldap://127.0.0.1:{}\"\nallow_plaintext = true\n{}",
            free_port(),
            bind()
        ),
        Target::Slapd(slapd) => {
            format!("url = \"{}\"\nallow_plaintext = true\n{}", slapd.plain_url(), bind())
        }
    };
    write("directory.toml", format!("{LIMITS}[ldap]\n{connection}{LDAP}"));
    let sink = sink().await;
    write("events.toml", events(&sink));
    fs::create_dir(path("mails")).unwrap();
    write(
        "welcome.toml",
        format!(
            "{LIMITS}[email]\ntransport = \"file\"\nfolder = \"{}\"\nfrom = \"IT <it@load.example>\"\n",
            path("mails").display()
        ),
    );
}

fn events(address: &str) -> String {
    format!("{LIMITS}[webhook]\nurl = \"http://{address}/\"\nsecret = \"whsec_{SECRET}\"\n")
}

const LIMITS: &str = "[limits]\nconcurrency = 16\n";
const SECRET: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn bind() -> String {
    format!("bind_dn = \"{RELAY}\"\nbind_password = \"{RELAY_PASSWORD}\"\n")
}

const LDAP: &str = r#"
[ldap.users]
dn = "uid={{ userName }},ou=people,dc=example,dc=org"
object_classes = ["inetOrgPerson"]
correlate = ["employeeNumber"]
[ldap.users.attributes]
uid = "{{ userName }}"
cn = "{{ displayName }}"
sn = "{{ name.familyName }}"
mail = "{{ email }}"
employeeNumber = "{{ externalId }}"
[ldap.groups]
dn = "cn={{ displayName }},ou=groups,dc=example,dc=org"
object_classes = ["groupOfNames"]
member_attribute = "member"
"#;

/// A receiver that takes everything.
async fn sink() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    take_everything(listener);
    address
}

#[expect(clippy::disallowed_methods, reason = "the receiver ends with the benchmark")]
pub(crate) fn take_everything(listener: tokio::net::TcpListener) {
    let router = Router::new().route("/", post(|_: bytes::Bytes| async { "taken" }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
}
