//! A code from a phone, besides the password: set up, asked for, turned off.

use std::time::SystemTime;

use aws_lc_rs::hmac;

use crate::browser::PASSWORD;
use crate::kit::relay::Setup;

/// What a phone shows (RFC 6238): so many half minutes from now.
#[expect(clippy::disallowed_methods, reason = "the relay that is tested has the system's clock")]
fn phone(secret: &str, later: u64) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters = secret.chars().filter_map(|letter| alphabet.find(letter));
    let bits = letters.flat_map(|number| (0..5).rev().map(move |place| number >> place & 1));
    let bits: Vec<usize> = bits.collect();
    let byte = |bits: &[usize]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | *bit as u8);
    let key: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let step = now / 30 + later;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let four: [u8; 4] = tag.as_ref()[offset..offset + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

/// The value of a hidden field.
fn hidden<'a>(html: &'a str, name: &str) -> &'a str {
    let begin = format!("name=\"{name}\" value=\"");
    html.split_once(&begin).expect(html).1.split_once('"').expect("its end").0
}

#[tokio::test]
async fn who_has_a_second_factor_needs_a_code_that_is_good_once() {
    let relay = Setup::new().start().await;
    let browser = relay.sign_in("owner", &["lillevik"]).await;
    let elsewhere = relay.browser();
    let signed_in = [("email", browser.email.as_str()), ("password", PASSWORD)];
    elsewhere.post("/sign-in", &signed_in).await.expect(303);

    let page = browser.get("/account/second-factor").await.expect(200);
    assert!(page.text.contains("class=\"qr\""), "{}", page.text);
    let secret = hidden(&page.text, "secret").to_owned();
    let wrong = [("secret", secret.as_str()), ("code", "000000")];
    let page = browser.post("/account/second-factor", &wrong).await.expect(422);
    assert_eq!(hidden(&page.text, "secret"), secret, "the phone has it already");
    browser.get("/account").await.expect(200);
    let first = phone(&secret, 0);
    let right = [("secret", secret.as_str()), ("code", first.as_str())];
    browser.post("/account/second-factor", &right).await.expect(303);
    elsewhere.get("/account").await.expect(303);

    // The password alone opens nothing.
    let page = elsewhere.post("/sign-in", &signed_in).await.expect(200);
    assert!(page.text.contains("<h1>Your code</h1>"), "{}", page.text);
    assert!(!page.headers.contains_key("set-cookie"));
    elsewhere.get("/account").await.expect(303);
    let ticket = hidden(&page.text, "ticket").to_owned();
    let send = async |code: &str| {
        let fields = [("ticket", ticket.as_str()), ("code", code), ("next", "/people")];
        elsewhere.post("/sign-in/code", &fields).await
    };
    let page = send("000000").await.expect(422);
    assert!(page.text.contains("Each is good once"), "{}", page.text);
    let next = phone(&secret, 1);
    let page = send(&next).await.expect(303);
    assert_eq!(page.location(), Some("/people"));
    elsewhere.get("/account").await.expect(200);
    let page = send(&next).await.expect(303);
    assert_eq!(page.location(), Some("/sign-in"), "that ticket is used up");

    // Another ticket, the same code.
    let thief = relay.browser();
    let page = thief.post("/sign-in", &signed_in).await.expect(200);
    let ticket = hidden(&page.text, "ticket");
    let again = [("ticket", ticket), ("code", next.as_str())];
    thief.post("/sign-in/code", &again).await.expect(422);
    let made_up = [("ticket", "guess"), ("code", next.as_str())];
    let page = thief.post("/sign-in/code", &made_up).await.expect(303);
    assert_eq!(page.location(), Some("/sign-in"));

    // Off again, for whoever knows the password.
    let off = "/account/second-factor/off";
    browser.post(off, &[("password", "not this one, no")]).await.expect(422);
    browser.post(off, &[("password", PASSWORD)]).await.expect(303);
    relay.browser().post("/sign-in", &signed_in).await.expect(303);
}

#[tokio::test]
async fn who_lost_their_phone_comes_in_by_a_link_to_set_a_password() {
    let relay = Setup::new().start().await;
    let browser = relay.sign_in("owner", &["lillevik"]).await;
    let page = browser.get("/account/second-factor").await.expect(200);
    let secret = hidden(&page.text, "secret").to_owned();
    let code = phone(&secret, 0);
    let right = [("secret", secret.as_str()), ("code", code.as_str())];
    browser.post("/account/second-factor", &right).await.expect(303);
    let url = relay.command(&["account", "password", &browser.email]);
    let path = url[url.find("/welcome/").unwrap()..].trim();
    let fresh = relay.browser();
    fresh.post(path, &[("password", "another horse battery")]).await.expect(303);
    let page = fresh.get("/account").await.expect(200);
    assert!(page.text.contains("/account/second-factor\""), "it is off: {}", page.text);
}
