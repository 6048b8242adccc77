//! Everything by the keyboard alone, on a phone's width, where the menu is behind a button.

use fantoccini::key::Key;

use super::chromium::{Scripts, Theme, browse};
use super::kit::until;
use super::world::{PASSWORD, Person, World};

/// What each page is there for.
const ACTIONS: &[(&str, &str)] = &[
    ("/integrations?org=lillevik", "Create a token"),
    ("/people", "Search"),
    ("/connectors", "directory"),
    ("/connectors/directory", "Compare now"),
    ("/queue", "Try again now"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_reaches_everything_on_a_phone() {
    let world = World::make().await;
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        browser.width(390, Theme::Light).await;
        browser.visit("/sign-in").await;
        browser.tab_to("E-mail").await;
        browser.type_in(Person::Administrator.email()).await;
        browser.tab_to("Password").await;
        browser.type_in(PASSWORD).await;
        browser.press(Key::Enter).await;
        until("they are in", async || browser.place().await == "/").await;

        browser.press(Key::Tab).await;
        assert_eq!(browser.focused().await, "Skip to the content");
        browser.tab_to("Menu").await;
        browser.press(Key::Enter).await;
        browser.tab_to("People").await;
        browser.press(Key::Enter).await;
        browser.until_at("/people").await;

        for (page, action) in ACTIONS {
            browser.visit(page).await;
            browser.tab_to(action).await;
        }
    })
    .await;
}
