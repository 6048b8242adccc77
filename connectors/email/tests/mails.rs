//! The mails themselves: the example files, the file transport, what a preview shows.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test, helpers included")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mail_parser::MessageParser;
use scim_relay_email::Config;
use scim_relay_sdk::connector::{
    Action, BuildContext, Connector, DeliveryError, Resource, Settings as _,
};
use scim_relay_sdk::testing::{
    ada, choir, conformance, created, deleted, organization, present, secrets,
};

fn build(folder: &Path, text: &str) -> Arc<dyn Connector> {
    let text = format!("from = \"Lillevik IT <it@lillevik.example>\"\n{text}");
    let config: Config = toml::from_str(&text).unwrap();
    assert_eq!(config.check(false), []);
    let context = BuildContext {
        name: "welcome",
        folder,
        secrets: &secrets(),
        timeout: Duration::from_secs(3),
        concurrency: 4,
        organizations: &[organization()],
    };
    config.build(&context).unwrap_or_else(|problem| panic!("{problem:?}"))
}

fn into_folder(folder: &Path) -> Arc<dyn Connector> {
    build(folder, "transport = \"file\"\nfolder = \"mails\"")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn speaking(language: &str) -> Resource {
    let mut person = ada();
    person.attributes.insert("preferredLanguage".to_owned(), language.into());
    person
}

#[test]
fn the_examples_are_right() {
    for text in [include_str!("../smtp.toml"), include_str!("../file.toml")] {
        let file: toml::Table = toml::from_str(text).unwrap();
        let config: Config = file["email"].clone().try_into().unwrap();
        assert_eq!(config.check(false), []);
    }
}

#[tokio::test]
async fn a_preview_is_the_mail_as_a_person_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let connector = into_folder(folder.path());
    let preview = async |person| connector.preview(&present(person)).await.unwrap().text;
    insta::assert_snapshot!("welcome_in_bokmal", preview(ada()).await);
    insta::assert_snapshot!("welcome_in_german", preview(speaking("de-CH")).await);
    assert_eq!(names(folder.path()), [""; 0], "nothing was written");
}

#[tokio::test]
async fn a_preview_says_when_no_mail_would_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let connector = into_folder(folder.path());
    let preview = connector.preview(&present(choir())).await.unwrap();
    assert_eq!(preview.text, "no mail is sent for this\n");
}

#[tokio::test]
async fn a_mail_in_a_folder_is_whole_and_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let connector = into_folder(folder.path());
    let sent = connector.deliver(&created(speaking("sv"))).await.unwrap();
    assert_eq!(sent.action, Action::Sent);
    assert_eq!(sent.link.unwrap().address, "ada@lillevik.example");

    let mut again = created(ada());
    again.in_doubt = true;
    assert_eq!(connector.deliver(&again).await.unwrap().action, Action::Unchanged);

    let mails = folder.path().join("mails");
    let files = names(&mails);
    let [name] = files.as_slice() else { panic!("one file was expected: {files:?}") };
    let mail = fs::read(mails.join(name)).unwrap();
    let message = MessageParser::default().parse(&mail).unwrap();
    assert_eq!(*name, format!("{}.eml", message.message_id().unwrap()));
    assert_eq!(message.subject(), Some("Ditt konto hos Lillevik kommune"));
    assert!(message.body_text(0).unwrap().starts_with("Hej Ada,"));
    assert!(message.body_html(0).unwrap().contains("<p>Hej Ada,</p>"));
    assert!(mail.is_ascii());
}

#[tokio::test]
async fn every_language_survives_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let connector = into_folder(folder.path());
    for (language, greeting) in [
        ("en", "Hello Ada,"),
        ("nb", "Hei Ada,"),
        ("nn", "Hei Ada,"),
        ("sv", "Hej Ada,"),
        ("da", "Hej Ada,"),
        ("de", "Guten Tag Ada,"),
        ("fr", "Bonjour Ada,"),
    ] {
        let mut person = speaking(language);
        person.attributes.insert("externalId".to_owned(), language.into());
        connector.deliver(&created(person.clone())).await.unwrap();
        let preview = connector.preview(&created(person)).await.unwrap().text;
        let id = preview.lines().next().unwrap();
        let id = id.trim_start_matches("Message-ID: <").trim_end_matches('>');
        let mail = fs::read(folder.path().join("mails").join(format!("{id}.eml"))).unwrap();
        let message = MessageParser::default().parse(&mail).unwrap();
        let text = message.body_text(0).unwrap().replace("\r\n", "\n");
        assert!(text.starts_with(greeting), "{text}");
        assert!(preview.contains(text.trim_end()), "{language}: what is shown is what is sent");
        let html = message.body_html(0).unwrap().replace("\r\n", "\n");
        assert!(preview.contains(html.trim_end()), "{language}: what is shown is what is sent");
    }
}

#[tokio::test]
async fn connectors_and_organizations_have_mails_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let connector = into_folder(folder.path());
    let mut other = created(ada());
    other.key.organization = "storevik".into();
    connector.deliver(&created(ada())).await.unwrap();
    connector.deliver(&other).await.unwrap();
    assert_eq!(names(&folder.path().join("mails")).len(), 2);
}

#[tokio::test]
async fn a_deleted_person_is_told_if_somebody_wrote_a_text_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "Subject: Goodbye\n\nYour account {{ userName }} is gone.\n";
    fs::write(folder.path().join("deleted.en.txt"), text).unwrap();
    let connector = build(
        folder.path(),
        "transport = \"file\"\nfolder = \"mails\"\ntemplates = \".\"\ntriggers = [\"user.deleted\"]",
    );
    let mut work = deleted(ada());
    work.change = created(ada()).change;
    work.change.as_mut().unwrap().verb = scim_relay_sdk::connector::Verb::Deleted;
    assert_eq!(connector.once_key(&work).as_deref(), Some("deleted:externalId=ext-ada:17"));
    let sent = connector.deliver(&work).await.unwrap();
    assert_eq!((sent.action, sent.link), (Action::Sent, None));
    let mail = connector.preview(&work).await.unwrap().text;
    assert!(mail.contains("Your account ada@lillevik.example is gone.") && !mail.contains("html"));
}

#[tokio::test]
async fn a_probe_of_a_folder_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let health = into_folder(folder.path()).probe().await.unwrap();
    assert!(health.summary.starts_with("mails can be written to "), "{}", health.summary);
    assert_eq!(names(&folder.path().join("mails")), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_pauses_the_connector() {
    let folder = tempfile::tempdir().unwrap();
    let connector = build(folder.path(), "transport = \"file\"\nfolder = \"not/mounted\"");
    for error in [
        connector.probe().await.unwrap_err(),
        connector.deliver(&created(ada())).await.unwrap_err(),
    ] {
        assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("not/mounted cannot be written to"), "{error}");
    }
}

#[tokio::test]
async fn the_file_transport_passes_the_conformance_suite() {
    let folder = tempfile::tempdir().unwrap();
    let seen = conformance(into_folder(folder.path()).as_ref(), ada()).await.unwrap();
    assert_eq!(seen.created.action, Action::Sent);
}
