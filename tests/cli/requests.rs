//! What a provider asked, as the command line shows it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::relay::{PATIENCE, Relay, person, program};

const CANARY: &str = "Kanari-4711!";

impl Relay {
    /// The lines of `requests lillevik` once there are so many.
    #[track_caller]
    fn requests(&self, count: usize, arguments: &[&str]) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let out = self.does(&[&["requests", "lillevik"], arguments].concat());
            let lines: Vec<String> = out.lines().map(str::to_owned).collect();
            if lines.len() == count {
                return lines;
            }
            assert!(begun.elapsed() < PATIENCE && lines.len() < count, "{out}\n{}", self.log());
        }
    }
}

/// Asks the admin socket for the requests after one, as any program may. Their numbers.
fn next(relay: &Relay, query: &str) -> Vec<i64> {
    let mut stream = UnixStream::connect(relay.path().join("admin.sock")).unwrap();
    write!(
        stream,
        "GET /v1/organizations/lillevik/requests/next?{query} HTTP/1.1\r\nHost: scim-relay\r\n\
         Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let rows: Vec<Value> = serde_json::from_str(body).unwrap();
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

fn with_password(name: &str) -> Value {
    let mut person = person(name, None);
    person["password"] = CANARY.into();
    person
}

#[test]
fn the_last_requests_are_a_line_each_and_one_is_shown_whole() {
    let mut relay = Relay::start(&[]);
    let nothing = relay.run(&["requests", "lillevik"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""));
    assert_eq!(nothing.err, "Nothing was asked with a token of lillevik in the last 7 days.\n");
    let unknown = relay.run(&["requests", "lilleby"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (1, "error: there is no organization `lilleby`; there is only `lillevik`\n")
    );

    let token = relay.token();
    assert_eq!(relay.push(&token, "POST", "/Users", &with_password("kari")), 201);
    assert_eq!(relay.push(&token, "POST", "/Users", &with_password("KARI")), 409);
    let lines = relay.requests(2, &[]);
    let words: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect())
        .collect();
    assert_eq!((words[0][0], words[0][2], words[0][3]), ("1", "POST", "201"), "{lines:?}");
    assert_eq!((words[0][5], words[0][6]), ("/Users", "kari"), "{lines:?}");
    assert_eq!((words[1][3], words[1][6]), ("409", "KARI"), "{lines:?}");
    assert!(words[1][7].starts_with("uniqueness: "), "{lines:?}");
    assert_eq!(relay.requests(1, &["--failed"]), lines[1..]);
    assert_eq!(relay.requests(1, &["--limit", "1"]), lines[1..]);

    let page = relay.does(&["requests", "lillevik", "1"]);
    for part in
        ["POST /Users", "201 in", "scimr_", "127.0.0.1", "\"password\": \"[redacted]\"", "\"id\":"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(CANARY) && !page.contains(&token), "{page}");
    let gone = relay.run(&["requests", "lillevik", "77"]);
    assert_eq!(gone.code, 1);
    assert!(gone.err.contains("has no request 77"), "{}", gone.err);

    assert_eq!(relay.terminate().code(), Some(0));
    relay.serve();
    assert_eq!(relay.requests(2, &[]), lines, "they are there after a restart");
    let one = relay.json(&["requests", "lillevik", "1", "--json"]);
    let json: Vec<Value> = relay
        .requests(2, &["--json"])
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(json[0], one);
    assert_eq!(json[0]["request"]["userName"], "kari");
    assert_eq!(json[1]["answer"]["scimType"], "uniqueness");
}

#[test]
fn no_look_begins_unseen_and_none_is_written_down_twice() {
    let mut relay = Relay::start(&[]);
    let token = relay.token();
    for _ in 0..3 {
        assert_eq!(relay.push(&token, "GET", "/nowhere", &json!(null)), 404);
    }
    relay.requests(3, &[]);
    // A new daemon knows of no look.
    assert_eq!(relay.terminate().code(), Some(0));
    relay.serve();
    let looks = || relay.log().matches("requests.read").count();
    assert_eq!(next(&relay, "after=0&limit=2"), [1, 2], "the first of them");
    assert_eq!(looks(), 1);
    assert_eq!(next(&relay, "after=2&limit=2"), [3]);
    assert_eq!(looks(), 1);
    assert_eq!(next(&relay, "after=0&failed=true&limit=1"), [1]);
    assert_eq!(looks(), 2, "another look");
}

#[test]
fn whoever_follows_sees_what_comes_until_the_daemon_ends() {
    let mut relay = Relay::start(&[]);
    let token = relay.token();
    assert_eq!(relay.push(&token, "POST", "/Users", &person("kari", None)), 201);
    relay.requests(1, &[]);
    let before = relay.log().matches("requests.read").count();
    let follow = |arguments: &[&str]| {
        let mut command = program(relay.path());
        command.args(["requests", "lillevik", "--follow"]).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (mut all, mut failed) = (follow(&["--json"]), follow(&["--failed", "--json"]));
    let mut lines = [&mut all, &mut failed].map(|one| {
        let lines = BufReader::new(one.stdout.take().unwrap()).lines();
        lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
    });
    let mut next = |which: usize| lines[which].next().unwrap()["status"].clone();
    assert_eq!(next(0), 201, "what was there before");
    assert_eq!(relay.push(&token, "GET", "/Users", &json!(null)), 200);
    assert_eq!(next(0), 200);
    assert_eq!(relay.push(&token, "GET", "/nowhere", &json!(null)), 404);
    assert_eq!((next(0), next(1)), (json!(404), json!(404)));

    let looks = relay.log().matches("requests.read").count();
    assert_eq!(looks, before + 2, "each look is written down once, however long it lasts");

    // It holds up nobody who wants to stop.
    let begun = Instant::now();
    assert_eq!(relay.terminate().code(), Some(0));
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    for one in [all, failed] {
        let ended = one.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("is not running") || said.contains("broke off"), "{said}");
    }
}
