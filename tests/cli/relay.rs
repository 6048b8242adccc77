//! The real program in a folder of its own: its configuration, its daemon, and whoever pushes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Never waited for where an answer comes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const MAIN: &str = "\
public_url = \"https://scim.lillevik.example\"
data_dir = \"data\"
[listener]
address = \"127.0.0.1:0\"
[console]
address = \"127.0.0.1:0\"
[admin]
socket = \"admin.sock\"
[organizations.lillevik]
name = \"Lillevik kommune\"
";

/// A directory that is a file. Whoever has no externalId has no place in it.
pub(crate) const DIRECTORY: &str = "\
[ldap]
url = \"ldif:people.ldif\"
[ldap.users]
dn = \"uid={{ externalId }},ou=people,dc=lillevik,dc=example\"
[ldap.users.attributes]
cn = \"{{ displayName }}\"
sn = \"{{ name.familyName }}\"
mail = \"{{ email }}\"
";

/// A receiver at a port where nobody listens.
pub(crate) const HOOK: &str = "\
[scope]
users = 'active eq true'
[webhook]
url = \"http://127.0.0.1:1/hook\"
allow_plaintext = true
allow_networks = [\"127.0.0.0/8\"]
secret = { file = \"hook.secret\" }
";

/// A folder with a configuration that has these connectors.
pub(crate) fn folder(connectors: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), MAIN).unwrap();
    let connectors_d = folder.path().join("connectors.d");
    fs::create_dir(&connectors_d).unwrap();
    let secret = connectors_d.join("hook.secret");
    fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    for (name, text) in connectors {
        fs::write(connectors_d.join(format!("{name}.toml")), text).unwrap();
    }
    folder
}

pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-relay"));
    command
        .env("SCIM_RELAY_CONFIG", folder.join("config.toml"))
        .env("COLUMNS", "100")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("JOURNAL_STREAM")
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

/// What came of a command.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Said {
    program(folder).args(arguments).output().unwrap().into()
}

/// A daemon, gone when it is dropped.
pub(crate) struct Relay {
    folder: TempDir,
    child: Option<Child>,
    notices: UnixDatagram,
}

impl Relay {
    pub(crate) fn start(connectors: &[(&str, &str)]) -> Self {
        let folder = folder(connectors);
        let notices = UnixDatagram::bind(folder.path().join("notify.sock")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut relay = Self { folder, child: None, notices };
        relay.serve();
        relay
    }

    /// Returns when the daemon says, as it would to systemd, that it is ready.
    pub(crate) fn serve(&mut self) {
        let child = program(self.path())
            .arg("serve")
            .env("NOTIFY_SOCKET", self.path().join("notify.sock"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
        self.hears("READY=1");
    }

    /// How it ends when it is told to.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.child.take().unwrap().wait().unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }

    /// Waits for what the daemon tells systemd.
    #[track_caller]
    pub(crate) fn hears(&self, wanted: &str) {
        let mut buffer = [0; 4096];
        loop {
            let Ok(length) = self.notices.recv(&mut buffer) else {
                panic!("never heard {wanted}: {}", self.log());
            };
            if String::from_utf8_lossy(&buffer[..length]).contains(wanted) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        run(self.path(), arguments)
    }

    /// What a command that succeeds prints.
    #[track_caller]
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
        said.out
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.does(arguments)).unwrap()
    }

    /// Pushes to the SCIM service; the status of the answer.
    pub(crate) fn push(&self, token: &str, method: &str, address: &str, body: &Value) -> u16 {
        let log = self.log();
        let at = log.split("scim=").nth(1).unwrap().split_whitespace().next().unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "{method} /scim/lillevik/v2{address} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/scim+json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn token(&self) -> String {
        self.does(&["token", "create", "lillevik"]).trim().to_owned()
    }

    /// Takes up what its files say by now.
    #[track_caller]
    pub(crate) fn reload(&self) {
        self.signal("-HUP");
        self.hears("reading the configuration again");
        self.hears("STATUS=serving");
    }

    /// Ends it; who did this, to what, and what is said of it, by the audit log.
    pub(crate) fn audited(&mut self, action: &str) -> Vec<(String, Option<String>)> {
        assert_eq!(self.terminate().code(), Some(0), "{}", self.log());
        let database = rusqlite::Connection::open(self.path().join("data/relay.db")).unwrap();
        let query =
            "SELECT subject, detail FROM audit WHERE action = ?1 AND actor <> '' ORDER BY id";
        let mut rows = database.prepare(query).unwrap();
        let rows = rows.query_map([action], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Waits until a connector has so many entries in a state.
    #[track_caller]
    pub(crate) fn has(&self, connector: usize, state: &str, entries: u64) {
        let begun = Instant::now();
        loop {
            let status = self.json(&["status", "--json"]);
            if status["connectors"][connector]["backlog"][state] == entries {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{status:#}\n{}", self.log());
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// At a terminal, with this typed.
pub(crate) fn at_a_terminal(relay: &Relay, command: &str, typed: &str) -> Said {
    let line = format!("{} {command}", env!("CARGO_BIN_EXE_scim-relay"));
    let environment = program(relay.path());
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    for (name, value) in environment.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut child = script.spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

pub(crate) fn person(user_name: &str, external_id: Option<&str>) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": user_name,
        "externalId": external_id,
        "displayName": "Kari Nordmann",
        "name": { "familyName": "Nordmann" },
        "active": true,
    })
}

/// Times, ids and the folder by their names, and columns however wide those made them.
pub(crate) fn stable(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "DIR").replace("just now", "0 s ago");
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> =
            line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        let words: Vec<String> = words.into_iter().map(named).collect();
        let indent = line.len() - line.trim_start().len();
        lines.push(format!("{}{}", &line[..indent], words.join("  ")));
    }
    lines.join("\n")
}

fn named(words: &str) -> String {
    if words.ends_with(" s ago") {
        return "AGO".to_owned();
    }
    let word = |word: &str| match word.split_once('/') {
        Some((kind @ ("User" | "Group"), id)) if id.len() >= 36 => {
            format!("{kind}/ID{}", &id[36..])
        }
        _ => word.to_owned(),
    };
    words.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
