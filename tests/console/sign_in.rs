//! Who gets in, how they stay, and how they leave.

use http::Method;

use crate::browser::PASSWORD;
use crate::kit::relay::Setup;
use crate::kit::until;

const WRONG: &str = "they do not belong together";

#[tokio::test]
async fn who_knows_the_password_is_in_until_they_sign_out() {
    let relay = Setup::new().start().await;
    let email = relay.account("administrator", &[]);
    let browser = relay.browser();
    let page = browser.get("/sign-in?next=/preferences").await.expect(200);
    assert!(page.text.contains("name=\"next\" value=\"&#x2f;preferences\""), "{}", page.text);
    assert!(!page.headers.contains_key("set-cookie"), "nobody has a session yet");

    let fields = [("email", email.as_str()), ("password", PASSWORD), ("next", "/people?q=a")];
    let page = browser.post("/sign-in", &fields).await.expect(303);
    assert_eq!(page.location(), Some("/people?q=a"));
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    let (secret, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(secret.len(), "session=".len() + 43, "{secret}");

    // A browser that is in is not asked again.
    let again = browser.get("/sign-in?next=/people").await.expect(303);
    assert_eq!(again.location(), Some("/people"));
    let first = browser.cookies();
    browser.post("/sign-in", &fields).await.expect(303);
    assert_ne!(browser.cookies(), first, "a new secret each time");

    let thief = relay.browser();
    thief.set_cookies(&browser.cookies());
    thief.get("/sign-in").await.expect(303);
    let page = browser.submit("/sign-out", &[]).await.expect(200);
    assert!(page.text.contains("<h1>Sign in</h1>"), "{}", page.text);
    assert_eq!(browser.cookies(), "");
    thief.get("/sign-in").await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let relay = Setup::new().start().await;
    let email = relay.account("owner", &["lillevik"]);
    let browser = relay.browser();
    let mut texts = Vec::new();
    for email in [email.as_str(), "nobody@lillevik.example"] {
        let fields = [("email", email), ("password", "not this one, no")];
        let page = browser.post("/sign-in", &fields).await.expect(422);
        assert!(page.text.contains(WRONG), "{}", page.text);
        assert!(!page.headers.contains_key("set-cookie"));
        assert!(!page.text.contains("not this one"), "what was typed is not sent back");
        texts.push(page.text.replace(email, "EMAIL"));
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn who_guesses_waits_and_so_does_not_get_in_by_the_right_one() {
    let relay = Setup::new().start().await;
    let email = relay.account("owner", &["lillevik"]);
    let browser = relay.browser();
    let mut status = 422;
    for _ in 0..20 {
        let page = browser.post("/sign-in", &[("email", &email), ("password", "guess")]).await;
        status = page.status;
        if status == 429 {
            let wait: u64 = page.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=900).contains(&wait), "{wait}");
            assert!(page.text.contains("too many tries"), "{}", page.text);
            break;
        }
    }
    assert_eq!(status, 429);
    let right = [("email", email.as_str()), ("password", PASSWORD)];
    browser.post("/sign-in", &right).await.expect(429);
    // Others of the same place are not held up yet.
    relay.sign_in("owner", &["lillevik"]).await;
}

#[tokio::test]
async fn nobody_is_led_to_another_host() {
    let relay = Setup::new().start().await;
    let email = relay.account("administrator", &[]);
    for evil in
        ["//evil.example", "/\\evil.example", "https://evil.example/", "javascript:alert(1)"]
    {
        let browser = relay.browser();
        let page = browser.get(&format!("/sign-in?next={}", evil.replace('\\', "%5C"))).await;
        assert!(!page.expect(200).text.contains("evil"), "{evil}");
        let fields = [("email", email.as_str()), ("password", PASSWORD), ("next", evil)];
        let page = browser.post("/sign-in", &fields).await.expect(303);
        assert_eq!(page.location(), Some("/"), "{evil}");
    }
}

#[tokio::test]
async fn what_another_site_sends_changes_nothing() {
    let relay = Setup::new().start().await;
    let browser = relay.sign_in("administrator", &[]).await;
    let fields = format!("email={}&password=x", browser.email);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for path in ["/sign-out", "/sign-in", "/preferences", "/welcome/abc", "/nowhere"] {
            let headers = [(name, value.to_owned())];
            let page = browser.send(Method::POST, path, &headers, &fields).await;
            assert_eq!(page.status, 403, "{name}: {value} to {path}");
            assert!(page.text.contains("came from another site"), "{}", page.text);
        }
    }
    browser.get("/sign-in").await.expect(303);
}

#[tokio::test]
async fn a_link_sets_a_password_once_and_ends_the_other_sessions() {
    let relay = Setup::new().start().await;
    let browser = relay.sign_in("owner", &["lillevik"]).await;
    let link = relay.command(&["account", "password", &browser.email]);
    let path = link.trim().strip_prefix(&format!("http://{}", relay.console)).unwrap().to_owned();
    browser.get("/sign-in").await.expect(303);

    let new = relay.browser();
    let page = new.get(&path).await.expect(200);
    assert!(page.text.contains(&browser.email), "{}", page.text);
    let page = new.post(&path, &[("password", "too short")]).await.expect(422);
    assert!(page.text.contains("at least 12 characters"), "{}", page.text);
    let page = new.post(&path, &[("password", "another horse battery")]).await.expect(303);
    assert_eq!(page.location(), Some("/"));
    new.get("/sign-in").await.expect(303);
    browser.get("/sign-in").await.expect(200);

    new.get(&path).await.expect(410);
    new.post(&path, &[("password", "yet another battery")]).await.expect(410);
    for (password, status) in [(PASSWORD, 422), ("another horse battery", 303)] {
        let fields = [("email", browser.email.as_str()), ("password", password)];
        relay.browser().post("/sign-in", &fields).await.expect(status);
    }
}

#[tokio::test]
async fn whoever_opens_the_first_link_administers_the_console_and_nobody_after() {
    let mut relay = Setup::new().start().await;
    let links = |log: &str| -> Vec<String> {
        let places = log.split("/welcome/").skip(1);
        places.map(|rest| format!("/welcome/{}", rest.get(..43).unwrap_or_default())).collect()
    };
    until("the link is said", async || links(&relay.log()).len() == 1).await;
    let [old] = &links(&relay.log())[..] else { panic!("{}", relay.log()) };
    relay.terminate().await;
    relay.restart().await;
    until("another one is said", async || links(&relay.log()).len() == 2).await;
    let [_, link] = &links(&relay.log())[..] else { panic!("{}", relay.log()) };
    let browser = relay.browser();
    browser.get(old).await.expect(410);
    let page = browser.get(link).await.expect(200);
    assert!(page.text.contains("Make the first account"), "{}", page.text);

    let fields = [("email", "no address"), ("name", "Ada"), ("password", PASSWORD)];
    let page = browser.post(link, &fields).await.expect(422);
    assert!(page.text.contains("is no e-mail address"), "{}", page.text);
    let fields = [("email", "ada@lillevik.example"), ("name", "Ada"), ("password", PASSWORD)];
    browser.post(link, &fields).await.expect(303);
    browser.get("/").await.expect(200);
    relay.browser().post(link, &fields).await.expect(410);

    let accounts = relay.json(&["account", "list"]);
    assert_eq!(accounts[0]["email"], "ada@lillevik.example");
    assert_eq!(accounts[0]["role"], "administrator");
    relay.terminate().await;
    relay.restart().await;
    assert_eq!(links(&relay.log()).len(), 2, "there is one now, so no link is made");
}
