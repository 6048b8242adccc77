//! The door: who gets in, who does not, and what is written down of it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{NewAccountRequest, NewPassword, Proof, SignedIn, Visitor, Welcomed};
use crate::clock::Clock;
use crate::delivery::Engine;
use crate::operator::{Actor, Member, Operator, OperatorError, Reach, Role, Runtime};
use crate::store::sqlite::SqliteStore;
use crate::store::{AuditRow, Store};

const PASSWORD: &str = "correct horse battery";
const KARI: &str = "kari@lillevik.example";
const ADA: &str = "ada@lillevik.example";

#[derive(Debug)]
struct TestClock(Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// An operator whose organization is lillevik.
struct House {
    operator: Operator,
    store: Arc<dyn Store>,
    clock: Arc<TestClock>,
    _folder: TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let text =
            "[console]\nurl = \"https://console.lillevik.example/\"\n[organizations.lillevik]\n";
        std::fs::write(&file, text).unwrap();
        let (config, _) = crate::config::load(&file, &[], None).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), |_, _| {}).unwrap());
        let lillevik = store.organizations(vec!["lillevik".to_owned()]).await.unwrap()[0];
        let runtime = Runtime {
            config,
            engine: Engine::default(),
            organizations: BTreeMap::from([("lillevik".into(), lillevik)]),
            connectors: ArcSwap::default(),
            vault: None,
            oidc: None,
        };
        let clock = Arc::new(TestClock(Mutex::new(Timestamp::constant(1_788_220_800, 0))));
        let operator = Operator::new(
            Arc::clone(&store),
            Arc::<TestClock>::clone(&clock),
            Arc::default(),
            Arc::default(),
            Arc::new(ArcSwap::from_pointee(runtime)),
        );
        Self { operator, store, clock, _folder: folder }
    }

    fn pass(&self, time: Duration) {
        *self.clock.0.lock().unwrap() += time;
    }

    async fn account(&self, email: &str, role: Role) {
        let organizations = match role {
            Role::Owner => vec!["lillevik".to_owned()],
            Role::Administrator | Role::HelpDesk => Vec::new(),
        };
        let account =
            NewAccountRequest { email: email.to_owned(), name: String::new(), role, organizations };
        let password = Some(NewPassword::new(PASSWORD).unwrap());
        self.operator.create_account(&root(), account, password).await.unwrap();
    }

    /// What a cookie holds, of whoever gets in.
    async fn sign_in(&self, email: &str, password: &str) -> Proof<String> {
        let proof = self.operator.sign_in(email, password, &visitor(7)).await.unwrap();
        match proof {
            Proof::Done(SignedIn::In(begun)) => {
                Proof::Done(begun.secret.expose_secret().to_owned())
            }
            Proof::Done(SignedIn::NeedsCode(_)) => panic!("nobody has a second factor here"),
            Proof::Refused => Proof::Refused,
            Proof::Wait(wait) => Proof::Wait(wait),
        }
    }

    async fn signed_in(&self, email: &str) -> String {
        match self.sign_in(email, PASSWORD).await {
            Proof::Done(secret) => secret,
            Proof::Refused | Proof::Wait(_) => panic!("{email} was not let in"),
        }
    }

    async fn member(&self, secret: &str) -> Option<Member> {
        self.operator.member(secret, true).await.unwrap()
    }

    /// Oldest first: `account.…`, who, from where, whose, and what is said of it.
    async fn audited(&self) -> Vec<String> {
        let mut rows = self.store.audit_log(1_000).await.unwrap();
        rows.reverse();
        let line = |row: AuditRow| {
            let from = row.from.unwrap_or_else(|| "here".to_owned());
            let detail = row.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} by {} from {from}: {}{detail}", row.action, row.actor, row.subject)
        };
        rows.into_iter().map(line).collect()
    }

    fn hashes(&self) -> usize {
        self.operator.door.hasher.runs.load(Ordering::Relaxed)
    }
}

fn root() -> Actor {
    Actor::unix("user root".to_owned())
}

fn visitor(number: u8) -> Visitor {
    Visitor { address: [192, 0, 2, number].into(), agent: "a browser".to_owned() }
}

