//! What a receiver of Standard Webhooks checks, written as a receiver would write it: without the
//! relay's own code, so that the demonstration shows that others can verify it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

/// How far the sender's clock and ours may be apart; what is older was recorded by somebody, and
/// replayed.
const TOLERANCE: i64 = 300;

/// The bytes of a `whsec_` secret.
pub(super) fn key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix("whsec_")?).ok()
}

/// Whether the request comes from whoever has the key: HMAC-SHA256 over `id.timestamp.body`, in a
/// header that may hold several signatures.
pub(super) fn verify(key: &[u8], headers: &HeaderMap, body: &[u8], now: i64) -> bool {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let (Some(id), Some(timestamp), Some(signatures)) =
        (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"))
    else {
        return false;
    };
    let fresh = timestamp.parse::<i64>().is_ok_and(|sent| now.abs_diff(sent) <= TOLERANCE as u64);
    fresh
        && signatures
            .split(' ')
            .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
            .any(|signature| is_signature(key, id, timestamp, body, &signature))
}

fn is_signature(key: &[u8], id: &str, timestamp: &str, body: &[u8], signature: &[u8]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    // Compares in a time that tells nothing.
    mac.verify_slice(signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The specification's own test vector.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SENT: i64 = 1_614_265_330;
    const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[track_caller]
    fn check(signature: &str, body: &[u8], now: i64, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert("webhook-timestamp", SENT.into());
        headers.insert("webhook-signature", signature.parse().unwrap());
        assert_eq!(verify(&key(SECRET).unwrap(), &headers, body, now), expected);
    }

    #[test]
    fn the_known_message_is_verified() {
        check(GOOD, BODY, SENT, true);
        check(&format!("v1,AAAA {GOOD}"), BODY, SENT + TOLERANCE, true);
    }

    #[test]
    fn another_body_an_old_request_and_no_signature_are_not() {
        check(GOOD, b"{}", SENT, false);
        check(GOOD, BODY, SENT + TOLERANCE + 1, false);
        check("v1,AAAA", BODY, SENT, false);
        assert!(!verify(b"key", &HeaderMap::new(), BODY, SENT));
    }
}
