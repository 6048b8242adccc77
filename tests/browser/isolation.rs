//! What is one organization's own stays there, and what is not somebody's part stays undone,
//! whatever address they type and whatever form they send.

use std::collections::BTreeSet;

use super::chromium::{Browser, Scripts, browse};
use super::site::{Form, Site, shape};
use super::world::{OF_LILLEVIK, Person, World, names};

/// Where somebody is told that it is not theirs, or that there is no such thing.
const REFUSED: [u16; 2] = [403, 404];

/// Forms that are about whoever sends them.
const OWN: [&str; 3] = ["/sign-out", "/preferences", "/account"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_reaches_nothing_of_another_organization() {
    nothing_of_lillevik_is_reached_by(Person::OwnerOfSolvang).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_help_desk_reaches_nothing_of_another_organization() {
    nothing_of_lillevik_is_reached_by(Person::HelpDeskOfSolvang).await;
}

async fn nothing_of_lillevik_is_reached_by(stranger: Person) {
    let world = World::make().await;
    let all = explore(&world, Person::Administrator).await;
    let before = world.facts();
    as_person(&world, stranger, async |browser| {
        let mut faults = Vec::new();
        for link in &all.links {
            let reply = browser.ask("GET", link, "").await;
            let (path, query) = link.split_once('?').unwrap_or((link, ""));
            let is_theirs = is_of_lillevik(path, &world) || query.contains("org=lillevik");
            if is_theirs && !REFUSED.contains(&reply.status) {
                faults.push(format!("GET {link}: {}", reply.status));
            }
            let told = names().into_iter().find(|name| {
                // A filter says what it filters by, whether there is such a thing or not.
                reply.text.contains(name.as_str()) && !query.contains(name.as_str())
            });
            faults.extend(told.map(|name| format!("GET {link}: tells of {name}")));
        }
        for form in all.forms.iter().filter(|form| {
            is_of_lillevik(&form.action, &world) || is_of_lillevik(&form.body, &world)
        }) {
            faults.extend(refused(browser, form).await);
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    })
    .await;
    assert_eq!(world.facts(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_help_desk_is_not_shown_it_cannot_do() {
    nothing_more_than_shown_is_done_by(Person::HelpDesk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_is_not_shown_they_cannot_do() {
    nothing_more_than_shown_is_done_by(Person::Owner).await;
}

async fn nothing_more_than_shown_is_done_by(person: Person) {
    let world = World::make().await;
    let all = explore(&world, Person::Administrator).await;
    let own = explore(&world, person).await;
    let links: BTreeSet<String> = own.links.iter().map(|link| kind(link)).collect();
    let forms: BTreeSet<String> = own.forms.iter().map(|form| kind(&form.action)).collect();
    let before = world.facts();
    as_person(&world, person, async |browser| {
        let mut faults = Vec::new();
        for link in all.links.iter().filter(|link| !links.contains(&kind(link))) {
            let reply = browser.ask("GET", link, "").await;
            if !REFUSED.contains(&reply.status) {
                faults.push(format!("GET {link}: {} {}", reply.status, reply.place));
            }
        }
        for form in all.forms.iter().filter(|form| !forms.contains(&kind(&form.action))) {
            faults.extend(refused(browser, form).await);
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    })
    .await;
    assert_eq!(world.facts(), before);
}

/// What an address leads to, whoever or whatever it is about.
fn kind(address: &str) -> String {
    shape(address.split('?').next().unwrap_or_default())
}

fn is_of_lillevik(text: &str, world: &World) -> bool {
    let ids = world.ids.iter().map(String::as_str);
    ids.chain(OF_LILLEVIK).any(|name| text.contains(name))
}

async fn refused(browser: &Browser, form: &Form) -> Option<String> {
    if OWN.iter().any(|own| form.action.starts_with(own)) {
        return None;
    }
    let reply = browser.ask("POST", &form.action, &form.body).await;
    let wrong = !REFUSED.contains(&reply.status);
    wrong.then(|| format!("POST {} {}: {} {}", form.action, form.body, reply.status, reply.place))
}

async fn explore(world: &World, person: Person) -> Site {
    let mut site = Site::default();
    as_person(world, person, async |browser| site = Site::explore(browser).await).await;
    site
}

async fn as_person(world: &World, person: Person, story: impl AsyncFnOnce(&Browser)) {
    browse(Scripts::Allowed, &world.origin(), async |browser| {
        world.sign_in(browser, person).await;
        story(browser).await;
    })
    .await;
}
