//! A go-between on the way to a server, with the troubles of a network: a test turns them on and
//! off while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Nobody listens any more, and connections that were there have ended.
    Refused,
    /// Connections are made, and whatever is sent on one is lost: as with a server that hangs, or,
    /// where a connection was there before, with a firewall that forgot it.
    Swallowed,
    /// Each piece takes this long.
    Slow(Duration),
    /// The connection is reset once the client has sent so many bytes on it; the last of them do not
    /// arrive.
    CutAfterSent(usize),
    /// The connection is reset once the server has sent so many bytes on it, which do not arrive.
    CutAfterAnswered(usize),
}

/// A running go-between; it ends with this value.
pub(crate) struct Proxy {
    address: SocketAddr,
    /// Host and port.
    server: String,
    way: watch::Sender<Way>,
    connections: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Proxy {
    /// One before the server at this URL, whose scheme does not matter.
    pub(crate) async fn before(url: &str) -> Self {
        let server = host_and_port(url);
        let there = server.clone();
        let mut listener = Some(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
        let address = listener.as_ref().expect("just made").local_addr().expect("its address");
        let way = watch::Sender::new(Way::Open);
        let connections = Arc::new(AtomicUsize::new(0));
        let (mut ways, count) = (way.subscribe(), Arc::clone(&connections));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut guests = JoinSet::new();
            loop {
                let refuses = *ways.borrow_and_update() == Way::Refused;
                if refuses {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(TcpListener::bind(address).await.expect("the same port"));
                }
                let next = async {
                    match &listener {
                        Some(listener) => listener.accept().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    changed = ways.changed() => if changed.is_err() { return },
                    guest = next => {
                        let Ok((client, _)) = guest else { continue };
                        count.fetch_add(1, Ordering::SeqCst);
                        guests.spawn(carry(client, there.clone(), ways.clone()));
                    }
                }
            }
        });
        Self { address, server, way, connections, _server: task }
    }

    /// A connector file that leads through here where it led to the server.
    pub(crate) fn on_the_way(&self, file: &str) -> String {
        assert!(file.contains(&self.server), "{file} does not lead to {}", self.server);
        let (host, _) = self.server.rsplit_once(':').expect("a host and a port");
        file.replace(&self.server, &format!("{host}:{}", self.address.port()))
    }

    pub(crate) fn turn(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// `127.0.0.1:4711` of `ldap://127.0.0.1:4711/…`
fn host_and_port(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().expect("there is a first piece").to_owned()
}

async fn carry(client: TcpStream, server: String, ways: watch::Receiver<Way>) {
    let server = TcpStream::connect(server).await.expect("the server is there");
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = CancellationToken::new();
    let (mut closes, closing) = (ways.clone(), cut.clone());
    let refused = async {
        tokio::select! {
            _ = closes.wait_for(|way| *way == Way::Refused) => closing.cancel(),
            () = closing.cancelled() => {}
        }
    };
    let sent = pass(from_client, to_server, ways.clone(), cut.clone(), |way| match way {
        Way::CutAfterSent(bytes) => Some(bytes),
        _ => None,
    });
    let answered = pass(from_server, to_client, ways, cut, |way| match way {
        Way::CutAfterAnswered(bytes) => Some(bytes),
        _ => None,
    });
    tokio::select! {
        _ = async { tokio::join!(sent, answered) } => {}
        () = refused => {}
    }
}

/// Carries bytes one way until the end, or until somebody cuts the connection.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    ways: watch::Receiver<Way>,
    cut: CancellationToken,
    limit: impl Fn(Way) -> Option<usize>,
) {
    let mut buffer = vec![0; 65_536];
    let mut so_far = 0;
    loop {
        let read = tokio::select! {
            () = cut.cancelled() => break,
            read = from.read(&mut buffer) => read,
        };
        let Ok(length) = read else { break };
        let way = *ways.borrow();
        match way {
            Way::Swallowed => return cut.cancelled().await,
            Way::Slow(time) => tokio::time::sleep(time).await,
            Way::Open | Way::Refused | Way::CutAfterSent(_) | Way::CutAfterAnswered(_) => {}
        }
        so_far += length;
        if limit(way).is_some_and(|limit| so_far >= limit) {
            break;
        }
        if length == 0 {
            // The other direction may have more to say.
            drop(to.shutdown().await);
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    for end in [from.as_ref(), to.as_ref()] {
        drop(end.set_zero_linger());
    }
    cut.cancel();
}
