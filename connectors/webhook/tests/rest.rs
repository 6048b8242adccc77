//! Calls against a REST interface.

mod kit;

use http::Method;
use kit::connector;
use scim_relay_sdk::connector::{
    Action, Connector, Decision, Gone, HoldKind, Link, Permit, Resource, Semantics, Stage, Wanted,
    Work,
};
use scim_relay_sdk::testing::{ada, choir, conformance, deleted, present, work};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// One PUT for create and update, a DELETE for the rest.
fn upsert(server: &MockServer) -> String {
    let url = format!("{}/people/{{{{ externalId | urlencode }}}}?key=7", server.uri());
    format!(
        r#"
[rest]
create = {{ method = "PUT", url = "{url}", body = '{{ "name": {{{{ displayName | tojson }}}} }}' }}
delete = {{ method = "DELETE", url = "{url}" }}
"#
    )
}

/// Four calls that differ.
fn separate(server: &MockServer) -> String {
    let base = format!("{}/people", server.uri());
    let one = format!("{base}/{{{{ externalId }}}}");
    let body = "'{ \"name\": {{ displayName | tojson }} }'";
    format!(
        r#"
[rest]
create = {{ method = "POST", url = "{base}", body = {body} }}
update = {{ method = "PATCH", url = "{one}", body = {body} }}
deactivate = {{ method = "POST", url = "{one}/lock" }}
delete = {{ method = "DELETE", url = "{one}", expect = [204] }}
"#
    )
}

/// Answers 200 to all that was not said before.
async fn obliging(server: &MockServer) {
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(200))
        .mount(server)
        .await;
}

async fn answer(server: &MockServer, verb: &str, at: &str, status: u16) {
    Mock::given(method(verb))
        .and(path(at))
        .respond_with(ResponseTemplate::new(status))
        .mount(server)
        .await;
}

/// What the server was asked: `PUT /people/ext-ada`.
async fn asked(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap_or_default();
    requests.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect()
}

fn out_of_scope(resource: Resource) -> Work {
    work(Wanted::Gone { last: resource.into(), why: Gone::OutOfScope })
}

fn linked(mut work: Work, link: Option<Link>) -> Work {
    work.link = link;
    work
}

async fn deliver(connector: &dyn Connector, work: Work) -> (Action, Option<Link>) {
    let done = connector.deliver(&work).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    (done.action, done.link)
}

#[tokio::test]
async fn the_connector_keeps_what_every_connector_must() {
    let server = MockServer::start().await;
    obliging(&server).await;
    for section in [upsert(&server), separate(&server).replace("[204]", "[200]")] {
        let connector = connector(&section);
        assert_eq!(connector.semantics(), Semantics::LatestState);
        let seen = conformance(connector.as_ref(), ada()).await.unwrap();
        assert_eq!(seen.created.action, Action::Created);
        assert_eq!((seen.deleted.action, seen.deleted.link), (Action::Deleted, None));
    }
}

#[tokio::test]
async fn what_the_target_holds_already_is_not_sent_again() {
    let server = MockServer::start().await;
    obliging(&server).await;
    for section in [upsert(&server), separate(&server)] {
        server.reset().await;
        obliging(&server).await;
        let connector = connector(&section);
        let (_, link) = deliver(connector.as_ref(), present(ada())).await;
        let again = linked(present(ada()), link.clone());
        assert_eq!(deliver(connector.as_ref(), again.clone()).await, (Action::Unchanged, link));
        assert_eq!(asked(&server).await.len(), 1);

        // The first try may have stopped half-way, so it is not believed.
        let doubtful = Work { in_doubt: true, ..again };
        assert_eq!(deliver(connector.as_ref(), doubtful).await.0, Action::Updated);
        assert_eq!(asked(&server).await.len(), 2);
    }
}

#[tokio::test]
async fn the_link_is_the_url_without_its_query() {
    let server = MockServer::start().await;
    obliging(&server).await;
    let work = present(ada());
    let id = work.key.id.to_string();

    let (_, link) = deliver(connector(&upsert(&server)).as_ref(), work).await;

    let link = link.unwrap();
    assert_eq!(link.address, format!("{}/people/ext-ada", server.uri()));
    assert_eq!((link.target_id, link.stage), (id, Stage::Active));
}

