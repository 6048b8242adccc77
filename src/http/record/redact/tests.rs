//! That a secret is not kept, wherever in a request it stands.

use proptest::prelude::*;
use scim_relay_sdk::scim::{AttributeType, ResourceKind, Schema};
use serde_json::json;

use super::*;

const CANARY: &str = "Kanari-4711!";

/// The builtin schemas, and an extension with an attribute that is never returned.
fn schemas() -> Schemas {
    let pin = Attribute::new("pin", AttributeType::String, "").returned(Returned::Never);
    let code = Attribute::new("code", AttributeType::String, "").mutability(Mutability::WriteOnly);
    let door = Attribute::new("door", AttributeType::Complex, "").sub_attributes(vec![code]);
    let extension = Schema {
        id: "urn:example:2.0:Badge".to_owned(),
        name: "Badge".to_owned(),
        description: String::new(),
        attributes: vec![pin, door],
    };
    Schemas::with([(ResourceKind::User, extension)])
}

fn redacted(mut value: Value) -> Value {
    Redactor::new(&schemas()).redact(&mut value);
    value
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "both sides are written with json!")]
fn check(value: Value, expected: Value) {
    assert_eq!(redacted(value), expected);
}

#[test]
fn a_secret_is_known_by_its_name_in_any_spelling() {
    for name in [
        "password",
        "PassWord",
        "urn:ietf:params:scim:schemas:core:2.0:User:password",
        "user.password",
        "newPassword",
        "ｐａｓｓｗｏｒｄ",
        "clientSecret",
        "unicodePwd",
        "PIN",
        "urn:example:2.0:Badge:pin",
        "code",
        "urn:example:2.0:Badge:door.code",
        "/pin",
        "pin ",
    ] {
        check(json!({ name: CANARY }), json!({ name: STRUCK }));
        check(json!({ name: { "value": [CANARY, 1] } }), json!({ name: STRUCK }));
    }
    check(json!({ "password": null }), json!({ "password": null }));
    let harmless = json!({ "userName": "ada", "active": true, "emails": [{ "value": "a@x" }] });
    check(harmless.clone(), harmless);
}

#[test]
fn a_patch_names_its_secret_beside_it() {
    let operation =
        |path: &str, value: &str| json!({ "op": "replace", "path": path, "value": value });
    for path in [
        "password",
        "Password",
        "urn:ietf:params:scim:schemas:core:2.0:User:password",
        "door.code",
        // What is no path, and is refused: the value is a secret all the same.
        "/password",
        "password ",
        " PIN",
        "Badge/pin",
    ] {
        check(operation(path, CANARY), operation(path, STRUCK));
    }
    let filtered = r#"cards[type eq "a"].pin"#;
    check(operation(filtered, CANARY), operation(STRUCK, STRUCK));
    check(operation("title", "Dr."), operation("title", "Dr."));
    check(operation("displayName", "Passwords"), operation("displayName", "Passwords"));
    // The name after the value, and other words for the same.
    check(
        json!({ "value": CANARY, "path": "password", "op": "add" }),
        json!({ "value": STRUCK, "path": "password", "op": "add" }),
    );
    check(json!({ "Value ": CANARY, "type": "pin" }), json!({ "Value ": STRUCK, "type": "pin" }));
}

#[test]
fn a_text_that_tells_more_than_a_name_goes_whole() {
    for text in [
        "password eq \"Kanari-4711!\"",
        "PASSWORD eq 4711",
        "not (pin sw \"47\")",
        "emails[type eq \"work\"].password",
        "{\"password\":\"Kanari-4711!\"}",
        "/Users?filter=password%20eq%20%22Kanari%22",
        "password=Kanari-4711!",
    ] {
        for key in ["filter", "path", "title"] {
            check(json!({ key: text }), json!({ key: STRUCK }));
        }
    }
    for text in ["userName eq \"ada\"", "Password administrator", "members[value eq \"1\"]"] {
        check(json!({ "title": text }), json!({ "title": text }));
    }
}

#[test]
fn of_a_token_the_public_part_stays() {
    let token = format!("scimr_AbCdEfGhIjKl_{}", "x".repeat(49));
    let kept = "scimr_AbCdEfGhIjKl[redacted]";
    check(json!({ "userName": token.clone() }), json!({ "userName": kept }));
    check(json!({ token.clone(): [format!("a {token} b {token}")] }), {
        json!({ kept: [format!("a {kept} b {kept}")] })
    });
    assert_eq!(without_tokens("scimr_AbC"), "scimr_AbC");
    assert_eq!(without_tokens(&"scimr_æ".repeat(2)), "scimr_æscimr_æ");
}

#[test]
fn a_query_keeps_the_values_of_scim_s_own_parameters() {
    for (query, expected) in [
        ("filter=userName%20eq%20%22ada%22&count=1", "?filter=userName eq \"ada\"&count=1"),
        ("filter=password+eq+%22Kanari%22&startIndex=1", "?filter=[redacted]&startIndex=1"),
        ("FILTER=Pin%20eq%20%2247%22", "?FILTER=[redacted]"),
        ("attributes=userName,password", "?attributes=userName,password"),
        ("aadOptscim062020", "?aadOptscim062020"),
        ("access_token=Kanari&x=", "?access_token=[redacted]&x"),
        ("filter=%ff", "?filter=\u{fffd}"),
    ] {
        let uri: Uri = format!("/scim/a/v2/Users?{query}").parse().unwrap();
        assert_eq!(Redactor::new(&schemas()).query(&uri), expected);
    }
}

