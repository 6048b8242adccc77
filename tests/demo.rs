//! `scim-relay demo`, as a newcomer runs it: the real program, its account, and the files it leaves.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-relay"));
    command.arg("demo").args(arguments).arg("--folder").arg(folder);
    command
}

/// The value of a line of the summary.
#[track_caller]
fn row<'a>(account: &'a str, name: &str) -> &'a str {
    let line = account.lines().find_map(|line| line.trim_start().strip_prefix(name));
    line.unwrap_or_else(|| panic!("no `{name}` in:\n{account}")).trim()
}

fn files(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = entries.filter(|path| path.to_str().unwrap().ends_with(ending));
    wanted.map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// A directory as its change records leave it: who is in it, and each group's members.
#[derive(Default)]
struct Directory {
    entries: BTreeSet<String>,
    members: BTreeMap<String, BTreeSet<String>>,
    /// Names that an entry had and lost, by staying where it is.
    renamed: Vec<(String, String)>,
}

impl Directory {
    fn read(ldif: &str) -> Self {
        let mut directory = Self::default();
        for block in ldif.split("\n\n") {
            let lines: Vec<(&str, &str)> = block
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once(": "))
                .collect();
            if let [("dn", dn), ("changetype", kind), rest @ ..] = lines.as_slice() {
                directory.apply(dn, kind, rest);
            }
        }
        directory
    }

    fn apply(&mut self, dn: &str, kind: &str, lines: &[(&str, &str)]) {
        let value = |name| lines.iter().find(|line| line.0 == name).map(|line| line.1);
        match kind {
            "add" => {
                assert!(self.entries.insert(dn.to_owned()), "{dn} was there already");
                let members = lines.iter().filter(|line| line.0 == "member");
                let members = members.map(|line| line.1.to_owned()).collect();
                self.members.insert(dn.to_owned(), members);
            }
            "modrdn" => {
                assert!(self.entries.remove(dn), "{dn} was not there");
                let parent = dn.split_once(',').unwrap().1;
                let new = format!(
                    "{},{}",
                    value("newrdn").unwrap(),
                    value("newsuperior").unwrap_or(parent)
                );
                if value("newsuperior").is_none() {
                    self.renamed.push((dn.to_owned(), new.clone()));
                }
                self.entries.insert(new);
            }
            "delete" => assert!(self.entries.remove(dn), "{dn} was not there"),
            _ => {
                assert!(self.entries.contains(dn), "{dn} was not there");
                let members = self.members.entry(dn.to_owned()).or_default();
                let mut adding = true;
                for (name, value) in lines {
                    match *name {
                        "add" => adding = true,
                        "delete" => adding = false,
                        "member" if adding => assert!(members.insert((*value).to_owned())),
                        "member" => assert!(members.remove(*value), "{value} was no member"),
                        _ => {}
                    }
                }
            }
        }
    }
}

