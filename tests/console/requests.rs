//! A provider's requests over the wire: in words, without secrets, and each look written down.

use serde_json::json;

use crate::kit::provider::person;
use crate::kit::relay::Setup;
use crate::kit::until;

#[tokio::test]
async fn what_a_provider_asked_is_there_in_words_and_without_its_secrets() {
    let relay = Setup::new().organization("solvang").start().await;
    let provider = relay.provider("lillevik");
    let mut kari = person("kari");
    kari["password"] = json!("correct-horse");
    provider.post("/Users", kari.clone()).await.expect(201);
    provider.post("/Users", kari).await.expect(409);
    let desk = relay.sign_in("helpdesk", &["lillevik"]).await;
    // With one organization there is nothing to choose.
    let moved = desk.get("/requests").await.expect(303);
    assert_eq!(moved.location(), Some("/requests?org=lillevik"));
    until("they are recorded", async || {
        let list = desk.get("/requests?org=lillevik").await.expect(200);
        list.text.contains("Created kari") && list.text.contains("Wanted to create kari")
    })
    .await;
    let refused = desk.get("/requests?org=lillevik&failed=yes").await.expect(200);
    assert!(!refused.text.contains("Created kari") && refused.text.contains("409 Already there"));
    let none = desk.get("/requests?org=lillevik&q=nobody").await.expect(200);
    assert!(none.text.contains("Nothing here matches"), "{}", none.text);
    let (_, address) = refused.text.split_once("class=\"long\" href=\"").unwrap();
    let address = address.split_once('"').unwrap().0.replace("&#x2f;", "/");
    let one = desk.get(&address).await.expect(200);
    assert!(one.text.contains("Somebody else has that name already"), "{}", one.text);
    assert!(one.text.contains("[redacted]") && !one.text.contains("correct-horse"));

    let elsewhere = relay.sign_in("helpdesk", &["solvang"]).await;
    elsewhere.get("/requests?org=lillevik").await.expect(404);
    elsewhere.get(&address).await.expect(404);
    let forged = address.replace("lillevik", "solvang");
    elsewhere.get(&forged).await.expect(404);

    // One look, however often it was gone on with; and the one request.
    let all = relay.sign_in("administrator", &[]).await;
    let choose = all.get("/requests").await.expect(200);
    assert!(choose.text.contains("Whose requests?"), "{}", choose.text);
    let log = all.get(&format!("/activity.jsonl?about=requests&who={}", desk.email)).await;
    let looks: Vec<&str> = log.text.lines().collect();
    assert_eq!(looks.len(), 3, "all, refused, one: {looks:#?}");
}
