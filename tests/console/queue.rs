//! The queue over the wire: tried again when a receiver is mended, skipped with a reason, and what
//! an owner cannot reach, whatever they send.

use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::browser::Page;
use crate::kit::relay::{Relay, Setup};
use crate::kit::until;

/// A connector that calls `server` about each person.
fn rest(server: &MockServer) -> String {
    format!(
        "[retry]\nfirst = \"200ms\"\nlongest = \"1s\"\n[webhook.rest.create]\nmethod = \"PUT\"\n\
         url = \"{0}/people/{{{{ id }}}}\"\nbody = '{{}}'\n\
         [webhook.rest.delete]\nmethod = \"DELETE\"\n\
         url = \"{0}/people/{{{{ id }}}}\"\n",
        server.uri()
    )
}

async fn answers(server: &MockServer, status: u16) {
    server.reset().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(server).await;
}

/// Two organizations at a receiver that refuses everybody: kari at lillevik, sol at solvang.
async fn refused() -> (MockServer, Relay) {
    let server = MockServer::start().await;
    answers(&server, 422).await;
    let relay =
        Setup::new().organization("solvang").connector("access", rest(&server)).start().await;
    relay.provider("lillevik").hire("kari").await;
    relay.provider("solvang").hire("sol").await;
    until("both are parked", async || relay.backlog("access", "parked") == 2).await;
    (server, relay)
}

/// What stands in the boxes of a list.
fn picks(page: &Page) -> Vec<String> {
    let boxes = page.text.split("name=\"pick\" value=\"").skip(1);
    boxes.filter_map(|rest| Some(rest.split_once('"')?.0.replace("&#x2f;", "/"))).collect()
}

#[tokio::test]
async fn whoever_mends_a_receiver_tries_again_and_is_told() {
    let (server, relay) = refused().await;
    let desk = relay.sign_in("helpdesk", &["lillevik"]).await;
    let list = desk.get("/queue?state=parked").await.expect(200);
    assert!(list.text.contains("kari") && list.text.contains("422"), "{}", list.text);
    assert!(!list.text.contains("sol<"), "another organization's");
    let [pick] = &picks(&list)[..] else { panic!("{}", list.text) };
    answers(&server, 200).await;
    let back = "/queue?state=parked";
    let page = desk.submit("/queue/retry", &[("pick", pick), ("back", back)]).await.expect(200);
    assert!(page.text.contains("1 entry is being tried again now."), "{}", page.text);
    until("it is delivered", async || relay.backlog("access", "parked") == 1).await;
    relay.settled().await;
    let page = desk.get("/queue").await.expect(200);
    assert!(page.text.contains("Nothing waits"), "{}", page.text);
    // A second try of the same is told, and harms nobody.
    let page = desk.submit("/queue/retry", &[("pick", pick)]).await;
    assert!(page.text.contains("Nothing was done."), "{}", page.text);
    // One entry's page says that it is over.
    let id = pick.split('/').nth(3).unwrap();
    let entry = format!("/queue/entry?connector=access&org=lillevik&resource=User%2F{id}");
    assert!(desk.get(&entry).await.expect(200).text.contains("In line at access"));
}

#[tokio::test]
async fn what_is_skipped_is_in_the_activity_with_who_and_why() {
    let (_server, relay) = refused().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let list = owner.get("/queue").await.expect(200);
    let [pick] = &picks(&list)[..] else { panic!("{}", list.text) };
    let asked = owner.post("/queue/skip", &[("pick", pick)]).await.expect(200);
    assert!(asked.text.contains("Skip 1 entry?") && asked.text.contains("kari"), "{}", asked.text);
    let unreasoned = owner.post("/queue/skip/now", &[("pick", pick), ("reason", " ")]).await;
    assert!(unreasoned.expect(422).text.contains("Say why"));
    let fields = [("pick", pick.as_str()), ("reason", "gets a key instead")];
    let done = owner.submit("/queue/skip/now", &fields).await;
    assert!(done.text.contains("1 entry was skipped."), "{}", done.text);
    assert_eq!(relay.backlog("access", "parked"), 1);
    let log = owner.get("/activity?about=queue").await.expect(200);
    assert!(log.text.contains("gets a key instead") && log.text.contains(&owner.email));
    assert!(log.text.contains("from 127.") && log.text.contains("Skipped"), "{}", log.text);
}