#[test]
fn everything_arrives_and_the_files_tell_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--seconds", "0", "--pupils", "12"]).output().unwrap();
    let account = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{account}\n{complaints}");
    assert!(!account.contains('\x1b'), "colour in a pipe:\n{account}");
    assert_eq!(complaints, "");

    // 12 pupils, 3 teachers, 3 guests.
    assert_eq!(row(&account, "the relay holds"), "18 users, 2 groups");
    // The people but for the guests, and the groups.
    assert_eq!(row(&account, "reconciliation"), "17 compared, 0 differ");
    let mails = files(&folder.path().join("mails"), ".eml");
    assert_eq!(mails.len(), 18, "a welcome for each, and no second one for who came back");
    assert!(row(&account, "mails").starts_with("18: "), "{account}");
    assert!(row(&account, "mails").contains(" de, "), "{account}");

    let directory =
        Directory::read(&fs::read_to_string(folder.path().join("directory.ldif")).unwrap());
    let (married, now) = &directory.renamed[0];
    assert!(!directory.entries.contains(married), "{married} is still there");
    assert!(directory.entries.contains(now));
    for (group, members) in &directory.members {
        let strangers: Vec<_> = members.difference(&directory.entries).collect();
        assert!(strangers.is_empty(), "{group} has members that are not there: {strangers:?}");
    }

    let received: Vec<Value> = files(&folder.path().join("received"), ".json")
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let signed = received.iter().filter(|request| request["request"] == "POST /hooks/school");
    let signatures: Vec<_> = signed.map(|request| &request["signature"]).collect();
    assert!(signatures.iter().all(|signature| **signature == "verified"), "{signatures:?}");
    let verified = format!("{0} of {0}", signatures.len());
    assert_eq!(row(&account, "signatures verified"), verified);
    let refused = received.iter().filter(|request| request["answer"] == 503).count();
    assert!(refused > 0, "nothing was refused");
    assert_eq!(row(&account, "refused and retried"), format!("{refused}, none lost"));

    let log = fs::read_to_string(folder.path().join("relay.log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn secrets_are_their_owners_alone_and_in_no_received_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--seconds", "0", "--pupils", "8"]).output().unwrap();
    assert!(output.status.success());
    for name in ["events", "building"] {
        let path = folder.path().join("secrets").join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
        let secret = fs::read_to_string(path).unwrap();
        let received = files(&folder.path().join("received"), ".json");
        assert!(received.iter().all(|request| !request.contains(&secret)));
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&secret));
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("homework"), "mine").unwrap();
    let output = demo(folder.path(), &["--seconds", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("is not empty"), "{complaint}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Reads the account up to a line that holds this; that line.
fn read_until(account: &mut BufReader<ChildStdout>, wanted: &str) -> String {
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        assert!(account.read_line(&mut line).unwrap() > 0, "the account ended before `{wanted}`");
    }
    line
}

/// Presses Ctrl-C; the exit code and the rest of the account.
fn interrupt(mut child: Child, mut account: BufReader<ChildStdout>) -> (Option<i32>, String) {
    let signal = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &signal]).status().unwrap().success());
    let mut rest = String::new();
    account.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

fn start(folder: &Path, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = demo(folder, arguments).stdout(Stdio::piped()).spawn().unwrap();
    let account = BufReader::new(child.stdout.take().unwrap());
    (child, account)
}

#[test]
fn ctrl_c_in_the_middle_stops_everything_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (child, mut account) = start(folder.path(), &["--pupils", "8"]);
    read_until(&mut account, "answers 503");
    let (code, rest) = interrupt(child, account);
    assert_eq!(code, Some(130));
    assert!(rest.contains("Everything has stopped"), "{rest}");
    assert!(!rest.contains("Summary"), "{rest}");
}

#[test]
fn ctrl_c_after_the_story_is_the_way_to_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let (child, mut account) = start(folder.path(), &["--pupils", "8", "--seconds", "3600"]);
    read_until(&mut account, "Ctrl-C ends it now");
    let (code, rest) = interrupt(child, account);
    assert_eq!(code, Some(0));
    assert!(rest.contains("Everything has stopped"), "{rest}");
}

#[test]
fn the_console_lets_in_whoever_opens_the_link_first() {
    let folder = tempfile::tempdir().unwrap();
    let (child, mut account) = start(folder.path(), &["--pupils", "8"]);
    let line = read_until(&mut account, "console, to look on");
    let link = line.split_whitespace().last().unwrap().strip_prefix("http://").unwrap();
    let (host, path) = link.split_once('/').unwrap();
    let ask = |path: &str, cookie: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        write!(stream, "{head}Cookie: {cookie}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask(&format!("/{path}"), "none=");
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    let (_, cookie) = answer.split_once("set-cookie: ").unwrap();
    let (cookie, _) = cookie.split_once(';').unwrap();
    let page = ask("/", cookie);
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("Administrator"), "{page}");
    assert!(ask(&format!("/{path}"), "none=").starts_with("HTTP/1.1 410 "));
    interrupt(child, account);
}
