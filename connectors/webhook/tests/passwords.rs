//! A password that is passed on to a REST interface: in the request, and nowhere else.

mod kit;

use kit::connector;
use scim_relay_sdk::connector::{Action, DeliveryError, Link, Work};
use scim_relay_sdk::testing::{ada, conformance, present};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Sends the password along when there is one.
fn section(server: &MockServer) -> String {
    let url = format!("{}/people/{{{{ externalId }}}}", server.uri());
    format!(
        r#"
[rest]
create = {{ method = "PUT", url = "{url}", body = '''
{{ "name": {{{{ displayName | tojson }}}}{{% if password %}}, "pin": {{{{ password | tojson }}}}{{% endif %}} }}''' }}
delete = {{ method = "DELETE", url = "{url}" }}
"#
    )
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    server
}

fn password(mut work: Work, link: Option<Link>) -> Work {
    work.link = link;
    work.password = Some("can\"ary".into());
    work
}

async fn bodies(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap_or_default();
    requests.iter().map(|request| request.body_json().expect("JSON")).collect()
}

#[tokio::test]
async fn the_connector_keeps_what_every_connector_must() {
    let server = answering(ResponseTemplate::new(200)).await;
    conformance(connector(&section(&server)).as_ref(), ada()).await.unwrap();
}

#[tokio::test]
async fn it_is_sent_when_it_comes_though_nothing_else_has_changed() {
    let server = answering(ResponseTemplate::new(200)).await;
    let connector = connector(&section(&server));
    let with = connector.deliver(&password(present(ada()), None)).await.unwrap();
    let mut without = present(ada());
    without.link = with.link.clone();
    let again = connector.deliver(&without).await.unwrap();
    assert_eq!(again.action, Action::Unchanged, "what was sent but for it is known");
    let new = connector.deliver(&password(present(ada()), again.link)).await.unwrap();
    assert_eq!((new.action, &new.link), (Action::Updated, &with.link));
    let sent = json!({ "name": "Ada M\u{fc}ller", "pin": "can\"ary" });
    assert_eq!(bodies(&server).await, [sent.clone(), sent]);
}

#[tokio::test]
async fn what_is_remembered_does_not_tell_one_password_from_another() {
    let server = answering(ResponseTemplate::new(200)).await;
    let connector = connector(&section(&server));
    let plain = connector.deliver(&present(ada())).await.unwrap();
    let secret = connector.deliver(&password(present(ada()), None)).await.unwrap();
    assert_eq!(plain.link, secret.link);
}

#[tokio::test]
async fn a_target_that_repeats_it_does_not_put_it_into_a_message() {
    let echo = "too simple: {\"pin\":\"can\\\"ary\"}";
    let server = answering(ResponseTemplate::new(422).set_body_string(echo)).await;
    let connector = connector(&section(&server));
    let error = connector.deliver(&password(present(ada()), None)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
    assert!(error.chain().contains("422") && !error.chain().contains("ary"), "{}", error.chain());
    let told = connector.deliver(&present(ada())).await.unwrap_err();
    assert!(told.chain().contains("too simple"), "{}", told.chain());
}

#[tokio::test]
async fn a_preview_shows_that_there_is_one() {
    let server = answering(ResponseTemplate::new(200)).await;
    let shown =
        connector(&section(&server)).preview(&password(present(ada()), None)).await.unwrap();
    assert!(
        shown.text.contains("\"pin\": \"***\"") && !shown.text.contains("ary"),
        "{}",
        shown.text
    );
}
