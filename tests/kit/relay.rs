//! The relay: the real program in a folder of its own, started, killed, stopped and started again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;

use super::disk::Disk;
use super::provider::Provider;
use super::until;

/// What the log says after a SIGHUP.
const IN_FORCE: &str = "the new configuration is in force";
const NOT_IN_FORCE: &str = "the old configuration stays in force";

/// Set to anything, it keeps the folder of a relay whose test failed.
const KEEP: &str = "SCIM_RELAY_TEST_KEEP";

const PROGRAM: &str = env!("CARGO_BIN_EXE_scim-relay");

/// How many relays this process has started.
static STARTED: AtomicU16 = AtomicU16::new(0);

/// What a relay is started with.
#[derive(Default)]
pub(crate) struct Setup {
    organizations: Vec<String>,
    /// More of the main file, behind the organizations.
    pub(crate) lines: String,
    connectors: BTreeMap<String, String>,
    data: Option<PathBuf>,
    environment: Vec<(&'static str, OsString)>,
    descriptors: Option<u32>,
}

impl Setup {
    /// One organization, lillevik, and no connector.
    pub(crate) fn new() -> Self {
        Self { organizations: vec!["lillevik".to_owned()], ..Self::default() }
    }

    pub(crate) fn organization(mut self, key: impl Into<String>) -> Self {
        self.organizations.push(key.into());
        self
    }

    /// A connector file.
    pub(crate) fn connector(mut self, name: &str, text: impl Into<String>) -> Self {
        self.connectors.insert(name.to_owned(), text.into());
        self
    }

    /// Another place for the database.
    pub(crate) fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// A variable that the daemon is started with.
    pub(crate) fn environment(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Puts the database on a disk that can be looked at and broken.
    pub(crate) fn disk(mut self, disk: &Disk) -> Self {
        self.environment.extend(disk.environment());
        self
    }

    /// Lets it open so many files and connections and no more.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    pub(crate) async fn start(self) -> Relay {
        let mut relay = self.install();
        relay.restart().await;
        relay
    }

    /// Everything but the start.
    pub(crate) fn install(self) -> Relay {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (address, console) = own_addresses();
        let data = self.data.unwrap_or_else(|| folder.path().join("data"));
        let mut environment = self.environment;
        environment.push(("RELAY_DISK_FOLDER", data.clone().into()));
        let descriptors = self.descriptors;
        let relay =
            Relay { address, console, data, folder, environment, descriptors, process: None };
        relay.write_main_file(&self.organizations, &self.lines);
        fs::create_dir(relay.path("connectors.d")).expect("a folder for the connectors");
        for (name, text) in &self.connectors {
            relay.write_connector(name, text);
        }
        relay
    }
}

/// Two addresses of this machine that no other relay has: the whole of 127/8 is this machine, so the
/// process's number and a port that counts up make one. A free port that the system names could be
/// taken for an outgoing connection while the relay restarts.
fn own_addresses() -> (String, String) {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 64 | (high & 0x3f), middle, low);
    let port = 8_000 + 2 * STARTED.fetch_add(1, Ordering::Relaxed);
    (format!("{host}:{port}"), format!("{host}:{}", port + 1))
}

/// A relay, gone when it is dropped.
pub(crate) struct Relay {
    /// Host and port of the listener.
    address: String,
    /// Those of the console.
    pub(crate) console: String,
    pub(crate) data: PathBuf,
    folder: TempDir,
    /// What the daemon alone is started with.
    environment: Vec<(&'static str, OsString)>,
    descriptors: Option<u32>,
    process: Option<Child>,
}

impl Relay {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_main_file(&self, organizations: &[String], more: &str) {
        let organizations: Vec<String> = organizations
            .iter()
            .map(|key| {
                format!("[organizations.{key}]\nname = \"{key} kommune\"\nlocale = \"nb\"\n")
            })
            .collect();
        let text = format!(
            "data_dir = \"{}\"\n[listener]\naddress = \"{}\"\n\
             rate_limit = {{ per_second = 100000, burst = 100000 }}\n\
             [console]\naddress = \"{}\"\n[admin]\nsocket = \"{}\"\n{}{more}",
            self.data.display(),
            self.address,
            self.console,
            self.path("admin.sock").display(),
            organizations.concat(),
        );
        fs::write(self.path("config.toml"), text).expect("the folder can be written to");
    }

