//! The connection under SMTP: TCP without delays, TLS, and the words before TLS begins.
//!
//! The mail library could do this too, but it leaves Nagle's algorithm on, which costs 40 ms a
//! mail, and it keeps what a server (or someone in between) sent in clear text after its consent
//! to STARTTLS, as if it had come encrypted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{Failure, Stage, Trouble};
use crate::server::ServerUrl;

/// How much a server may say without being asked anything further.
const MAX_ANSWER: usize = 64 * 1024;

/// What the mail library is greeted with. It expects the greeting first, and that has been read
/// here already; after STARTTLS a server does not repeat it (RFC 3207 section 4.2).
const GREETING: &[u8] = b"220 greeted\r\n";

/// A connection on which the next word is our EHLO.
pub(crate) struct Stream {
    wire: Wire,
    peer: SocketAddr,
    greeting: &'static [u8],
    heard: usize,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects, and makes the connection safe: TLS at once, or STARTTLS. Where the server does not
/// offer that, clear text if `allow_plaintext`.
pub(crate) async fn connect(
    server: &ServerUrl,
    tls: &Arc<ClientConfig>,
    allow_plaintext: bool,
    hello: &ClientId,
    deadline: Instant,
) -> Result<Stream, Failure> {
    let tcp = dial(server, deadline).await.map_err(at(Stage::Connecting))?;
    let peer = tcp.peer_addr().map_err(at(Stage::Connecting))?;
    let wire = if server.implicit_tls {
        let mut tls = encrypt(server, tls, tcp, deadline).await?;
        answer(&mut tls, deadline).await.map_err(at(Stage::Greeting))?;
        Wire::Tls(tls)
    } else {
        let mut tcp = tcp;
        answer(&mut tcp, deadline).await.map_err(at(Stage::Greeting))?;
        let offers = ask(&mut tcp, &format!("EHLO {hello}\r\n"), deadline)
            .await
            .map_err(at(Stage::Greeting))?;
        let mut words = offers.message().skip(1);
        if words.any(|word| word.trim().eq_ignore_ascii_case("STARTTLS")) {
            ask(&mut tcp, "STARTTLS\r\n", deadline).await.map_err(at(Stage::Encrypting))?;
            Wire::Tls(encrypt(server, tls, tcp, deadline).await?)
        } else if allow_plaintext {
            Wire::Plain(tcp)
        } else {
            return Err(Failure { stage: Stage::Encrypting, trouble: Trouble::Plaintext });
        }
    };
    Ok(Stream { wire, peer, greeting: GREETING, heard: 0 })
}

fn at<E: Into<Trouble>>(stage: Stage) -> impl FnOnce(E) -> Failure {
    move |trouble| Failure { stage, trouble: trouble.into() }
}

/// Tries every address of the server, each with its share of the time that is left.
async fn dial(server: &ServerUrl, deadline: Instant) -> Result<TcpStream, Trouble> {
    let found = timeout_at(deadline, lookup_host((server.host.as_str(), server.port)));
    let addresses: Vec<SocketAddr> = found.await.map_err(|_| Trouble::Silence)??.collect();
    let mut last = Trouble::Io(io::Error::other("its name has no address"));
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = Trouble::Silence,
        }
    }
    Err(last)
}

async fn encrypt(
    server: &ServerUrl,
    tls: &Arc<ClientConfig>,
    tcp: TcpStream,
    deadline: Instant,
) -> Result<Box<TlsStream<TcpStream>>, Failure> {
    let handshake = TlsConnector::from(Arc::clone(tls)).connect(server.name.clone(), tcp);
    match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(at(Stage::Encrypting)(error)),
        Err(_) => Err(at(Stage::Encrypting)(Trouble::Silence)),
    }
}

async fn ask(tcp: &mut TcpStream, command: &str, deadline: Instant) -> Result<Response, Trouble> {
    match timeout_at(deadline, tcp.write_all(command.as_bytes())).await {
        Ok(written) => written?,
        Err(_) => return Err(Trouble::Silence),
    }
    answer(tcp, deadline).await
}

/// Reads one answer, and takes no word beyond it: the server has nothing to say before it is
/// asked, so what follows was put there to be taken for something else (CVE-2011-0411).
async fn answer<S: AsyncRead + Unpin>(
    stream: &mut S,
    deadline: Instant,
) -> Result<Response, Trouble> {
    let mut heard = Vec::new();
    loop {
        match timeout_at(deadline, stream.read_buf(&mut heard)).await {
            Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(read) => drop(read?),
            Err(_) => return Err(Trouble::Silence),
        }
        if heard.len() > MAX_ANSWER {
            return Err(endless().into());
        }
        if let Some(end) = end_of_answer(&heard) {
            if end != heard.len() {
                return Err(io::Error::other("the server talks out of turn").into());
            }
            break;
        }
    }
    let text = String::from_utf8_lossy(&heard);
    let response = Response::from_str(&text)
        .map_err(|_| io::Error::other("what the server says is not SMTP"))?;
    if response.is_positive() {
        return Ok(response);
    }
    let words: Vec<&str> = response.message().collect();
    Err(Trouble::reply(u16::from(response.code()), &words.join(" ")))
}

/// Where the last line of an answer ends: the one without a hyphen after its code (RFC 5321
/// section 4.2.1).
fn end_of_answer(heard: &[u8]) -> Option<usize> {
    let mut end = 0;
    for line in heard.split_inclusive(|&byte| byte == b'\n') {
        end += line.len();
        if line.ends_with(b"\n") && line.get(3) != Some(&b'-') {
            return Some(end);
        }
    }
    None
}

fn endless() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server's answer does not end")
}

impl Stream {
    /// How the connection is protected, for a person.
    pub(crate) fn protection(&self) -> &'static str {
        match &self.wire {
            Wire::Plain(_) => "in clear text",
            Wire::Tls(tls) => match tls.get_ref().1.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "TLS",
            },
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({}, {})", self.peer, self.protection())
    }
}

impl AsyncTokioStream for Stream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let count = self.greeting.len().min(buffer.remaining());
            let (now, later) = self.greeting.split_at(count);
            buffer.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Wire::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        };
        self.heard += buffer.filled().len() - before;
        if self.heard > MAX_ANSWER {
            return Poll::Ready(Err(endless()));
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.heard = 0;
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Wire::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Wire::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Wire::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_the_line_that_has_no_hyphen() {
        assert_eq!(end_of_answer(b"250-mail.example\r\n250-STARTTLS\r\n"), None);
        assert_eq!(end_of_answer(b"250-mail.example\r\n250 STARTTLS\r"), None);
        assert_eq!(end_of_answer(b"250-mail.example\r\n250 STARTTLS\r\n"), Some(32));
        assert_eq!(end_of_answer(b"220 go\r\n250 injected\r\n"), Some(8));
        assert_eq!(end_of_answer(b"220\r\n"), Some(5));
    }
}
