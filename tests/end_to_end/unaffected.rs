//! Isolation as a figure (promise P6): while one receiver is rude in every way in turn, the SCIM
//! answers, the memory and the other connector's staleness stay what they are.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::kit::relay::Setup;
use crate::kit::rude::{Manner, Rude};
use crate::kit::targets::{events_to, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

/// Writes in each phase.
const WRITES: usize = 30;
/// What P6 allows, or twice what it was with a polite receiver on this machine.
const ANSWER: Duration = Duration::from_millis(250);
const STALENESS: Duration = Duration::from_secs(2);

/// The slowest: of so few, that stands for one in a hundred.
fn worst(times: &[Duration]) -> Duration {
    times.iter().max().copied().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rude_receiver_is_noticed_by_nobody_else() {
    let (rude, hooks) = (Rude::start().await, Webhooks::start().await);
    let relay = Setup::new()
        .connector("rude", events_to(&rude.url(), "[limits]\ntimeout = \"1s\"\n"))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let says = |words: &str| Manner::Says(words.to_owned());
    let phases = [
        ("polite", Manner::status("204 No Content", "")),
        ("silent", Manner::IsSilent),
        ("dripping", Manner::Drips("HTTP/1.1 200 OK\r\nx: ".to_owned())),
        (
            "endless",
            Manner::Floods("HTTP/1.1 500 No\r\ncontent-length: 99999999999\r\n\r\n".into()),
        ),
        ("resetting", Manner::Resets),
        ("leaving", says("")),
        ("broken", Manner::status("500 Oops", "")),
        ("busy", Manner::status("429 Slow", "retry-after: 1\r\n")),
        ("elsewhere", Manner::status("302 Away", "location: http://127.0.0.1:1/\r\n")),
        ("refusing", Manner::status("401 No", "")),
    ];
    let mut figures = String::new();
    let (mut usual, mut memory) = (ANSWER, 0);
    for (phase, manner) in phases {
        rude.treat_everybody(manner);
        let (mut answers, mut acknowledged) = (Vec::new(), Vec::new());
        for number in 0..WRITES {
            let name = format!("{phase}{number}");
            let begun = Instant::now();
            provider.hire(&name).await;
            answers.push(begun.elapsed());
            acknowledged.push((name, Instant::now()));
        }
        until("the other is told", async || {
            acknowledged.iter().all(|(name, _)| hooks.story(name).len() == 1)
        })
        .await;
        let told = hooks.taken();
        let stale: Vec<Duration> = acknowledged
            .iter()
            .map(|(name, at)| {
                let event = told.iter().find(|event| event.of("userName") == name).unwrap();
                event.at.saturating_duration_since(*at)
            })
            .collect();
        if phase == "polite" {
            usual = ANSWER.max(2 * worst(&answers));
            memory = relay.peak_memory();
        }
        let grown = relay.peak_memory().saturating_sub(memory) / 1024;
        let (answer, staleness) = (worst(&answers), worst(&stale));
        writeln!(
            figures,
            "{phase:>10}: answers <= {answer:?}, staleness <= {staleness:?}, {grown} MiB"
        )
        .unwrap();
        assert!(answer <= usual && staleness <= STALENESS && grown < 50, "\n{figures}");
    }
    assert_eq!(relay.connector("events")["state"], "up");
    assert_eq!(relay.backlog("events", "pending"), 0);
    // For whoever runs it with --no-capture.
    drop(write!(std::io::stderr(), "{figures}"));
}
