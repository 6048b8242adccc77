//! The rules of RFC 7644 section 3.7, without anybody who writes.

use std::iter::repeat_n;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::scim::{ResourceKind, ScimType};

#[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
fn request(operations: Value) -> Value {
    json!({ "schemas": [BULK_REQUEST_URN], "Operations": operations })
}

fn post(path: &str, bulk_id: &str, data: &Value) -> Value {
    json!({ "method": "POST", "path": path, "bulkId": bulk_id, "data": data })
}

fn user(bulk_id: &str) -> Value {
    post("/Users", bulk_id, &json!({ "userName": bulk_id }))
}

fn group(bulk_id: &str, members: &[&str]) -> Value {
    let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
    post("/Groups", bulk_id, &json!({ "displayName": bulk_id, "members": members }))
}

/// The id of what the step at this place makes.
fn id(index: usize) -> ResourceId {
    ResourceId(Uuid::from_u128(index as u128 + 1))
}

/// Carries everything out; whatever can be written is.
fn run(operations: Value) -> Vec<BulkStep> {
    let mut bulk = Bulk::parse(request(operations)).unwrap();
    let mut steps = Vec::new();
    while let Some(step) = bulk.next_step() {
        let made = step.write.is_ok().then(|| id(step.index));
        bulk.settle(step.bulk_id.as_deref(), made);
        steps.push(step);
    }
    steps
}

fn turns(steps: &[BulkStep]) -> Vec<usize> {
    steps.iter().map(|step| step.index).collect()
}

