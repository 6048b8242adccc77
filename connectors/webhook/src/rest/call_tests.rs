//! Calls as they are written, and as they are made.

use scim_relay_sdk::testing::ada;
use serde_json::{Value, json};

use super::*;

fn call(toml: &str) -> Call {
    toml::from_str(toml).unwrap()
}

#[track_caller]
fn refused(toml: &str, reason: &str) {
    let error = toml::from_str::<Call>(toml).unwrap_err();
    assert!(error.message().contains(reason), "{toml}: {}", error.message());
}

/// What the call would be for somebody of this external id.
fn render(call: &Call, external_id: &str) -> Result<Rendered, String> {
    let mut resource = ada();
    resource.attributes.insert("externalId".to_owned(), external_id.into());
    call.render(&View::of(&resource))
}

const PUT: &str = "method = \"PUT\"\nurl = \"https://hr.example/people/{{ externalId }}\"\n";

#[test]
fn a_person_becomes_a_request() {
    let call = call(&format!("{PUT}body = '{{ \"id\": {{{{ externalId | tojson }}}} }}'"));
    let rendered = render(&call, "7/8 å").unwrap();
    let request = rendered.request();
    assert_eq!(request.method(), Method::PUT);
    assert_eq!(request.uri(), "https://hr.example/people/7%2F8%20%C3%A5");
    assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body, json!({ "id": "7/8 å" }));
}

#[test]
fn the_host_is_written_out() {
    let host = |url: &str| format!("method = \"PUT\"\nurl = \"{url}\"");
    refused(&host("https://{{ organization.key }}.hr.example/x"), "has a template in its host");
    refused(&host("{{ profileUrl }}"), "has a template in its host");
    refused(&host("https://hr.example{{ userName }}/x"), "has a template in its host");
    refused(&host("people/{{ userName }}"), "is not an `https://` URL");
    refused(&host("ftp://hr.example/{{ userName }}"), "is not an `https://` URL");
    refused(&host("https://a:b@hr.example/{{ userName }}"), "has a user name in it");
}

#[test]
fn a_value_cannot_leave_its_place_in_the_url() {
    let put = call(PUT);
    for (value, path) in [
        ("../../admin", "/people/..%2F..%2Fadmin"),
        ("a?b=c", "/people/a%3Fb%3Dc"),
        ("a#b", "/people/a%23b"),
        ("a@b", "/people/a%40b"),
        ("%2e%2e", "/people/%252e%252e"),
        ("a\r\nHost: x", "/people/a%0D%0AHost%3A%20x"),
        ("...", "/people/..."),
    ] {
        assert_eq!(render(&put, value).unwrap().uri.path(), path);
    }
    for value in ["..", "."] {
        assert_eq!(
            render(&put, value).unwrap_err(),
            "`url` has a path segment `.` or `..` for this resource"
        );
    }
}

#[test]
fn a_missing_value_in_a_url_is_named() {
    assert_eq!(
        render(&call(PUT), "").unwrap_err(),
        "`url` needs externalId, which this resource does not have"
    );
}

#[test]
fn a_body_that_is_not_json_is_not_sent() {
    let unquoted = call(&format!("{PUT}body = '{{ \"id\": {{{{ externalId }}}} }}'"));
    let error = render(&unquoted, "x-canary").unwrap_err();
    assert!(error.starts_with("`body` is not JSON for this resource (expected value"), "{error}");
    assert!(!error.contains("canary"), "{error}");
}

#[test]
fn the_content_type_decides_how_values_are_written() {
    let body = |content_type: &str, body: &str| {
        let call = call(&format!(
            "{PUT}headers = {{ content-type = \"{content_type}\" }}\nbody = '{body}'"
        ));
        let request = render(&call, "a&<b>").unwrap().request();
        assert_eq!(request.headers()[CONTENT_TYPE], content_type);
        String::from_utf8(request.body().to_vec()).unwrap()
    };
    let id = "{{ externalId }}";
    assert_eq!(body("application/x-www-form-urlencoded", &format!("id={id}")), "id=a%26%3Cb%3E");
    assert_eq!(
        body("text/xml; charset=utf-8", &format!("<id>{id}</id>")),
        "<id>a&amp;&lt;b&gt;</id>"
    );
    assert_eq!(body("text/plain", id), "a&<b>");
    assert_eq!(body("application/merge-patch+json", &format!("\"{id}\"")), "\"a&<b>\"");
}

#[test]
fn a_header_holds_one_line() {
    let call = call(&format!("{PUT}headers = {{ x-person = \"{{{{ externalId }}}}\" }}"));
    assert_eq!(render(&call, "7").unwrap().request().headers()["x-person"], "7");
    assert_eq!(
        render(&call, "7\r\nhost: elsewhere").unwrap_err(),
        "the header `x-person` would hold characters that a header cannot have"
    );
}

#[test]
fn mistakes_are_said_where_they_are() {
    refused("method = \"GET\"\nurl = \"https://hr.example/\"", "`GET` is no method for this");
    refused(&format!("{PUT}expect = [99]"), "99 is no HTTP status");
    refused(&format!("{PUT}body = '{{{{ userName'"), "the template does not parse");
    refused(&format!("{PUT}status = 1"), "unknown field `status`");
    refused(&format!("{PUT}headers = {{ host = \"x\" }}"), "is set by the relay");
}

#[track_caller]
fn problems(toml: &str, several: bool) -> Vec<String> {
    let found = call(toml).check("rest.create", several);
    found.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn several_organizations_need_urls_that_differ() {
    assert_eq!(problems(PUT, false), [""; 0]);
    assert_eq!(problems(PUT, true), ["rest.create.url"]);
    let of = |path: &str| format!("method = \"PUT\"\nurl = \"https://hr.example/{path}\"");
    assert_eq!(problems(&of("{{ id }}"), true), [""; 0]);
    assert_eq!(problems(&of("{{ organization.key }}/{{ externalId }}"), true), [""; 0]);
}

#[test]
fn what_could_never_work_is_a_problem() {
    assert_eq!(problems(&format!("{PUT}expect = []"), false), ["rest.create.expect"]);
    let templated = format!("{PUT}headers = {{ content-type = \"{{{{ title }}}}\" }}");
    assert_eq!(problems(&templated, false), ["rest.create.headers"]);
}

#[test]
fn the_hash_tells_calls_apart_and_knows_the_same_again() {
    let put = call(&format!("{PUT}body = '\"{{{{ title }}}}\"'"));
    let hash = |id: &str| render(&put, id).unwrap().hash();
    assert_eq!(hash("7"), hash("7"));
    assert_ne!(hash("7"), hash("8"));
}
