//! Somebody calls the help desk: I cannot get in.

use super::chromium::{Browser, Scripts, browse};
use super::doors::WHY;
use super::kit::until;
use super::world::{Person, REFUSED, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_help_desk_finds_who_has_no_door_reads_why_and_tries_again() {
    find_mend_and_retry(Scripts::Allowed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_a_help_desk_does_the_same() {
    find_mend_and_retry(Scripts::Off).await;
}

async fn find_mend_and_retry(scripts: Scripts) {
    let world = World::make().await;
    browse(scripts, &world.origin(), async |browser| {
        world.sign_in(browser, Person::HelpDesk).await;
        browser.visit("/people").await;
        browser.fill("Name, user name or id", "kar nor").await;
        browser.click("Search").await;
        browser.click("Kari Nordli").await;
        browser.until_headed("Kari Nordli").await;
        assert!(stand(browser).await.contains("Parked"), "{}", browser.text().await);
        assert!(browser.reads(WHY).await, "{}", browser.text().await);

        world.doors.mend();
        browser.click("Try again now").await;
        until("the doors know them", async || world.doors.has(REFUSED)).await;
        until("the page says so", async || {
            browser.reload().await;
            stand(browser).await.contains("In line")
        })
        .await;
    })
    .await;
}

async fn stand(browser: &Browser) -> String {
    browser.part("building-access").await
}
