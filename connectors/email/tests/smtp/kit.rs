//! A connector that sends to the tests' mail server, and servers that misbehave.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use scim_relay_email::Config;
use scim_relay_sdk::connector::{BuildContext, Connector, Resource, Settings as _};
use scim_relay_sdk::testing::{ada, organization, secrets};

use crate::server::Server;

impl Server {
    /// A connector to it over STARTTLS, which trusts its authority and knows the password.
    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        self.connector_with(
            &self.url("smtp"),
            "ca = \"ca.pem\"\npassword = \"s3cret\"\nusername = \"relay\"",
        )
    }

    pub(crate) fn connector_with(&self, url: &str, more: &str) -> Arc<dyn Connector> {
        connector(self.folder(), &format!("url = \"{url}\"\n{more}"))
    }

    /// One whose mails come from this address.
    pub(crate) fn connector_from(&self, from: &str, more: &str) -> Arc<dyn Connector> {
        let text = format!("from = \"{from}\"\nurl = \"{}\"\n{more}", self.url("smtp"));
        build(self.folder(), &text)
    }
}

/// A connector from the text of its section; relative paths start from `folder`.
pub(crate) fn connector(folder: &Path, text: &str) -> Arc<dyn Connector> {
    build(folder, &format!("from = \"Lillevik IT <it@lillevik.example>\"\n{text}"))
}

fn build(folder: &Path, text: &str) -> Arc<dyn Connector> {
    let config: Config = toml::from_str(text).expect("the section can be read");
    assert_eq!(config.check(false), []);
    let context = BuildContext {
        name: "welcome",
        folder,
        secrets: &secrets(),
        timeout: Duration::from_secs(3),
        concurrency: 4,
        organizations: &[organization()],
    };
    config.build(&context).unwrap_or_else(|problem| panic!("{problem:?}"))
}

/// Somebody with this address.
pub(crate) fn person(address: &str) -> Resource {
    let mut person = ada();
    let emails = serde_json::json!([{ "value": address, "type": "work", "primary": true }]);
    person.attributes.insert("emails".to_owned(), emails);
    person
}

/// A server that says these things: the first at once, each further one after it has read a line;
/// then nothing more, until the client leaves. What the client said comes back through the handle.
pub(crate) fn scripted(words: &'static [&'static str]) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut write = stream.try_clone().expect("a second handle");
        let mut read = BufReader::new(stream);
        let mut heard = String::new();
        for (number, word) in words.iter().enumerate() {
            if number > 0 && read.read_line(&mut heard).unwrap_or(0) == 0 {
                return heard;
            }
            if write.write_all(word.as_bytes()).is_err() {
                return heard;
            }
        }
        let mut rest = Vec::new();
        drop(read.read_to_end(&mut rest));
        heard + &String::from_utf8_lossy(&rest)
    });
    (port, server)
}
