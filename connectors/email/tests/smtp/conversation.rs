//! Servers that misbehave: silent, talkative, busy, or someone else's.

use scim_relay_sdk::connector::{Decision, DeliveryError};
use scim_relay_sdk::testing::{ada, created};

use crate::kit::{connector, scripted};

async fn failure(words: &'static [&'static str], settings: &str) -> (DeliveryError, String) {
    let (port, server) = scripted(words);
    let folder = tempfile::tempdir().unwrap();
    let text = format!("url = \"smtp://127.0.0.1:{port}\"\n{settings}");
    let error = connector(folder.path(), &text).deliver(&created(ada())).await.unwrap_err();
    (error, server.join().unwrap())
}

const PLAIN: &str = "allow_plaintext = true";

#[tokio::test]
async fn a_server_that_says_nothing_is_unreachable() {
    let (error, _) = failure(&[], PLAIN).await;
    assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error}");
    assert!(error.chain().ends_with("no answer in time"), "{}", error.chain());
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let connector = connector(folder.path(), &format!("url = \"smtp://127.0.0.1:{port}\""));
    let error = connector.probe().await.unwrap_err();
    assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port} cannot be reached")));
}

#[tokio::test]
async fn what_does_not_speak_smtp_is_unreachable() {
    let (error, heard) = failure(&["SSH-2.0-OpenSSH_9.2\r\n"], PLAIN).await;
    assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error}");
    assert_eq!(heard, "");
}

#[tokio::test]
async fn a_busy_server_is_left_alone() {
    let (error, _) = failure(&["421 4.3.2 too many connections\r\n"], PLAIN).await;
    assert_eq!(error.decision(), Decision::PauseTarget);
    assert!(error.to_string().ends_with("turned us away: 421 4.3.2 too many connections"));
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut_off() {
    static ENDLESS: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| format!("220-{}", "x".repeat(200_000)));
    let words: &'static [&'static str] = Box::leak(Box::new([ENDLESS.as_str()]));
    let (error, _) = failure(words, PLAIN).await;
    assert!(error.chain().ends_with("the server's answer does not end"), "{}", error.chain());
}

#[tokio::test]
async fn words_put_in_behind_the_consent_to_starttls_are_not_believed() {
    let (error, heard) = failure(
        &[
            "220 mail.test\r\n",
            "250-mail.test\r\n250 STARTTLS\r\n",
            "220 go ahead\r\n250-mail.test\r\n250 AUTH PLAIN\r\n",
        ],
        "",
    )
    .await;
    assert!(error.chain().ends_with("the server talks out of turn"), "{}", error.chain());
    assert!(heard.ends_with("STARTTLS\r\n"), "{heard}");
}

#[tokio::test]
async fn a_consent_that_is_no_consent_is_not_taken_for_one() {
    let words = &["220 mail.test\r\n", "250-mail.test\r\n250 STARTTLS\r\n", "454 not now\r\n"];
    let (error, heard) = failure(words, PLAIN).await;
    assert_eq!(error.decision(), Decision::PauseTarget);
    assert!(heard.ends_with("STARTTLS\r\n"), "nothing follows in clear text: {heard}");
}

#[tokio::test]
async fn a_server_without_a_known_way_to_sign_in_is_told_no_password() {
    let ehlo = "250-mail.test\r\n250 AUTH GSSAPI\r\n";
    let settings = "allow_plaintext = true\nusername = \"relay\"\npassword = \"geheim-123\"";
    let words: &'static [&'static str] = Box::leak(Box::new(["220 mail.test\r\n", ehlo, ehlo]));
    let (error, heard) = failure(words, settings).await;
    assert!(matches!(error, DeliveryError::Credentials { .. }), "{error}");
    assert!(!heard.contains("AUTH"), "{heard}");
}

#[tokio::test]
async fn a_connection_lost_before_the_text_is_not_in_doubt() {
    let words = &["220 mail.test\r\n", "250 mail.test\r\n", "250 mail.test\r\n", "250 OK\r\n"];
    let (error, heard) = failure(words, PLAIN).await;
    assert!(!error.is_in_doubt() && heard.contains("RCPT TO:<ada@lillevik.example>"), "{error}");
    assert!(matches!(error, DeliveryError::Later { .. }), "{error}");
}

#[tokio::test]
async fn a_refusal_after_the_text_is_certain() {
    let words = &[
        "220 mail.test\r\n",
        "250 mail.test\r\n",
        "250 mail.test\r\n",
        "250 OK\r\n",
        "250 OK\r\n",
        "354 go on\r\n554 5.7.1 this is spam\r\n",
    ];
    let (error, _) = failure(words, PLAIN).await;
    assert_eq!(error.decision(), Decision::Park);
    assert!(error.to_string().ends_with("554 5.7.1 this is spam"), "{error}");
}

#[tokio::test]
async fn a_letter_outside_ascii_needs_a_server_that_takes_it() {
    let words = &["220 mail.test\r\n", "250 mail.test\r\n", "250 mail.test\r\n", "250 reset\r\n"];
    let (port, server) = scripted(words);
    let folder = tempfile::tempdir().unwrap();
    let text = format!("url = \"smtp://127.0.0.1:{port}\"\n{PLAIN}");
    let connector = connector(folder.path(), &text);
    let work = created(crate::kit::person("jürgen@lillevik.example"));
    let error = connector.deliver(&work).await.unwrap_err();
    assert_eq!(error.decision(), Decision::Park);
    assert!(error.to_string().contains("SMTPUTF8"), "{error}");
    drop(connector);
    assert!(!server.join().unwrap().contains("MAIL"));
}
