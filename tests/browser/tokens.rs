//! An identity provider is connected: the address, a token, and the ticks that follow its calls.

use super::chromium::{Browser, Scripts, browse};
use super::kit::provider::{Provider, person};
use super::kit::until;
use super::world::{Person, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_makes_a_token_and_sees_the_steps_tick_as_the_provider_calls() {
    let world = World::empty().await;
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        world.sign_in(browser, Person::Owner).await;
        let provider = connect(browser).await;
        browser.click("I have saved it").await;
        browser.until_it_reads("Entra ID production").await;
        assert!(!browser.reads(&provider.token).await, "a token is shown once");
        browser.run("window.sameDocument = true").await;

        assert_eq!(ticks(browser).await, ["now", "todo", "todo", "todo"]);
        provider.get("Users?count=1").await.expect(200);
        until_ticked(browser, 1).await;
        let id = provider.post("Users", person("kari")).await.expect(201).id();
        until_ticked(browser, 2).await;
        provider.group("choir", &[&id]).await;
        until_ticked(browser, 3).await;
        provider.set(&id, "active", false).await;
        until_ticked(browser, 4).await;
        assert_eq!(browser.run("return window.sameDocument").await, true, "nothing was reloaded");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_an_owner_makes_a_token_and_pushes_with_it() {
    let world = World::empty().await;
    browse(Scripts::Off, &world.origin(), async |browser| {
        world.sign_in(browser, Person::Owner).await;
        let provider = connect(browser).await;
        provider.hire("kari").await;
        browser.click("I have saved it").await;
        until("the steps have ticked", async || {
            browser.reload().await;
            browser.reads("2 of 4 steps done").await
        })
        .await;
    })
    .await;
}

/// Finds the address and makes a token; who pushes with them.
async fn connect(browser: &Browser) -> Provider {
    browser.click("Integrations").await;
    browser.until_headed("Integrations").await;
    let address = browser.text_of("endpoint").await;
    browser.click_on("#h-tok + a").await;
    browser.fill("Name", "Entra ID production").await;
    browser.click("Create the token").await;
    browser.until_headed("Copy the new token now").await;
    Provider::new(address, browser.text_of("token").await)
}

async fn ticks(browser: &Browser) -> Vec<String> {
    let states = "return [1, 2, 3, 4].map((n) => document.getElementById('t' + n).dataset.state)";
    serde_json::from_value(browser.run(states).await).unwrap()
}

async fn until_ticked(browser: &Browser, steps: usize) {
    until(&format!("{steps} steps have ticked"), async || {
        ticks(browser).await.iter().filter(|state| *state == "done").count() == steps
    })
    .await;
}