#[test]
fn an_answer_does_not_repeat_what_was_struck() {
    let mut redactor = Redactor::new(&schemas());
    redactor.redact(&mut json!({ "password": [CANARY, 4711] }));
    let mut answer = json!({ "detail": format!("`{CANARY}` is too weak"), "pin": "0" });
    redactor.redact_answer(&mut answer);
    assert_eq!(answer, json!({ "detail": STRUCK, "pin": STRUCK }));
    assert_eq!(redactor.text("/Users/4711"), STRUCK);
    assert_eq!(redactor.text("/Users/1"), "/Users/1");

    // Of a filter, any part may come back.
    let mut redactor = Redactor::new(&schemas());
    redactor.redact(&mut json!({ "filter": "password eq 'Kanari" }));
    let mut answer = json!({ "scimType": "invalidFilter", "detail": "`'Kanari` is no value" });
    redactor.redact_answer(&mut answer);
    assert_eq!(answer, json!({ "scimType": "invalidFilter", "detail": STRUCK }));
}

#[test]
fn beyond_what_is_looked_for_no_detail_is_kept() {
    let answer = json!({ "scimType": "invalidValue", "detail": "the value is too weak" });
    let after = |secrets: Vec<String>| {
        let (mut redactor, mut answer) = (Redactor::new(&schemas()), answer.clone());
        redactor.redact(&mut json!({ "password": secrets }));
        redactor.redact_answer(&mut answer);
        (redactor.found.len(), answer)
    };
    let struck = json!({ "scimType": "invalidValue", "detail": STRUCK });
    let secret = |number: usize| format!("Kanari-{number}");
    assert_eq!(after((0..LOOKED_FOR).map(secret).collect()), (LOOKED_FOR, answer.clone()));
    assert_eq!(after((0..=LOOKED_FOR).map(secret).collect()), (LOOKED_FOR, struck.clone()));
    assert_eq!(after(vec!["x".repeat(LENGTH)]), (1, answer.clone()));
    assert_eq!(after(vec!["x".repeat(LENGTH + 1)]), (0, struck));
    assert_eq!(after(vec![CANARY.to_owned(); 1_000]), (1, answer), "the same is no more");
}

#[test]
fn a_refusal_may_speak_of_a_token() {
    let detail = "a token stands for an organization: there is no /Me";
    let refusal = json!({ "schemas": [ERROR_URN], "detail": detail });
    let mut answer = refusal.clone();
    Redactor::new(&schemas()).redact_answer(&mut answer);
    assert_eq!(answer, refusal);
    // The same in a client's resource could be anything.
    let mut resource = json!({ "detail": detail });
    Redactor::new(&schemas()).redact_answer(&mut resource);
    assert_eq!(resource, json!({ "detail": STRUCK }));
}

/// Any JSON, with the canary at places where a secret may stand.
fn body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), secret()];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let member = ("[a-zA-Z:. ]{0,12}", inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            prop::collection::vec(member, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The canary under a name that says what it is, as any value.
fn secret() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("password"),
        Just("PASSWORD"),
        Just("urn:ietf:params:scim:schemas:core:2.0:User:Password"),
        Just("x.password"),
        Just("pin"),
        Just("urn:example:2.0:Badge:door.code"),
        Just("/password"),
        Just("pin "),
        Just(r#"cards[type eq "a"].pin"#),
    ];
    let value = prop_oneof![
        Just(json!(CANARY)),
        Just(json!([[CANARY]])),
        Just(json!({ "value": CANARY, "type": "work" })),
        Just(json!({ CANARY: 1 })),
    ];
    (name, value, 0..6).prop_map(|(name, value, form)| match form {
        0 => json!({ name: value }),
        1 => json!({ "op": "Replace", "path": name, "value": value }),
        2 => json!({ "VALUE": value, "Path": name }),
        3 => json!({ "op": "add", "value": { "title": "x", name: value } }),
        4 => json!({ "method": "POST", "path": "/Users", "data": { name: value } }),
        _ => json!({ "op": "add", "value": json!({ name: value }).to_string() }),
    })
}

proptest! {
    #[test]
    fn a_secret_in_a_place_for_secrets_never_survives(body in body()) {
        let kept = redacted(body).to_string();
        prop_assert!(!kept.contains(CANARY), "{kept}");
    }

    /// Secrets made of the letters of what stands in their place.
    #[test]
    fn what_is_kept_is_hardly_longer_than_what_came(
        secrets in prop::collection::vec("[redact]{1,2}|\\[|\\]|scimr_x{0,14}", 0..15),
        texts in prop::collection::vec("([redact \\]\\[]{0,20}|scimr_x{0,14} ?){0,5}", 0..5),
    ) {
        let mut redactor = Redactor::new(&schemas());
        let mut request = json!({ "password": secrets, "title": texts });
        let mut answer = json!({ "detail": texts, "a": [{ "title": texts }] });
        let before = (request.to_string().len(), answer.to_string().len());
        redactor.redact(&mut request);
        redactor.redact_answer(&mut answer);
        prop_assert!(request.to_string().len() <= 4 * before.0, "{request}");
        prop_assert!(answer.to_string().len() <= 4 * before.1, "{answer}");
        for text in &texts {
            prop_assert!(redactor.text(text).len() <= 2 * text.len() + STRUCK.len());
        }
    }
}
