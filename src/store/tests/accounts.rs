//! Accounts, their sessions, and links that work once.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::kit::{Kit, NORTH, SOUTH};
use crate::store::{
    AccountChange, AccountId, Accounts as _, Added, Changed, Invitation, NewAccount, NewInvitation,
    NewSession, PasswordHash, Preferences, Purpose, Reach, Redeemed, Role, Seat, SecretHash,
    SessionId, Welcome,
};

const IDLE: Duration = Duration::from_mins(30);
const DAY: Duration = Duration::from_hours(12);

fn hash(text: &str) -> PasswordHash {
    PasswordHash(text.to_owned())
}

impl Kit {
    fn new_account(&self, email: &str, role: Role) -> NewAccount {
        let organizations = (role != Role::Administrator).then(|| vec![self.north]);
        NewAccount {
            email: email.to_owned(),
            name: "Kari Nordmann".to_owned(),
            role,
            organizations,
            password: Some(hash("old")),
            subject: None,
            now: self.now(),
        }
    }

    async fn account(&self, email: &str, role: Role) -> AccountId {
        let added = self.store.add_account(self.new_account(email, role)).await.unwrap();
        let Added::Done(id) = added else { panic!("{added:?}") };
        id
    }

    async fn sign_in(&self, account: AccountId, secret: &str) -> Option<SessionId> {
        let session = NewSession {
            account,
            secret: SecretHash::of(secret),
            address: "192.0.2.7".to_owned(),
            agent: "a browser".to_owned(),
            now: self.now(),
            ends: self.now() + DAY,
        };
        self.store.begin_session(session, Some(hash("old"))).await.unwrap()
    }

    async fn seat(&self, secret: &str) -> Option<Seat> {
        self.store.seat(SecretHash::of(secret), IDLE, self.now()).await.unwrap()
    }

    async fn alter(&self, account: AccountId, change: AccountChange) -> Changed {
        self.store.change_account(account, change, None).await.unwrap()
    }

    async fn link(&self, secret: &str, purpose: Purpose) {
        let secret = SecretHash::of(secret);
        let ends = self.now() + Duration::from_hours(24);
        self.store.invite(NewInvitation { secret, purpose, ends }).await.unwrap();
    }

    async fn redeem(&self, secret: &str, welcome: Welcome) -> Redeemed {
        self.store.redeem(SecretHash::of(secret), welcome, self.now()).await.unwrap()
    }

    async fn good(&self, secret: &str) -> Option<Invitation> {
        self.store.invitation(SecretHash::of(secret), self.now()).await.unwrap()
    }
}

fn only(keys: &[&str]) -> Reach {
    Reach::Only(keys.iter().map(|key| (*key).into()).collect::<BTreeSet<_>>())
}

