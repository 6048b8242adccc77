//! Events against a receiver.

mod kit;

use std::time::Duration;

use http::HeaderMap;
use jiff::SignedDuration;
use kit::{change, connector, with_timeout};
use scim_relay_sdk::connector::{
    Action, Decision, HoldKind, MemberRef, MemberRemovals, Permit, Semantics, Stage, Verb, Work,
};
use scim_relay_sdk::scim::ResourceKind;
use scim_relay_sdk::testing::{ada, choir, conformance, created, deleted, present};
use standardwebhooks::Webhook;
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_b3VyLW5ldy1zZWNyZXQtb2YtMzItYnl0ZXMtbG9uZyE=";

fn section(server: &MockServer, more: &str) -> String {
    format!("url = \"{}/hook\"\nsecret = \"{OLD}\"\n{more}", server.uri())
}

async fn receiver(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/hook")).respond_with(answer).mount(&server).await;
    server
}

async fn received(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap_or_default()
}

/// The signature without the check of the clock, which is the year 2026 here.
fn verifies(secret: &str, request: &Request) -> bool {
    let header = |name: &str| request.headers[name].to_str().unwrap_or_default();
    let timestamp = header("webhook-timestamp").parse().unwrap_or_default();
    let expected = Webhook::new(secret)
        .and_then(|webhook| webhook.sign(header("webhook-id"), timestamp, &request.body))
        .unwrap_or_default();
    header("webhook-signature").split(' ').any(|signature| signature == expected)
}

/// The receiver knows the group, and this many people joined and left it.
async fn membership(
    connector: &dyn scim_relay_sdk::connector::Connector,
    moves: (usize, usize),
) -> Work {
    let known = connector.deliver(&created(choir())).await.ok().and_then(|done| done.link);
    let mut work = change(present(choir()), Verb::Updated, &[]);
    work.link = known;
    let members = |count: usize| {
        let numbers = (0..count).map(|number| MemberRef {
            value: format!("id-{number}"),
            kind: ResourceKind::User,
            display: None,
            user_name: None,
            external_id: None,
        });
        numbers.collect()
    };
    if let Some(change) = &mut work.change {
        change.joined = members(moves.0);
        change.left = members(moves.1);
    }
    work
}

#[tokio::test]
async fn the_connector_keeps_what_every_connector_must() {
    let server = receiver(ResponseTemplate::new(200)).await;
    let connector = connector(&section(&server, ""));
    assert_eq!(connector.semantics(), Semantics::EveryEvent);

    for resource in [ada(), choir()] {
        let seen = conformance(connector.as_ref(), resource).await.unwrap();
        assert_eq!(seen.created.action, Action::Sent);
        assert_eq!(seen.deleted.link, None);
    }
}

#[tokio::test]
async fn an_event_verifies_with_the_reference_implementation() {
    let server = receiver(ResponseTemplate::new(204)).await;
    let connector = connector(&section(&server, ""));

    // The reference implementation looks at its clock as well.
    let mut work = created(ada());
    let seconds = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    work.now = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap();
    connector.deliver(&work).await.unwrap();

    let [request] = &received(&server).await[..] else { panic!("one request") };
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["webhook-id"], "lillevik-17-created");
    assert_eq!(request.headers["webhook-timestamp"], work.now.as_second().to_string().as_str());
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(name.clone(), value.clone());
    }
    let reference = Webhook::new(OLD).unwrap();
    reference.verify(&request.body, &headers).unwrap();
    let mut forged = request.body.clone();
    forged[10] ^= 1;
    assert!(reference.verify(&forged, &headers).is_err());
}

#[tokio::test]
async fn while_a_secret_changes_both_sign() {
    let server = receiver(ResponseTemplate::new(200)).await;
    let both = format!("url = \"{}/hook\"\nsecret = [\"{NEW}\", \"{OLD}\"]", server.uri());

    connector(&both).deliver(&created(ada())).await.unwrap();

    let [request] = &received(&server).await[..] else { panic!("one request") };
    assert!(verifies(OLD, request) && verifies(NEW, request));
    assert_eq!(request.headers["webhook-signature"].to_str().unwrap().split(' ').count(), 2);
}

#[tokio::test]
async fn another_attempt_has_the_same_id_and_body_and_a_new_timestamp() {
    let server = receiver(ResponseTemplate::new(503)).await;
    let connector = connector(&section(&server, ""));
    let first = created(ada());
    let mut second = first.clone();
    second.now += SignedDuration::from_mins(5);
    (second.attempt, second.in_doubt) = (2, true);

    for work in [&first, &second] {
        connector.deliver(work).await.unwrap_err();
    }

    let [one, two] = &received(&server).await[..] else { panic!("two requests") };
    assert_eq!(one.body, two.body);
    assert_eq!(one.headers["webhook-id"], two.headers["webhook-id"]);
    assert_ne!(one.headers["webhook-timestamp"], two.headers["webhook-timestamp"]);
    assert!(verifies(OLD, one) && verifies(OLD, two));
}

