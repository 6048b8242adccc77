//! What holds on every page: whoever looks at it, however wide their screen, whatever its colours.

use std::fmt::Write as _;

use super::axe;
use super::chromium::{Browser, Scripts, Theme, browse};
use super::site::Site;
use super::world::{Person, World};

/// The narrowest screen that WCAG asks for (1.4.10).
const NARROWEST: u32 = 320;

/// No page has these addresses.
const NOWHERE: [&str; 2] = ["/nowhere", "/queue/entry"];

/// Connectors that are not well; those that are look alike.
const TROUBLED: [&str; 2] = ["/connectors/library", "/connectors/canteen-app"];

/// What a page and all that it loads may weigh, unpacked.
const MOST_BYTES: u64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_desk_nothing_is_wrong_with_any_page() {
    nothing_is_wrong(1440).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_narrowest_phone_nothing_is_wrong_with_any_page() {
    nothing_is_wrong(NARROWEST).await;
}

async fn nothing_is_wrong(width: u32) {
    let world = World::make().await;
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        let mut faults = String::new();
        browser.visit("/sign-in").await;
        examine(browser, "/sign-in", width, &mut faults).await;
        world.sign_in(browser, Person::Administrator).await;
        let site = Site::explore(browser).await;
        browser.complaints().await;
        for page in site.pages.iter().map(String::as_str).chain(TROUBLED).chain(NOWHERE) {
            browser.visit(page).await;
            examine(browser, page, width, &mut faults).await;
        }
        assert!(faults.is_empty(), "{faults}");
    })
    .await;
}

async fn examine(browser: &Browser, page: &str, width: u32, faults: &mut String) {
    let mut fault = |what: &str| writeln!(faults, "{page}: {what}").unwrap();
    // Whether there is such a page is not the question here.
    let itself = format!("{page} - Failed to load resource");
    for complaint in browser.complaints().await.iter().filter(|line| !line.contains(&itself)) {
        fault(complaint);
    }
    axe::load(browser).await;
    for theme in Theme::BOTH {
        browser.width(width, theme).await;
        for violation in axe::violations(browser).await {
            fault(&format!("{}: {violation}", theme.word()));
        }
    }
    let wide = browser.run("return document.documentElement.scrollWidth").await;
    if wide != width {
        fault(&format!("it is {wide} pixels wide in a window of {width}"));
    }
    let bytes = browser
        .run(&format!("{LOADED} return loaded.reduce((sum, one) => sum + one.decodedBodySize, 0)"))
        .await;
    if bytes.as_u64().unwrap() > MOST_BYTES {
        fault(&format!("{bytes} bytes"));
    }
    let strangers = browser.run(&format!("{LOADED} return loaded.map((one) => one.name).filter((name) => new URL(name).origin !== location.origin)")).await;
    if strangers.as_array().is_none_or(|names| !names.is_empty()) {
        fault(&format!("it asks {strangers}"));
    }
}

/// The page and all that it has loaded.
const LOADED: &str = "const loaded = [...performance.getEntriesByType('navigation'), \
                      ...performance.getEntriesByType('resource')];";
