//! Requests as text, for a person.

use std::fmt::Write as _;

use http::Request;

/// A request as it would be sent: secrets hidden, a JSON body indented.
pub(crate) fn request<B: AsRef<[u8]>>(request: &Request<B>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let shown = if value.is_sensitive() { "***" } else { value.to_str().unwrap_or("***") };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {shown}");
    }
    let body = request.body().as_ref();
    if !body.is_empty() {
        text.push('\n');
        text.push_str(&pretty(body));
        text.push('\n');
    }
    text
}

fn pretty(body: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}