    /// Puts something else in the place of a piece of the main file.
    pub(crate) fn replace_in_main_file(&self, piece: &str, by: &str) {
        let file = self.path("config.toml");
        let text = fs::read_to_string(&file).expect("it is there");
        assert!(text.contains(piece), "{text}");
        fs::write(file, text.replace(piece, by)).expect("the folder can be written to");
    }

    /// The names of those files of the relay, its database and its log among them, that hold this
    /// text.
    pub(crate) fn files_that_hold(&self, text: &str) -> Vec<String> {
        let mut folders = vec![self.folder.path().to_owned(), self.data.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = fs::read(&path)
                    && bytes.windows(text.len()).any(|piece| piece == text.as_bytes())
                {
                    found.push(path.display().to_string());
                }
            }
        }
        found
    }

    /// Takes a connector's file away.
    pub(crate) fn remove_connector(&self, name: &str) {
        let file = self.path("connectors.d").join(format!("{name}.toml"));
        fs::remove_file(file).expect("it is there");
    }

    /// Writes a connector's file; a running relay is told with [`reload`](Self::reload).
    pub(crate) fn write_connector(&self, name: &str, text: &str) {
        let file = self.path("connectors.d").join(format!("{name}.toml"));
        fs::write(file, text).expect("the folder can be written to");
    }

    /// Starts the program.
    pub(crate) fn launch(&mut self) {
        self.launch_with(&[]);
    }

    fn launch_with(&mut self, arguments: &[&str]) {
        assert!(self.process.is_none(), "it runs");
        let log =
            OpenOptions::new().create(true).append(true).open(self.path("log")).expect("a log");
        let mut command = match self.descriptors {
            None => self.program(),
            Some(most) => {
                let mut limited = Command::new("prlimit");
                limited.arg(format!("--nofile={most}:{most}")).arg(PROGRAM);
                self.prepared(limited)
            }
        };
        let child = command
            .arg("serve")
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(child);
    }

    /// Starts the program, and waits until it says that it is ready.
    pub(crate) async fn restart(&mut self) {
        self.launch();
        let ready = format!("http://{}/readyz", self.address);
        until("the relay is ready", async || {
            let process = self.process.as_mut().expect("it was started");
            let ended = process.try_wait().expect("it can be asked");
            assert_eq!(ended, None, "the relay ended: {}", self.log());
            status_of(&ready).await == Some(200)
        })
        .await;
    }

    pub(crate) fn program(&self) -> Command {
        self.prepared(Command::new(PROGRAM))
    }

    fn prepared(&self, mut command: Command) -> Command {
        command
            .env("SCIM_RELAY_CONFIG", self.path("config.toml"))
            .env("NO_COLOR", "1")
            // Reading the symbols for one takes more memory than the tests allow.
            .env_remove("RUST_BACKTRACE")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM");
        command
    }

    /// Starts the program with arguments for `serve`, and waits until it is ready, or how it ended.
    pub(crate) async fn try_restart(&mut self, arguments: &[&str]) -> Option<ExitStatus> {
        self.launch_with(arguments);
        let ready = format!("http://{}/readyz", self.address);
        let mut ended = None;
        until("the relay is ready or has ended", async || {
            ended =
                self.process.as_mut().expect("it was started").try_wait().expect("it can be asked");
            ended.is_some() || status_of(&ready).await == Some(200)
        })
        .await;
        if ended.is_some() {
            self.process = None;
        }
        ended
    }

    /// Its log goes from the next start on to where there is no room for it.
    pub(crate) fn lose_log(&self) {
        std::os::unix::fs::symlink("/dev/full", self.path("log")).expect("there is no log yet");
    }

    pub(crate) fn find_log(&self) {
        fs::remove_file(self.path("log")).expect("it was lost");
    }

    /// What it tells Prometheus.
    pub(crate) async fn metrics(&self) -> String {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let url = format!("http://{}/metrics", self.console);
        let answer = client.get(url.parse().expect("an address")).await.expect("it answers");
        let bytes = answer.into_body().collect().await.expect("it answers whole").to_bytes();
        String::from_utf8(bytes.into()).expect("metrics are text")
    }

    /// What `/readyz` answers, if anything.
    pub(crate) async fn readiness(&self) -> Option<u16> {
        status_of(&format!("http://{}/readyz", self.address)).await
    }