#[tokio::test]
async fn all_that_match_are_skipped_by_whoever_types_their_number() {
    let (_server, relay) = refused().await;
    let all = relay.sign_in("administrator", &[]).await;
    let which = [("state", "parked"), ("connector", "access"), ("error", "422")];
    let asked =
        all.get("/queue/all/skip?state=parked&connector=access&error=422").await.expect(200);
    assert!(asked.text.contains("Skip 2 entries?"), "{}", asked.text);
    let wrong = [&which[..], &[("count", "3"), ("reason", "moved away")]].concat();
    assert!(all.post("/queue/all/skip", &wrong).await.expect(422).text.contains("Type 2"));
    assert_eq!(relay.backlog("access", "parked"), 2);
    let right = [&which[..], &[("count", "2"), ("reason", "moved away")]].concat();
    let done = all.submit("/queue/all/skip", &right).await;
    assert!(done.text.contains("2 entries were skipped."), "{}", done.text);
    assert_eq!(relay.backlog("access", "parked"), 0);
}

#[tokio::test]
async fn nobody_touches_what_is_another_s_whatever_they_send() {
    let (_server, relay) = refused().await;
    let all = relay.sign_in("administrator", &[]).await;
    let list = all.get("/queue?org=solvang").await.expect(200);
    let [theirs] = &picks(&list)[..] else { panic!("{}", list.text) };
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let fields = [("pick", theirs.as_str()), ("reason", "none of your business")];
    for path in ["/queue/retry", "/queue/skip", "/queue/skip/now"] {
        owner.post(path, &fields).await.expect(404);
    }
    // The row of another organization, named as one's own.
    let renamed = theirs.replace("/solvang/", "/lillevik/");
    let fields = [("pick", renamed.as_str()), ("reason", "none of your business")];
    let page = owner.submit("/queue/skip/now", &fields).await;
    assert!(page.text.contains("Nothing was done."), "{}", page.text);
    let filter = [("org", "solvang"), ("connector", "access")];
    owner.post("/queue/all/retry", &filter).await.expect(404);
    let sure = [&filter[..], &[("count", "1"), ("reason", "none")]].concat();
    owner.post("/queue/all/skip", &sure).await.expect(404);
    let id = theirs.split('/').nth(3).unwrap();
    let entry = |org: &str| format!("/queue/entry?connector=access&org={org}&resource=User/{id}");
    owner.get(&entry("solvang")).await.expect(404);
    owner.get(&entry("lillevik")).await.expect(404);
    owner.get("/queue?org=solvang").await.expect(404);
    // All that match, without an organization, is all of theirs.
    let all_of_mine = [("connector", "access"), ("count", "1"), ("reason", "really")];
    owner.submit("/queue/all/skip", &all_of_mine).await;
    assert_eq!(relay.backlog("access", "parked"), 1, "the other organization's is there");
    // And a help desk gives up on nothing.
    let desk = relay.sign_in("helpdesk", &[]).await;
    for path in ["/queue/skip", "/queue/skip/now", "/queue/all/skip"] {
        desk.post(path, &fields).await.expect(403);
    }
    desk.get("/activity").await.expect(403);
    desk.get("/activity.csv").await.expect(403);
}

#[tokio::test]
async fn who_changed_since_the_list_was_read_is_not_skipped() {
    let (_server, relay) = refused().await;
    let owner = relay.sign_in("owner", &["solvang"]).await;
    let list = owner.get("/queue").await.expect(200);
    let [pick] = &picks(&list)[..] else { panic!("{}", list.text) };
    let id = pick.split('/').nth(3).unwrap();
    let provider = relay.provider("solvang");
    let title = json!([{ "op": "replace", "path": "title", "value": "head" }]);
    provider.patch(&format!("/Users/{id}"), title).await.expect(200);
    until("it is parked again", async || relay.backlog("access", "parked") == 2).await;
    let fields = [("pick", pick.as_str()), ("reason", "as it was")];
    let page = owner.submit("/queue/skip/now", &fields).await;
    assert!(page.text.contains("has changed meanwhile, and was left alone"), "{}", page.text);
    assert_eq!(relay.backlog("access", "parked"), 2);
}
