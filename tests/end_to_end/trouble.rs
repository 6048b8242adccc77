//! Targets that are down, slow, or refuse: each costs nobody but itself.

use std::time::Duration;

use serde_json::json;

use crate::kit::provider::person;
use crate::kit::relay::Setup;
use crate::kit::slapd::{RELAY, RELAY_PASSWORD, SUFFIX, Slapd};
use crate::kit::smtp;
use crate::kit::targets::{ldap, mail, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

fn members(slapd: &Slapd, group: &str) -> Vec<String> {
    let found = slapd.one(&format!("(cn={group})"));
    found.values("member").into_iter().map(str::to_owned).collect()
}

fn dn(uid: &str) -> String {
    format!("uid={uid},ou=people,{SUFFIX}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_while_the_directory_is_down_arrives_when_it_is_back() {
    let mut slapd = Slapd::start().await;
    let mails = smtp::Server::start("starttls", &["auth"]);
    let hooks = Webhooks::start().await;
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, ""))
        .connector("welcome", mail(&mails, ""))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let grace = provider.hire("grace").await;
    let choir = provider.group("choir", &[&ada, &grace]).await;
    relay.settled().await;

    slapd.stop();
    let joan = provider.hire("joan").await;
    until("the relay knows", async || relay.connector("directory")["state"] == "down").await;
    provider.set(&ada, "title", "Countess").await;
    provider.set(&ada, "userName", "lovelace").await;
    provider.join(&choir, &joan).await;
    provider.delete(&format!("Users/{grace}")).await.expect(204);
    provider.group("band", &[&joan, &ada]).await;
    let mut namesake = person("grace");
    namesake["externalId"] = "ext-namesake".into();
    namesake["emails"] = json!([{ "value": "namesake@lillevik.example" }]);
    provider.post("Users", namesake).await.expect(201);

    // The others go on meanwhile.
    until("the receiver was told", async || {
        hooks.story("joan") == ["user.created"]
            && hooks.story("lovelace") == ["user.updated"]
            && hooks.story("grace") == ["user.created", "user.deleted", "user.created"]
    })
    .await;
    until("the mails are out", async || mails.taken().len() == 4).await;
    assert!(relay.connector("directory")["error"].is_string());

    slapd.run().await;
    relay.settled().await;
    assert_eq!(relay.connector("directory")["state"], "up");
    assert_eq!(slapd.one("(uid=lovelace)").values("title"), ["Countess"]);
    assert_eq!(slapd.one("(uid=grace)").values("employeeNumber"), ["ext-namesake"]);
    assert_eq!(members(&slapd, "choir"), [dn("joan"), dn("lovelace")]);
    assert_eq!(members(&slapd, "band"), [dn("joan"), dn("lovelace")]);
    assert_eq!(relay.json(&["reconcile", "directory", "--dry-run"])["drift"], json!([]));
    assert_eq!(relay.json(&["queue", "list"]), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_falls_silent_in_the_middle_holds_up_nobody() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, "[limits]\ntimeout = \"1s\"\n"))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    relay.settled().await;

    slapd.pause();
    provider.set(&ada, "title", "Countess").await;
    let grace = provider.hire("grace").await;
    provider.group("choir", &[&ada, &grace]).await;
    until("the receiver was told", async || hooks.story("choir").len() == 2).await;
    until("the relay knows", async || relay.connector("directory")["state"] == "down").await;

    slapd.resume();
    relay.settled().await;
    assert_eq!(slapd.one("(uid=ada)").values("title"), ["Countess"]);
    assert_eq!(members(&slapd, "choir"), [dn("ada"), dn("grace")]);
    assert_eq!(relay.json(&["queue", "list"]), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_rejected_is_parked_and_holds_up_nobody() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, "[limits]\nconcurrency = 1\n"))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let mut juergen = person("juergen");
    // The directory's `mail` is ASCII.
    juergen["emails"] = json!([{ "value": "jürgen@lillevik.example" }]);
    let juergen = provider.post("Users", juergen).await.expect(201).id();
    let ada = provider.hire("ada").await;
    provider.group("choir", &[&juergen, &ada]).await;

    relay.settled().await;
    assert_eq!(slapd.search(SUFFIX, "(uid=juergen)"), []);
    assert_eq!(slapd.one("(uid=ada)").values("employeeNumber"), ["ext-ada"]);
    assert_eq!(members(&slapd, "choir"), [dn("ada")]);
    assert_eq!(hooks.story("juergen"), ["user.created"]);
    let parked = relay.json(&["queue", "list", "--connector", "directory", "--state", "parked"]);
    assert_eq!(parked.as_array().map(Vec::len), Some(1), "{parked}");
    assert_eq!(parked[0]["name"], "juergen");
    let reason = parked[0]["last_error"].as_str().unwrap();
    assert!(reason.contains("invalidAttributeSyntax"), "{reason}");
    let attention = relay.json(&["status"])["attention"].to_string();
    assert!(attention.contains("directory: 1 parked"), "{attention}");

    // Mended at the provider, it goes by itself, and into the group.
    provider.set(&juergen, "emails", json!([{ "value": "juergen@lillevik.example" }])).await;
    relay.settled().await;
    assert_eq!(slapd.one("(uid=juergen)").values("mail"), ["juergen@lillevik.example"]);
    assert_eq!(members(&slapd, "choir"), [dn("ada"), dn("juergen")]);
    assert_eq!(relay.backlog("directory", "parked"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_password_pauses_its_connector_alone_until_it_is_renewed() {
    let mut slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, ""))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    provider.hire("ada").await;
    relay.settled().await;

    let expires = |after: u32| {
        format!(
            "dn: cn=default,ou=policies,{SUFFIX}\nchangetype: modify\n\
             replace: pwdMaxAge\npwdMaxAge: {after}\n"
        )
    };
    // A password's age counts from its change.
    slapd.apply(&format!(
        "dn: {RELAY}\nchangetype: modify\nreplace: userPassword\nuserPassword: {RELAY_PASSWORD}\n"
    ));
    slapd.apply(&expires(1));
    until("it has expired", async || !slapd.can_bind(RELAY, RELAY_PASSWORD)).await;
    // Connections that are open stay signed in.
    slapd.stop();
    slapd.run().await;
    provider.hire("grace").await;

    until("it is refused", async || relay.connector("directory")["state"] == "refused").await;
    until("the receiver was told", async || hooks.story("grace") == ["user.created"]).await;
    assert_eq!(relay.connector("events")["state"], "up");
    let attention = relay.json(&["status"])["attention"].to_string();
    assert!(attention.contains("the target turns us away"), "{attention}");
    assert_eq!(relay.backlog("directory", "parked"), 0, "it is nobody's fault");
    assert_eq!(relay.backlog("directory", "pending"), 1);

    slapd.apply(&expires(0));
    relay.command(&["connector", "resume", "directory"]);
    relay.settled().await;
    assert_eq!(slapd.one("(uid=grace)").values("employeeNumber"), ["ext-grace"]);
    assert_eq!(relay.connector("directory")["state"], "up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_for_patience_gets_it_and_then_everything_in_order() {
    let hooks = Webhooks::start().await;
    let relay = Setup::new().connector("events", webhook(&hooks, "")).start().await;
    let provider = relay.provider("lillevik");
    hooks.answer_for("ada", 503, Some(2));
    let ada = provider.hire("ada").await;
    provider.set(&ada, "title", "Countess").await;
    provider.set(&ada, "title", "Mathematician").await;
    until("she was refused", async || !hooks.all().is_empty()).await;
    hooks.answer_for("ada", 204, None);

    // Nobody else waits.
    provider.hire("grace").await;
    until("another is told of", async || hooks.story("grace") == ["user.created"]).await;
    relay.settled().await;

    assert_eq!(hooks.story("ada"), ["user.created", "user.updated", "user.updated"]);
    let events: Vec<_> =
        hooks.all().into_iter().filter(|event| event.of("userName") == "ada").collect();
    let [refused, again, ..] = &events[..] else { panic!("{events:?}") };
    assert_eq!((refused.status, again.status), (503, 204));
    assert_eq!(refused.id, again.id, "a receiver can tell that it is the same");
    assert!(again.at - refused.at >= Duration::from_secs(2), "it was asked too early");
    let titles: Vec<_> = events[1..].iter().map(|event| event.of("title")).collect();
    assert_eq!(titles, ["", "Countess", "Mathematician"]);
}
