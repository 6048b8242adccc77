//! Who asks: the session's cookie, the address somebody comes from, and the viewer in each request.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use super::reader::cookie;
use super::viewer::{Viewer, Waits};
use super::{Console, live, page};
use crate::http::Peer;
use crate::operator::{Actor, Visitor};

/// A browser takes the first name by https alone, and from no other host of the domain.
const PRIVATE: &str = "__Host-session";
/// On this machine, without TLS.
const PLAIN: &str = "session";

/// Puts the viewer into the request, if somebody is signed in.
pub(super) async fn recognise(
    State(console): State<Console>,
    visitor: Visitor,
    mut request: Request,
    next: Next,
) -> Response {
    let is_private = console.operator.console().is_private();
    if let Some(secret) = cookie(request.headers(), name(is_private)) {
        // What a page that is open asks for by itself is no sign that somebody is there.
        let by_hand = request.uri().path() != live::PATH;
        match console.operator.member(secret, by_hand).await {
            Ok(Some(member)) => {
                let viewer = Viewer {
                    actor: Actor::account(member.email.clone(), visitor.address),
                    name: member.name.clone(),
                    rights: member.rights.clone(),
                    session: member.session,
                    waits: Waits::default(),
                    reader: console.reader(request.headers()),
                };
                request.extensions_mut().insert(viewer);
                request.extensions_mut().insert(member);
            }
            Ok(None) => {}
            Err(error) => {
                let reader = console.reader(request.headers());
                return page::trouble_alone(&console, &reader, &error.into());
            }
        }
    }
    let mut response = next.run(request).await;
    if is_private {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

fn name(is_private: bool) -> &'static str {
    if is_private { PRIVATE } else { PLAIN }
}

/// Gives a browser its session, or takes it back.
pub(super) fn set_cookie(console: &Console, secret: Option<&SecretString>) -> HeaderValue {
    written(console.operator.console().is_private(), secret)
        .parse()
        .expect("a secret of ours is plain ASCII")
}

fn written(is_private: bool, secret: Option<&SecretString>) -> String {
    let name = name(is_private);
    let value = secret.map_or("", ExposeSecret::expose_secret);
    let secure = if is_private { "; Secure" } else { "" };
    let over = if secret.is_none() { "; Max-Age=0" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{over}")
}

impl FromRequestParts<Console> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().and_then(Peer::ip);
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let behind_proxy = console.operator.console().behind_proxy;
        let address = if behind_proxy { forwarded(&parts.headers) } else { None }.unwrap_or(peer);
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Self { address: address.to_canonical(), agent })
    }
}

/// Whom the proxy in front of us says that it serves: the last of the list, since a client may send
/// the others.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    // Some proxies add the port.
    last.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// A place on this console to go on to, and never another host: `//` begins one, and so does `/\` for
/// browsers.
pub(super) fn local(next: &str) -> Option<&str> {
    let fits = next.len() <= 2_000
        && next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    fits.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_the_server_alone_and_by_https_where_there_is_any() {
        let secret = SecretString::from("s3cret");
        assert_eq!(
            written(true, Some(&secret)),
            "__Host-session=s3cret; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(written(false, Some(&secret)), "session=s3cret; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(
            written(true, None),
            "__Host-session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
    }

    #[test]
    fn the_proxys_own_word_is_the_last_one() {
        for (lines, expected) in [
            (&[][..], None),
            (&["192.0.2.7"], Some("192.0.2.7")),
            (&["203.0.113.9, 192.0.2.7"], Some("192.0.2.7")),
            (&["203.0.113.9", "192.0.2.7"], Some("192.0.2.7")),
            (&["192.0.2.7, unknown"], None),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["203.0.113.9, 192.0.2.7:49152"], Some("192.0.2.7")),
            (&["[2001:db8::1]:49152"], Some("2001:db8::1")),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            assert_eq!(
                forwarded(&headers),
                expected.map(|ip: &str| ip.parse().unwrap()),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn somebody_who_signed_in_goes_on_within_the_console_and_nowhere_else() {
        for (next, expected) in [
            ("/people?q=kari&org=lillevik", true),
            ("/", true),
            ("", false),
            ("people", false),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("/a\\b", false),
            ("https://evil.example/", false),
            ("javascript:alert(1)", false),
            ("/\t/evil.example", false),
            ("/å", false),
            (&*format!("/{}", "a".repeat(2_000)), false),
        ] {
            assert_eq!(local(next).is_some(), expected, "{next}");
        }
    }
}
