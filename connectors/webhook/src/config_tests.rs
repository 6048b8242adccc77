//! What `check` and the reader say about a section.

use scim_relay_sdk::testing::{organization, secrets};

use super::*;

const SECRET: &str = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
const URL: &str = "url = \"https://hr.example/hook\"\n";
const REST: &str = r#"
[rest]
create = { method = "PUT", url = "https://hr.example/people/{{ externalId | urlencode }}" }
delete = { method = "DELETE", url = "https://hr.example/people/{{ externalId | urlencode }}" }
"#;

fn parse(toml: &str) -> Config {
    toml::from_str(toml).unwrap()
}

#[track_caller]
fn check(toml: &str, expected: &[&str]) {
    let problems = parse(toml).check(false);
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, expected, "{problems:?}");
}

#[track_caller]
fn refused(toml: &str, line: usize, reason: &str) {
    let error = toml::from_str::<Config>(toml).unwrap_err();
    assert!(error.message().contains(reason), "{}", error.message());
    let at = error.span().expect("the place is known").start;
    assert_eq!(toml[..at].matches('\n').count() + 1, line, "{toml}");
}

fn build(toml: &str) -> Result<Arc<dyn Connector>, Problem> {
    let secrets = secrets();
    parse(toml).build(&BuildContext {
        name: "hr",
        folder: std::path::Path::new("/nonexistent"),
        secrets: &secrets,
        timeout: std::time::Duration::from_secs(1),
        concurrency: 1,
        organizations: &[organization()],
    })
}

#[test]
fn a_section_posts_events_or_calls_an_interface() {
    check(&format!("{URL}{SECRET}"), &[]);
    check(REST, &[]);
    check("", &[""]);
    check(&format!("{URL}{SECRET}{REST}"), &["rest"]);
}

#[test]
fn a_password_goes_into_a_body_about_a_person() {
    let body = "body = '{ \"pin\": {{ password | tojson }} }'";
    let url = "url = \"https://hr.example/people/{{ id }}\"";
    let rest = |create: &str, delete: &str| {
        format!(
            "[rest]\ncreate = {{ method = \"PUT\", {create} }}\n\
             delete = {{ method = \"DELETE\", {delete} }}\n"
        )
    };
    let passing_on = rest(&format!("{url}, {body}"), url);
    check(&passing_on, &[]);
    assert!(parse(&passing_on).wants_password() && !parse(REST).wants_password());
    check(&rest(url, &format!("{url}, {body}")), &["rest.delete"]);
    let secret_url = url.replace("{{ id }}", "{{ password }}");
    check(&rest(&secret_url, url), &["rest.create.url"]);
    let header = format!("{url}, headers = {{ x-pin = \"{{{{ password }}}}\" }}");
    check(&rest(&header, url), &["rest.create.headers"]);
    let groups = format!(
        "{passing_on}[rest.groups]\ncreate = {{ method = \"PUT\", {url}, {body} }}\n\
         delete = {{ method = \"DELETE\", {url} }}\n"
    );
    check(&groups, &["rest.groups.create"]);
}

#[test]
fn events_need_a_secret_that_can_sign() {
    check(URL, &["secret"]);
    check(&format!("{URL}secret = []"), &["secret"]);
    check(&format!("{URL}secret = \"hunter2\""), &["secret"]);
    check(&format!("{URL}secret = {{ credential = \"hook\" }}"), &[]);
    check(&format!("{URL}secret = [{{ credential = \"old\" }}, {{ file = \"new\" }}]"), &[]);
}

#[test]
fn a_secret_that_is_not_one_is_said_without_showing_it() {
    let problem = build(&format!("{URL}secret = \"hunter2\"")).map(|_| ()).unwrap_err();
    assert_eq!(problem.path, "secret");
    assert!(!problem.message.contains("hunter2"), "{}", problem.message);
}

#[test]
fn keys_of_events_mean_nothing_for_an_interface() {
    check(&format!("{SECRET}events = [\"*\"]\n{REST}"), &["secret", "events"]);
}

#[test]
fn what_would_never_send_anything_is_a_problem() {
    check(&format!("{URL}{SECRET}events = []"), &["events"]);
    check(&format!("{URL}{SECRET}allow_networks = []"), &["allow_networks"]);
}

#[test]
fn clear_text_and_refused_addresses_are_found_at_load() {
    check(&format!("{SECRET}url = \"http://hr.example/\""), &["url"]);
    check(&format!("{SECRET}url = \"http://hr.example/\"\nallow_plaintext = true"), &[]);
    check(&format!("{SECRET}url = \"https://169.254.169.254/\""), &["url"]);
    check(
        &format!("{SECRET}url = \"https://10.9.0.1/\"\nallow_networks = [\"10.20.0.0/16\"]"),
        &["url"],
    );
    check(&REST.replace("https://", "http://"), &["rest.create.url", "rest.delete.url"]);
}

#[test]
fn several_organizations_are_told_apart_by_the_url_of_an_interface() {
    let problems = parse(REST).check(true);
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["rest.create.url", "rest.delete.url"]);
    assert_eq!(parse(&format!("{URL}{SECRET}")).check(true), []);
}

#[test]
fn a_template_in_a_header_for_all_calls_is_a_problem() {
    check(&format!("{URL}{SECRET}headers = {{ x-a = \"{{{{ id }}}}\" }}"), &["headers.x-a"]);
}

#[test]
fn the_content_type_is_not_for_every_request() {
    check(
        &format!("{URL}{SECRET}headers = {{ Content-Type = \"text/plain\" }}"),
        &["headers.content-type"],
    );
}

#[test]
fn a_mistake_has_its_line() {
    refused(&format!("{URL}sekret = \"x\""), 2, "unknown field `sekret`");
    refused(&format!("{URL}secret = {{ fil = \"x\" }}"), 2, "unknown field `fil`");
    refused(&format!("{URL}secret = 3"), 2, "a secret, or a list of secrets");
    refused(&format!("{URL}secret = [\n  {{ env = \"A\" }},\n  7 ]"), 4, "a secret: ");
    refused(&format!("{URL}events = [\n\"user.made\" ]"), 3, "`user.made` is no event");
    refused("url = \"hr.example/hook\"", 1, "is not an `https://` URL");
    refused(&format!("{URL}headers = {{ Host = \"x\" }}"), 2, "is set by the relay");
    refused(&format!("{URL}allow_networks = [\n\"10.0.0.0/40\"]"), 3, "is not a network");
    refused(
        "[rest]\ndelete = { method = \"DELETE\", url = \"https://a.example/\",\n expect = [200,\n 99] }",
        4,
        "99 is no HTTP status",
    );
    refused(
        "[rest]\ncreate = { method = \"PUT\", url = \"https://a.example/\" }",
        1,
        "missing field `delete`",
    );
}

#[test]
fn secrets_are_listed_with_the_headers_that_are_some() {
    let config = parse(&format!(
        "{URL}secret = [\"whsec_a\", {{ env = \"B\" }}]\n\
         headers = {{ authorization = {{ env = \"T\" }}, x-api-key = \"k\", x-school = \"north\" }}"
    ));
    let paths: Vec<_> = config.secrets().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["secret", "secret", "headers", "headers"]);
    assert!(!format!("{config:?}").contains("whsec_a"), "{config:?}");
}

#[test]
fn a_ca_file_that_is_not_there_is_named() {
    let problem = build(&format!("{URL}{SECRET}ca = \"ca.pem\"")).map(|_| ()).unwrap_err();
    assert_eq!(problem.path, "ca");
    assert!(problem.message.contains("`/nonexistent/ca.pem` cannot be read"), "{problem:?}");
}