#[tokio::test]
async fn a_status_decides_what_happens_to_the_change() {
    for (answer, decision) in [
        (ResponseTemplate::new(401), Decision::PauseTarget),
        (
            ResponseTemplate::new(429).insert_header("retry-after", "90"),
            Decision::Retry { at_least: Duration::from_secs(90) },
        ),
        (
            // The work is of 1 September 2026, midnight.
            ResponseTemplate::new(503)
                .insert_header("retry-after", "Tue, 01 Sep 2026 00:01:00 GMT"),
            Decision::Retry { at_least: Duration::from_mins(1) },
        ),
        (ResponseTemplate::new(500), Decision::Retry { at_least: Duration::ZERO }),
        // What befalls every event alike stops the connector.
        (ResponseTemplate::new(302).insert_header("location", "/trap"), Decision::PauseTarget),
        (ResponseTemplate::new(410), Decision::PauseTarget),
        (ResponseTemplate::new(404), Decision::Retry { at_least: Duration::from_mins(5) }),
        (ResponseTemplate::new(422), Decision::Retry { at_least: Duration::from_mins(5) }),
    ] {
        let server = receiver(answer).await;
        let error = connector(&section(&server, "")).deliver(&created(ada())).await.unwrap_err();
        assert_eq!(error.decision(), decision, "{error}");
        assert_eq!(received(&server).await.len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_refusal_says_which_event_and_what_the_receiver_said() {
    let answer = ResponseTemplate::new(422).set_body_string("{\"error\": \"no such school\"}");
    let server = receiver(answer).await;

    let error = connector(&section(&server, "")).deliver(&created(ada())).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        format!(
            "{}/hook for `user.created` answered 422 Unprocessable Entity: {{\"error\": \"no such \
             school\"}}",
            server.uri()
        )
    );
}

#[tokio::test]
async fn a_success_with_too_much_to_say_is_a_success() {
    let server = receiver(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 1 << 20])).await;
    let done = connector(&section(&server, "")).deliver(&created(ada())).await.unwrap();
    assert_eq!(done.action, Action::Sent);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_in_time_leaves_it_in_doubt() {
    let server = receiver(ResponseTemplate::new(200).set_delay(Duration::from_mins(10))).await;
    let connector = with_timeout(&section(&server, ""), Duration::from_millis(150));

    let error = connector.deliver(&created(ada())).await.unwrap_err();

    assert!(error.is_in_doubt(), "{error}");
}

#[tokio::test]
async fn what_is_not_selected_is_remembered_and_not_sent() {
    let server = receiver(ResponseTemplate::new(200)).await;
    let connector = connector(&section(&server, "events = [\"user.deleted\"]"));

    let done = connector.deliver(&created(ada())).await.unwrap();
    assert_eq!(done.action, Action::Ignored);
    assert!(received(&server).await.is_empty());

    // Without the memory it would be nobody's deletion.
    let mut gone = change(deleted(ada()), Verb::Deleted, &[]);
    gone.link = done.link;
    let gone = connector.deliver(&gone).await.unwrap();
    assert_eq!((gone.action, gone.link), (Action::Sent, None));
}

#[tokio::test]
async fn the_link_says_what_the_receiver_knows() {
    let server = receiver(ResponseTemplate::new(200)).await;
    let connector = connector(&section(&server, ""));
    let work = created(ada());

    let link = connector.deliver(&work).await.unwrap().link.unwrap();

    assert_eq!(link.target_id, work.key.id.to_string());
    assert_eq!(link.address, format!("{}/hook", server.uri()));
    assert_eq!((link.stage, link.since), (Stage::Active, work.now));
}

#[tokio::test]
async fn events_go_out_in_order_and_the_first_failure_ends_the_change() {
    let server = MockServer::start().await;
    Mock::given(body_string_contains("group.member_removed"))
        .respond_with(ResponseTemplate::new(503))
        .mount(&server)
        .await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let connector = connector(&section(&server, ""));
    let work = membership(connector.as_ref(), (150, 150)).await;

    connector.deliver(&work).await.unwrap_err();

    let requests = received(&server).await;
    let ids: Vec<_> =
        requests.iter().map(|request| request.headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "lillevik-17-created",
            "lillevik-42-member_added-1",
            "lillevik-42-member_added-2",
            "lillevik-42-member_removed-1",
        ]
    );
}

