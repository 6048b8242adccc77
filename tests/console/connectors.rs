//! Connectors by their pages: stop and go on, what is held, what differs, and who may do which.

use std::collections::BTreeMap;

use serde_json::json;

use crate::browser::{Browser, Page};
use crate::kit::relay::{Relay, Setup};
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::{ldap, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

const HELD: &str = "/connectors/directory/held";
/// Every removal waits.
const GUARDED: &str = "[safety]\nmax_removals = 0\n";

/// A directory with these people in it, and an administrator at the console.
async fn school(
    general: &str,
    people: &[&str],
) -> (Slapd, Relay, Browser, BTreeMap<String, String>) {
    let slapd = Slapd::start().await;
    let relay = Setup::new().connector("directory", ldap(&slapd, general)).start().await;
    let provider = relay.provider("lillevik");
    let mut ids = BTreeMap::new();
    for name in people {
        ids.insert((*name).to_owned(), provider.hire(name).await);
    }
    relay.settled().await;
    let browser = relay.sign_in("administrator", &[]).await;
    (slapd, relay, browser, ids)
}

/// What stands in a box that can be ticked, by the name beside it.
fn boxes(page: &Page) -> BTreeMap<String, String> {
    let pieces = page.text.split("name=\"pick\" value=\"").skip(1);
    let pair = |piece: &str| {
        let (value, rest) = piece.split_once('"')?;
        let (_, name) = rest.split_once("aria-label=\"")?;
        Some((name.split_once('"')?.0.to_owned(), value.to_owned()))
    };
    pieces.filter_map(pair).collect()
}

fn is_there(slapd: &Slapd, name: &str) -> bool {
    !slapd.search(SUFFIX, &format!("(uid={name})")).is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_is_paused_with_a_reason_and_goes_on_with_what_was_kept() {
    let (slapd, relay, browser, _) = school("", &["one"]).await;
    let asked = browser.get("/connectors/directory/pause").await.expect(200);
    assert!(asked.text.contains("1 person and 0 groups"), "{}", asked.text);
    let refused = browser.post("/connectors/directory/pause", &[("reason", " ")]).await.expect(422);
    assert!(refused.text.contains("Say why"), "{}", refused.text);
    assert_eq!(relay.connector("directory")["state"], "up");

    let reason = [("reason", "new <disks>")];
    let paused = browser.submit("/connectors/directory/pause", &reason).await.expect(200);

    assert!(
        paused.text.contains("directory is paused") && paused.text.contains("new &lt;disks&gt;")
    );
    assert_eq!(relay.connector("directory")["paused"]["why"], "new <disks>");
    assert_eq!(relay.connector("directory")["paused"]["by"], browser.email.as_str());
    relay.provider("lillevik").hire("two").await;
    browser.submit("/connectors/directory/resume", &[]).await.expect(200);
    relay.settled().await;
    assert!(is_there(&slapd, "two"));
    let tested = browser.submit("/connectors/directory/test", &[]).await.expect(200);
    assert!(tested.text.contains("directory answered: "), "{}", tested.text);
    assert!(!tested.text.contains("relaysecret"), "the file is shown without its secret");
    assert!(tested.text.contains("<mark>hidden</mark>"), "{}", tested.text);
    let list = browser.get("/connectors").await.expect(200);
    assert!(list.text.contains("It works"), "{}", list.text);
    let preview = "/connectors/directory/preview?resource=User/one";
    let preview = browser.get(preview).await.expect(200);
    assert!(preview.text.contains("uid=one,ou=people"), "{}", preview.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_those_who_were_ticked_leave() {
    let (slapd, relay, browser, ids) = school(GUARDED, &["one", "two", "three", "four"]).await;
    let provider = relay.provider("lillevik");
    for name in ["one", "two", "three"] {
        provider.delete(&format!("Users/{}", ids[name])).await.expect(204);
    }
    until("three are held", async || relay.backlog("directory", "held") == 3).await;
    let nobody = browser.post(HELD, &[("decision", "approve")]).await.expect(422);
    assert!(nobody.text.contains("Tick at least one"), "{}", nobody.text);
    let list = browser.get(HELD).await.expect(200);
    let boxes = boxes(&list);
    assert_eq!(boxes.keys().map(String::as_str).collect::<Vec<_>>(), ["one", "three", "two"]);

    let picks = [("pick", boxes["one"].as_str()), ("pick", &boxes["two"]), ("decision", "approve")];
    let to = browser.post(HELD, &picks).await.expect(303).location().unwrap().to_owned();
    let asked = browser.get(&to).await.expect(200);
    assert!(asked.text.contains("Remove 2 people from directory?"), "{}", asked.text);
    assert!(asked.text.contains("the entry is deleted at once"), "{}", asked.text);
    assert!(asked.text.contains("Can it be undone? No"), "{}", asked.text);
    let stranger = relay.sign_in("administrator", &[]).await;
    assert_eq!(stranger.get(&to).await.expect(303).location(), Some(HELD), "it is another's");
    browser.post(&to, &[("count", "3"), ("reason", "they left")]).await.expect(422);
    browser.post(&to, &[("count", "2"), ("reason", "")]).await.expect(422);
    assert_eq!(relay.backlog("directory", "held"), 3);

    let word = [("count", "2"), ("reason", "they left")];
    let done = browser.submit(&to, &word).await.expect(200);

    assert!(done.text.contains("2 approved."), "{}", done.text);
    relay.settled().await;
    let there = ["one", "two", "three", "four"].map(|name| is_there(&slapd, name));
    assert_eq!(there, [false, false, true, true]);
    assert_eq!(relay.backlog("directory", "held"), 1);
    let again = browser.post(&to, &word).await.expect(303);
    assert_eq!(again.location(), Some(HELD), "it is for one decision");

    // The rest is rejected, all of it at once.
    let all = [("all", "1"), ("decision", "reject")];
    let to = browser.post(HELD, &all).await.expect(303).location().unwrap().to_owned();
    let word = [("reject", "1"), ("reason", "a mistake")];
    let done = browser.submit(&to, &word).await.expect(200);
    assert!(done.text.contains("1 rejected."), "{}", done.text);
    assert!(done.text.contains("Nothing waits for a person"), "{}", done.text);
    assert!(is_there(&slapd, "three"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_after_it_was_shown_is_not_decided() {
    let slapd = Slapd::start().await;
    for name in ["ada", "bob"] {
        slapd.add_person(name, &format!("mail: {name}@lillevik.example\ntitle: by hand\n"));
    }
    let relay = Setup::new().connector("directory", ldap(&slapd, "")).start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    provider.hire("bob").await;
    until("both are held", async || relay.backlog("directory", "held") == 2).await;
    relay.settled().await;
    let browser = relay.sign_in("administrator", &[]).await;
    let all = [("all", "1"), ("decision", "approve")];
    let to = browser.post(HELD, &all).await.expect(303).location().unwrap().to_owned();
    let asked = browser.get(&to).await.expect(200);
    assert!(asked.text.contains("Take over 2 entries at directory?"), "{}", asked.text);
    let title = json!([{ "op": "replace", "path": "title", "value": "meanwhile" }]);
    provider.patch(&format!("Users/{ada}"), title).await.expect(200);
    until("she is held anew", async || relay.backlog("directory", "held") == 2 && relay.is_idle())
        .await;

    let word = [("count", "2"), ("reason", "they are ours")];
    let done = browser.submit(&to, &word).await.expect(200);

    let told = "1 approved. Changed meanwhile, so not decided: ada waits on.";
    assert!(done.text.contains(told), "{}", done.text);
    relay.settled().await;
    assert_eq!(slapd.one("(uid=ada)").values("title"), ["by hand"]);
    assert_eq!(slapd.one("(uid=bob)").values("employeeNumber"), ["ext-bob"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_did_by_hand_is_shown_and_put_right() {
    let (slapd, relay, browser, _) = school("", &["one", "two", "three"]).await;
    slapd.apply(&format!("dn: uid=one,ou=people,{SUFFIX}\nchangetype: delete\n"));
    slapd.apply(&format!(
        "dn: uid=two,ou=people,{SUFFIX}\nchangetype: modify\nreplace: cn\ncn: Evil Two\n"
    ));
    slapd.add_person("stranger", "");
    let comparison = "/connectors/directory/comparison";
    let never = browser.get(comparison).await.expect(200);
    assert!(never.text.contains("Not compared yet"), "{}", never.text);

    browser.post(comparison, &[]).await.expect(303);
    until("it is compared", async || {
        browser.get(comparison).await.text.contains("3 differences found")
    })
    .await;

    let found = browser.get(comparison).await.expect(200);
    for words in ["Evil Two", "two Lie", "Missing", "Not ours", "uid=stranger"] {
        assert!(found.text.contains(words), "{words}: {}", found.text);
    }
    assert!(!is_there(&slapd, "one"), "to compare changes nothing");
    let run = found.text.split_once("name=\"run\" value=\"").unwrap().1;
    let run = run.split_once('"').unwrap().0;
    let repair = "/connectors/directory/comparison/repair";
    browser.post(repair, &[("run", run)]).await.expect(422);
    let done = browser.submit(repair, &[("run", run), ("all", "1")]).await.expect(200);
    assert!(done.text.contains("2 entries are in the queue"), "{}", done.text);
    relay.settled().await;
    assert_eq!(slapd.one("(uid=two)").values("cn"), ["two Lie"]);
    assert!(is_there(&slapd, "one") && is_there(&slapd, "stranger"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_sees_their_own_part_of_a_shared_connector_and_stops_nobody_elses() {
    let receiver = Webhooks::start().await;
    let relay = Setup::new()
        .organization("solvang")
        .connector("door", webhook(&receiver, GUARDED))
        .connector("theirs", webhook(&receiver, "organizations = [\"solvang\"]"))
        .start()
        .await;
    for organization in ["lillevik", "solvang"] {
        let provider = relay.provider(organization);
        let id = provider.hire(&format!("{organization}-kari")).await;
        relay.settled().await;
        provider.delete(&format!("Users/{id}")).await.expect(204);
    }
    until("both are held", async || relay.backlog("door", "held") == 2).await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let administrator = relay.sign_in("administrator", &[]).await;

    let list = owner.get("/connectors").await.expect(200);
    assert!(list.text.contains("door") && !list.text.contains("theirs"), "{}", list.text);
    let page = owner.get("/connectors/door").await.expect(200);
    assert!(page.text.contains("for other organizations, too"), "{}", page.text);
    assert!(!page.text.contains("whsec_") && !page.text.contains("Configuration"));
    assert!(page.text.contains("1 entry waits for approval"), "{}", page.text);
    for path in ["pause", "resync", "forget", "comparison"] {
        owner.get(&format!("/connectors/door/{path}")).await.expect(403);
    }
    let fields = [("reason", "mine"), ("name", "door"), ("run", "1")];
    for path in ["test", "pause", "resume", "resync", "forget", "comparison", "comparison/repair"] {
        owner.post(&format!("/connectors/door/{path}"), &fields).await.expect(403);
        owner.post(&format!("/connectors/theirs/{path}"), &fields).await.expect(404);
    }
    for path in ["", "/held", "/preview", "/comparison", "/pause"] {
        owner.get(&format!("/connectors/theirs{path}")).await.expect(404);
    }
    owner.get("/connectors/door/held?org=solvang").await.expect(404);
    assert_eq!(relay.connector("door")["state"], "up");

    let own = boxes(&owner.get("/connectors/door/held").await.expect(200));
    assert_eq!(own.keys().map(String::as_str).collect::<Vec<_>>(), ["lillevik-kari"]);
    let all = boxes(&administrator.get("/connectors/door/held").await.expect(200));
    let forged = [("pick", all["solvang-kari"].as_str()), ("decision", "approve")];
    let to = owner.post("/connectors/door/held", &forged).await.expect(303);
    let to = to.location().unwrap().to_owned();
    let told = owner.get(&to).await.expect(303);
    assert_eq!(told.location(), Some("/connectors/door/held"), "there is nothing to decide");
    owner.post(&to, &[("count", "1"), ("reason", "x")]).await;
    owner.post("/connectors/door/held", &[("all", "1"), ("org", "solvang")]).await.expect(404);
    assert_eq!(relay.backlog("door", "held"), 2);
    let preview =
        owner.get("/connectors/door/preview?resource=User/solvang-kari").await.expect(200);
    assert!(preview.text.contains("There is no user"), "{}", preview.text);

    let choice = [("all", "1"), ("decision", "approve")];
    let to = owner.post("/connectors/door/held", &choice).await.expect(303);
    let word = [("count", "1"), ("reason", "she left")];
    owner.submit(to.location().unwrap(), &word).await.expect(200);
    until("one is told", async || relay.backlog("door", "held") == 1).await;
    let left = boxes(&administrator.get("/connectors/door/held").await.expect(200));
    assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), ["solvang-kari"]);
    let desk = relay.sign_in("helpdesk", &["lillevik"]).await;
    for path in ["/connectors", "/connectors/door", "/connectors/door/held"] {
        desk.get(path).await.expect(403);
    }
}
