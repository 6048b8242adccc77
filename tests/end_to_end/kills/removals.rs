//! kill -9 in the middle of a mass deletion: never one more goes than the limit lets through.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use tokio::task::JoinSet;

use crate::kit::dice::{Dice, seed};
use crate::kit::provider::Provider;
use crate::kit::relay::{Relay, Setup};
use crate::kit::say;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::{ldap, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

const PEOPLE: usize = 100;
const DELETED: usize = 75;
const LIMIT: usize = 30;
const TARGETS: [&str; 2] = ["directory", "events"];

struct School {
    relay: Relay,
    provider: Provider,
    slapd: Slapd,
    hooks: Webhooks,
    ids: Vec<String>,
}

/// The name of person `number`.
fn name(number: usize) -> String {
    format!("person{number:03}")
}

fn names(of: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    of.into_iter().map(name).collect()
}

impl School {
    async fn start() -> Self {
        let slapd = Slapd::start().await;
        let hooks = Webhooks::start().await;
        let safety = format!("[safety]\nmax_removals = {LIMIT}\n");
        let relay = Setup::new()
            .connector("directory", ldap(&slapd, &safety))
            .connector("events", webhook(&hooks, &safety))
            .start()
            .await;
        let provider = relay.provider("lillevik");
        let mut ids = Vec::new();
        for number in 0..PEOPLE {
            ids.push(provider.hire(&name(number)).await);
        }
        relay.settled().await;
        Self { relay, provider, slapd, hooks, ids }
    }

    /// Whom each target has lost.
    fn lost(&self) -> [BTreeSet<String>; 2] {
        let held = self.slapd.search(SUFFIX, "(objectClass=inetOrgPerson)");
        let held: BTreeSet<String> =
            held.iter().map(|entry| entry.values("uid").concat()).collect();
        let events = self.hooks.taken();
        let deleted = events.iter().filter(|event| event.kind() == "user.deleted");
        let told = deleted.map(|event| event.of("userName").to_owned());
        [names(0..PEOPLE).difference(&held).cloned().collect(), told.collect()]
    }

    #[track_caller]
    fn lost_no_more_than_allowed(&self) {
        for (lost, target) in self.lost().iter().zip(TARGETS) {
            assert!(lost.len() <= LIMIT, "{target} lost {} of at most {LIMIT}", lost.len());
        }
    }

    async fn kill_and_restart(&mut self) {
        self.relay.kill();
        self.lost_no_more_than_allowed();
        self.relay.restart().await;
    }

    /// DELETE, as often as it takes to be answered.
    fn delete(&self, numbers: std::ops::Range<usize>) -> JoinSet<()> {
        let mut deletions = JoinSet::new();
        for id in &self.ids[numbers] {
            let (provider, path) = (self.provider.clone(), format!("Users/{id}"));
            deletions.spawn(async move {
                loop {
                    match provider.send(Method::DELETE, &path, None).await {
                        Ok(answer) if [204, 404].contains(&answer.status.as_u16()) => return,
                        Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            });
        }
        deletions
    }

    /// Approves these at both targets, and kills the relay while it carries that out.
    async fn approve(&mut self, dice: &mut Dice, which: &[&str]) {
        for target in TARGETS {
            self.relay.command(&[&["held", "approve", target], which].concat());
        }
        wait(dice, 50).await;
        self.relay.kill();
        self.relay.restart().await;
        self.relay.settled().await;
    }
}

/// A random moment within so many milliseconds.
async fn wait(dice: &mut Dice, within: usize) {
    tokio::time::sleep(Duration::from_millis(dice.throw(within) as u64)).await;
}

pub(super) async fn kills_in_the_middle_of_a_mass_deletion(kills: usize) {
    let mut dice = Dice::new(seed(), 997);
    let mut school = School::start().await;
    for kill in 0..kills {
        let (from, to) = (DELETED * kill / kills, DELETED * (kill + 1) / kills);
        let deletions = school.delete(from..to);
        wait(&mut dice, 80).await;
        school.kill_and_restart().await;
        deletions.join_all().await;
    }
    school.relay.settled().await;
    school.lost_no_more_than_allowed();
    let before = school.lost();
    for (lost, target) in before.iter().zip(TARGETS) {
        say(&format!("{kills} kills: {target} lost {} of at most {LIMIT}", lost.len()));
        assert!(!lost.is_empty(), "there was something to be killed in");
        assert!(lost.is_subset(&names(0..DELETED)), "{target} lost somebody who stays: {lost:?}");
        let held = school.relay.backlog(target, "held") as usize;
        assert_eq!(lost.len() + held, DELETED, "whoever has not gone from {target} is held");
    }
    // Everything else goes on meanwhile.
    school.provider.set(&school.ids[PEOPLE - 1], "title", "new").await;
    until("a change arrives", async || {
        let entry = school.slapd.one(&format!("(uid={})", name(PEOPLE - 1)));
        entry.values("title") == ["new"]
    })
    .await;

    // Some of those who wait at both.
    let gone: BTreeSet<String> = before.iter().flatten().cloned().collect();
    let some: Vec<usize> =
        (0..DELETED).filter(|one| !gone.contains(&name(*one))).take(10).collect();
    let subjects: Vec<String> =
        some.iter().map(|one| format!("User/{}", school.ids[*one])).collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    school.approve(&mut dice, &subjects).await;
    for (lost, before) in school.lost().iter().zip(&before) {
        let wanted = before.union(&names(some.iter().copied())).cloned().collect();
        assert_eq!(*lost, wanted, "exactly those who were approved go");
    }

    school.approve(&mut dice, &["--all", "--yes"]).await;
    for (lost, target) in school.lost().iter().zip(TARGETS) {
        assert_eq!(*lost, names(0..DELETED), "{target}");
        assert_eq!(school.relay.backlog(target, "held"), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_a_mass_deletion_let_nobody_more_go_than_allowed() {
    kills_in_the_middle_of_a_mass_deletion(15).await;
}
