//! The way to the running daemon: HTTP over its admin socket.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay::daemon::admin::{group_name, wire::Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::{CONFIG, Failure, Result};

/// Where the daemon listens, unless the configuration says otherwise.
const SOCKET: &str = "/run/scim-relay/admin.sock";

/// Of a name in an address, all but what RFC 3986 section 2.3 calls unreserved.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    /// Finds the socket by the configuration. Of that only the one key matters, so that a mistake
    /// elsewhere keeps nobody from the daemon that runs.
    pub(super) fn new(config: Option<&Path>) -> Result<Self> {
        let file = config.unwrap_or(Path::new(CONFIG));
        let socket = match (fs::read_to_string(file), config) {
            (Ok(text), _) => socket_of(file, &text),
            // Somebody who may not read the configuration may still administer the relay.
            (Err(_), None) => SOCKET.into(),
            (Err(error), Some(_)) => {
                return Err(Failure::Failed(format!(
                    "the configuration file {} cannot be read ({error}), so it is not known where \
                     the daemon listens; see --config and SCIM_RELAY_CONFIG",
                    file.display()
                )));
            }
        };
        Ok(Self { socket })
    }

    /// Asks for something. `address` is made with [`address`].
    pub(super) async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T> {
        self.ask(Method::GET, address, Vec::new()).await
    }

    /// Asks for something to be done.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        address: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).expect("a request is JSON");
        self.ask(Method::POST, address, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        address: &str,
        body: Vec<u8>,
    ) -> Result<T> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            let message = match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::ConnectionRefused
                // It ends at this moment.
                | ErrorKind::ConnectionReset => not_running(&self.socket),
                ErrorKind::PermissionDenied => not_allowed(&self.socket),
                _ => format!("cannot reach scim-relay on {}: {error}", self.socket.display()),
            };
            Failure::Failed(message)
        })?;
        let request = Request::builder()
            .method(method)
            .uri(address)
            .header(header::HOST, "scim-relay")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .expect("an address is escaped");
        let (status, body) = exchange(stream, request).await.map_err(|error| {
            Failure::Failed(format!(
                "scim-relay broke off the conversation on {} ({error}); its log says why \
                 (`journalctl -u scim-relay`)",
                self.socket.display()
            ))
        })?;
        answer(status, &body)
    }
}

async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> hyper::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    // The connection ends with the exchange; what is wrong with it, the exchange says too.
    futures_util::future::join(exchange, connection).await.0
}

fn answer<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T> {
    let unreadable = || {
        Failure::Failed(format!(
            "the running scim-relay answered ({status}) what this command does not understand; \
             restart it, so that both are of the same version"
        ))
    };
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|_| unreadable());
    }
    let refusal: Refusal = serde_json::from_slice(body).map_err(|_| unreadable())?;
    Err(Failure::Failed(refusal.error))
}

/// An address from names that may hold anything: `["connectors", name, "pause"]`.
pub(super) fn address(parts: &[&str]) -> String {
    let mut address = "/v1".to_owned();
    for part in parts {
        address.push('/');
        address.extend(utf8_percent_encode(part, &ESCAPED));
    }
    address
}

/// Adds what is known of these to an address.
pub(super) fn query(mut address: String, pairs: &[(&str, Option<&str>)]) -> String {
    let mut separator = '?';
    for (name, value) in pairs {
        if let Some(value) = value {
            address.push(separator);
            address.push_str(name);
            address.push('=');
            address.extend(utf8_percent_encode(value, &ESCAPED));
            separator = '&';
        }
    }
    address
}

/// What the main file says of the socket; the default where it says nothing that can be read.
fn socket_of(file: &Path, text: &str) -> PathBuf {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Main {
        admin: Admin,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Admin {
        socket: Option<PathBuf>,
    }
    let main: Main = toml::from_str(text).unwrap_or_default();
    let named = main.admin.socket.unwrap_or_else(|| SOCKET.into());
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    file.parent().unwrap_or(Path::new("/")).join(named)
}

fn not_running(socket: &Path) -> String {
    format!(
        "scim-relay is not running (no answer on {}); start it with `systemctl start scim-relay` \
         or `scim-relay serve`",
        socket.display()
    )
}

/// Either the socket or the folder it is in keeps the user out; the one that can be seen has the
/// group that lets in.
fn not_allowed(socket: &Path) -> String {
    let seen = fs::metadata(socket).or_else(|_| fs::metadata(socket.parent().unwrap_or(socket)));
    let group = seen.ok().and_then(|file| group_name(file.gid()));
    let group = group.filter(|group| group != "root");
    let group = group.as_deref().unwrap_or("scim-relay");
    format!(
        "this user may not administer scim-relay ({}); join the group {group} (`usermod -aG \
         {group} USER`, then sign in anew) or use `sudo`",
        socket.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_an_address() {
        assert_eq!(
            address(&["connectors", "a/../b?c d", "test"]),
            "/v1/connectors/a%2F..%2Fb%3Fc%20d/test"
        );
        let pairs = [("connector", None), ("state", Some("a&b")), ("limit", Some("5"))];
        assert_eq!(query(address(&["queue"]), &pairs), "/v1/queue?state=a%26b&limit=5");
    }

    #[test]
    fn the_socket_is_found_however_wrong_the_rest_of_the_file_is() {
        let check = |text: &str, expected: &str| {
            assert_eq!(socket_of(Path::new("/etc/relay/config.toml"), text), Path::new(expected));
        };
        check("data_dri = 5\n[admin]\nsocket = \"run/a.sock\"\n", "/etc/relay/run/a.sock");
        check("[admin]\nsocket = \"/run/b.sock\"\n", "/run/b.sock");
        check("[organizations.a]\n", SOCKET);
        check("= broken", SOCKET);
    }
}
