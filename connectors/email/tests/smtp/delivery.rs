//! What arrives at a real mail server, and what becomes of what it refuses.

use std::time::Duration;

use mail_parser::{Message, MessageParser, MimeHeaders as _};
use scim_relay_sdk::connector::{Action, Change, Decision, DeliveryError, Resource, Verb, Work};
use scim_relay_sdk::testing::{ada, choir, conformance, created, deleted, present};

use crate::kit::person;
use crate::server::Server;

fn parsed(data: &str) -> Message<'_> {
    MessageParser::default().parse(data.as_bytes()).unwrap()
}

fn change(mut work: Work, verb: Verb, seq: i64) -> Work {
    work.change = Some(Change {
        seq,
        verb,
        at: work.now,
        attributes: vec!["displayName".to_owned()],
        joined: Vec::new(),
        left: Vec::new(),
        collapsed: false,
    });
    work
}

async fn refusal(server: &Server, person: Resource) -> DeliveryError {
    server.connector().deliver(&created(person)).await.unwrap_err()
}

#[tokio::test]
async fn a_new_person_gets_one_mail_in_their_language() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector_with(
        &server.url("smtp"),
        "ca = \"ca.pem\"\nusername = \"relay\"\npassword = \"s3cret\"\nhello_name = \"relay.test\"\n\
         reply_to = \"help@lillevik.example\"",
    );

    let delivered = connector.deliver(&created(ada())).await.unwrap();
    assert_eq!(delivered.action, Action::Sent);
    let link = delivered.link.unwrap();
    assert_eq!(link.address, "ada@lillevik.example");
    assert_eq!(link.target_id, ada().key.id.to_string());

    let taken = server.taken();
    let [mail] = taken.as_slice() else { panic!("one mail was expected: {taken:?}") };
    assert!(mail.tls && mail.user);
    assert_eq!(mail.helo, "relay.test");
    assert_eq!(mail.from, "it@lillevik.example");
    assert_eq!(mail.to, ["ada@lillevik.example"]);

    let message = parsed(&mail.data);
    assert_eq!(message.subject(), Some("Kontoen din hos Lillevik kommune"));
    let to = message.to().unwrap().first().unwrap();
    assert_eq!((to.name(), to.address()), (Some("Ada Müller"), Some("ada@lillevik.example")));
    let from = message.from().unwrap().first().unwrap();
    assert_eq!(from.name(), Some("Lillevik IT"));
    let reply_to = message.reply_to().unwrap().first().unwrap();
    assert_eq!(reply_to.address(), Some("help@lillevik.example"));
    assert_eq!(message.date().unwrap().to_rfc3339(), "2026-09-01T00:00:00Z");
    assert!(message.message_id().unwrap().ends_with("@lillevik.example"));
    assert_eq!(message.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert_eq!(message.header_raw("X-Auto-Response-Suppress").map(str::trim), Some("All"));
    let kind = message.content_type().unwrap();
    assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("alternative")));
    assert!(message.body_text(0).unwrap().starts_with("Hei Ada,"));
    let html = message.body_html(0).unwrap();
    assert!(html.contains("<html lang=\"nb\">") && html.contains("<p>Hei Ada,</p>"));
}

#[tokio::test]
async fn what_nobody_is_written_about_is_ignored() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();

    let updated = change(present(ada()), Verb::Updated, 18);
    let seen = connector.deliver(&updated).await.unwrap();
    assert_eq!(seen.action, Action::Ignored);
    assert_eq!(seen.link.unwrap().address, "ada@lillevik.example");

    let left = change(deleted(ada()), Verb::Deleted, 19);
    let left = connector.deliver(&left).await.unwrap();
    assert_eq!((left.action, left.link), (Action::Ignored, None));

    let gone_meanwhile = change(deleted(ada()), Verb::Created, 17);
    assert_eq!(connector.once_key(&gone_meanwhile), None);
    let gone = connector.deliver(&gone_meanwhile).await.unwrap();
    assert_eq!((gone.action, gone.link), (Action::Ignored, None));

    let group = connector.deliver(&created(choir())).await.unwrap();
    assert_eq!((group.action, group.link), (Action::Ignored, None));
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn the_same_work_twice_is_the_same_mail_byte_for_byte() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();
    connector.deliver(&created(ada())).await.unwrap();
    connector.deliver(&created(ada())).await.unwrap();

    let taken = server.taken();
    assert_eq!(taken[0].data, taken[1].data);
    let work = created(ada());
    assert_eq!(connector.once_key(&work).as_deref(), Some("welcome:externalId=ext-ada"));
}