fn told<T>(result: Result<T, OperatorError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn an_unknown_address_costs_as_many_hashes_as_a_wrong_password() {
    let house = House::new().await;
    house.account(KARI, Role::Owner).await;
    house.account(ADA, Role::Administrator).await;
    let invited = NewAccountRequest {
        email: "ola@lillevik.example".to_owned(),
        name: String::new(),
        role: Role::HelpDesk,
        organizations: Vec::new(),
    };
    house.operator.create_account(&root(), invited, None).await.unwrap();
    house.operator.disable_account(&root(), ADA, true).await.unwrap_err();
    house.account("bea@lillevik.example", Role::Administrator).await;
    house.operator.disable_account(&root(), ADA, true).await.unwrap();
    let long = "a".repeat(10_000);
    for (email, password) in [
        (KARI, "not this one, no"),
        (KARI, ""),
        (KARI, long.as_str()),
        ("nobody@lillevik.example", PASSWORD),
        ("ola@lillevik.example", PASSWORD),
        (ADA, PASSWORD),
        (long.as_str(), PASSWORD),
        ("", ""),
    ] {
        let before = house.hashes();
        assert!(matches!(house.sign_in(email, password).await, Proof::Refused), "{email:.40}");
        assert_eq!(house.hashes() - before, 1, "{email:.40}");
    }
}

#[tokio::test]
async fn who_comes_and_goes_is_written_down_with_from_where() {
    let house = House::new().await;
    house.account(KARI, Role::Owner).await;
    house.sign_in("KARI@lillevik.example", "a wrong password").await;
    house.sign_in("hunter2 in the wrong field", "a wrong password").await;
    let secret = house.signed_in("Kari@Lillevik.example").await;
    let member = house.member(&secret).await.unwrap();
    assert_eq!((member.email.as_str(), member.name.as_str()), (KARI, KARI));
    assert_eq!(member.rights.reach(), &Reach::Only(["lillevik".into()].into()));
    let actor = Actor::account(member.email.clone(), visitor(7).address);
    house.operator.sign_out(&actor, member.session).await.unwrap();
    house.operator.sign_out(&actor, member.session).await.unwrap();
    assert!(house.member(&secret).await.is_none());
    house.operator.remove_account(&root(), KARI).await.unwrap();
    assert_eq!(
        house.audited().await,
        [
            "account.create by user root from here: kari@lillevik.example (owner)",
            "account.sign_in_failed by somebody from 192.0.2.7: kari@lillevik.example",
            "account.sign_in_failed by somebody from 192.0.2.7: an address that nobody has",
            "account.sign_in by kari@lillevik.example from 192.0.2.7: kari@lillevik.example",
            "account.sign_out by kari@lillevik.example from 192.0.2.7: kari@lillevik.example",
            "account.remove by user root from here: kari@lillevik.example",
        ]
    );
}

#[tokio::test]
async fn strangers_do_not_fill_the_audit_log() {
    let house = House::new().await;
    house.account(KARI, Role::Owner).await;
    let mut tries = 0;
    for _ in 0..200 {
        if let Proof::Refused = house.sign_in(KARI, "a wrong password").await {
            tries += 1;
        }
        house.pass(Duration::from_secs(90));
    }
    assert!(tries > 20, "{tries}");
    let audited = house.audited().await;
    let failures: Vec<&str> = audited[1..].iter().map(|line| &line[60..]).collect();
    assert!(failures.len() <= 6, "{failures:?}");
    assert!(failures[1].ends_with("(2 times in a row)"), "{failures:?}");
}

#[tokio::test]
async fn guesses_cost_no_hash_while_one_is_to_wait() {
    let house = House::new().await;
    house.account(KARI, Role::Owner).await;
    for _ in 0..6 {
        assert!(matches!(house.sign_in(KARI, "a wrong password").await, Proof::Refused));
    }
    let before = house.hashes();
    let Proof::Wait(wait) = house.sign_in(KARI, PASSWORD).await else { panic!("it was looked at") };
    assert_eq!((wait, house.hashes()), (Duration::from_secs(1), before));
    house.pass(wait);
    house.signed_in(KARI).await;
}

#[tokio::test]
async fn a_session_is_used_by_hand_and_not_by_an_open_page() {
    let house = House::new().await;
    house.account(KARI, Role::Owner).await;
    let secret = house.signed_in(KARI).await;
    let session = house.member(&secret).await.unwrap().session;
    for _ in 0..3 {
        house.pass(Duration::from_mins(20));
        assert!(house.member(&secret).await.is_some());
        house.operator.note_seen().await.unwrap();
    }
    assert!(house.operator.lasts(session).await.unwrap());
    house.pass(Duration::from_mins(20));
    assert!(house.operator.member(&secret, false).await.unwrap().is_some());
    house.operator.note_seen().await.unwrap();
    house.pass(Duration::from_mins(20));
    assert!(house.operator.member(&secret, false).await.unwrap().is_none());
    assert!(!house.operator.lasts(session).await.unwrap());
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_the_other_sessions() {
    let house = House::new().await;
    house.account(KARI, Role::Owner).await;
    let (here, there) = (house.signed_in(KARI).await, house.signed_in(KARI).await);
    let member = house.member(&here).await.unwrap();
    let change = async |old: &str| {
        let new = NewPassword::new("another horse battery").unwrap();
        house.operator.change_password(&member, old, new, &visitor(7)).await.unwrap()
    };
    assert!(matches!(change("not the old one").await, Proof::Refused));
    assert!(house.member(&there).await.is_some());
    assert!(matches!(change(PASSWORD).await, Proof::Done(())));
    assert!(house.member(&here).await.is_some() && house.member(&there).await.is_none());
    assert!(matches!(house.sign_in(KARI, PASSWORD).await, Proof::Refused));
}

#[tokio::test]
async fn a_changed_role_ends_sessions_and_so_does_somebodys_word() {
    let house = House::new().await;
    house.account(ADA, Role::Administrator).await;
    house.account(KARI, Role::Owner).await;
    let secret = house.signed_in(KARI).await;
    house.operator.change_role(&root(), KARI, Role::HelpDesk, &[]).await.unwrap();
    assert!(house.member(&secret).await.is_none());
    let secret = house.signed_in(KARI).await;
    assert_eq!(house.member(&secret).await.unwrap().rights.role(), Role::HelpDesk);
    let sessions = house.operator.sessions(None).await.unwrap();
    let [session] = &sessions[..] else { panic!("{sessions:?}") };
    assert_eq!((session.address.as_str(), session.agent.as_str()), ("192.0.2.7", "a browser"));
    house.operator.end_session(&root(), session.id, None).await.unwrap();
    assert!(house.member(&secret).await.is_none());
    let again = told(house.operator.end_session(&root(), session.id, None).await);
    assert_eq!(again, "that session has ended already");
    let audited = house.audited().await;
    assert_eq!(
        audited.last().unwrap(),
        "account.session_end by user root from here: kari@lillevik.example (from 192.0.2.7)"
    );
}

#[tokio::test]
async fn the_last_administrator_is_neither_removed_nor_made_less() {
    let house = House::new().await;
    house.account(ADA, Role::Administrator).await;
    let last =
        "ada@lillevik.example is the last administrator who can sign in; make another one first";
    assert_eq!(told(house.operator.remove_account(&root(), ADA).await), last);
    assert_eq!(told(house.operator.disable_account(&root(), ADA, true).await), last);
    let less = house.operator.change_role(&root(), ADA, Role::HelpDesk, &[]).await;
    assert_eq!(told(less), last);
}

#[tokio::test]
async fn an_account_has_an_address_and_a_role_that_fits() {
    let house = House::new().await;
    for (email, role, organizations, expected) in [
        ("kari", Role::HelpDesk, &[][..], "`kari` is no e-mail address"),
        ("a b@c.example", Role::HelpDesk, &[], "`a b@c.example` is no e-mail address"),
        ("a@b@c.example", Role::HelpDesk, &[], "`a@b@c.example` is no e-mail address"),
        ("<a@c.example>", Role::HelpDesk, &[], "`<a@c.example>` is no e-mail address"),
        (KARI, Role::Administrator, &["lillevik"], "an administrator has every organization"),
        (KARI, Role::Owner, &[], "an owner is one of some organizations"),
        (KARI, Role::Owner, &["solvang"], "there is no organization `solvang`"),
        (KARI, Role::HelpDesk, &["lillevik"], ""),
        (
            "KARI@lillevik.example",
            Role::HelpDesk,
            &[],
            "KARI@lillevik.example has an account already",
        ),
    ] {
        let organizations = organizations.iter().map(|&key| key.to_owned()).collect();
        let account =
            NewAccountRequest { email: email.to_owned(), name: String::new(), role, organizations };
        let said = told(house.operator.create_account(&root(), account, None).await);
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
    }
}

#[tokio::test]
async fn a_link_lets_in_once() {
    let house = House::new().await;
    house.account(ADA, Role::Administrator).await;
    assert!(house.operator.link_for_first().await.unwrap().is_none());
    let link = house.operator.link_to_come_in(&root(), ADA).await.unwrap();
    let secret = link.url.strip_prefix("https://console.lillevik.example/welcome/").unwrap();
    let set = NewPassword::new(PASSWORD).unwrap();
    let wrong = house.operator.welcome_password(secret, set, &visitor(1)).await.unwrap();
    assert!(matches!(wrong, Welcomed::Gone), "it is for something else");
    let welcomed = house.operator.welcome_in(secret, &visitor(1)).await.unwrap();
    let Welcomed::In(begun) = welcomed else { panic!("it was not good") };
    assert!(house.member(begun.secret.expose_secret()).await.is_some());
    let again = house.operator.welcome_in(secret, &visitor(1)).await.unwrap();
    assert!(matches!(again, Welcomed::Gone));
}
