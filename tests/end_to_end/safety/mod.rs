//! No mass accident: whatever the provider, the configuration or a reconciliation asks for, no more
//! is removed in an hour than the limit says, until a person says so.

mod causes;
mod members;
mod removals;

use futures_util::future::join_all;
use serde_json::Value;

use crate::kit::provider::Provider;
use crate::kit::relay::{Relay, Setup};
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::ldap;
use crate::kit::until;

/// Ten removals in an hour, and five members.
const LIMITS: &str = "[safety]\nmax_removals = 10\nmax_member_removals = 5\n";
const LIMIT: usize = 10;

/// A directory with everybody in it, and who pushed them.
struct School {
    slapd: Slapd,
    relay: Relay,
    provider: Provider,
    /// Of pupil0, pupil1 and so on.
    pupils: Vec<String>,
}

impl School {
    /// `general`: more of the connector's file than the limits.
    async fn of(pupils: usize, general: &str) -> Self {
        let slapd = Slapd::start().await;
        let file = ldap(&slapd, &format!("{LIMITS}{general}"));
        Self::with(slapd, &file, pupils).await
    }

    async fn with(slapd: Slapd, file: &str, pupils: usize) -> Self {
        let relay = Setup::new().connector("directory", file).start().await;
        let provider = relay.provider("lillevik");
        let pupils = hired(&provider, pupils).await;
        relay.settled().await;
        Self { slapd, relay, provider, pupils }
    }

    /// The provider deletes these, all at once.
    async fn delete(&self, pupils: &[String]) {
        let delete = async |id: &String| {
            self.provider.delete(&format!("Users/{id}")).await.expect(204);
        };
        join_all(pupils.iter().map(delete)).await;
    }

    /// How many of the pupils have an entry.
    fn there(&self) -> usize {
        self.slapd.search(SUFFIX, "(uid=pupil*)").len()
    }

    fn is_there(&self, number: usize) -> bool {
        !self.slapd.search(SUFFIX, &format!("(uid=pupil{number})")).is_empty()
    }

    fn held(&self) -> Vec<Value> {
        held_at(&self.relay, "directory")
    }

    /// Waits until so many are held and nothing else is to be done.
    async fn holds(&self, count: usize) {
        until(&format!("{count} are held"), async || {
            self.relay.is_idle() && self.held().len() == count
        })
        .await;
    }

    fn command(&self, arguments: &[&str]) -> String {
        self.relay.command(arguments)
    }
}

async fn hired(provider: &Provider, pupils: usize) -> Vec<String> {
    let names: Vec<String> = (0..pupils).map(|number| format!("pupil{number}")).collect();
    join_all(names.iter().map(|name| provider.hire(name))).await
}

fn held_at(relay: &Relay, connector: &str) -> Vec<Value> {
    relay.json(&["held", "list", connector]).as_array().cloned().unwrap()
}

fn key(id: &str) -> String {
    format!("User/{id}")
}