#[tokio::test]
async fn mails_share_a_connection() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();
    for number in 0..200 {
        let person = person(&format!("pupil{number}@lillevik.example"));
        connector.deliver(&created(person)).await.unwrap();
    }
    let taken = server.taken();
    assert_eq!(taken.len(), 200);
    assert!(taken.iter().all(|mail| mail.connection == 1));
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let server = Server::start("starttls", &["auth"]);
    for (address, expected) in
        [("leave@lillevik.example", [1, 2]), ("drop@lillevik.example", [3, 4])]
    {
        let connector = server.connector();
        connector.deliver(&created(person(address))).await.unwrap();
        connector.deliver(&created(ada())).await.unwrap();
        let connections = server.taken().into_iter().rev().take(2).map(|mail| mail.connection);
        assert_eq!(connections.rev().collect::<Vec<u32>>(), expected);
    }
}

#[tokio::test]
async fn a_connection_that_lay_idle_for_long_is_not_used_again() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();
    let mut work = created(ada());
    connector.deliver(&work).await.unwrap();
    work.now += Duration::from_secs(31);
    connector.deliver(&work).await.unwrap();
    let connections: Vec<u32> = server.taken().iter().map(|mail| mail.connection).collect();
    assert_eq!(connections, [1, 2]);
}

#[tokio::test]
async fn a_temporary_refusal_is_tried_again_after_five_minutes() {
    let server = Server::start("starttls", &["auth"]);
    for address in ["code450@lillevik.example", "later@lillevik.example"] {
        let error = refusal(&server, person(address)).await;
        let in_five_minutes = Decision::Retry { at_least: Duration::from_mins(5) };
        assert_eq!(error.decision(), in_five_minutes, "{error}");
        assert!(!error.is_in_doubt());
    }
}

#[tokio::test]
async fn a_refused_recipient_stops_nobody_else() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();
    let work = created(person("code550@lillevik.example"));
    let error = connector.deliver(&work).await.unwrap_err();
    assert_eq!(error.decision(), Decision::Park);
    let text = error.to_string();
    assert!(
        text.contains("code550@lillevik.example") && text.contains("550 5.1.1 as asked"),
        "{text}"
    );

    connector.deliver(&created(ada())).await.unwrap();
    let taken = server.taken();
    assert_eq!((taken.len(), taken[0].connection), (1, 1), "the connection is still good");
}

