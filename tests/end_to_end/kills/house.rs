//! The relay with a target of each kind, and the census: whether they all have what they should.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::book::{Book, Fault};
use super::ledger::{Known, Ledger};
use super::receiver::Receiver;
use crate::kit::relay::{Relay, Setup};
use crate::kit::say;
use crate::kit::slapd::{ADMIN, RELAY, SUFFIX, Slapd};
use crate::kit::smtp;
use crate::kit::targets::{UNLIMITED, events_to, ldap, mail};

/// Deliveries at once, of each connector.
const SENDERS: usize = 8;
/// Events that one change makes, at most.
const EVENTS: usize = 3;

pub(super) struct House {
    pub(super) relay: Relay,
    pub(super) book: Arc<Book>,
    pub(super) slapd: Slapd,
    pub(super) receiver: Receiver,
    mails: smtp::Server,
    timeout: &'static str,
    /// How often the mapping was changed, which every entry shows.
    generation: usize,
}

/// People are deleted all the time here, and nobody is to approve it.
fn limits(timeout: &str) -> String {
    format!("[limits]\nconcurrency = {SENDERS}\ntimeout = \"{timeout}\"\n{UNLIMITED}")
}

fn directory(slapd: &Slapd, timeout: &str, generation: usize) -> String {
    let heading = "[ldap.users.deprovision]";
    let mapping = format!("description = \"generation {generation}\"\n{heading}");
    ldap(slapd, &limits(timeout)).replace(heading, &mapping)
}

impl House {
    /// `timeout` is of each delivery.
    pub(super) async fn start(seed: u64, timeout: &'static str) -> Self {
        let book = Arc::new(Book::default());
        let slapd = Slapd::start().await;
        let mails = smtp::Server::start("starttls", &["auth"]);
        let receiver = Receiver::start(&book, seed).await;
        let welcome = format!("{}max_per_hour = 1000000\n", mail(&mails, &limits(timeout)));
        let relay = Setup::new()
            .connector("directory", directory(&slapd, timeout, 0))
            .connector("welcome", welcome)
            .connector("events", events_to(&receiver.url(), &limits(timeout)))
            .start()
            .await;
        Self { relay, book, slapd, receiver, mails, timeout, generation: 0 }
    }

    /// Another mapping, which concerns everybody; the relay is not told.
    pub(super) fn change_mapping(&mut self) {
        self.generation += 1;
        self.relay
            .write_connector("directory", &directory(&self.slapd, self.timeout, self.generation));
    }

    /// Waits until all is delivered, and compares what the targets have with what was acknowledged.
    /// To be asked while nobody writes.
    pub(super) async fn census(&self, ledger: &Ledger) {
        self.relay.settled().await;
        self.look_for_mails(ledger).await;
        let known = ledger.known();
        assert_eq!(self.relay.json(&["queue", "list"]), json!([]));
        self.receiver.compare(&known, &self.book);
        self.compare_people(&known);
        self.compare_groups(&known);
        self.compare_mails(&known);
    }

    fn compare_people(&self, known: &Known) {
        let wanted: BTreeMap<String, Vec<String>> = known
            .people
            .values()
            .map(|one| {
                let mark = one.mark.to_string();
                let generation = format!("generation {}", self.generation);
                let locked = if one.active { "" } else { "000001010000Z" };
                let values = [&one.external, &mark, &one.display(), &one.address(), &generation];
                let values = values.into_iter().cloned().chain([locked.to_owned()]).collect();
                (format!("uid={},ou=people,{SUFFIX}", one.name), values)
            })
            .collect();
        let names =
            ["employeeNumber", "title", "cn", "mail", "description", "pwdAccountLockedTime"];
        let held = self.slapd.search(SUFFIX, "(objectClass=inetOrgPerson)");
        let held = held.into_iter().map(|entry| {
            let values = names.map(|name| entry.values(name).concat());
            (entry.dn, Vec::from(values))
        });
        self.differences(&wanted, &held.collect());
    }

