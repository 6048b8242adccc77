//! A password that a provider sets works in the directory, and is to be found nowhere else.

use serde_json::{Value, json};

use crate::kit::provider::person;
use crate::kit::relay::{Relay, Setup};
use crate::kit::slapd::Slapd;
use crate::kit::targets::{ldap, webhook};
use crate::kit::webhooks::Webhooks;

const ADA: &str = "uid=ada,ou=people,dc=example,dc=org";
const KEY: &str = "[passwords]\nkey = \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"\n";
const OTHER_KEY: &str = "[passwords]\nkey = \"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\"\n";
/// In every password here.
const CANARY: &str = "c4n4ry";

fn asking(slapd: &Slapd) -> String {
    let mapped = "[ldap.users.attributes]\n";
    ldap(slapd, "").replace(mapped, &format!("{mapped}userPassword = \"{{{{ password }}}}\"\n"))
}

fn with_password(name: &str, password: &str) -> Value {
    let mut body = person(name);
    body["password"] = json!(password);
    body
}

/// Whatever a person may look at, and whatever is on disk.
#[track_caller]
fn nothing_shows_it(relay: &Relay, told: &[&Value]) {
    for command in [
        &["status"][..],
        &["queue", "list"],
        &["queue", "list", "--json"],
        &["preview", "directory", "--user", "ada"],
        &["requests", "lillevik", "--json"],
        &["connector", "list"],
    ] {
        let shown = relay.command(command);
        assert!(!shown.contains(CANARY), "{command:?}: {shown}");
    }
    assert_ne!(relay.files_that_hold("ext-ada"), [""; 0], "the database is among them");
    assert_eq!(relay.files_that_hold(CANARY), [""; 0]);
    for answer in told {
        assert!(!answer.to_string().contains(CANARY), "{answer}");
    }
}

fn waiting(relay: &Relay) -> bool {
    relay.backlog("directory", "pending") + relay.backlog("directory", "retrying") > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_works_where_it_is_asked_for_and_is_nowhere_else() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let mut setup = Setup::new()
        .connector("directory", asking(&slapd))
        .connector("events", webhook(&hooks, ""));
    setup.lines = KEY.to_owned();
    let mut relay = setup.start().await;
    let provider = relay.provider("lillevik");
    let config = provider.get("ServiceProviderConfig").await.expect(200);
    assert_eq!(config.body["changePassword"]["supported"], true);

    // Sealed while it waits, also through a crash.
    relay.command(&["connector", "pause", "directory"]);
    let first = format!("first-{CANARY}");
    let made = provider.post("Users", with_password("ada", &first)).await.expect(201);
    assert!(waiting(&relay));
    nothing_shows_it(&relay, &[&made.body]);
    let preview = relay.command(&["preview", "directory", "--user", "ada"]);
    assert!(preview.contains("userPassword"), "{preview}");
    relay.kill();
    relay.restart().await;
    relay.command(&["connector", "resume", "directory"]);
    relay.settled().await;
    assert!(slapd.can_bind(ADA, &first));
    nothing_shows_it(&relay, &[]);

    // A PATCH that changes nothing else.
    let ada = format!("Users/{}", made.id());
    let second = format!("second-{CANARY}");
    let operation = json!([{ "op": "replace", "path": "password", "value": second }]);
    let patched = provider.patch(&ada, operation).await.expect(200);
    assert_ne!(patched.body["meta"]["version"], made.body["meta"]["version"]);
    relay.settled().await;
    assert!(slapd.can_bind(ADA, &second) && !slapd.can_bind(ADA, &first));

    // A PUT with one, and one without.
    let third = format!("third-{CANARY}");
    let put = provider.put(&ada, with_password("ada", &third)).await.expect(200);
    relay.settled().await;
    assert!(slapd.can_bind(ADA, &third) && !slapd.can_bind(ADA, &second));
    provider.put(&ada, person("ada")).await.expect(200);
    relay.settled().await;
    assert!(slapd.can_bind(ADA, &third), "who says nothing of it leaves it");

    let read = provider.get(&format!("{ada}?attributes=password")).await.expect(200);
    nothing_shows_it(&relay, &[&patched.body, &put.body, &read.body]);
    assert!(hooks.taken().len() >= 3);
    assert!(hooks.all().iter().all(|event| !event.body.to_string().contains(CANARY)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_the_directory_refuses_holds_nothing_else_up() {
    let slapd = Slapd::start().await;
    let mut setup = Setup::new().connector("directory", asking(&slapd));
    setup.lines = KEY.to_owned();
    let relay = setup.start().await;
    let provider = relay.provider("lillevik");

    // Eight characters are the least there.
    let ada = provider.post("Users", with_password("ada", CANARY)).await.expect(201).id();
    relay.settled().await;
    assert_eq!(relay.backlog("directory", "parked"), 1);
    let entry = &relay.json(&["queue", "list"])[0];
    let said = entry["last_error"].as_str().unwrap_or_default();
    assert!(said.contains("constraintViolation (19)"), "{entry}");
    nothing_shows_it(&relay, &[entry]);

    provider.set(&ada, "title", "Countess").await;
    relay.settled().await;
    assert_eq!(slapd.one("(uid=ada)").values("title"), ["Countess"]);
    assert_eq!(relay.backlog("directory", "parked"), 1);

    let better = format!("long-enough-{CANARY}");
    provider.set(&ada, "password", better.as_str()).await;
    relay.settled().await;
    assert_eq!(relay.backlog("directory", "parked"), 0);
    assert!(slapd.can_bind(ADA, &better));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_or_with_another_one_is_dropped_and_the_rest_delivered() {
    let slapd = Slapd::start().await;
    let mut setup = Setup::new().connector("directory", asking(&slapd));
    setup.lines = KEY.to_owned();
    let mut relay = setup.start().await;
    let provider = relay.provider("lillevik");
    relay.command(&["connector", "pause", "directory"]);
    let first = format!("first-{CANARY}");
    let ada = provider.post("Users", with_password("ada", &first)).await.expect(201).id();
    relay.kill();
    relay.replace_in_main_file(KEY, OTHER_KEY);
    relay.restart().await;
    assert!(relay.log().contains("dropped passwords"), "{}", relay.log());
    relay.command(&["connector", "resume", "directory"]);
    relay.settled().await;
    assert_eq!(slapd.one("(uid=ada)").values("userPassword"), [""; 0]);

    relay.replace_in_main_file(OTHER_KEY, "");
    relay.reload().await;
    let config = provider.get("ServiceProviderConfig").await.expect(200);
    assert_eq!(config.body["changePassword"]["supported"], false);
    let version = provider.get(&format!("Users/{ada}")).await.body["meta"]["version"].clone();
    provider.set(&ada, "password", first.as_str()).await;
    let after = provider.get(&format!("Users/{ada}")).await.body["meta"]["version"].clone();
    assert_eq!(after, version, "what is dropped changes nothing");
    relay.settled().await;
    assert!(!slapd.can_bind(ADA, &first));
    nothing_shows_it(&relay, &[]);
}
