//! What hostile requests cost the program, and that nobody else notices them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::kit::provider::Provider;
use crate::kit::relay::Setup;

const MIB: usize = 1024 * 1024;

/// A request that asks for too much.
struct Attack {
    path: &'static str,
    head: String,
    /// Sent over and over, until `total` bytes are out.
    piece: Vec<u8>,
    total: usize,
    status: &'static str,
}

impl Attack {
    fn whole(path: &'static str, body: String) -> Self {
        let (piece, total) = (body.into_bytes(), 1);
        Self { path, head: format!("content-length: {}", piece.len()), piece, total, status: "400" }
    }

    async fn run(&self, on: &Provider) {
        let (host, path) = on.base.trim_start_matches("http://").split_once('/').unwrap();
        let head = format!(
            "POST /{path}/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             authorization: Bearer {}\r\n{}\r\n\r\n",
            self.path, on.token, self.head
        );
        let stream = TcpStream::connect(host).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let pouring = async {
            let mut result = writing.write_all(head.as_bytes()).await;
            let mut sent = 0;
            while result.is_ok() && sent < self.total {
                result = writing.write_all(&self.piece).await;
                sent += self.piece.len();
            }
        };
        let mut answer = Vec::new();
        // That it hangs up while this is being written is what it should do.
        let ((), _) = tokio::join!(pouring, reading.read_to_end(&mut answer));
        let answer = String::from_utf8(answer).unwrap();
        let expected = format!("HTTP/1.1 {} ", self.status);
        assert!(answer.starts_with(&expected), "{} {}: {answer}", self.path, self.head);
    }
}

fn attacks() -> Vec<Attack> {
    let total = 100 * MIB;
    let mut chunk = format!("{MIB:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + MIB, b' ');
    chunk.extend_from_slice(b"\r\n");
    let depth = 10_000;
    let deep = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let filter = vec!["title pr"; 10_000].join(" or ");
    let nested = format!("{}title pr{}", "not (".repeat(1_000), ")".repeat(1_000));
    let search = |filter: &str| format!("{{\"filter\":\"{filter}\"}}");
    vec![
        Attack {
            path: "Users",
            head: format!("content-length: {total}"),
            piece: vec![b' '; MIB],
            total,
            status: "413",
        },
        Attack {
            path: "Users",
            head: "transfer-encoding: chunked".to_owned(),
            piece: chunk,
            total,
            status: "413",
        },
        Attack::whole("Users", deep),
        Attack::whole("Users/.search", search(&filter)),
        Attack::whole(".search", search(&nested)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_costs_little_and_others_are_answered_meanwhile() {
    let relay = Setup::new().organization("south").start().await;
    let (north, south) = (relay.provider("lillevik"), relay.provider("south"));
    let ada = format!("Users/{}", south.hire("ada").await);
    let attacks = attacks();
    let before = relay.peak_memory();

    let over = Cell::new(false);
    let attackers = async {
        for _ in 0..4 {
            join_all(attacks.iter().chain(&attacks).map(|attack| attack.run(&north))).await;
        }
        over.set(true);
    };
    let other = async {
        let (mut answered, mut slowest) = (0, Duration::ZERO);
        while !over.get() {
            let begun = Instant::now();
            south.get(&ada).await.expect(200);
            slowest = slowest.max(begun.elapsed());
            answered += 1;
        }
        (answered, slowest)
    };
    let ((), (answered, slowest)) = tokio::join!(attackers, other);
    assert!(answered > 0 && slowest < Duration::from_secs(5), "{answered} in {slowest:?}");
    // 16 bodies of 100 MB were sent, four of them at once; of each a megabyte may be read.
    let grown = (relay.peak_memory() - before) / 1024;
    assert!(grown < 64, "{grown} MiB");
    south.get(&ada).await.expect(200);
}
