//! A mail cannot be taken back, so it is sent once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kit::dice::{Dice, seed};
use crate::kit::relay::{Relay, Setup};
use crate::kit::say;
use crate::kit::smtp::Server;
use crate::kit::targets::mail;
use crate::kit::until;

const PEOPLE: usize = 60;

/// How many mails each address got.
fn counts(mails: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for address in mails.taken().into_iter().flat_map(|mail| mail.to) {
        *counts.entry(address).or_default() += 1;
    }
    counts
}

/// Does what a person does with mails of which nobody knows whether they were sent: looks whether
/// they arrived.
fn clear_doubts(relay: &Relay, mails: &Server) {
    let parked = relay.json(&[
        "queue",
        "list",
        "--connector",
        "welcome",
        "--state",
        "parked",
        "--limit",
        "1000",
    ]);
    let arrived = counts(mails);
    for row in parked.as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        let subject = format!("User/{}", row["id"].as_str().unwrap());
        if arrived.contains_key(&format!("{name}@lillevik.example")) {
            relay.command(&["queue", "skip", "welcome", &subject, "--reason", "it arrived"]);
        } else {
            relay.command(&["queue", "retry", "welcome", &subject]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_welcomed_once_over_kill_9_and_over_leaving_and_coming_back() {
    let mails = Server::start("starttls", &["auth"]);
    let mut relay = Setup::new().connector("welcome", mail(&mails, "")).start().await;
    let provider = relay.provider("lillevik");
    // All at once, so that there is a middle to be killed in.
    relay.command(&["connector", "pause", "welcome"]);
    let mut ids = Vec::new();
    for number in 0..PEOPLE {
        ids.push(provider.hire(&format!("person{number}")).await);
    }
    relay.command(&["connector", "resume", "welcome"]);
    for sent in [1, PEOPLE / 2] {
        until("some mails are out", async || mails.taken().len() >= sent).await;
        relay.kill();
        assert!(counts(&mails).values().all(|count| *count == 1));
        relay.restart().await;
    }
    relay.settled().await;
    clear_doubts(&relay, &mails);
    relay.settled().await;
    let once: BTreeMap<String, usize> =
        (0..PEOPLE).map(|number| (format!("person{number}@lillevik.example"), 1)).collect();
    assert_eq!(counts(&mails), once);
    assert_eq!(relay.backlog("welcome", "parked"), 0);

    for (number, id) in ids.iter().enumerate().take(5) {
        provider.delete(&format!("Users/{id}")).await.expect(204);
        provider.hire(&format!("person{number}")).await;
    }
    relay.settled().await;
    assert_eq!(counts(&mails), once, "who comes back is not welcomed again");
}

/// The server takes its time between the text and the answer, and has the mail from the middle of it
/// on: the relay is killed before, in between and after.
pub(crate) async fn kills_between_the_text_and_its_answer(kills: usize) {
    const AT_ONCE: usize = 4;
    let mails = Server::start("starttls", &["auth"]);
    let file = format!("{}max_per_hour = 1000000\n", mail(&mails, ""));
    let mut relay = Setup::new().connector("welcome", file).start().await;
    let provider = relay.provider("lillevik");
    let mut dice = Dice::new(seed(), 995);
    let mut wanted = BTreeMap::new();
    for kill in 0..kills {
        for number in 0..AT_ONCE {
            let name = format!("slow-{kill}-{number}");
            provider.hire(&name).await;
            wanted.insert(format!("{name}@lillevik.example"), 1);
        }
        tokio::time::sleep(Duration::from_millis(dice.throw(300) as u64)).await;
        relay.kill();
        relay.restart().await;
    }
    relay.settled().await;
    let doubts = relay.backlog("welcome", "parked");
    let arrived = counts(&mails);
    assert!(arrived.values().all(|copies| *copies == 1), "{arrived:?}");
    clear_doubts(&relay, &mails);
    relay.settled().await;
    let lost = wanted.len() - arrived.len();
    say(&format!("{kills} kills left {doubts} mails in doubt, {lost} of which had not arrived"));
    assert!(doubts > 0, "a mail was cut off");
    assert_eq!(counts(&mails), wanted);
    assert_eq!(relay.backlog("welcome", "parked"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_the_text_of_a_mail_and_its_answer_loses_and_doubles_none() {
    kills_between_the_text_and_its_answer(8).await;
}
