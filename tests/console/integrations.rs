//! Tokens that are made in the console, and the self-test of whoever uses them.

use crate::browser::{Browser, Page};
use crate::kit::provider::{Provider, person};
use crate::kit::relay::{Relay, Setup};
use crate::kit::until;

const NEW: &str = "/organizations/lillevik/tokens/new";
const PAGE: &str = "/integrations?org=lillevik";

/// What a field of a form says.
#[track_caller]
fn value<'a>(page: &'a Page, field: &str) -> &'a str {
    let found = page.text.split("<input").find(|input| {
        input.split('>').next().is_some_and(|tag| tag.contains(&format!("name=\"{field}\"")))
    });
    let tag = found.unwrap_or_else(|| panic!("no {field}: {}", page.text));
    tag.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

/// What a page shows that shows a new token.
#[track_caller]
fn token(page: &Page) -> String {
    let code = page.text.split("<code id=\"token\">").nth(1);
    let token = code.and_then(|rest| rest.split('<').next()).unwrap_or_else(|| panic!("{page:?}"));
    assert!(token.starts_with("scimr_") && token.len() == 68, "{token}");
    token.to_owned()
}

async fn create(browser: &Browser, name: &str, may: &str) -> Page {
    let form = browser.get(NEW).await.expect(200);
    let (id, ends) = (value(&form, "form"), value(&form, "ends"));
    browser.post(NEW, &[("form", id), ("name", name), ("ends", ends), ("may", may)]).await
}

fn provider(relay: &Relay, token: String) -> Provider {
    Provider::new(format!("http://{}/scim/lillevik/v2", relay.listener()), token)
}

fn count(relay: &Relay) -> usize {
    relay.json(&["token", "list", "lillevik"]).as_array().expect("a list").len()
}

