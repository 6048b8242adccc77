//! The first page: what it says, whose it is, and how it follows what happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::browser::{Browser, Events};
use crate::kit::relay::{Relay, Setup};
use crate::kit::targets::webhook;
use crate::kit::webhooks::Webhooks;

async fn two_organizations(hooks: &Webhooks) -> Relay {
    let both = Setup::new().organization("solvang").connector("hook", webhook(hooks, ""));
    both.start().await
}

/// A page that is open: what its elements became.
struct Open {
    events: Events,
    texts: BTreeMap<String, Value>,
}

impl Open {
    async fn follow(browser: &Browser, address: &str) -> Self {
        let mut open = Self { events: browser.follow(address).await, texts: BTreeMap::new() };
        assert!(open.hears().await, "it ended at once");
        open
    }

    /// `false` at the end.
    async fn hears(&mut self) -> bool {
        let Some(message) = self.events.next().await else { return false };
        self.texts.extend(message.as_object().expect("by element").clone());
        true
    }

    fn says(&self, id: &str) -> &Value {
        self.texts.get(id).map_or(&Value::Null, |update| &update["text"])
    }

    async fn until_says(&mut self, id: &str, text: &str) {
        while self.says(id) != text {
            let heard = tokio::time::timeout(Duration::from_mins(1), self.hears()).await;
            assert_eq!(heard, Ok(true), "{id} never became {text}: {:?}", self.texts);
        }
    }
}

#[tokio::test]
async fn the_first_page_answers_and_follows_what_happens() {
    let hooks = Webhooks::start().await;
    let relay = two_organizations(&hooks).await;
    let browser = relay.sign_in("administrator", &[]).await;
    let empty = browser.get("/").await.expect(200).text;
    assert!(empty.contains("Nothing has arrived yet"), "{empty}");
    assert!(empty.contains("has no valid token"), "{empty}");

    let address = empty.split("data-live=\"").nth(1).and_then(|rest| rest.split('"').next());
    let address = address.unwrap().replace("&amp;", "&").replace("&#x2f;", "/");
    let mut open = Open::follow(&browser, &address).await;
    assert_eq!(open.says("n-people"), "0");
    assert_eq!(open.texts["news"]["state"], "none");
    assert_eq!(open.says("say"), &Value::Null, "what is there is on the page");

    let (north, south) = (relay.provider("lillevik"), relay.provider("solvang"));
    for name in ["kari", "ada"] {
        north.hire(name).await;
    }
    south.hire("per").await;
    open.until_says("n-people", "3").await;
    open.until_says("n-delivered", "3").await;
    let full = browser.get("/").await.expect(200).text;
    assert!(full.contains("<h1 id=\"answer\">Provisioning works</h1>"), "{full}");
    assert!(full.contains("Changes received in the last 24 hours: 3."), "{full}");

    relay.command(&["connector", "pause", "hook"]);
    open.until_says("say", "Nothing can be delivered").await;
    let paused = browser.get("/").await.expect(200).text;
    assert!(paused.contains("hook is paused"), "{paused}");
    assert_eq!(open.texts["news"]["state"], "new");
}

#[tokio::test]
async fn an_owner_is_told_of_their_own_alone() {
    let hooks = Webhooks::start().await;
    let relay = two_organizations(&hooks).await;
    let (north, south) = (relay.provider("lillevik"), relay.provider("solvang"));
    north.hire("kari").await;
    for name in ["per", "pal"] {
        south.hire(name).await;
    }
    relay.settled().await;

    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let page = owner.get("/").await.expect(200).text;
    assert!(page.contains("<dd id=\"n-people\">1</dd>"), "{page}");
    assert!(page.contains("<dd id=\"n-delivered\">1</dd>"), "{page}");
    assert!(page.contains("Changes received in the last 24 hours: 1."), "{page}");
    assert!(!page.contains("solvang"), "{page}");
    owner.get("/?org=solvang").await.expect(404);
    assert_eq!(owner.follow("/events?page=overview&org=solvang").await.status, 404);
    let own = owner.follow("/events?page=overview").await.next().await.unwrap();
    assert_eq!(own["n-people"]["text"], "1");

    let administrator = relay.sign_in("administrator", &[]).await;
    let all = administrator.get("/").await.expect(200).text;
    assert!(all.contains("<dd id=\"n-people\">3</dd>"), "{all}");
    let one = administrator.get("/?org=solvang&period=month").await.expect(200).text;
    assert!(one.contains("<dd id=\"n-people\">2</dd>") && one.contains("Last 30 days"), "{one}");
    administrator.get("/?org=nowhere").await.expect(404);

    let desk = relay.sign_in("helpdesk", &[]).await;
    assert_eq!(desk.get("/").await.expect(303).location(), Some("/people"));
    assert_eq!(desk.follow("/events?page=overview").await.status, 403);
}

#[tokio::test]
async fn what_lives_ends_with_its_session_and_with_the_relay() {
    let hooks = Webhooks::start().await;
    let mut relay = two_organizations(&hooks).await;
    let browser = relay.sign_in("administrator", &[]).await;
    let mut streams: Vec<Events> = Vec::new();
    for _ in 0..6 {
        let mut events = browser.follow("/events?page=overview").await;
        assert!(events.next().await.is_some_and(|first| first["n-q"]["text"] == "0"));
        streams.push(events);
    }
    assert_eq!(
        browser.follow("/events?page=overview").await.status,
        503,
        "no more for one session"
    );
    browser.post("/sign-out", &[]).await.expect(303);
    for mut events in streams {
        while events.next().await.is_some() {}
    }
    assert_eq!(browser.follow("/events?page=overview").await.status, 303, "to the sign-in");

    let other = relay.sign_in("administrator", &[]).await;
    let mut events = other.follow("/events?page=overview").await;
    assert!(events.next().await.is_some());
    let begun = Instant::now();
    relay.terminate().await;
    while events.next().await.is_some() {}
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody waits for a page that lives");
}