#[tokio::test]
async fn every_stage_of_a_life_has_its_call() {
    let server = MockServer::start().await;
    answer(&server, "DELETE", "/people/ext-ada", 204).await;
    obliging(&server).await;
    let connector = connector(&separate(&server));
    let connector = connector.as_ref();
    let mut changed = ada();
    changed.attributes.insert("displayName".to_owned(), "Ada M.".into());

    let (created, link) = deliver(connector, present(ada())).await;
    let (updated, link) = deliver(connector, linked(present(changed.clone()), link)).await;
    let (locked, link) = deliver(connector, linked(out_of_scope(changed.clone()), link)).await;
    assert_eq!(link.as_ref().map(|link| link.stage), Some(Stage::Deactivated));
    let (again, link) = deliver(connector, linked(out_of_scope(changed.clone()), link)).await;
    let (back, link) = deliver(connector, linked(present(changed.clone()), link)).await;
    assert_eq!(link.as_ref().map(|link| link.stage), Some(Stage::Active));
    let (removed, link) = deliver(connector, linked(deleted(changed), link)).await;

    assert_eq!(
        [created, updated, locked, again, back, removed],
        [
            Action::Created,
            Action::Updated,
            Action::Deactivated,
            Action::Unchanged,
            Action::Updated,
            Action::Deleted,
        ]
    );
    assert_eq!(link, None);
    assert_eq!(
        asked(&server).await,
        [
            "POST /people",
            "PATCH /people/ext-ada",
            "POST /people/ext-ada/lock",
            "PATCH /people/ext-ada",
            "DELETE /people/ext-ada",
        ]
    );
}

#[tokio::test]
async fn without_a_deactivate_call_who_leaves_the_scope_is_deleted() {
    let server = MockServer::start().await;
    obliging(&server).await;
    let connector = connector(&upsert(&server));
    let (_, link) = deliver(connector.as_ref(), present(ada())).await;

    let gone = deliver(connector.as_ref(), linked(out_of_scope(ada()), link)).await;

    assert_eq!(gone, (Action::Deleted, None));
    assert_eq!(asked(&server).await, ["PUT /people/ext-ada", "DELETE /people/ext-ada"]);
}

#[tokio::test]
async fn who_is_not_there_is_removed() {
    for status in [404, 410] {
        let server = MockServer::start().await;
        answer(&server, "DELETE", "/people/ext-ada", status).await;
        obliging(&server).await;
        let connector = connector(&separate(&server));
        let (_, link) = deliver(connector.as_ref(), present(ada())).await;
        let gone = deliver(connector.as_ref(), linked(deleted(ada()), link)).await;
        assert_eq!(gone, (Action::Deleted, None), "{status}");
    }
}

#[tokio::test]
async fn of_whom_the_target_holds_nothing_there_is_nothing_to_remove() {
    let server = MockServer::start().await;
    obliging(&server).await;
    let connector = connector(&upsert(&server));
    assert_eq!(deliver(connector.as_ref(), deleted(ada())).await, (Action::Unchanged, None));
    assert!(asked(&server).await.is_empty());

    let doubtful = Work { in_doubt: true, ..deleted(ada()) };
    assert_eq!(deliver(connector.as_ref(), doubtful).await, (Action::Deleted, None));
    assert_eq!(asked(&server).await, ["DELETE /people/ext-ada"]);
}

#[tokio::test]
async fn an_entry_that_somebody_removed_is_made_again() {
    let server = MockServer::start().await;
    answer(&server, "PATCH", "/people/ext-ada", 404).await;
    obliging(&server).await;
    let connector = connector(&separate(&server));
    let (_, link) = deliver(connector.as_ref(), present(ada())).await;
    let mut changed = ada();
    changed.attributes.insert("displayName".to_owned(), "Ada M.".into());

    let (action, _) = deliver(connector.as_ref(), linked(present(changed), link)).await;

    assert_eq!(action, Action::Created);
    assert_eq!(asked(&server).await, ["POST /people", "PATCH /people/ext-ada", "POST /people"]);
}

#[tokio::test]
async fn a_conflict_is_our_own_entry_only_after_a_try_that_was_cut_off() {
    let server = MockServer::start().await;
    answer(&server, "POST", "/people", 409).await;
    obliging(&server).await;
    let connector = connector(&separate(&server));

    let error = connector.deliver(&present(ada())).await.unwrap_err();
    assert_eq!(error.decision(), Decision::Park);

    let doubtful = Work { in_doubt: true, ..present(ada()) };
    assert_eq!(deliver(connector.as_ref(), doubtful).await.0, Action::Updated);
}

#[tokio::test]
async fn a_success_that_is_not_expected_is_a_refusal() {
    let server = MockServer::start().await;
    obliging(&server).await;
    let connector = connector(&separate(&server));
    let (_, link) = deliver(connector.as_ref(), present(ada())).await;

    let error = connector.deliver(&linked(deleted(ada()), link)).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        format!(
            "DELETE {}/people/ext-ada answered 200 OK, which is not among `expect` of the `delete` call",
            server.uri()
        )
    );
}

#[tokio::test]
async fn a_status_is_judged_as_everywhere() {
    for (status, decision) in [
        (401, Decision::PauseTarget),
        (503, Decision::Retry { at_least: std::time::Duration::ZERO }),
        (301, Decision::Park),
        (422, Decision::Park),
    ] {
        let server = MockServer::start().await;
        answer(&server, "PUT", "/people/ext-ada", status).await;
        let error = connector(&upsert(&server)).deliver(&present(ada())).await.unwrap_err();
        assert_eq!(error.decision(), decision, "{error}");
    }
}