    /// SIGKILL, as a crash would be.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    /// SIGTERM; how it ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.ended().await
    }

    /// How it ended, by itself or after a signal.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("it runs");
        let mut status = None;
        until("the relay has stopped", async || {
            status = child.try_wait().expect("it can be asked");
            status.is_some()
        })
        .await;
        status.expect("it was waited for")
    }

    /// SIGHUP: reads the configuration again. Returns once the log says that it is in force.
    pub(crate) async fn reload(&self) {
        let said = self.hang_up().await;
        assert!(said.contains(IN_FORCE), "{said}");
    }

    /// SIGHUP, with a configuration that cannot be used; what the log says to that.
    pub(crate) async fn reload_in_vain(&self) -> String {
        let said = self.hang_up().await;
        assert!(said.contains(NOT_IN_FORCE), "{said}");
        said
    }

    async fn hang_up(&self) -> String {
        let before = self.log().len();
        self.signal("-HUP");
        let mut said = String::new();
        until("the configuration was read again", async || {
            self.log()[before..].clone_into(&mut said);
            said.contains(IN_FORCE) || said.contains(NOT_IN_FORCE)
        })
        .await;
        said
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Host and port that providers push to.
    pub(crate) fn listener(&self) -> &str {
        &self.address
    }

    /// The most memory that the process has held at once, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let id = self.id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.and_then(|number| number.parse().ok()).expect("Linux tells")
    }

    /// `-HUP`, for example.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// When something was last written to the database itself, and not to its log.
    pub(crate) fn database_changed(&self) -> SystemTime {
        let file = fs::metadata(self.data.join("relay.db")).expect("it is there");
        file.modified().expect("Linux tells")
    }

    /// The names of what is in its folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Who pushes for this organization, with a token made for it.
    pub(crate) fn provider(&self, organization: &str) -> Provider {
        let token = self.command(&["token", "create", organization]);
        let base = format!("http://{}/scim/{organization}/v2", self.address);
        Provider::new(base, token.trim().to_owned())
    }

    /// A command of the program, whatever comes of it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).output().expect("the program runs")
    }

    /// What a command that succeeds prints.
    #[track_caller]
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}: {complaint}", output.status);
        String::from_utf8(output.stdout).expect("it prints text")
    }

    /// What a command that succeeds prints with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.command(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What `status --json` says of a connector.
    #[track_caller]
    pub(crate) fn connector(&self, name: &str) -> Value {
        let status = self.json(&["status"]);
        let connectors = status["connectors"].as_array().cloned().unwrap_or_default();
        let found = connectors.into_iter().find(|connector| connector["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {status}"))
    }

    /// How many of a connector's queue entries are in this state.
    #[track_caller]
    pub(crate) fn backlog(&self, connector: &str, state: &str) -> u64 {
        let status = self.connector(connector);
        status["backlog"][state].as_u64().unwrap_or_else(|| panic!("no {state} in {status}"))
    }

    /// Whether nothing is left to do by itself at any connector. What the tests schedule is due at
    /// once.
    pub(crate) fn is_idle(&self) -> bool {
        let status = self.json(&["status"]);
        let connectors = status["connectors"].as_array().cloned().unwrap_or_default();
        connectors.iter().all(|connector| {
            let open = ["pending", "retrying", "scheduled", "waiting"];
            open.iter().all(|state| connector["backlog"][state] == 0)
        })
    }

    /// Waits until every connector has dealt with everything, or put it aside for a person.
    #[track_caller]
    pub(crate) fn settled(&self) -> impl Future<Output = ()> {
        until("everything is delivered", async || self.is_idle())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(60);
            // Whoever reads of a test that failed wants to know what the relay said.
            let said = lines[last..].join("\n");
            drop(writeln!(std::io::stderr(), "the relay's log:\n{said}"));
            if std::env::var_os(KEEP).is_some() {
                self.folder.disable_cleanup(true);
                let folder = self.folder.path().display();
                drop(writeln!(std::io::stderr(), "the relay's folder is kept: {folder}"));
            }
        }
        self.kill();
    }
}

/// The status of a GET, if there is an answer.
async fn status_of(url: &str) -> Option<u16> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(url.parse().expect("an address")).await.ok()?;
    Some(answer.status().as_u16())
}