#[tokio::test]
async fn an_account_is_found_by_its_address_in_whatever_case() {
    let kit = Kit::new().await;
    let kari = kit.account("Kari@Lillevik.example", Role::Owner).await;
    let row = kit.store.account("kari@lillevik.EXAMPLE").await.unwrap().unwrap();
    assert_eq!((row.id, row.email.as_str()), (kari, "Kari@Lillevik.example"));
    assert_eq!((row.role, row.reach), (Role::Owner, only(&[NORTH])));
    assert_eq!((row.password, row.password_changed), (Some(hash("old")), Some(kit.now())));

    let again = kit.new_account("KARI@lillevik.example", Role::HelpDesk);
    assert_eq!(kit.store.add_account(again).await.unwrap(), Added::Taken);
    kit.account("ada@lillevik.example", Role::Administrator).await;
    let all = kit.store.accounts().await.unwrap();
    let all: Vec<_> = all.iter().map(|row| (row.email.as_str(), &row.reach)).collect();
    let own = only(&[NORTH]);
    let expected = [("ada@lillevik.example", &Reach::Everywhere), ("Kari@Lillevik.example", &own)];
    assert_eq!(all, expected, "in the order of their addresses");
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_no_longer_than_its_end() {
    let kit = Kit::new().await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    let session = kit.sign_in(kari, "s").await.unwrap();
    let seat = kit.seat("s").await.unwrap();
    assert_eq!((seat.session, seat.account.id), (session, kari));
    assert_eq!(seat.account.last_sign_in, Some(kit.now()));
    assert_eq!(seat.account.reach, only(&[NORTH]));
    assert!(kit.seat("another").await.is_none());

    // It is used every 20 minutes, and ends after twelve hours all the same.
    for _ in 0..35 {
        kit.pass(Duration::from_mins(20));
        assert!(kit.seat("s").await.is_some());
        kit.store.sessions_seen(vec![(session, kit.now())]).await.unwrap();
    }
    kit.pass(Duration::from_mins(20));
    assert!(kit.seat("s").await.is_none(), "twelve hours are over");

    kit.sign_in(kari, "t").await.unwrap();
    let lasts = |session| kit.store.session_lasts(session, IDLE, kit.now());
    let session = kit.seat("t").await.unwrap().session;
    kit.pass(Duration::from_mins(29));
    assert!(kit.seat("t").await.is_some() && lasts(session).await.unwrap());
    kit.pass(Duration::from_mins(1));
    assert!(kit.seat("t").await.is_none(), "nobody was there for half an hour");
    assert!(!lasts(session).await.unwrap());
}

#[tokio::test]
async fn a_session_that_is_ended_is_over_and_nobody_ends_anothers() {
    let kit = Kit::new().await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    let ola = kit.account("ola@a.example", Role::Owner).await;
    let (first, _) = (kit.sign_in(kari, "k1").await.unwrap(), kit.sign_in(kari, "k2").await);
    kit.sign_in(ola, "o").await.unwrap();
    let of = |account| kit.store.sessions(account, IDLE, kit.now());
    let emails: Vec<_> = of(None).await.unwrap().into_iter().map(|row| row.email).collect();
    assert_eq!(emails, ["ola@a.example", "kari@a.example", "kari@a.example"]);
    assert_eq!(of(Some(kari)).await.unwrap().len(), 2);

    assert!(!kit.store.end_session(first, Some(ola)).await.unwrap());
    assert!(kit.seat("k1").await.is_some());
    assert!(kit.store.end_session(first, Some(kari)).await.unwrap());
    assert!(kit.seat("k1").await.is_none() && kit.seat("k2").await.is_some());
    assert!(!kit.store.end_session(first, None).await.unwrap(), "it is over already");
}

#[tokio::test]
async fn an_account_has_twenty_sessions_at_most_and_the_oldest_goes() {
    let kit = Kit::new().await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    let ola = kit.account("ola@a.example", Role::Owner).await;
    kit.sign_in(ola, "o").await.unwrap();
    for number in 0..22 {
        kit.sign_in(kari, &number.to_string()).await.unwrap();
    }
    assert_eq!(kit.store.sessions(Some(kari), IDLE, kit.now()).await.unwrap().len(), 20);
    assert!(kit.seat("1").await.is_none() && kit.seat("2").await.is_some());
    assert!(kit.seat("o").await.is_some());
}

#[tokio::test]
async fn whatever_changes_what_somebody_may_ends_their_sessions() {
    let kit = Kit::new().await;
    kit.account("ada@a.example", Role::Administrator).await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    let moves = || AccountChange::Role(Role::HelpDesk, Some(vec![kit.south]));
    let changes: [fn(Timestamp) -> AccountChange; 2] =
        [|_| AccountChange::Disabled(None), |now| AccountChange::Password(hash("old"), now)];
    for change in changes.into_iter().map(|change| change(kit.now())).chain([moves()]) {
        kit.sign_in(kari, "s").await.unwrap();
        assert_eq!(kit.alter(kari, change.clone()).await, Changed::Done);
        assert!(kit.seat("s").await.is_none(), "{change:?}");
    }
    let row = kit.store.account("kari@a.example").await.unwrap().unwrap();
    assert_eq!((row.role, row.reach), (Role::HelpDesk, only(&[SOUTH])));

    kit.sign_in(kari, "s").await.unwrap();
    let zone = Preferences { locale: None, zone: Some("Europe/Oslo".to_owned()) };
    kit.alter(kari, AccountChange::Preferences(zone.clone())).await;
    kit.alter(kari, AccountChange::Name("Kari N.".to_owned())).await;
    let seat = kit.seat("s").await.unwrap();
    assert_eq!((seat.account.name.as_str(), seat.account.preferences), ("Kari N.", zone));
    assert_eq!(kit.alter(AccountId(99), moves()).await, Changed::NotFound);
}

#[tokio::test]
async fn who_changes_their_password_stays_where_they_are_and_nowhere_else() {
    let kit = Kit::new().await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    let here = kit.sign_in(kari, "here").await.unwrap();
    kit.sign_in(kari, "there").await.unwrap();
    let change = AccountChange::Password(hash("new"), kit.now());
    kit.store.change_account(kari, change, Some(here)).await.unwrap();
    assert!(kit.seat("here").await.is_some() && kit.seat("there").await.is_none());
    assert!(kit.sign_in(kari, "s").await.is_none(), "the old password was proven too late");
}

#[tokio::test]
async fn who_is_disabled_or_removed_cannot_come_in() {
    let kit = Kit::new().await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    kit.alter(kari, AccountChange::Disabled(Some(kit.now()))).await;
    assert!(kit.sign_in(kari, "s").await.is_none());
    kit.alter(kari, AccountChange::Disabled(None)).await;
    kit.sign_in(kari, "s").await.unwrap();
    kit.link("l", Purpose::Password(kari)).await;
    assert_eq!(kit.store.remove_account(kari).await.unwrap(), Changed::Done);
    assert!(kit.seat("s").await.is_none() && kit.sign_in(kari, "t").await.is_none());
    assert_eq!(kit.redeem("l", Welcome::Password(hash("new"))).await, Redeemed::Gone);
    assert_eq!(kit.store.remove_account(kari).await.unwrap(), Changed::NotFound);
    // Whoever gets the address next gets nothing with it.
    let next = kit.account("kari@a.example", Role::Owner).await;
    assert_ne!(next, kari);
}

#[tokio::test]
async fn the_last_administrator_who_can_sign_in_stays_one() {
    let kit = Kit::new().await;
    assert!(!kit.store.has_administrator().await.unwrap());
    let ada = kit.account("ada@a.example", Role::Administrator).await;
    // Invited, and never there.
    let invited =
        NewAccount { password: None, ..kit.new_account("bea@a.example", Role::Administrator) };
    let Added::Done(bea) = kit.store.add_account(invited).await.unwrap() else { panic!("taken") };
    let session = kit.sign_in(ada, "s").await;
    for change in [
        AccountChange::Role(Role::Owner, Some(vec![kit.north])),
        AccountChange::Disabled(Some(kit.now())),
    ] {
        assert_eq!(kit.alter(ada, change).await, Changed::LastAdministrator);
    }
    assert_eq!(kit.store.remove_account(ada).await.unwrap(), Changed::LastAdministrator);
    assert_eq!(kit.seat("s").await.map(|seat| seat.session), session, "nothing was done");

    kit.alter(bea, AccountChange::Password(hash("hers"), kit.now())).await;
    assert_eq!(kit.store.remove_account(ada).await.unwrap(), Changed::Done);
    assert_eq!(kit.store.remove_account(bea).await.unwrap(), Changed::LastAdministrator);
}

#[tokio::test]
async fn a_link_works_once_and_for_what_it_is() {
    let kit = Kit::new().await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    kit.sign_in(kari, "s").await.unwrap();
    kit.link("first", Purpose::Password(kari)).await;
    kit.link("second", Purpose::Password(kari)).await;
    kit.link("in", Purpose::SignIn(kari)).await;
    assert_eq!(kit.good("first").await, None, "another one took its place");
    let email = "kari@a.example".to_owned();
    let good = Some(Invitation::Password { account: kari, email });
    assert_eq!(kit.good("second").await, good);

    for wrong in [Welcome::SignIn, first(&kit)] {
        assert_eq!(kit.redeem("second", wrong).await, Redeemed::Gone);
    }
    assert_eq!(kit.good("second").await, good, "which used nothing up");
    let new = Welcome::Password(hash("new"));
    assert_eq!(kit.redeem("second", new.clone()).await, Redeemed::Done(kari));
    assert_eq!(kit.redeem("second", new).await, Redeemed::Gone);
    assert!(kit.seat("s").await.is_none(), "the password is another one");

    assert_eq!(kit.redeem("in", Welcome::SignIn).await, Redeemed::Done(kari));
    assert_eq!(kit.redeem("in", Welcome::SignIn).await, Redeemed::Gone);
    kit.link("late", Purpose::SignIn(kari)).await;
    kit.pass(Duration::from_hours(24));
    assert_eq!(kit.redeem("late", Welcome::SignIn).await, Redeemed::Gone, "it is over");
}

fn first(kit: &Kit) -> Welcome {
    Welcome::First(Box::new(kit.new_account("kari@a.example", Role::Administrator)))
}

#[tokio::test]
async fn the_first_administrators_link_is_good_while_there_is_none() {
    let kit = Kit::new().await;
    kit.link("one", Purpose::First).await;
    kit.link("two", Purpose::First).await;
    assert_eq!((kit.good("one").await, kit.good("two").await), (None, Some(Invitation::First)));
    kit.account("kari@a.example", Role::Owner).await;
    assert_eq!(kit.redeem("two", first(&kit)).await, Redeemed::Taken);
    let ada = Welcome::First(Box::new(kit.new_account("ada@a.example", Role::Administrator)));
    assert!(matches!(kit.redeem("two", ada).await, Redeemed::Done(_)), "it was still good");
    assert!(kit.store.has_administrator().await.unwrap());

    kit.link("three", Purpose::First).await;
    assert_eq!(kit.good("three").await, None);
    assert_eq!(kit.redeem("three", first(&kit)).await, Redeemed::Gone);
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_the_rest_is_not() {
    let kit = Kit::new().await;
    let kari = kit.account("kari@a.example", Role::Owner).await;
    kit.sign_in(kari, "s").await.unwrap();
    kit.link("l", Purpose::SignIn(kari)).await;
    kit.pass(Duration::from_mins(29));
    kit.sign_in(kari, "t").await.unwrap();
    kit.pass(Duration::from_mins(2));
    kit.store.forget_ended(IDLE, kit.now()).await.unwrap();
    let sessions = kit.store.sessions(None, Duration::from_hours(99), kit.now()).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert!(kit.seat("t").await.is_some() && kit.good("l").await.is_some());
}
