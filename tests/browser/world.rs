//! What the stories and the pictures look at: two organizations, and systems of which not every one
//! is well.

use std::io::Write as _;
use std::process::Stdio;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chromium::Browser;
use crate::doors::Doors;
use crate::kit::provider::{self, Provider, group};
use crate::kit::relay::{Relay, Setup};
use crate::kit::slapd::Slapd;
use crate::kit::targets::{events_to, ldap, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

/// Everybody's.
pub(crate) const PASSWORD: &str = "a cat sat on seven mats";

/// Who uses the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Person {
    Administrator,
    /// Of Lillevik.
    Owner,
    HelpDesk,
    OwnerOfSolvang,
    HelpDeskOfSolvang,
}

impl Person {
    const ALL: [Self; 5] = [
        Self::Administrator,
        Self::Owner,
        Self::HelpDesk,
        Self::OwnerOfSolvang,
        Self::HelpDeskOfSolvang,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Administrator => "Ingrid Solheim",
            Self::Owner => "Jonas Vik",
            Self::HelpDesk => "Ola Berg",
            Self::OwnerOfSolvang => "Berit Aune",
            Self::HelpDeskOfSolvang => "Arne Solli",
        }
    }

    pub(crate) fn email(self) -> &'static str {
        match self {
            Self::Administrator => "ingrid@relay.example",
            Self::Owner => "jonas@relay.example",
            Self::HelpDesk => "ola@relay.example",
            Self::OwnerOfSolvang => "berit@relay.example",
            Self::HelpDeskOfSolvang => "arne@relay.example",
        }
    }

    /// Gets an account.
    fn join(self, relay: &Relay) {
        let mut command = relay.program();
        command.args(["account", "add", self.email(), "--name", self.name()]);
        command.args(["--role", self.role(), "--password-stdin"]);
        command.args(self.organization().iter().flat_map(|key| ["--org", key]));
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn role(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Owner | Self::OwnerOfSolvang => "owner",
            Self::HelpDesk | Self::HelpDeskOfSolvang => "helpdesk",
        }
    }

    fn organization(self) -> Option<&'static str> {
        match self {
            Self::Administrator => None,
            Self::Owner | Self::HelpDesk => Some("lillevik"),
            Self::OwnerOfSolvang | Self::HelpDeskOfSolvang => Some("solvang"),
        }
    }
}

/// Who is at Lillevik, made up. The last are about to leave.
const PEOPLE: &[(&str, &str)] = &[
    ("Kari", "Nordli"),
    ("Per Arne", "Skog"),
    ("Liv", "Strand"),
    ("Tor Hansen", "Bø"),
    ("Amalie", "Dahl"),
    ("Jakob", "Eide"),
    ("Sara", "Fagerli"),
    ("Noah", "Grønning"),
    ("Emma", "Hauge"),
    ("Aksel", "Iversen"),
    ("Ella", "Jakobsen"),
    ("Filip", "Kvamme"),
    ("Nora", "Lie"),
    ("Isak", "Moen"),
    ("Leah", "Nygård"),
    ("Lukas", "Os"),
    ("Maja", "Pedersen"),
    ("Mathias", "Rød"),
    ("Ada", "Sand"),
    ("Henrik", "Tangen"),
    ("Ingeborg", "Ulvik"),
    ("Oliver", "Vestby"),
    ("Sofie", "Wiik"),
    ("Yusuf", "Ali"),
];

/// How many of them leave: their removals wait for a person.
pub(crate) const LEAVERS: usize = 7;

/// The one whom the doors do not take.
pub(crate) const REFUSED: &str = "kari.nordli";

/// Who is at the other organization.
const ELSEWHERE: &[(&str, &str)] =
    &[("Frida", "Engen"), ("Theo", "Foss"), ("Astrid", "Haugen"), ("Magnus", "Lien")];

/// Lillevik, and the systems that are its alone.
pub(crate) const OF_LILLEVIK: [&str; 5] =
    ["lillevik", "directory", "building-access", "canteen-app", "welcome-mail"];

/// Names that nobody outside Lillevik may read: of its people, its groups, its systems.
pub(crate) fn names() -> Vec<String> {
    let people = PEOPLE.iter().map(|(given, family)| format!("{given} {family}"));
    let others = [REFUSED, "lillevik", "Class 8A", "building-access", "canteen-app"];
    people.chain(others.map(str::to_owned)).collect()
}

/// The relay and the systems around it.
pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) doors: Doors,
    /// Who has been pushed to Lillevik.
    pub(crate) ids: Vec<String>,
    _directory: Slapd,
    _library: Webhooks,
    _mails: TempDir,
}

impl World {
    /// Everything has settled: one person is parked at the doors, removals are held at the
    /// directory, the canteen cannot be reached, and the library is paused.
    pub(crate) async fn make() -> Self {
        let mut world = Self::empty().await;
        world.fill().await;
        world
    }

