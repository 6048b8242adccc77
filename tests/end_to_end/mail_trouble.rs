//! Mail servers that put off, refuse and fall silent (faults 34 to 37): what the queue shows, and who
//! gets a mail in the end.

use jiff::Timestamp;
use serde_json::Value;

use crate::kit::provider::person;
use crate::kit::proxy::{Proxy, Way};
use crate::kit::relay::Setup;
use crate::kit::smtp::Server;
use crate::kit::targets::mail;
use crate::kit::until;

fn addresses(mails: &Server) -> Vec<String> {
    mails.taken().into_iter().flat_map(|mail| mail.to).collect()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_no_of_a_mail_server_costs_its_own_mail_what_it_should() {
    let mails = Server::start("starttls", &["auth"]);
    let file = mail(&mails, "[limits]\ntimeout = \"1s\"\n");
    let relay = Setup::new().connector("welcome", file).start().await;
    let provider = relay.provider("lillevik");
    // The server answers by the address: who is greylisted is `code450@...`.
    let faults = [
        ("code450", "retrying", "450 4.1.1 as asked", 290..301),
        ("later", "retrying", "451 4.3.0 try later", 290..301),
        // That is about the connection, so that it is not left alone for long.
        ("code421", "retrying", "421 4.1.1 as asked", -60..2),
        ("code550", "parked", "550 5.1.1 as asked", -60..2),
        ("hang", "parked", "may have been sent already", -60..2),
    ];
    for (name, ..) in &faults {
        provider.hire(name).await;
    }
    let mut evil = person("evil");
    evil["emails"][0]["value"] = "eve@evil.example, everybody@lillevik.example".into();
    provider.post("Users", evil).await.expect(201);
    provider.hire("ada").await;
    until("whoever can be written to is", async || addresses(&mails) == ["ada@lillevik.example"])
        .await;

    let evil = ("evil", "parked", "is not one mail address", -60..2);
    for (name, state, words, waits) in faults.into_iter().chain([evil]) {
        let mut shown = Value::Null;
        until(&format!("what becomes of `{name}` is shown"), async || {
            let queue = relay.json(&["queue", "list", "--connector", "welcome"]);
            let found = queue.as_array().unwrap().iter().find(|entry| entry["name"] == name);
            shown = found.cloned().unwrap_or_default();
            let error = shown["last_error"].as_str().unwrap_or_default();
            shown["state"] == state && error.contains(words)
        })
        .await;
        let now = time(&relay.json(&["status"])["now"]);
        let wait = time(&shown["due"]).duration_since(now).as_secs();
        assert!(waits.contains(&wait), "{name} is tried again in {wait} s");
    }
    assert_eq!(relay.connector("welcome")["state"], "up");
    assert_eq!(addresses(&mails), ["ada@lillevik.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_deleted_while_the_server_was_away_is_not_welcomed() {
    let mails = Server::start("starttls", &["auth"]);
    let proxy = Proxy::before(&mails.url("smtp")).await;
    let relay =
        Setup::new().connector("welcome", proxy.on_the_way(&mail(&mails, ""))).start().await;
    let provider = relay.provider("lillevik");
    proxy.turn(Way::Refused);
    let leaver = provider.hire("leaver").await;
    until("it is down", async || relay.connector("welcome")["state"] == "down").await;
    provider.hire("stayer").await;
    provider.delete(&format!("Users/{leaver}")).await.expect(204);
    proxy.turn(Way::Open);
    relay.command(&["connector", "resume", "welcome"]);
    relay.settled().await;
    assert_eq!(addresses(&mails), ["stayer@lillevik.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_protection_that_is_asked_for_no_mail_leaves() {
    let mails = Server::start("plain", &[]);
    let relay = Setup::new().connector("welcome", mail(&mails, "")).start().await;
    relay.provider("lillevik").hire("ada").await;
    until("it is stopped", async || relay.connector("welcome")["state"] == "refused").await;
    let attention = relay.json(&["status"])["attention"].to_string();
    assert!(attention.contains("offers no STARTTLS"), "{attention}");
    assert_eq!(relay.backlog("welcome", "pending"), 1, "it is nobody's fault");
    assert_eq!(addresses(&mails), Vec::<String>::new());
}
