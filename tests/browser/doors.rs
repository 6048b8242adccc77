//! A system of doors with a REST interface, which knows some buildings and not others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::put;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What it says of whom it does not take.
pub(crate) const WHY: &str = "unknown building 0421";

#[derive(Default)]
struct Book {
    refused: BTreeSet<String>,
    holders: BTreeSet<String>,
}

/// It ends with this value.
pub(crate) struct Doors {
    address: String,
    book: Arc<Mutex<Book>>,
    _server: JoinSet<()>,
}

impl Doors {
    /// One that refuses these, by userName.
    pub(crate) async fn start(refused: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let refused = refused.iter().map(|&name| name.to_owned()).collect();
        let book = Arc::new(Mutex::new(Book { refused, ..Book::default() }));
        let holder = put(admit).delete(dismiss);
        let router = Router::new().route("/holders/{name}", holder).with_state(Arc::clone(&book));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, book, _server: server }
    }

    /// Takes everybody from now on.
    pub(crate) fn mend(&self) {
        self.book.lock().unwrap().refused.clear();
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.book.lock().unwrap().holders.contains(name)
    }

    /// The connector file of whoever writes to it.
    pub(crate) fn connector(&self, general: &str) -> String {
        let url = format!("http://{}/holders/{{{{ userName }}}}", self.address);
        format!(
            "{general}\n[webhook.rest]\n\
             create = {{ method = \"PUT\", url = \"{url}\", body = '''\n\
             {{ \"name\": {{{{ displayName | tojson }}}}, \"active\": {{{{ active | tojson }}}} }}''' }}\n\
             delete = {{ method = \"DELETE\", url = \"{url}\" }}\n"
        )
    }
}

async fn admit(
    State(book): State<Arc<Mutex<Book>>>,
    Path(name): Path<String>,
) -> (StatusCode, &'static str) {
    let mut book = book.lock().unwrap();
    if book.refused.contains(&name) {
        return (StatusCode::UNPROCESSABLE_ENTITY, WHY);
    }
    book.holders.insert(name);
    (StatusCode::OK, "")
}

async fn dismiss(State(book): State<Arc<Mutex<Book>>>, Path(name): Path<String>) -> StatusCode {
    book.lock().unwrap().holders.remove(&name);
    StatusCode::NO_CONTENT
}