    /// Nobody has been pushed yet.
    pub(crate) async fn empty() -> Self {
        let directory = Slapd::start().await;
        let doors = Doors::start(&[REFUSED]).await;
        let library = Webhooks::start().await;
        let mails = tempfile::tempdir().unwrap();
        let ours = "organizations = [\"lillevik\"]";
        let careful = format!("{ours}\n[safety]\nmax_removals = 0\n");
        let relay = Setup::new()
            .organization("solvang")
            .connector("directory", ldap(&directory, &careful))
            .connector("building-access", doors.connector(ours))
            // Nobody listens on the discard port.
            .connector("canteen-app", events_to("http://127.0.0.1:9/hook", ours))
            .connector("library", webhook(&library, "organizations = [\"solvang\"]"))
            .connector("welcome-mail", post_box(&mails))
            .start()
            .await;
        relay.command(&["connector", "pause", "library"]);
        for person in Person::ALL {
            person.join(&relay);
        }
        Self {
            relay,
            doors,
            ids: Vec::new(),
            _directory: directory,
            _library: library,
            _mails: mails,
        }
    }

    /// Where the console is.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.relay.console)
    }

    pub(crate) async fn sign_in(&self, browser: &Browser, person: Person) {
        browser.visit("/sign-in").await;
        browser.fill("E-mail", person.email()).await;
        browser.fill("Password", PASSWORD).await;
        browser.click("Sign in").await;
        until("they are in", async || browser.place().await != "/sign-in").await;
    }

    /// The tokens of Lillevik.
    pub(crate) fn tokens(&self) -> Vec<Value> {
        let tokens = self.relay.json(&["token", "list", "lillevik"]);
        tokens.as_array().unwrap().iter().map(|token| token["id"].clone()).collect()
    }

    /// What nobody may change who is not asked to: tokens, what waits where, who is paused.
    pub(crate) fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        for organization in ["lillevik", "solvang"] {
            let tokens = self.relay.json(&["token", "list", organization]);
            let tokens = tokens.as_array().unwrap().iter();
            facts.extend(
                tokens.map(|token| {
                    format!("{organization}: {} {}", token["id"], token["revoked_at"])
                }),
            );
        }
        for entry in self.relay.json(&["queue", "list"]).as_array().unwrap() {
            facts.push(format!("{} {} {}", entry["connector"], entry["id"], entry["state"]));
        }
        for connector in self.relay.json(&["status"])["connectors"].as_array().unwrap() {
            facts.push(format!("{} {}", connector["name"], connector["state"]));
        }
        for account in self.relay.json(&["account", "list"]).as_array().unwrap() {
            facts.push(format!("{} {}", account["email"], account["role"]));
        }
        facts
    }

    async fn fill(&mut self) {
        let lillevik = self.relay.provider("lillevik");
        let people = push(&lillevik, "lillevik.example", PEOPLE).await;
        let (staff, leavers) = people.split_at(people.len() - LEAVERS);
        for (name, members) in [("Teachers", &staff[..4]), ("Class 8A", &staff[4..])] {
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            lillevik.post("Groups", group(name, &members)).await.expect(201);
        }
        push(&self.relay.provider("solvang"), "solvang.example", ELSEWHERE).await;
        until("everybody is in the directory", async || {
            self.relay.connector("directory")["backlog"]["pending"] == 0
        })
        .await;
        for id in leavers {
            lillevik.send(Method::DELETE, &format!("Users/{id}"), None).await.unwrap();
        }
        until("removals are held, and somebody is parked", async || {
            self.relay.backlog("directory", "held") == LEAVERS as u64
                && self.relay.backlog("building-access", "parked") == 1
        })
        .await;
        self.ids = people;
    }
}

async fn push(provider: &Provider, host: &str, people: &[(&str, &str)]) -> Vec<String> {
    let mut ids = Vec::new();
    for (given, family) in people {
        let mut person = named(given, family);
        let address = format!("{}@{host}", user_name(given, family));
        person["emails"] = json!([{ "value": address, "type": "work", "primary": true }]);
        ids.push(provider.post("Users", person).await.expect(201).id());
    }
    ids
}

/// `kari.nordli`
fn user_name(given: &str, family: &str) -> String {
    let plain = |name: &str| {
        let first = name.split(' ').next().unwrap_or_default().to_lowercase();
        first.replace('ø', "o").replace('å', "a")
    };
    format!("{}.{}", plain(given), plain(family))
}

/// A person by these names, as a provider pushes one.
fn named(given: &str, family: &str) -> Value {
    let mut person = provider::person(&user_name(given, family));
    person["name"] = json!({ "givenName": given, "familyName": family });
    person["displayName"] = json!(format!("{given} {family}"));
    person
}

fn post_box(folder: &TempDir) -> String {
    format!(
        "organizations = [\"lillevik\"]\n[email]\ntransport = \"file\"\nfolder = \"{}\"\n\
         from = \"Lillevik IT <it@lillevik.example>\"\n",
        folder.path().display(),
    )
}