#[tokio::test]
async fn a_token_made_here_pushes_and_is_shown_once() {
    let relay = Setup::new().start().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let empty = owner.get("/integrations").await.expect(200);
    assert!(empty.text.contains("There is no token yet"), "{}", empty.text);

    let form = owner.get(NEW).await.expect(200);
    let wish = [
        ("form", value(&form, "form")),
        ("name", " Entra <production> "),
        ("ends", value(&form, "ends")),
        ("may", "write"),
    ];
    let made = owner.post(NEW, &wish).await.expect(200);
    assert_eq!(made.headers["cache-control"], "no-store");
    let token = token(&made);
    provider(&relay, token.clone()).hire("kari").await;

    let again = owner.post(NEW, &wish).await.expect(400);
    assert!(again.text.contains("sent already") && !again.text.contains(&token));
    assert_eq!(count(&relay), 1, "a page that is loaded again makes none");
    let page = owner.get(PAGE).await.expect(200);
    assert!(!page.text.contains(&token) && page.text.contains(&token[..18]), "{}", page.text);
    assert!(page.text.contains("Entra &lt;production&gt;") && page.text.contains(&owner.email));
    assert_eq!(relay.files_that_hold(&token), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_filled_in_wrongly_makes_nothing() {
    let relay = Setup::new().start().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let form = owner.get(NEW).await.expect(200);
    let (id, good) = (value(&form, "form"), value(&form, "ends"));
    let long = "x".repeat(101);
    for (name, ends, says) in [
        ("", good, "Give the token a name"),
        (" ", good, "Give the token a name"),
        (long.as_str(), good, "at most 100 characters"),
        ("Entra", "2020-01-01", "has passed"),
        ("Entra", "2999-01-01", "within two years"),
        ("Entra", "", "Choose the last day it works"),
    ] {
        let wish = [("form", id), ("name", name), ("ends", ends), ("may", "write")];
        let page = owner.post(NEW, &wish).await.expect(422);
        assert!(page.text.contains(says) && page.text.contains("role=\"alert\""), "{}", page.text);
    }
    assert_eq!(count(&relay), 0);
    let wish = [("form", id), ("name", "Entra"), ("ends", good), ("may", "write")];
    owner.post(NEW, &wish).await.expect(200);
}

#[tokio::test]
async fn a_token_that_only_reads_changes_nothing() {
    let relay = Setup::new().start().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let reader = provider(&relay, token(&create(&owner, "Audit", "read").await.expect(200)));
    reader.get("Users").await.expect(200);
    reader.post("Users", person("kari")).await.expect(403);
    let page = owner.get(PAGE).await.expect(200);
    assert!(page.text.contains("Only reads"), "{}", page.text);
}

#[tokio::test]
async fn a_rotated_token_and_its_successor_both_work_for_a_while() {
    let relay = Setup::new().start().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let old = provider(&relay, token(&create(&owner, "Entra", "write").await.expect(200)));
    let at = "/organizations/lillevik/tokens/1/rotate";
    let form = owner.get(at).await.expect(200);
    let change =
        [("form", value(&form, "form")), ("ends", value(&form, "ends")), ("overlap", "24")];
    let refused = owner.post(at, &[change[0], change[1], ("overlap", "999")]).await.expect(422);
    assert!(refused.text.contains("Choose how long"), "{}", refused.text);
    let new = provider(&relay, token(&owner.post(at, &change).await.expect(200)));
    old.get("Users").await.expect(200);
    new.get("Users").await.expect(200);
    owner.post(at, &change).await.expect(400);
    assert_eq!(count(&relay), 2);

    let form = owner.get(at).await.expect(200);
    let again = [("form", value(&form, "form")), change[1], change[2]];
    let page = owner.post(at, &again).await.expect(400);
    assert!(page.text.contains("replaced by token 2 already"), "{}", page.text);
    let page = owner.get(PAGE).await.expect(200);
    assert!(page.text.contains("Replaced"), "{}", page.text);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_from_then_on() {
    let relay = Setup::new().start().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let provider = provider(&relay, token(&create(&owner, "Entra", "write").await.expect(200)));
    provider.hire("kari").await;
    let at = "/organizations/lillevik/tokens/1/revoke";
    let page = owner.get(at).await.expect(200);
    assert!(page.text.contains("No other token may change anything"), "{}", page.text);
    let refused = owner.post(at, &[("reason", " ")]).await.expect(422);
    assert!(refused.text.contains("Say why"), "{}", refused.text);
    provider.get("Users").await.expect(200);
    let page = owner.submit(at, &[("reason", "it was in a mail")]).await.expect(200);
    assert!(page.text.contains("“Entra” is revoked"), "{}", page.text);
    assert!(page.text.contains("No token works any more"), "{}", page.text);
    provider.get("Users").await.expect(401);
    owner.post(at, &[("reason", "again")]).await.expect(400);
}

#[tokio::test]
async fn nobody_reaches_the_tokens_of_another_organization() {
    let relay = Setup::new().organization("storvik").start().await;
    relay.command(&["token", "create", "storvik", "--name", "theirs"]);
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let form = owner.get(NEW).await.expect(200);
    let wish = [
        ("form", value(&form, "form")),
        ("name", "mine"),
        ("ends", value(&form, "ends")),
        ("overlap", "1"),
        ("reason", "mine"),
    ];
    for path in [
        "/organizations/storvik/tokens/new",
        "/organizations/storvik/tokens/1/rotate",
        "/organizations/storvik/tokens/1/revoke",
        "/organizations/nowhere/tokens/new",
        // The number of theirs, under a name of one's own.
        "/organizations/lillevik/tokens/1/rotate",
        "/organizations/lillevik/tokens/1/revoke",
    ] {
        owner.get(path).await.expect(404);
        owner.post(path, &wish).await.expect(404);
    }
    owner.get("/integrations?org=storvik").await.expect(404);
    owner.get("/events?page=integrations&org=storvik").await.expect(404);
    let page = owner.get("/integrations").await.expect(200);
    assert!(!page.text.contains("storvik") && page.text.contains("lillevik kommune"));
    let theirs = relay.json(&["token", "list", "storvik"]);
    assert_eq!(theirs.as_array().map(Vec::len), Some(1));
    assert_eq!(theirs[0]["state"], "active");
    assert_eq!(count(&relay), 0);

    let desk = relay.sign_in("helpdesk", &["lillevik"]).await;
    for path in ["/integrations", NEW, "/events?page=integrations&org=lillevik"] {
        desk.get(path).await.expect(403);
    }
    desk.post(NEW, &wish).await.expect(403);
    let all = relay.sign_in("administrator", &[]).await.get("/integrations").await.expect(200);
    assert!(all.text.contains("storvik kommune") && all.text.contains("lillevik kommune"));
}

#[tokio::test]
async fn an_organization_has_so_many_tokens_and_no_more() {
    let relay = Setup::new().start().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    for _ in 0..49 {
        relay.command(&["token", "create", "lillevik"]);
    }
    create(&owner, "the last one", "write").await.expect(200);
    let page = create(&owner, "one more", "write").await.expect(400);
    assert!(page.text.contains("there are 50 tokens already"), "{}", page.text);
    relay.command(&["token", "rotate", "lillevik", "1"]);
    relay.command(&["token", "revoke", "lillevik", "1"]);
    relay.command(&["token", "revoke", "lillevik", "2"]);
    create(&owner, "one more", "write").await.expect(200);
}

#[tokio::test]
async fn the_command_line_keeps_to_what_a_token_may_be() {
    let relay = Setup::new().start().await;
    let long = "x".repeat(101);
    for (arguments, says) in [
        (["--name", ""], "1 to 100 characters"),
        (["--name", "two\nlines"], "1 to 100 characters"),
        (["--name", &long], "1 to 100 characters"),
        (["--expires", "0s"], "in the future"),
    ] {
        let output = relay.run(&[&["token", "create", "lillevik"], &arguments[..]].concat());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complaint.contains(says), "{arguments:?}: {complaint}");
    }
    relay.command(&["token", "create", "lillevik"]);
    for (overlap, says) in
        [("31 days", "30 days at most"), ("1h", ""), ("1h", "replaced by token 2")]
    {
        let output = relay.run(&["token", "rotate", "lillevik", "1", "--overlap", overlap]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), says.is_empty(), "{overlap}: {complaint}");
        assert!(complaint.contains(says), "{overlap}: {complaint}");
    }
}

#[tokio::test]
async fn the_self_test_ticks_as_the_provider_calls() {
    let relay = Setup::new().start().await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let good = token(&create(&owner, "Entra", "write").await.expect(200));
    let says = async |what: &str, path: &str| {
        until(what, async || owner.get(path).await.expect(200).text.contains(what)).await;
    };
    says("Waits for its first call", PAGE).await;
    provider(&relay, good[..40].to_owned()).get("Users").await.expect(401);
    says("came without a token of this relay", PAGE).await;
    let provider = provider(&relay, good);
    provider.get("Users").await.expect(200);
    says("1 of 4 steps done", PAGE).await;
    provider.post("Users", serde_json::json!({ "schemas": [] })).await.expect(400);
    says("it was refused: ", PAGE).await;
    let kari = provider.hire("kari").await;
    provider.group("choir", &[&kari]).await;
    says("3 of 4 steps done", PAGE).await;

    let from_now = owner.get(&format!("{PAGE}&since=now")).await.expect(303);
    let path = from_now.location().expect("a place").split('#').next().expect("a path").to_owned();
    provider.set(&kari, "active", "False").await;
    says("4 of 4 steps done", PAGE).await;
    // The moment is kept to the second, so what came just before may be in it.
    let page = owner.get(&path).await.expect(200);
    assert!(page.text.contains("id=\"t4\" data-state=\"done\""), "{}", page.text);
    assert!(page.text.contains("data-live=\"&#x2f;events?page=integrations"), "{}", page.text);
    owner.get(&format!("{PAGE}&since=yesterday")).await.expect(400);
}
