//! Pictures of the console: tests/screenshots takes them.

use std::fs;
use std::path::Path;

use super::chromium::{Browser, Scripts, Theme, browse, pictures};
use super::site::{Site, shape};
use super::world::{Person, World};

const WIDTHS: [u32; 3] = [390, 820, 1440];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs somebody who looks at them"]
async fn every_page() {
    let world = World::make().await;
    let folder = pictures();
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        world.sign_in(browser, Person::Administrator).await;
        let site = Site::explore(browser).await;
        for page in &site.pages {
            let name = file_name(page);
            browser.visit(page).await;
            for width in WIDTHS {
                for theme in Theme::BOTH {
                    let file = folder.join(format!("{name}-{width}-{}.png", theme.word()));
                    take(browser, width, theme, &file).await;
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs somebody who looks at them"]
async fn for_the_readme() {
    let world = World::make().await;
    let person = format!("/organizations/lillevik/people/{}", world.ids[0]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screens");
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        world.sign_in(browser, Person::Administrator).await;
        for (name, page, width, theme) in [
            ("overview", "/", 1440, Theme::Light),
            ("person", &person, 1440, Theme::Light),
            ("person-phone", &person, 390, Theme::Light),
            ("integrations", "/integrations?org=lillevik", 1440, Theme::Light),
        ] {
            browser.visit(page).await;
            take(browser, width, theme, &folder.join(format!("{name}.png"))).await;
        }
    })
    .await;
}

async fn take(browser: &Browser, width: u32, theme: Theme, file: &Path) {
    browser.width(width, theme).await;
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, browser.picture().await).unwrap();
}

/// `people-x` for `/people/01a2…`.
fn file_name(page: &str) -> String {
    let shape = shape(page).replace("/*", "").replace(['/', '?', '&'], "-");
    let name = shape.trim_matches('-');
    if name.is_empty() { "overview".to_owned() } else { name.to_owned() }
}