#[tokio::test]
async fn a_person_without_the_value_in_the_url_is_refused_by_its_name() {
    let server = MockServer::start().await;
    let mut nameless = ada();
    nameless.attributes.remove("externalId");

    let error = connector(&upsert(&server)).deliver(&present(nameless)).await.unwrap_err();

    assert_eq!(error.decision(), Decision::Park);
    assert_eq!(
        error.to_string(),
        "in the `create` call, `url` needs externalId, which this resource does not have"
    );
    assert!(asked(&server).await.is_empty());
}

#[tokio::test]
async fn removals_ask_for_permission_before_they_are_made() {
    let server = MockServer::start().await;
    obliging(&server).await;
    let connector = connector(&separate(&server));
    let (_, link) = deliver(connector.as_ref(), present(ada())).await;

    for wanted in [deleted(ada()), out_of_scope(ada())] {
        let mut work = linked(wanted, link.clone());
        work.permit = Permit::NONE;
        let error = connector.deliver(&work).await.unwrap_err();
        assert!(
            matches!(error.decision(), Decision::Hold { kind: HoldKind::Removal, .. }),
            "{error}"
        );
    }
    assert_eq!(asked(&server).await, ["POST /people"]);
}

#[tokio::test]
async fn groups_are_called_for_where_they_have_calls() {
    let server = MockServer::start().await;
    obliging(&server).await;
    let without = connector(&upsert(&server));
    assert_eq!(deliver(without.as_ref(), present(choir())).await, (Action::Ignored, None));

    let url = format!("{}/teams/{{{{ displayName }}}}", server.uri());
    let section = upsert(&server)
        + &format!(
            "groups.create = {{ method = \"PUT\", url = \"{url}\" }}\n\
             groups.delete = {{ method = \"DELETE\", url = \"{url}\" }}\n"
        );
    let with = connector(&section);
    assert_eq!(deliver(with.as_ref(), present(choir())).await.0, Action::Created);
    assert_eq!(asked(&server).await, ["PUT /teams/Choir"]);
}

#[tokio::test]
async fn a_body_that_names_groups_makes_memberships_matter() {
    let server = MockServer::start().await;
    assert!(!connector(&upsert(&server)).reads().groups);
    let section = upsert(&server).replace("displayName", "groups");
    assert!(connector(&section).reads().groups);
}

/// A system with people under their external id, and building and language in the body: TOML alone.
#[tokio::test]
async fn the_building_access_system_is_served_by_its_example() {
    let server = MockServer::start().await;
    obliging(&server).await;
    let example: toml::Table = toml::from_str(include_str!("../building-access.toml")).unwrap();
    let mut section = example["webhook"].as_table().unwrap().clone();
    section.remove("ca");
    section.insert(
        "headers".into(),
        toml::from_str::<toml::Table>("authorization = \"Bearer x\"").unwrap().into(),
    );
    let section = toml::to_string(&section)
        .unwrap()
        .replace("https://access.lillevik.example", &server.uri());

    deliver(connector(&section).as_ref(), present(ada())).await;

    let requests = server.received_requests().await.unwrap();
    let [request] = &requests[..] else { panic!("one request") };
    assert_eq!((&request.method, request.url.path()), (&Method::PUT, "/api/people/ext-ada"));
    assert_eq!(request.headers["authorization"], "Bearer x");
    let body: Value = request.body_json().unwrap();
    assert_eq!(
        body,
        json!({
            "id": "ext-ada",
            "first": "Ada",
            "last": "Müller",
            "mail": "ada@lillevik.example",
            "building": "B-7",
            "language": "nb-NO",
            "access": true,
        })
    );
}

#[tokio::test]
async fn a_preview_shows_the_call_and_makes_none() {
    let connector = connector(
        r#"
headers = { authorization = "Bearer s3cret-t0ken", x-school = "north" }
[rest]
create = { method = "PUT", url = "https://hr.lillevik.example/people/{{ externalId | urlencode }}", body = """
{ "id": {{ externalId | tojson }}, "first": {{ name.givenName | tojson }}, "building": {{ building.buildingId | tojson }} }""" }
delete = { method = "DELETE", url = "https://hr.lillevik.example/people/{{ externalId | urlencode }}", expect = [200, 204, 404] }
"#,
    );
    let created = connector.preview(&present(ada())).await.unwrap().text;
    let mut gone = deleted(ada());
    gone.in_doubt = true;
    let deleted = connector.preview(&gone).await.unwrap().text;
    let nothing = connector.preview(&present(choir())).await.unwrap().text;

    insta::assert_snapshot!(format!("{created}---\n{deleted}---\n{nothing}"));
}

#[tokio::test]
async fn a_probe_connects_to_every_host_and_asks_nothing() {
    let (one, two) = (MockServer::start().await, MockServer::start().await);
    let section = upsert(&one).replacen(&one.uri(), &two.uri(), 1);

    let health = connector(&section).probe().await.unwrap();

    assert!(
        health.summary.contains(&one.uri()) && health.summary.contains(&two.uri()),
        "{}",
        health.summary
    );
    assert!(health.summary.contains("no request was made"), "{}", health.summary);
    assert!(asked(&one).await.is_empty() && asked(&two).await.is_empty());
}
