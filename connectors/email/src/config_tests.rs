//! What `[email]` takes, and what it says about mistakes.

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let text = format!("from = \"it@lillevik.example\"\n{text}");
    toml::from_str(&text).map_err(|error| error.message().to_owned())
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let problems = parse(text).unwrap().check(false);
    let found: Vec<(&str, &str)> =
        problems.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_server_and_a_sender_are_enough() {
    check("url = \"smtp://mail.lillevik.example\"", &[]);
}

#[test]
fn a_transport_has_what_it_needs() {
    check("", &[("url", "there is no mail server to send to")]);
    check("transport = \"file\"", &[("folder", "there is no folder to put mails into")]);
    check("transport = \"file\"\nfolder = \"mails\"", &[]);
}

#[test]
fn a_password_is_no_address() {
    check(
        "url = \"smtp://mail.lillevik.example\"\nto = \"{{ password }}@x.example\"",
        &[("to", "a password is no address")],
    );
}

#[test]
fn a_key_without_effect_is_named() {
    check(
        "transport = \"file\"\nfolder = \"mails\"\nurl = \"smtp://mail.example\"",
        &[("url", "`url` has no effect with `transport = \"file\"`")],
    );
    check(
        "url = \"smtps://mail.example\"\nallow_plaintext = true",
        &[("allow_plaintext", "an `smtps://` server is never spoken to in clear")],
    );
    check(
        "url = \"smtps://mail.example\"\nfolder = \"mails\"",
        &[("folder", "mails go to a folder only with `transport = \"file\"`")],
    );
}

#[test]
fn user_name_and_password_go_together() {
    check(
        "url = \"smtp://mail.example\"\nusername = \"relay\"",
        &[("username", "there is a `username` and no `password`")],
    );
    check(
        "url = \"smtp://mail.example\"\npassword = { env = \"SMTP\" }",
        &[("password", "there is a `password` and no `username`")],
    );
}

#[test]
fn values_are_checked_where_they_stand() {
    let error = |text| parse(text).unwrap_err();
    assert!(error("transport = \"pigeon\"").contains("`smtp` or `file`"));
    assert!(error("triggers = [\"user.create\"]").contains("`user.created`"));
    assert!(error("default_locale = \"norsk bokmål\"").contains("is not a language tag"));
    assert!(error("hello_name = \"relay\\r\\nMAIL\"").contains("a host name is needed"));
    assert!(error("reply_to = \"nobody\"").contains("it has no @"));
    assert!(error("max_per_hour = 0").contains("nonzero"));
    assert!(error("max_per_day = 5").contains("unknown field `max_per_day`"));
    assert!(toml::from_str::<Config>("").is_err_and(|error| error.message().contains("`from`")));
}

#[test]
fn a_password_is_not_in_the_debug_output() {
    let config = parse("username = \"relay\"\npassword = \"geheim-123\"").unwrap();
    assert!(!format!("{config:?}").contains("geheim"));
    assert_eq!(config.secrets().len(), 1);
}

mod built {
    use std::time::Duration;

    use scim_relay_sdk::connector::Rate;
    use scim_relay_sdk::testing::{organization, secrets};

    use super::*;

    fn build(text: &str, folder: &Path) -> Result<Arc<dyn Connector>, Problem> {
        parse(text).unwrap().build(&BuildContext {
            name: "welcome",
            folder,
            secrets: &secrets(),
            timeout: Duration::from_secs(5),
            concurrency: 8,
            organizations: &[organization()],
        })
    }

    #[track_caller]
    fn refused(text: &str, path: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("empty.pem"), "nothing here\n").unwrap();
        match build(text, folder.path()) {
            Ok(_) => panic!("it was built: {text}"),
            Err(problem) => {
                assert_eq!(problem.path, path);
                assert!(problem.message.contains(expected), "{}", problem.message);
            }
        }
    }

    #[test]
    fn a_trigger_needs_a_template() {
        let text = "transport = \"file\"\nfolder = \"mails\"\ntriggers = [\"user.deleted\"]";
        refused(text, "triggers", "there is no template for `user.deleted`");
    }

    #[test]
    fn files_that_are_named_must_be_there() {
        let url = "url = \"smtp://mail.example\"";
        refused(&format!("{url}\ntemplates = \"texts\""), "templates", "texts` cannot be read");
        refused(&format!("{url}\nca = \"ca.pem\""), "ca", "ca.pem`: cannot be read");
        refused(&format!("{url}\nca = \"empty.pem\""), "ca", "holds no certificate");
    }

    #[test]
    fn mails_an_hour_are_a_rate_for_the_engine() {
        let folder = tempfile::tempdir().unwrap();
        let text = "transport = \"file\"\nfolder = \"mails\"\nmax_per_hour = 500";
        let connector = build(text, folder.path()).unwrap();
        let rate = Rate { count: 500, per: Duration::from_hours(1) };
        assert_eq!(connector.rate(), Some(rate));
        assert!(!connector.backfills());
    }
}