fn refusal(step: &BulkStep) -> (u16, Option<ScimType>, &str) {
    let error = step.write.as_ref().unwrap_err();
    (error.status, error.scim_type, &error.detail)
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
fn check_refused(operation: Value, scim_type: ScimType, words: &str) {
    let mut steps = run(json!([operation, user("next")]));
    assert!(steps.pop().unwrap().write.is_ok(), "the others go on");
    let (status, actual, detail) = refusal(&steps[0]);
    assert_eq!((status, actual), (400, Some(scim_type)), "{detail}");
    assert!(detail.contains(words), "{detail}");
}

#[track_caller]
fn check_whole(body: Value, status: u16, words: &str) {
    let error = Bulk::parse(body).unwrap_err();
    assert_eq!(error.status, status, "{error}");
    assert!(error.detail.contains(words), "{error}");
}

#[test]
fn each_method_is_read_with_its_path_version_and_data() {
    let data = json!({ "userName": "ada" });
    let steps = run(json!([
        user("a"),
        { "method": "PUT", "path": "/Users/1", "version": "W/\"2\"", "data": data },
        { "Method": "PATCH", "PATH": "/Groups/2", "bulkid": "b", "Data": data, "version": null },
        { "method": "DELETE", "path": "/Users/3", "data": "is not looked at" },
    ]));
    let (kind, version) = (ResourceKind::User, Some("W/\"2\"".to_owned()));
    let writes: Vec<_> = steps.iter().map(|step| step.write.clone().unwrap()).collect();
    assert_eq!(
        writes,
        [
            BulkWrite::Create { kind, data: json!({ "userName": "a" }) },
            BulkWrite::Replace { kind, id: "1".to_owned(), version, data: data.clone() },
            BulkWrite::Patch { kind: ResourceKind::Group, id: "2".to_owned(), version: None, data },
            BulkWrite::Delete { kind, id: "3".to_owned(), version: None },
        ]
    );
    let echoed: Vec<_> =
        steps.iter().map(|step| (step.method.as_str(), step.bulk_id.as_deref())).collect();
    assert_eq!(
        echoed,
        [("POST", Some("a")), ("PUT", None), ("PATCH", Some("b")), ("DELETE", None)]
    );
}

#[test]
fn what_is_no_bulk_request_is_refused_as_a_whole() {
    check_whole(json!([]), 400, "not a JSON object");
    check_whole(json!({ "Operations": [user("a")] }), 400, "must name");
    check_whole(json!({ "schemas": ["urn:x"], "Operations": [user("a")] }), 400, "must name");
    check_whole(json!({ "schemas": [BULK_REQUEST_URN] }), 400, "not a list");
    check_whole(request(json!({})), 400, "not a list");
    check_whole(request(json!([])), 400, "empty");
    check_whole(request(json!([user("a"), 5])), 400, "an operation is not");
    check_whole(request(json!([{ "path": "/Users" }])), 400, "no `method`");
    check_whole(request(json!([user("a"), user("b"), user("a")])), 400, "the bulkId `a`");
    for bad in [json!(0), json!(-1), json!(1.5), json!("1"), json!([])] {
        let mut body = request(json!([user("a")]));
        body["failOnErrors"] = bad;
        check_whole(body, 400, "failOnErrors");
    }
}

#[test]
fn more_operations_than_are_taken_are_too_large() {
    let many = |count: usize| {
        let delete = json!({ "method": "DELETE", "path": "/Users/1" });
        request(repeat_n(delete, count).collect())
    };
    assert_eq!(Bulk::parse(many(1000)).unwrap().len(), 1000);
    check_whole(many(1001), 413, "1001 operations are more than the 1000");
    check_whole(many(20_000), 413, "maxOperations");
}

#[test]
fn a_method_is_one_of_four_in_capital_letters() {
    for method in ["GET", "post", "HEAD", "TRACE", "", "POST "] {
        let odd = json!({ "method": method, "path": "/Users", "bulkId": "x", "data": {} });
        check_refused(odd, ScimType::InvalidValue, "POST, PUT, PATCH, DELETE");
    }
}

#[test]
fn a_path_is_that_of_users_and_groups_and_nothing_else() {
    for path in [
        "",
        "/",
        "Users",
        "/users",
        "/Users/",
        "//Users",
        "/Me",
        "/Bulk",
        "/Schemas",
        "/Users/..",
        "/Users/../Groups",
        "/Users/1/2",
        "/Users/1?attributes=id",
        "/Users/1#x",
        "/Users/%2e%2e",
        "/Users/1 2",
        "/Users/1\r\nx: y",
        "/scim/storvik/v2/Users/1",
        "https://scim.example/scim/storvik/v2/Users/1",
        "\\Users",
    ] {
        let delete = json!({ "method": "DELETE", "path": path });
        check_refused(delete, ScimType::InvalidPath, "path");
    }
    for (method, path) in
        [("POST", "/Users/1"), ("PUT", "/Users"), ("PATCH", "/Groups"), ("DELETE", "/Users")]
    {
        let odd = json!({ "method": method, "path": path, "bulkId": "x", "data": {} });
        check_refused(odd, ScimType::InvalidPath, "`path`");
    }
    check_refused(json!({ "method": "DELETE" }), ScimType::InvalidPath, "needs a `path`");
    check_refused(json!({ "method": "DELETE", "path": 5 }), ScimType::InvalidPath, "`path`");
}

#[test]
fn a_post_needs_a_bulk_id_and_every_write_but_a_delete_its_data() {
    let nameless = json!({ "method": "POST", "path": "/Users", "data": {} });
    check_refused(nameless, ScimType::InvalidValue, "needs a `bulkId`");
    for bad in [json!(5), json!(""), json!(["x"])] {
        let odd = json!({ "method": "POST", "path": "/Users", "bulkId": bad, "data": {} });
        check_refused(odd, ScimType::InvalidValue, "`bulkId` is not");
    }
    for (method, path) in [("POST", "/Users"), ("PUT", "/Users/1"), ("PATCH", "/Users/1")] {
        for data in [Value::Null, json!([]), json!("x")] {
            let empty = json!({ "method": method, "path": path, "bulkId": "x", "data": data });
            check_refused(empty, ScimType::InvalidSyntax, "`data`");
        }
    }
    let odd = json!({ "method": "DELETE", "path": "/Users/1", "version": 3 });
    check_refused(odd, ScimType::InvalidValue, "`version`");
}

#[test]
fn references_are_resolved_wherever_they_stand() {
    let patch = json!({ "Operations": [
        { "op": "add", "path": "members", "value": [{ "value": "bulkId:a" }] },
        { "op": "remove", "Path": "members[value eq \"bulkId:a\" or value eq \"bulkId:b\"]" },
        { "op": "add", "value": { "manager": "bulkId:b", "title": "about bulkId:b" } },
    ] });
    let steps = run(json!([
        user("a"),
        user("b"),
        { "method": "PATCH", "path": "/Groups/bulkId:b", "data": patch },
        { "method": "DELETE", "path": "/Users/bulkId:a" },
    ]));
    let (a, b) = (id(0), id(1));
    let BulkWrite::Patch { id, data, .. } = steps[2].write.clone().unwrap() else { panic!() };
    assert_eq!(id, b.to_string());
    assert_eq!(
        data["Operations"],
        json!([
            { "op": "add", "path": "members", "value": [{ "value": a }] },
            { "op": "remove", "Path": format!("members[value eq \"{a}\" or value eq \"{b}\"]") },
            { "op": "add", "value": { "manager": b, "title": "about bulkId:b" } },
        ])
    );
    assert_eq!(steps[3].write.as_ref().unwrap().path(), Some(format!("/Users/{a}")));
}

#[test]
fn a_reference_may_come_before_what_it_refers_to() {
    let steps = run(json!([group("g", &["bulkId:h"]), group("h", &["bulkId:u"]), user("u")]));
    assert_eq!(turns(&steps), [2, 1, 0]);
    let BulkWrite::Create { data, .. } = steps[2].write.clone().unwrap() else { panic!() };
    assert_eq!(data["members"][0]["value"], json!(id(1)));
}

#[test]
fn the_writes_to_one_resource_keep_their_order() {
    let put = |title: &str| {
        let data = json!({ "title": title });
        json!({ "method": "PUT", "path": "/Users/1", "data": data })
    };
    let steps = run(json!([put("bulkId:u"), put("second"), user("v"), user("u")]));
    assert_eq!(turns(&steps), [2, 3, 0, 1]);
}

#[test]
fn circular_references_are_a_conflict_and_the_others_go_on() {
    let steps = run(json!([
        group("a", &["bulkId:b"]),
        group("b", &["bulkId:a"]),
        group("self", &["bulkId:self"]),
        group("outside", &["bulkId:a"]),
        user("u"),
    ]));
    assert_eq!(turns(&steps), [0, 1, 2, 3, 4]);
    for step in &steps[..3] {
        let (status, _, detail) = refusal(step);
        assert_eq!(status, 409);
        assert!(detail.contains("circle"), "{detail}");
    }
    let (status, _, detail) = refusal(&steps[3]);
    assert_eq!(status, 409);
    assert!(detail.contains("`bulkId:a`, and that POST failed"), "{detail}");
    assert!(steps[4].write.is_ok());
}

#[test]
fn a_reference_to_nothing_is_a_mistake_of_that_operation() {
    let mention = |id: &str| json!({ "method": "PUT", "path": "/Users/1", "data": { "x": format!("bulkId:{id}") } });
    check_refused(mention("nobody"), ScimType::InvalidValue, "has the bulkId `nobody`");
    check_refused(mention(""), ScimType::InvalidValue, "has the bulkId ``");
    let delete = json!({ "method": "DELETE", "path": "/Users/1", "bulkId": "d" });
    let steps = run(json!([delete, mention("d")]));
    assert_eq!(refusal(&steps[1]).0, 400, "only a POST makes something");
}

#[test]
fn failures_end_the_request_when_there_are_as_many_as_it_said() {
    let bad = json!({ "method": "DELETE", "path": "/nowhere" });
    let attempted = |fail_on_errors: Value| {
        let mut body = request(json!([bad, user("a"), bad, user("b"), bad]));
        body["failOnErrors"] = fail_on_errors;
        let mut bulk = Bulk::parse(body).unwrap();
        let mut count = 0;
        while let Some(step) = bulk.next_step() {
            let made = step.write.is_ok().then(|| id(step.index));
            bulk.settle(step.bulk_id.as_deref(), made);
            count += 1;
        }
        count
    };
    for (said, expected) in
        [(json!(1), 1), (json!(2), 3), (json!(3), 5), (json!(4), 5), (Value::Null, 5)]
    {
        assert_eq!(attempted(said.clone()), expected, "{said}");
    }
}

#[test]
fn references_that_multiply_stay_as_long_as_ids() {
    // Each names the one before it twice; as text they would double a thousand times.
    let chain = (0..1000).map(|index| {
        let before = format!("bulkId:{}", index - 1);
        let members: &[&str] = if index == 0 { &[] } else { &[&before, &before] };
        group(&index.to_string(), members)
    });
    let steps = run(chain.collect());
    let BulkWrite::Create { data, .. } = steps[999].write.clone().unwrap() else { panic!() };
    assert!(data.to_string().len() < 200, "{data}");
}
