//! The pages of the settings, drawn.

use jiff::Timestamp;

use super::accounts::{AccountForm, Filled, LinkPage, RemovePage};
use super::*;
use crate::console::page::sample;
use crate::operator::{Link, Role};
use crate::store::AccountId;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn account(id: i64, email: &str, role: Role) -> AccountLine {
    AccountLine {
        id: Some(AccountId(id)),
        email: email.to_owned(),
        name: "Kari Nordmann".to_owned(),
        role,
        organizations: (role == Role::Owner).then(|| vec!["lillevik".into()]),
        created: at("2026-11-02T06:00:00Z"),
        last_sign_in: Some(at("2026-11-18T08:40:00Z")),
        disabled: None,
        password: true,
    }
}

fn house() -> House {
    House {
        started: at("2026-11-18T02:00:00Z"),
        file: "/etc/scim-relay/config.toml".to_owned(),
        connectors: vec!["directory".to_owned(), "doors".to_owned()],
        data_dir: "/var/lib/scim-relay".to_owned(),
        console_url: "https://console.lillevik.example".to_owned(),
        public_url: "https://scim.lillevik.example".to_owned(),
        provider: Some("Entra ID".to_owned()),
        redirect_uri: "https://console.lillevik.example/sign-in/oidc/return".to_owned(),
    }
}

#[test]
fn the_settings_name_everybody_who_may_come_in_and_what_runs() {
    let never = AccountLine {
        last_sign_in: None,
        password: false,
        disabled: Some(at("2026-11-10T06:00:00Z")),
        ..account(3, "desk@lillevik.example", Role::HelpDesk)
    };
    let all = [
        account(1, "ingrid@lillevik.example", Role::Administrator),
        account(2, "kari@lillevik.example", Role::Owner),
        never,
    ];
    let page = SettingsPage {
        accounts: all.into_iter().map(Line::new).collect(),
        sessions: Vec::new(),
        house: house(),
    };
    insta::assert_snapshot!(sample::main_of(&page));
}

#[test]
fn an_account_is_made_changed_and_removed_by_forms_that_say_what_happens() {
    let organizations = vec![("lillevik".to_owned(), "Lillevik <kommune>".to_owned())];
    let filled = |role| Filled {
        email: "kari@lillevik.example".to_owned(),
        name: "Kari".to_owned(),
        role,
        organizations: vec!["lillevik".to_owned()],
    };
    let new = AccountForm::new(None, filled(Role::HelpDesk), organizations.clone());
    let html = sample::main_of(&new);
    assert!(
        html.contains("Lillevik &lt;kommune&gt;") && html.contains("Add the account"),
        "{html}"
    );
    let old = account(2, "kari@lillevik.example", Role::Owner);
    let form = AccountForm::new(Some(old.clone()), filled(Role::Owner), organizations);
    insta::assert_snapshot!(sample::main_of(&form));
    let html = sample::main_of(&RemovePage { of: Line::new(old) });
    assert!(html.contains("cannot sign in any more"), "{html}");
    let link =
        Link { url: "https://c.example/welcome/x".to_owned(), ends: at("2026-11-19T08:00:00Z") };
    let html = sample::main_of(&LinkPage { email: "kari@lillevik.example".to_owned(), link });
    assert!(html.contains("https://c.example/welcome/x") || html.contains("welcome"), "{html}");
}

#[test]
fn the_licences_of_what_is_built_in_are_listed() {
    let html = sample::main_of(&licences::Licences::new());
    assert!(html.contains("tokio 1.") && html.contains("MIT"), "{html}");
}