#[tokio::test]
async fn without_a_permission_nothing_is_told() {
    let server = receiver(ResponseTemplate::new(200)).await;
    let connector = connector(&section(&server, ""));
    let none = Permit::NONE;

    let mut gone = change(deleted(ada()), Verb::Deleted, &[]);
    gone.link = connector.deliver(&created(ada())).await.unwrap().link;
    gone.permit = none;
    let mut members = membership(connector.as_ref(), (1, 3)).await;
    members.permit = none;
    let before = received(&server).await.len();

    // An event is sent whole: nobody can be left in, and nobody who joins be told of without.
    let mut leaving = members.clone();
    leaving.permit.members = MemberRemovals::Leave;
    let mut fewer = members.clone();
    fewer.permit.members = MemberRemovals::UpTo(2);
    // Of whom the receiver knows that they are gone, it may be told that they left.
    let mut bygone = members.clone();
    let left = &bygone.change.as_ref().unwrap().left;
    bygone.bygone.insert(left[0].value.clone());
    for (work, asked) in [
        (gone, (HoldKind::Removal, 1)),
        (members, (HoldKind::MemberRemoval, 3)),
        (leaving, (HoldKind::MemberRemoval, 3)),
        (fewer, (HoldKind::MemberRemoval, 3)),
        (bygone, (HoldKind::MemberRemoval, 2)),
    ] {
        match connector.deliver(&work).await.unwrap_err().decision() {
            Decision::Hold { kind, count, .. } => assert_eq!((kind, count), asked),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received(&server).await.len(), before);
}

#[tokio::test]
async fn own_headers_are_sent_and_their_secrets_never_come_back() {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::header("authorization", "Bearer s3cret-t0ken"))
        .and(wiremock::matchers::header("x-school", "north"))
        .respond_with(ResponseTemplate::new(400).set_body_string("bad token s3cret-t0ken"))
        .expect(1)
        .mount(&server)
        .await;
    let headers = "headers = { authorization = \"Bearer s3cret-t0ken\", x-school = \"north\" }";
    let connector = connector(&section(&server, headers));

    let error = connector.deliver(&created(ada())).await.unwrap_err();

    assert!(error.chain().ends_with("bad token ***"), "{}", error.chain());
    let preview = connector.preview(&created(ada())).await.unwrap().text;
    assert!(!preview.contains("s3cret"), "{preview}");
    assert!(preview.contains("x-school: north"), "{preview}");
}

#[tokio::test]
async fn a_preview_shows_every_event_and_sends_none() {
    let headers = "headers = { authorization = \"Bearer s3cret-t0ken\", x-school = \"north\" }";
    let connector = connector(&format!(
        "url = \"https://access.lillevik.example/hooks/scim\"\nsecret = \"{OLD}\"\n{headers}"
    ));
    let mut work = change(present(choir()), Verb::Created, &["displayName"]);
    if let Some(change) = &mut work.change {
        change.joined = vec![MemberRef {
            value: "01997f2e-0000-7000-8000-000000000ada".to_owned(),
            kind: ResourceKind::User,
            display: Some("Ada Müller".to_owned()),
            user_name: Some("ada@lillevik.example".to_owned()),
            external_id: Some("ext-ada".to_owned()),
        }];
    }

    let preview = connector.preview(&work).await.unwrap().text;

    insta::assert_snapshot!(preview);
}

#[tokio::test]
async fn a_preview_of_a_person_shows_the_event() {
    let connector = connector(&format!(
        "url = \"https://access.lillevik.example/hooks/scim\"\nsecret = \"{OLD}\""
    ));
    insta::assert_snapshot!(connector.preview(&present(ada())).await.unwrap().text);
}

#[tokio::test]
async fn a_preview_of_nothing_says_so() {
    let connector = connector(&format!(
        "url = \"https://access.lillevik.example/\"\nsecret = \"{OLD}\"\nevents = [\"group.*\"]"
    ));
    let preview = connector.preview(&created(ada())).await.unwrap().text;
    assert_eq!(preview, "nothing: no event of this change is sent, see `events`\n");
}

#[tokio::test]
async fn a_probe_connects_and_asks_nothing() {
    let server = receiver(ResponseTemplate::new(200)).await;

    let health = connector(&section(&server, "")).probe().await.unwrap();

    assert!(health.summary.contains("no request was made"), "{}", health.summary);
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn a_probe_of_nobody_pauses_the_target() {
    let connector = connector(&format!("url = \"http://127.0.0.1:9/\"\nsecret = \"{OLD}\""));
    let error = connector.probe().await.unwrap_err();
    assert_eq!(error.decision(), Decision::PauseTarget);
}
