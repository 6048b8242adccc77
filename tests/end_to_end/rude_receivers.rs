//! Receivers of events that are overloaded, broken, rude or hostile (faults 28 to 33), each in an
//! own way for each person: what the queue shows of it, how often they are asked meanwhile, and what
//! is there when they behave again.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::kit::relay::{Relay, Setup};
use crate::kit::rude::{Manner, Rude};
use crate::kit::targets::{events_to, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

/// What a receiver does with the event of one person, and what is to come of it.
struct Fault {
    name: &'static str,
    manner: Manner,
    /// Of the queue entry; none where the event counts as taken.
    state: Option<&'static str>,
    /// A piece of its last error.
    says: &'static str,
    /// How long it is left alone with it, in seconds, at least and at most.
    waits: (i64, i64),
}

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
/// The back-off of the tests' connectors.
const SOON: (i64, i64) = (-MINUTE, 2);

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn now(relay: &Relay) -> Timestamp {
    time(&relay.json(&["status"])["now"])
}

/// An hour from then, as headers write it.
fn in_an_hour(now: Timestamp) -> String {
    let then = now + SignedDuration::from_hours(1);
    format!("retry-after: {}\r\n", then.strftime("%a, %d %b %Y %H:%M:%S GMT"))
}

fn refused(name: &'static str, status: &str, headers: &str, waits: (i64, i64)) -> Fault {
    // What it says names the status: `500 Internal Server Error` is that in every language.
    let says = match &status[..3] {
        "404" => "answered 404 Not Found",
        "422" => "answered 422 Unprocessable Entity",
        "429" => "answered 429 Too Many Requests",
        "500" => "answered 500 Internal Server Error",
        "503" => "answered 503 Service Unavailable",
        other => panic!("{other} has no words"),
    };
    Fault { name, manner: Manner::status(status, headers), state: Some("retrying"), says, waits }
}

fn unanswered(name: &'static str, manner: Manner, says: &'static str) -> Fault {
    Fault { name, manner, state: Some("retrying"), says, waits: SOON }
}

fn taken(name: &'static str, manner: Manner) -> Fault {
    Fault { name, manner, state: None, says: "", waits: SOON }
}

fn faults(now: Timestamp) -> Vec<Fault> {
    const LONG: (i64, i64) = (4 * MINUTE, 6 * MINUTE);
    let says = |words: &str| Manner::Says(words.to_owned());
    let ok = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    vec![
        refused("broken", "500 Oops", "", SOON),
        refused("missing", "404 Not Found", "", LONG),
        refused("picky", "422 No", "", LONG),
        refused("seconds", "429 Slow", "retry-after: 120\r\n", (110, 125)),
        refused("date", "503 Later", &in_an_hour(now), (50 * MINUTE, 61 * MINUTE)),
        refused("ages", "503 Later", "retry-after: 1000000000\r\n", (DAY - 2 * MINUTE, DAY + 2)),
        refused("negative", "429 Slow", "retry-after: -5\r\n", SOON),
        refused("garbled", "503 Later", "retry-after: soon, dear\r\n", SOON),
        unanswered("silent", Manner::IsSilent, "gave no answer within 500ms"),
        unanswered(
            "drips",
            Manner::Drips("HTTP/1.1 200 OK\r\nx: ".to_owned()),
            "gave no answer within 500ms",
        ),
        unanswered("endless", Manner::Floods("HTTP/1.1 200 OK\r\nx: ".to_owned()), "ended the"),
        unanswered("resets", Manner::Resets, "ended the connection without an answer"),
        unanswered("leaves", says(""), "ended the connection without an answer"),
        unanswered("garbage", says("+OK hello\r\n\r\n"), "ended the connection without an answer"),
        // Whoever says 2xx has it, whatever follows.
        taken("short", says(&(ok("content-length: 100\r\n") + "ten bytes."))),
        taken("slowly", Manner::Drips(ok("content-length: 100000\r\n"))),
        taken("flood", Manner::Floods(ok("content-length: 99999999999\r\n"))),
        taken("odd", says(&(ok("transfer-encoding: chunked\r\n") + "no chunk\r\n"))),
    ]
}

fn entry(queue: &Value, name: &str) -> Option<Value> {
    queue.as_array()?.iter().find(|entry| entry["name"] == name).cloned()
}

/// In how many seconds it is tried again.
fn wait(relay: &Relay, entry: &Value) -> i64 {
    time(&entry["due"]).duration_since(now(relay)).as_secs()
}

async fn two(rude: &Rude, hooks: &Webhooks, general: &str) -> Relay {
    Setup::new()
        .connector("rude", events_to(&rude.url(), general))
        .connector("events", webhook(hooks, ""))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_receiver_costs_its_own_event_a_wait_and_nothing_else() {
    let (rude, hooks) = (Rude::start().await, Webhooks::start().await);
    let relay = two(&rude, &hooks, "[limits]\ntimeout = \"500ms\"\nconcurrency = 32\n").await;
    let provider = relay.provider("lillevik");
    provider.hire("polite").await;
    relay.settled().await;
    let memory = relay.peak_memory();
    let faults = faults(now(&relay));
    for Fault { name, manner, .. } in &faults {
        rude.treat(name, manner.clone());
        provider.hire(name).await;
        // Where many fail and none arrives between them, it is the receiver's fault.
        let polite = format!("after-{name}");
        provider.hire(&polite).await;
        until("somebody arrives", async || !rude.heard_of(&polite).is_empty()).await;
    }
    // Everybody else gets everything.
    until("the others are told", async || hooks.taken().len() == 2 * faults.len() + 1).await;

    for Fault { name, state, says, waits, .. } in &faults {
        let mut shown = None;
        until(&format!("what `{name}` does is seen"), async || {
            shown = entry(&relay.json(&["queue", "list", "--connector", "rude"]), name);
            let shown_state = shown.as_ref().map(|entry| entry["state"].as_str().unwrap());
            !rude.heard_of(name).is_empty()
                && shown_state == *state
                && shown.as_ref().is_none_or(|entry| entry["in_flight"] == false)
        })
        .await;
        let Some(shown) = shown else { continue };
        assert!(shown["last_error"].as_str().unwrap().contains(says), "{name}: {shown}");
        assert!((waits.0..=waits.1).contains(&wait(&relay, &shown)), "{name}: {shown}");
    }
    assert_eq!(relay.connector("rude")["state"], "up", "one person's fault is not the receiver's");
    let grown = relay.peak_memory() - memory;
    assert!(grown < 50 << 10, "it grew by {grown} KiB");

    // The patient ones were asked once, and so were those who had taken it.
    rude.behave();
    for Fault { name, state, waits, .. } in &faults {
        if state.is_none() || waits.0 > 0 {
            assert_eq!(rude.heard_of(name).len(), 1, "{name}");
        }
    }
    relay.command(&["queue", "retry", "--connector", "rude"]);
    relay.settled().await;
    assert_eq!(relay.json(&["queue", "list"]), serde_json::json!([]));
    for Fault { name, state, .. } in &faults {
        let heard = rude.heard_of(name);
        let ids: BTreeSet<&str> = heard.iter().map(|heard| heard.id.as_str()).collect();
        assert_eq!(ids.len(), 1, "{name}: a receiver can tell that it is the same");
        assert!(heard.iter().all(|heard| heard.kind == "user.created"), "{name}");
        assert_eq!(heard.len() > 1, state.is_some(), "{name} was told {} times", heard.len());
    }
}

/// What makes everybody's events fail alike, and what status says of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_us_or_sends_us_elsewhere_stops_its_connector_and_says_so() {
    let (rude, trap) = (Rude::start().await, Rude::start().await);
    let hooks = Webhooks::start().await;
    let relay = two(&rude, &hooks, "[limits]\nconcurrency = 1\n").await;
    let provider = relay.provider("lillevik");
    let elsewhere = format!("location: {}?key=s3cret\r\n", trap.url());
    for (number, (status, headers, says)) in [
        ("401 Unauthorized", "", "answered 401 Unauthorized, so it refuses our credentials"),
        ("410 Gone", "", "answered 410 Gone, so it wants no more of these; correct the URL"),
        ("307 Away", elsewhere.as_str(), "redirects are not followed; name the final address"),
    ]
    .into_iter()
    .enumerate()
    {
        rude.treat_everybody(Manner::status(status, headers));
        let before = rude.heard().len();
        for name in ["ada", "grace", "joan"] {
            provider.hire(&format!("{name}{number}")).await;
        }
        until("it is stopped", async || relay.connector("rude")["state"] == "refused").await;
        until("the others are told", async || hooks.taken().len() == 3 * (number + 1)).await;
        let attention = relay.json(&["status"])["attention"].to_string();
        assert!(attention.contains(says) && !attention.contains("s3cret"), "{attention}");
        assert_eq!(rude.heard().len() - before, 1, "{status}: one event is tried, not three");
        assert_eq!(relay.backlog("rude", "pending"), 3, "{status}: it is nobody's fault");

        rude.behave();
        relay.command(&["connector", "resume", "rude"]);
        relay.settled().await;
        assert_eq!(rude.heard().len() - before, 4, "{status}");
    }
    assert_eq!(trap.heard().len(), 0, "a redirect is not followed");
}