    fn compare_groups(&self, known: &Known) {
        let name = |id: &String| known.people.get(id).map(|one| one.name.as_str());
        let wanted = known.groups.values().map(|group| {
            let members = group.members.iter().filter_map(name);
            let members: BTreeSet<String> =
                members.map(|name| format!("uid={name},ou=people,{SUFFIX}")).collect();
            (format!("cn={},ou=groups,{SUFFIX}", group.name), members)
        });
        let held = self.slapd.search(SUFFIX, "(objectClass=groupOfNames)");
        let held = held.into_iter().map(|entry| {
            // An empty group has a member that stands for nobody.
            let members = entry.values("member").into_iter();
            let members = members.filter(|member| ![RELAY, ADMIN].contains(member));
            (entry.dn.clone(), members.map(str::to_owned).collect())
        });
        self.differences(&wanted.collect(), &held.collect());
    }

    fn differences<T: PartialEq + std::fmt::Debug>(
        &self,
        wanted: &BTreeMap<String, T>,
        held: &BTreeMap<String, T>,
    ) {
        let all: BTreeSet<&String> = wanted.keys().chain(held.keys()).collect();
        for dn in all {
            let (wanted, held) = (wanted.get(dn), held.get(dn));
            if wanted != held {
                self.book.fault(Fault::Directory, format!("{dn} is {held:?} and not {wanted:?}"));
            }
        }
    }

    /// Copies of each mail, by address.
    fn copies(&self) -> BTreeMap<String, usize> {
        let mut copies = BTreeMap::new();
        for address in self.mails.taken().into_iter().flat_map(|mail| mail.to) {
            *copies.entry(address).or_default() += 1;
        }
        copies
    }

    /// Does what a person does with mails of which nobody knows whether they were sent: looks
    /// whether they arrived.
    async fn look_for_mails(&self, ledger: &Ledger) {
        let parked =
            ["queue", "list", "--connector", "welcome", "--state", "parked", "--limit", "100000"];
        let parked = self.relay.json(&parked);
        let arrived = self.copies();
        for row in parked.as_array().unwrap() {
            self.book.counts().doubts += 1;
            let id = row["id"].as_str().unwrap();
            // Also for those who have left: who comes back is not welcomed if the mail arrived.
            let address = ledger.known().addresses[id].clone();
            let subject = format!("User/{id}");
            if arrived.contains_key(&address) {
                self.relay.command(&[
                    "queue",
                    "skip",
                    "welcome",
                    &subject,
                    "--reason",
                    "it arrived",
                ]);
            } else {
                self.relay.command(&["queue", "retry", "welcome", &subject]);
            }
        }
        self.relay.settled().await;
    }

    fn compare_mails(&self, known: &Known) {
        let copies = self.copies();
        let addresses: BTreeSet<&String> = known.addresses.values().collect();
        self.book.counts().mails = copies.values().sum();
        for one in known.people.values().filter(|one| !copies.contains_key(&one.address())) {
            self.book.fault(Fault::MailLost, format!("{one:?} was not welcomed"));
        }
        for (address, copies) in copies {
            if !addresses.contains(&address) {
                self.book.fault(Fault::MailPhantom, address);
            } else if copies > 1 {
                self.book.fault(Fault::MailTwice, format!("{copies} copies to {address}"));
            }
        }
    }

    /// Ends it in peace, and looks at what it leaves.
    pub(super) async fn close(mut self) {
        let ended = self.relay.terminate().await;
        if ended.code() != Some(0) {
            self.book.fault(Fault::BadEnd, ended.to_string());
        }
        for file in self.relay.files() {
            if !["config.toml", "connectors.d", "data", "log"].contains(&file.as_str()) {
                self.book.fault(Fault::Litter, file);
            }
        }
        let counts = self.book.counts().clone();
        say(&counts);
        let cut_off = counts.kills * SENDERS * EVENTS;
        assert!(counts.kills == 0 || counts.repeats <= cut_off, "more came again than was cut off");
        self.book.close();
    }
}
