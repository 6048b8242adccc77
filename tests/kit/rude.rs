//! A receiver of events that is rude to some: how it takes the events of a person is set by name,
//! down to the bytes that it answers with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it does once it has read an event.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// These bytes, and the end of the connection; without any, the end alone.
    Says(String),
    /// These bytes, and then one more every now and then.
    Drips(String),
    /// These bytes, and then as many more as are taken.
    Floods(String),
    /// The connection is reset.
    Resets,
    /// Nothing, for as long as the other side waits.
    IsSilent,
}

impl Manner {
    /// An answer with this status line, these headers and no body.
    pub(crate) fn status(status: &str, headers: &str) -> Self {
        Self::Says(format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n\r\n"))
    }
}

/// An event that was read, whatever became of it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// `webhook-id`
    pub(crate) id: String,
    pub(crate) kind: String,
    /// userName of the person it is about.
    pub(crate) name: String,
}

#[derive(Default)]
struct Inner {
    heard: Vec<Heard>,
    /// By userName.
    manners: BTreeMap<String, Manner>,
    /// For everybody else.
    usual: Option<Manner>,
}

type Shared = Arc<Mutex<Inner>>;

/// A running receiver; it ends with this value.
pub(crate) struct Rude {
    address: String,
    inner: Shared,
    _server: JoinSet<()>,
}

impl Rude {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let inner = Shared::default();
        let shared = Arc::clone(&inner);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut guests = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                guests.spawn(receive(stream, Arc::clone(&shared)));
            }
        });
        Self { address, inner, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// How events of this person are taken from now on.
    pub(crate) fn treat(&self, name: &str, manner: Manner) {
        lock(&self.inner).manners.insert(name.to_owned(), manner);
    }

    /// How everybody's events are taken from now on.
    pub(crate) fn treat_everybody(&self, manner: Manner) {
        let mut inner = lock(&self.inner);
        inner.manners.clear();
        inner.usual = Some(manner);
    }

    /// Everything is taken from now on.
    pub(crate) fn behave(&self) {
        let mut inner = lock(&self.inner);
        inner.manners.clear();
        inner.usual = None;
    }

    /// Everything that was read, in order of arrival.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        lock(&self.inner).heard.clone()
    }

    /// What was read of this person.
    pub(crate) fn heard_of(&self, name: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| heard.name == name).collect()
    }
}

fn lock(inner: &Shared) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(mut stream: TcpStream, inner: Shared) {
    let Some(heard) = read(&mut stream).await else { return };
    let manner = {
        let mut inner = lock(&inner);
        let manner = inner.manners.get(&heard.name).or(inner.usual.as_ref()).cloned();
        inner.heard.push(heard);
        manner.unwrap_or_else(|| Manner::status("204 No Content", "connection: close\r\n"))
    };
    match manner {
        Manner::Says(words) => drop(stream.write_all(words.as_bytes()).await),
        Manner::Drips(words) => {
            drop(stream.write_all(words.as_bytes()).await);
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Manner::Floods(words) => {
            drop(stream.write_all(words.as_bytes()).await);
            let more = vec![b'x'; 65_536];
            while stream.write_all(&more).await.is_ok() {}
        }
        Manner::Resets => drop(stream.set_zero_linger()),
        Manner::IsSilent => drop(stream.read_to_end(&mut Vec::new()).await),
    }
}

/// A request with its body, as far as its headers say.
async fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let headers = String::from_utf8(bytes[..head].to_vec()).expect("headers are text");
    let header = |name: &str| {
        let line = headers.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length:")?.parse().expect("a length is a number");
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body: Value = serde_json::from_slice(&bytes[head..]).expect("events are JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some(Heard {
        id: header("webhook-id:")?,
        kind: text(&body["type"]),
        name: text(&body["data"]["resource"]["userName"]),
    })
}
