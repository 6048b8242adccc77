//! A go-between that holds back the client's writes: sent, never answered, and carried out later
//! if the test lets them through.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};

/// The tags of modify, add, delete and modrdn requests (RFC 4511 appendix B).
const WRITES: [u8; 4] = [0x66, 0x68, 0x4a, 0x6c];

pub(crate) struct Between {
    url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    holding: AtomicBool,
    /// Requests with the connection to the server that they belong on.
    held: Mutex<Vec<(Vec<u8>, OwnedWriteHalf)>>,
}

impl Between {
    pub(crate) async fn start(server: &str) -> Self {
        let server = server.strip_prefix("ldap://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let there = TcpStream::connect(&server).await.unwrap();
                spawn(carry(client, there, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn hold_writes(&self) {
        self.state.holding.store(true, Ordering::SeqCst);
    }

    pub(crate) fn let_writes_through(&self) {
        self.state.holding.store(false, Ordering::SeqCst);
    }

    /// Sends the requests that were held back to the server, late.
    pub(crate) async fn release(&self) -> usize {
        let held = std::mem::take(&mut *self.state.held.lock().unwrap());
        let count = held.len();
        for (request, mut there) in held {
            there.write_all(&request).await.unwrap();
        }
        count
    }
}

async fn carry(client: TcpStream, there: TcpStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = there.into_split();
    spawn(async move {
        tokio::io::copy(&mut from_server, &mut to_client).await.ok();
    });
    let mut buffer = vec![0; 65_536];
    // The client asks one thing at a time, so what comes at once is one request.
    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
        let request = &buffer[..length];
        if state.holding.load(Ordering::SeqCst) && WRITES.contains(&operation(request)) {
            state.held.lock().unwrap().push((request.to_vec(), to_server));
            return;
        }
        to_server.write_all(request).await.unwrap();
    }
}

/// The tag behind the message's header and its id.
fn operation(request: &[u8]) -> u8 {
    let header = if request[1] < 0x80 { 2 } else { 2 + usize::from(request[1] & 0x7f) };
    request[header + 2 + usize::from(request[header + 1])]
}

#[expect(clippy::disallowed_methods, reason = "the test's runtime ends with the test")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}
