//! An answer, read no further than is sensible.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

/// What is read of a body. Answers to pushes are short; who sends more wants to fill our memory.
pub const MAX_BODY: usize = 64 << 10;

/// What of a body a person gets to see.
const MAX_EXCERPT: usize = 300;

/// An answer. The status counts even where the body did not arrive whole: a target that says 200
/// and then drips has still said 200.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body, or as much of it as came.
    pub body: Bytes,
    /// Why the body is not whole.
    pub body_error: Option<BodyError>,
}

/// Why a body is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the answer is longer than {} KiB", MAX_BODY >> 10)]
    TooLong,
    #[error("the answer did not end in time")]
    TooSlow,
    #[error("the answer was cut off: {0}")]
    CutOff(String),
}

/// Reads a body into `into`, so that a deadline outside finds what came until then.
pub(crate) async fn read(body: Incoming, into: &mut BytesMut) -> Result<(), BodyError> {
    let mut body = Limited::new(body, MAX_BODY);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    into.extend_from_slice(&data);
                }
            }
            Err(error) if error.is::<LengthLimitError>() => return Err(BodyError::TooLong),
            Err(error) => return Err(BodyError::CutOff(error.to_string())),
        }
    }
    Ok(())
}

/// The beginning of a body on one line, for a person to read: control characters, which could
/// steer a terminal or forge a line in a log, become spaces.
pub fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_EXCERPT)]);
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || is_hostile(c)) {
        if !word.is_empty() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
    }
    if words.chars().count() > MAX_EXCERPT {
        words = words.chars().take(MAX_EXCERPT).collect();
        words.push('…');
    }
    words
}

/// Control characters, and those that turn the direction of the text around them.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_harmless_line() {
        assert_eq!(
            excerpt(b"{\n  \"error\": \"no\r\n\x1b[31msuch id\"\n}"),
            "{ \"error\": \"no [31msuch id\" }"
        );
        assert_eq!(excerpt("a\u{202e}b".as_bytes()), "a b");
        assert_eq!(excerpt(b""), "");
    }

    #[test]
    fn an_excerpt_is_short() {
        let long = excerpt(&[b'x'; 5000]);
        assert_eq!(long.chars().count(), MAX_EXCERPT + 1);
        assert!(long.ends_with('…'));
    }
}