#[tokio::test]
async fn a_refused_sender_is_everybodys_trouble() {
    let server = Server::start("starttls", &["auth"]);
    let settings = "ca = \"ca.pem\"\nusername = \"relay\"\npassword = \"s3cret\"";
    let connector = server.connector_from("nobody@lillevik.example", settings);
    let error = connector.deliver(&created(ada())).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Credentials { .. }), "{error}");
    assert!(error.to_string().ends_with("check `from`"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_pauses_and_is_not_shown() {
    let server = Server::start("starttls", &["auth"]);
    let settings = "ca = \"ca.pem\"\nusername = \"relay\"\npassword = \"geheim-123\"";
    let connector = server.connector_with(&server.url("smtp"), settings);
    for error in [
        connector.deliver(&created(ada())).await.unwrap_err(),
        connector.probe().await.unwrap_err(),
    ] {
        assert!(matches!(error, DeliveryError::Credentials { .. }), "{error}");
        let text = format!("{} {error:?}", error.chain());
        assert!(text.contains("check `username` and `password`"), "{text}");
        assert!(!text.contains("geheim"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_sign_in_gets_none_without_credentials() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector_with(&server.url("smtp"), "ca = \"ca.pem\"");
    let error = connector.deliver(&created(ada())).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Credentials { .. }), "{error}");
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_gets_no_mail() {
    for (mode, scheme) in [("starttls", "smtp"), ("implicit", "smtps")] {
        let server = Server::start(mode, &[]);
        let connector = server.connector_with(&server.url(scheme), "");
        let error = connector.deliver(&created(ada())).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Credentials { .. }), "{error}");
        assert!(error.to_string().contains("set `ca`"), "{error}");
        assert!(error.chain().contains("UnknownIssuer"), "{}", error.chain());
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let server = Server::start("starttls", &[]);
    let url = server.url("smtp").replace("localhost", "127.0.0.1");
    let connector = server.connector_with(&url, "ca = \"ca.pem\"");
    let error = connector.probe().await.unwrap_err();
    assert!(matches!(error, DeliveryError::Credentials { .. }), "{error}");
}

#[tokio::test]
async fn tls_from_the_first_byte_works_too() {
    let server = Server::start("implicit", &[]);
    let connector = server.connector_with(&server.url("smtps"), "ca = \"ca.pem\"");
    connector.deliver(&created(ada())).await.unwrap();
    assert!(server.taken()[0].tls);
}

#[tokio::test]
async fn nothing_goes_in_clear_text_unless_it_may() {
    let server = Server::start("plain", &[]);
    let connector = server.connector_with(&server.url("smtp"), "");
    let error = connector.deliver(&created(ada())).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Credentials { .. }), "{error}");
    assert!(error.to_string().contains("offers no STARTTLS"), "{error}");
    assert!(server.taken().is_empty());

    let connector = server.connector_with(&server.url("smtp"), "allow_plaintext = true");
    connector.deliver(&created(ada())).await.unwrap();
    assert!(!server.taken()[0].tls);
}

#[tokio::test]
async fn clear_text_is_not_chosen_where_starttls_is_offered() {
    let server = Server::start("starttls", &[]);
    let settings = "ca = \"ca.pem\"\nallow_plaintext = true";
    let connector = server.connector_with(&server.url("smtp"), settings);
    connector.deliver(&created(ada())).await.unwrap();
    assert!(server.taken()[0].tls);
}

#[tokio::test]
async fn a_mail_that_is_never_acknowledged_is_in_doubt_and_then_waits_for_a_person() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();
    let mut work = created(person("hang@lillevik.example"));
    let error = connector.deliver(&work).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    assert!(
        error.chain().ends_with("never acknowledged it: no answer in time"),
        "{}",
        error.chain()
    );

    work.in_doubt = true;
    let error = connector.deliver(&work).await.unwrap_err();
    assert_eq!(error.decision(), Decision::Park);
    let text = error.to_string();
    assert!(text.starts_with("may have been sent already: "), "{text}");
    assert!(text.contains("look for Message-ID <"), "{text}");
}

