//! A go-between before a directory, which answers chosen writes itself: with any result, with
//! garbage, or not at all. Everything else goes through. For `ldap://` alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What becomes of a write.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// It is not carried out, and answered with this code and text.
    Result(u8, &'static str),
    /// It is not carried out: another server has the entry.
    Referral(String),
    /// It is carried out, and nothing more comes back on this connection.
    Unanswered,
    /// The server says that it goes away (RFC 4511 section 4.4.1), and does.
    Disconnects,
    /// These bytes come back, and nothing after them.
    Says(Vec<u8>),
}

struct Rule {
    /// What a write must hold, such as a piece of a name.
    piece: String,
    reply: Reply,
    met: usize,
}

type Rules = Arc<Mutex<Vec<Rule>>>;

pub(crate) struct Scripted {
    url: String,
    rules: Rules,
    _server: JoinSet<()>,
}

impl Scripted {
    pub(crate) async fn before(server: &str) -> Self {
        let server = server.strip_prefix("ldap://").expect("a URL without TLS").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ldap://{}", listener.local_addr().expect("its address"));
        let rules = Rules::default();
        let shared = Arc::clone(&rules);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut guests = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the server is there");
                guests.spawn(carry(client, server, Arc::clone(&shared)));
            }
        });
        Self { url, rules, _server: task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Writes that hold this piece get this reply from now on.
    pub(crate) fn reply(&self, piece: impl Into<String>, reply: Reply) {
        lock(&self.rules).push(Rule { piece: piece.into(), reply, met: 0 });
    }

    /// How many writes held this piece.
    pub(crate) fn met(&self, piece: &str) -> usize {
        lock(&self.rules).iter().filter(|rule| rule.piece == piece).map(|rule| rule.met).sum()
    }

    /// Everything goes through from now on.
    pub(crate) fn behave(&self) {
        lock(&self.rules).clear();
    }
}

fn lock(rules: &Rules) -> MutexGuard<'_, Vec<Rule>> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(client: TcpStream, server: TcpStream, rules: Rules) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let muted = Arc::new(AtomicBool::new(false));
    let mutes = Arc::clone(&muted);
    let (answers, mut said) = tokio::sync::mpsc::channel(1);
    // Moved, so that the other half learns when nothing more will be said.
    let listen = async move {
        while let Some(request) = message(&mut from_client).await {
            let reply = chosen(&rules, &request);
            let own = match &reply {
                None => None,
                Some(Reply::Unanswered) => {
                    mutes.store(true, Ordering::SeqCst);
                    None
                }
                Some(reply) => Some(reply.bytes(&request)),
            };
            let Some(own) = own else {
                if to_server.write_all(&request).await.is_err() {
                    return;
                }
                continue;
            };
            drop(answers.send(own).await);
            if matches!(reply, Some(Reply::Disconnects)) {
                return;
            }
        }
    };
    let answer = async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let bytes = tokio::select! {
                biased;
                own = said.recv() => own.unwrap_or_default(),
                length = from_server.read(&mut buffer) => {
                    let passed = buffer[..length.unwrap_or(0)].to_vec();
                    if muted.load(Ordering::SeqCst) {
                        return std::future::pending().await;
                    }
                    passed
                }
            };
            if bytes.is_empty() || to_client.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(listen, answer);
}

/// What is to become of a request, if it is a write that was chosen.
fn chosen(rules: &Rules, request: &[u8]) -> Option<Reply> {
    // Modify, add, delete and modrdn (RFC 4511 appendix B).
    if !matches!(operation(request), 0x66 | 0x68 | 0x4a | 0x6c) {
        return None;
    }
    let mut rules = lock(rules);
    let holds = |piece: &str| request.windows(piece.len()).any(|part| part == piece.as_bytes());
    let rule = rules.iter_mut().find(|rule| holds(&rule.piece))?;
    rule.met += 1;
    Some(rule.reply.clone())
}

/// One message as it came: a sequence, whose length stands in front.
async fn message(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 2];
    from.read_exact(&mut bytes).await.ok()?;
    let mut length = usize::from(bytes[1]);
    if length >= 0x80 {
        let mut more = vec![0; length & 0x7f];
        from.read_exact(&mut more).await.ok()?;
        length = more.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        bytes.extend(more);
    }
    let head = bytes.len();
    bytes.resize(head + length, 0);
    from.read_exact(&mut bytes[head..]).await.ok()?;
    Some(bytes)
}

/// Where the message's id begins.
fn id_at(request: &[u8]) -> usize {
    if request[1] < 0x80 { 2 } else { 2 + usize::from(request[1] & 0x7f) }
}

/// The tag behind the message's header and its id.
fn operation(request: &[u8]) -> u8 {
    let id = id_at(request);
    request[id + 2 + usize::from(request[id + 1])]
}

impl Reply {
    fn bytes(&self, request: &[u8]) -> Vec<u8> {
        let id = &request[id_at(request)..][..2 + usize::from(request[id_at(request) + 1])];
        // The tag of the answer is the next one, but for delete, whose request is primitive.
        let tag = match operation(request) {
            0x4a => 0x6b,
            operation => operation + 1,
        };
        match self {
            Self::Result(code, text) => answer(id, tag, *code, text, &[]),
            Self::Referral(url) => {
                answer(id, tag, 10, "", &element(0xa3, &element(0x04, url.as_bytes())))
            }
            Self::Disconnects => {
                let name = element(0x8a, b"1.3.6.1.4.1.1466.20036");
                answer(&[0x02, 1, 0], 0x78, 52, "going down", &name)
            }
            Self::Says(bytes) => bytes.clone(),
            Self::Unanswered => Vec::new(),
        }
    }
}

fn answer(id: &[u8], tag: u8, code: u8, text: &str, more: &[u8]) -> Vec<u8> {
    let result = [&[0x0a, 1, code, 0x04, 0][..], &element(0x04, text.as_bytes()), more].concat();
    element(0x30, &[id, &element(tag, &result)].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80);
    [&[tag, length.expect("answers here are short")], content].concat()
}
