//! "Why has Kari no door access?": a help desk finds the person, reads why, and has it put right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::routing::any;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::kit::provider::{Provider, person};
use crate::kit::relay::{Relay, Setup};
use crate::kit::until;

/// A door system that answers with this status, until it is dropped.
async fn doors() -> (String, Arc<AtomicU16>, JoinSet<()>) {
    let status = Arc::new(AtomicU16::new(204));
    let answer = Arc::clone(&status);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(async move || {
        let status = StatusCode::from_u16(answer.load(Ordering::SeqCst)).unwrap();
        (status, if status.is_success() { "" } else { "unknown building <b>0421</b>" })
    }));
    let mut server = JoinSet::new();
    server.spawn(async move {
        axum::serve(listener, router).await.expect("it serves until it is dropped");
    });
    (url, status, server)
}

/// Two organizations, and doors for the students of both.
async fn relay(url: &str) -> Relay {
    let doors = format!(
        "[scope]\nusers = 'userType eq \"student\"'\n\
         [retry]\nfirst = \"200ms\"\nlongest = \"1s\"\n\
         [webhook.rest.create]\nmethod = \"PUT\"\nurl = \"{url}/people/{{{{ id }}}}\"\n\
         body = '{{ \"name\": {{{{ displayName | tojson }}}} }}'\n\
         [webhook.rest.delete]\nmethod = \"DELETE\"\nurl = \"{url}/people/{{{{ id }}}}\"\n"
    );
    Setup::new().organization("solvang").connector("building-access", doors).start().await
}

fn called(name: &str, display_name: &str) -> Value {
    let mut person = person(name);
    person["displayName"] = json!(display_name);
    person
}

async fn hire(provider: &Provider, name: &str, display_name: &str) -> String {
    provider.post("Users", called(name, display_name)).await.expect(201).id()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_help_desk_finds_somebody_reads_why_and_has_it_tried_again() {
    let (url, status, _doors) = doors().await;
    let relay = relay(&url).await;
    let provider = relay.provider("lillevik");
    status.store(422, Ordering::SeqCst);
    let kari = hire(&provider, "kari.nordli", "Kari Nordli").await;
    let class = provider.group("10A", &[&kari]).await;
    provider.set(&kari, "title", "Head of year").await;
    until("it was refused", async || relay.backlog("building-access", "parked") == 1).await;

    let desk = relay.sign_in("helpdesk", &[]).await;
    let person = format!("/organizations/lillevik/people/{kari}");
    until("Kari can be found", async || {
        desk.get("/people?q=nor+kar")
            .await
            .expect(200)
            .text
            .replace("&#x2f;", "/")
            .contains(&person)
    })
    .await;
    let suggested = desk.get("/people/suggest?q=kar").await.expect(200);
    let suggested: Value = serde_json::from_str(&suggested.text).unwrap();
    assert_eq!(suggested["people"][0]["href"], person.as_str(), "{suggested}");
    assert_eq!(suggested["said"], "1 match");
    let waiting = desk.get("/people?state=person").await.expect(200).text;
    assert!(waiting.contains("Parked at building-access"), "{waiting}");

    until("all of the story is there", async || {
        desk.get(&person).await.expect(200).text.contains("Came into 10A")
    })
    .await;
    let page = desk.get(&person).await.expect(200).text;
    for said in [
        "Kari Nordli is not at building-access: it refused the last change",
        "unknown building &lt;b&gt;0421",
        "<ins>Head of year</ins>",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let preview = desk.get(&format!("{person}/preview?connector=building-access")).await;
    let preview = preview.expect(200).text;
    assert!(preview.contains("Nothing has been sent") && preview.contains("PUT"), "{preview}");

    status.store(204, Ordering::SeqCst);
    let retry = [("connector", "building-access")];
    let page = desk.submit(&format!("{person}/retry"), &retry).await.expect(200);
    assert!(page.text.contains("building-access is asked again"), "{}", page.text);
    relay.settled().await;
    let page = desk.get(&person).await.expect(200).text;
    assert!(page.contains("Kari Nordli is in line everywhere"), "{page}");
    assert!(page.contains("Asked for another try") && page.contains(&desk.email), "{page}");
    let page = desk.submit(&format!("{person}/retry"), &retry).await.expect(200);
    assert!(page.text.contains("Nothing waits at building-access any more"), "{}", page.text);
    let page = desk.submit(&format!("{person}/compare"), &[]).await.expect(200);
    assert!(page.text.contains("Compared with building-access"), "{}", page.text);

    let group = format!("/organizations/lillevik/groups/{class}");
    let page = desk.get(&group).await.expect(200).text.replace("&#x2f;", "/");
    assert!(page.contains("1 member") && page.contains(&person), "{page}");
    let nobody = desk.get(&format!("{group}?q=oskar")).await.expect(200).text;
    assert!(nobody.contains("No member matches"), "{nobody}");

    provider.delete(&format!("Users/{kari}")).await.expect(204);
    relay.settled().await;
    let page = desk.get(&person).await.expect(200).text;
    assert!(page.contains("Kari Nordli was removed, and is gone everywhere"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_of_another_organization_is_found_seen_or_touched() {
    let (url, _, _doors) = doors().await;
    let relay = relay(&url).await;
    let kari = hire(&relay.provider("lillevik"), "kari.nordli", "Kari Nordli").await;
    let karl = hire(&relay.provider("solvang"), "karl.tveit", "Karl Tveit").await;
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    until("Kari can be found", async || {
        owner.get("/people?q=kar").await.expect(200).text.contains("Kari Nordli")
    })
    .await;
    for path in ["/people?q=kar", "/people", "/people/suggest?q=kar", "/people?state=in-line"] {
        let text = owner.get(path).await.expect(200).text;
        assert!(!text.contains("Karl"), "{path}: {text}");
    }
    for path in [
        "/people?q=karl&org=solvang".to_owned(),
        format!("/organizations/solvang/people/{karl}"),
        // Somebody else's, at an address that is theirs.
        format!("/organizations/lillevik/people/{karl}"),
        format!("/organizations/lillevik/groups/{kari}"),
        format!("/organizations/solvang/people/{karl}/preview?connector=building-access"),
        "/organizations/lillevik/people/kari.nordli".to_owned(),
        format!("/organizations/lillevik/tribes/{kari}/preview?connector=building-access"),
        format!("/organizations/lillevik/people/{kari}/preview?connector=nothing"),
    ] {
        owner.get(&path).await.expect(404);
    }
    for action in ["retry", "compare"] {
        for organization in ["solvang", "lillevik"] {
            let path = format!("/organizations/{organization}/people/{karl}/{action}");
            owner.post(&path, &[("connector", "building-access")]).await.expect(404);
        }
    }
    owner.get(&format!("/organizations/lillevik/people/{kari}")).await.expect(200);
    relay.browser().get("/people/suggest?q=kar").await.expect(303);
}