#[tokio::test]
async fn line_breaks_in_names_and_addresses_never_reach_the_server() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();
    let evil = "Ada\r\nBcc: eve@evil.example";
    for (attribute, expected) in
        [("displayName", "displayName has the control character"), ("userName", "the subject has")]
    {
        let mut person = ada();
        person.attributes.insert(attribute.to_owned(), evil.into());
        let folder = tempfile::tempdir().unwrap();
        let text = "Subject: Welcome {{ userName }}\n\nHello\n";
        std::fs::write(folder.path().join("welcome.nb.txt"), text).unwrap();
        let connector = server.connector_with(
            &server.url("smtp"),
            &format!("ca = \"ca.pem\"\ntemplates = {:?}", folder.path()),
        );
        let error = connector.deliver(&created(person)).await.unwrap_err();
        assert_eq!(error.decision(), Decision::Park);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    for address in [
        "ada@lillevik.example\r\nRCPT TO:<eve@evil.example>",
        "ada@lillevik.example, eve@evil.example",
        "<ada@lillevik.example>",
        "nobody",
    ] {
        let error = connector.deliver(&created(person(address))).await.unwrap_err();
        assert_eq!(error.decision(), Decision::Park);
        let text = error.to_string();
        assert!(text.contains("is not one mail address"), "{text}");
        assert!(text.contains(&address.escape_debug().to_string()), "{text}");
    }
    let mut nobody = ada();
    nobody.attributes.remove("emails");
    let error = connector.deliver(&created(nobody)).await.unwrap_err();
    assert_eq!(error.to_string(), "this person has no mail address: `emails` is empty");
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn text_that_looks_like_smtp_stays_text() {
    let server = Server::start("starttls", &["auth"]);
    let mut person = ada();
    let name = "x\n.\nMAIL FROM:<eve@evil.example>\r\n.\r\nRCPT TO:<eve@evil.example>";
    person.attributes.insert("name".to_owned(), serde_json::json!({ "givenName": name }));
    server.connector().deliver(&created(person)).await.unwrap();

    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].to, ["ada@lillevik.example"]);
    let text = parsed(&taken[0].data).body_text(0).unwrap().replace("\r\n", "\n");
    assert!(text.contains(&name.replace("\r\n", "\n")), "{text}");
}

#[tokio::test]
async fn a_name_with_angle_brackets_is_one_recipients_name() {
    let server = Server::start("starttls", &["auth"]);
    let mut person = ada();
    let name = "Eve <eve@evil.example>, Ada";
    person.attributes.insert("displayName".to_owned(), name.into());
    server.connector().deliver(&created(person)).await.unwrap();
    let taken = server.taken();
    assert_eq!(taken[0].to, ["ada@lillevik.example"]);
    let message = parsed(&taken[0].data);
    let to: Vec<_> = message.to().unwrap().iter().collect();
    assert_eq!(to.len(), 1);
    assert_eq!((to[0].name(), to[0].address()), (Some(name), Some("ada@lillevik.example")));
}

#[tokio::test]
async fn addresses_outside_ascii_arrive() {
    let server = Server::start("starttls", &["auth"]);
    let connector = server.connector();
    connector.deliver(&created(person("jürgen@blåbær.example"))).await.unwrap();
    assert_eq!(server.taken()[0].to, ["jürgen@xn--blbr-roah.example"]);
}

#[tokio::test]
async fn a_template_may_name_another_recipient_and_only_one() {
    let server = Server::start("starttls", &["auth"]);
    let settings = |to: &str| {
        let to = serde_json::json!(to);
        format!("ca = \"ca.pem\"\nusername = \"relay\"\npassword = \"s3cret\"\nto = {to}")
    };
    let home = settings("{{ scim('emails[type eq \"home\"].value') }}");
    let connector = server.connector_with(&server.url("smtp"), &home);
    connector.deliver(&created(ada())).await.unwrap();
    assert_eq!(server.taken()[0].to, ["ada@home.example"]);

    let all = settings("{{ emails | map(attribute='value') | list }}");
    let connector = server.connector_with(&server.url("smtp"), &all);
    let error = connector.deliver(&created(ada())).await.unwrap_err();
    assert!(error.to_string().starts_with("`to` yields 2 values"), "{error}");
}

#[tokio::test]
async fn a_probe_signs_in_and_sends_nothing() {
    let server = Server::start("starttls", &["auth"]);
    let health = server.connector().probe().await.unwrap();
    let expected = format!("{} answers as mail.test, TLS 1.3", &server.url("smtp")[7..]);
    assert_eq!(health.summary, expected);
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn the_connector_passes_the_conformance_suite() {
    let server = Server::start("starttls", &["auth"]);
    let seen = conformance(server.connector().as_ref(), ada()).await.unwrap();
    assert_eq!(seen.created.action, Action::Sent);
    assert_eq!(seen.deleted.link, None);
}
