//! Connections: they are taken, bounded in number and in time, and drained at the end.
//!
//! The same loop serves the public listener, the private one and the admin socket. Bounds on time:
//! a handshake, a request's headers, and a connection on which nothing is being answered; the body
//! has its own (see `call`).

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// The bounds of a server. The defaults are for a public one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// More wait in the kernel's queue.
    pub max_connections: usize,
    pub handshake_timeout: Duration,
    /// From one answer to the end of the next request's headers, on HTTP/1.
    pub header_timeout: Duration,
    /// How long a connection may live on without a request in work; also how long a client may
    /// take to read an answer.
    pub idle_timeout: Duration,
    /// How long requests in flight may take once the server stops.
    pub drain_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(90),
            drain_timeout: Duration::from_secs(8),
        }
    }
}

/// Requests of one HTTP/2 connection at a time.
const MAX_STREAMS: u32 = 128;
/// The size of a request's headers.
const MAX_HEADERS: u32 = 16 * 1024;
/// HTTP/1 has one buffer for headers and whatever follows them.
const HTTP1_BUFFER: usize = 64 * 1024;
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// The pause when no connection can be taken at all, such as when there are no descriptors left.
const BREATHER: Duration = Duration::from_millis(500);

/// Who is at the other end: an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Address(SocketAddr),
    /// A process of this machine.
    Process {
        uid: u32,
        pid: Option<i32>,
    },
}

impl Peer {
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip()),
            Self::Process { .. } => None,
        }
    }
}

/// Where connections come from.
pub trait Listen: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        // An answer is written at once; waiting for more would only cost 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "a connection keeps its delay");
        }
        Ok((stream, Peer::Address(address)))
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let process = stream.peer_cred()?;
        Ok((stream, Peer::Process { uid: process.uid(), pid: process.pid() }))
    }
}

/// Serves until `stop`, then takes no more connections, closes the idle ones, and returns when
/// what was being answered is answered, or cut off after [`Options::drain_timeout`].
///
/// A configuration that is swapped in `tls` holds for new connections.
pub async fn serve<L: Listen>(
    listener: L,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    router: Router,
    stop: CancellationToken,
    options: Options,
) {
    let house = House {
        router,
        tls,
        options,
        stop,
        cut: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    let slots = Arc::new(Semaphore::new(options.max_connections));
    while let Some((stream, peer, slot)) = house.next(&listener, &slots).await {
        let connection = house.clone().connection(stream, peer);
        house.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    house.tasks.close();
    if timeout(options.drain_timeout, house.tasks.wait()).await.is_err() {
        tracing::warn!(connections = house.tasks.len(), "cut off what was still being answered");
        house.cut.cancel();
        house.tasks.wait().await;
    }
}

#[derive(Clone)]
struct House {
    router: Router,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    options: Options,
    stop: CancellationToken,
    /// The end of patience.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl House {
    /// The next connection and its slot; none when the server stops.
    async fn next<L: Listen>(
        &self,
        listener: &L,
        slots: &Arc<Semaphore>,
    ) -> Option<(L::Stream, Peer, OwnedSemaphorePermit)> {
        let slot = self.stop.run_until_cancelled(Arc::clone(slots).acquire_owned()).await?;
        let slot = slot.expect("nobody closes it");
        loop {
            match self.stop.run_until_cancelled(listener.accept()).await? {
                Ok((stream, peer)) => return Some((stream, peer, slot)),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    // It would fail again at once, and the loop would spin.
                    tracing::warn!(%error, "no connection can be taken");
                    self.stop.run_until_cancelled(sleep(BREATHER)).await?;
                }
            }
        }
    }

    fn spawn<F: Future<Output: Send> + Send + 'static>(&self, task: F) {
        self.tasks.spawn(self.cut.clone().run_until_cancelled_owned(task));
    }

    async fn connection<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(tls) = &self.tls else { return self.http(stream, peer).await };
        let acceptor = TlsAcceptor::from(tls.load_full());
        match timeout(self.options.handshake_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(?peer, %error, "the TLS handshake failed"),
            Err(_) => tracing::debug!(?peer, "the TLS handshake took too long"),
        }
    }

    async fn http<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::new());
        let service = hyper::service::service_fn(|request| {
            answer(self.router.clone(), peer, activity.begin(), request)
        });
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut closing = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(?peer, error, "a connection broke off");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !closing => {
                    connection.as_mut().graceful_shutdown();
                    closing = true;
                }
                () = activity.idle(self.options.idle_timeout) => {
                    if closing {
                        // It was asked to end and did not: the client does not read.
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    closing = true;
                    activity.touch();
                }
            }
        }
    }

    /// Without the timers hyper's own time limits are silently off.
    fn builder(&self) -> auto::Builder<OnTracker> {
        let mut builder = auto::Builder::new(OnTracker(self.clone()));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.header_timeout)
            .max_buf_size(HTTP1_BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADERS);
        builder
    }
}

/// HTTP/2 answers each request in a task of its own, which a drain has to wait for as well.
#[derive(Clone)]
struct OnTracker(House);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for OnTracker {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

async fn answer(
    router: Router,
    peer: Peer,
    busy: Busy,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let busy = Arc::new(busy);
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(Arc::clone(&busy));
    let response = router.oneshot(request).await;
    drop(busy);
    response
}

/// Errors of a connection that was gone before it was taken.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Whether a connection has requests in work, and since when it has none.
struct Activity(Mutex<(usize, Instant)>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }

    fn change(&self, with: impl FnOnce(&mut usize)) -> (usize, Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut state.0);
        state.1 = Instant::now();
        *state
    }

    fn touch(&self) {
        self.change(|_| {});
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.change(|requests| *requests += 1);
        Busy(Arc::clone(self))
    }

    /// Ends when nothing was in work for so long.
    async fn idle(&self, limit: Duration) {
        loop {
            let (requests, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let until = if requests > 0 { now + limit } else { since + limit };
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// A request in work: an extension of each. Who answers bit by bit keeps it until the end, or the
/// connection is taken for an idle one.
pub struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(|requests| *requests -= 1);
    }
}
