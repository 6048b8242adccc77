//! Coming in, and having been in.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::chromium::{Scripts, browse};
use super::kit::until;
use super::world::{PASSWORD, Person, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_signs_in_gets_where_they_were_going() {
    let world = World::empty().await;
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        browser.visit("/queue?state=parked").await;
        browser.until_headed("Sign in").await;
        for (password, place) in [("something else entirely", "/sign-in"), (PASSWORD, "/queue")] {
            browser.fill("E-mail", Person::Administrator.email()).await;
            browser.fill("Password", password).await;
            browser.click("Sign in").await;
            browser.until_at(place).await;
        }
        browser.until_at("/queue?state=parked").await;
        browser.until_it_reads(Person::Administrator.name()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_signs_out_is_out_and_so_is_whoever_kept_the_cookie() {
    let world = World::empty().await;
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        world.sign_in(browser, Person::Administrator).await;
        let kept = browser.cookies().await;
        browser.click("Sign out").await;
        browser.until_headed("Sign in").await;
        browser.take_cookies(&kept).await;
        browser.visit("/people").await;
        browser.until_headed("Sign in").await;
    })
    .await;
}

/// A page of another site that sends a form to the console as soon as somebody clicks.
async fn lure(host: &str, console: &str, servers: &mut JoinSet<()>) -> String {
    let page = format!(
        "<!doctype html><title>Win</title><form method=post action='{console}/organizations/lillevik/tokens/new'>\
         <input name=name value=evil><input name=ends value='2027-01-01'><input name=may value=write>\
         <button>Win a prize</button></form>"
    );
    let router = Router::new().route("/", get(async move || Html(page)));
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    servers.spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_on_somebody_elses_page_changes_nothing() {
    let world = World::empty().await;
    let mut servers = JoinSet::new();
    let (own_host, _) = world.relay.console.split_once(':').unwrap();
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        world.sign_in(browser, Person::Administrator).await;
        let tokens = world.tokens();
        // A stranger's site gets no cookie; one on our own host, on another port, does.
        for host in ["127.0.0.1", own_host] {
            let lure = lure(host, &world.origin(), &mut servers).await;
            browser.open(&lure).await;
            browser.click("Win a prize").await;
            browser.until_at("/organizations/lillevik/tokens/new").await;
            assert_eq!(world.tokens(), tokens, "from {host}");
        }
        browser.visit("/").await;
        browser.until_it_reads(Person::Administrator.name()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_live_ends_with_the_session() {
    let world = World::make().await;
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        world.sign_in(browser, Person::Administrator).await;
        browser.visit("/").await;
        until("the page is live", async || {
            browser.run("return document.body.dataset.state").await == "on"
        })
        .await;
        browser.ask("POST", "/sign-out", "").await;
        until("the page is not live any more", async || {
            browser.run("return document.body.dataset.state").await == "off"
        })
        .await;
    })
    .await;
}
