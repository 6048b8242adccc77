//! What every request passes on its way in and out: it is authenticated before anything else is
//! looked at, counted, and logged. Never logged: bodies, tokens, queries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use scim_relay_sdk::scim::{Quirk, ResourceId, ResourceKind};

use super::auth::{self, Caller};
use super::call::PLAIN_JSON;
use super::errors::Failure;
use super::outcome::{Deviations, Outcome, Outcomes};
use super::record::{self, Asked, Ended, Of};
use super::{Peer, Scim};
use crate::metrics;

/// The label of requests that named no organization of ours, or had no token for it.
const NOBODY: &str = "unknown";

/// The label of requests that are about many resources.
const BULK: &str = "bulk";

pub(super) async fn pass(
    State(scim): State<Arc<Scim>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let path = tidy(request.uri().path());
    if path != request.uri().path() {
        *request.uri_mut() = with_path(request.uri(), &path);
    }
    let method = request.method().clone();
    let plain_json = wants_plain_json(request.headers());
    let asked = Asked::new(&scim.recorder, &mut request, scim.clock.now());

    let admitted = admit(&scim, &path, &request);
    let caller = admitted.as_ref().ok().cloned();
    let (of, mut response) = match admitted {
        Ok(caller) => {
            let of = caller.proof();
            request.extensions_mut().insert(caller);
            // A panic costs this one request its answer, and nothing else.
            let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
            let response = answered.unwrap_or_else(|_| {
                scim.metrics.panics.inc();
                Failure::internal("the handler panicked").into_response()
            });
            (Some(of), response)
        }
        Err(Refused { failure, of }) => (of, failure.into_response()),
    };

    let headers = response.headers_mut();
    if plain_json && headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAIN_JSON));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    account(&scim, started, &method, &path, caller.as_ref(), &response);
    let Some(of) = of else { return response };
    let outcomes = outcomes(&response);
    let mut quirks = deviations(&response).to_vec();
    quirks.sort_unstable();
    quirks.dedup();
    let ended = Ended { took: started.elapsed(), id: subject(&path, outcomes), quirks };
    record::watch(&scim.recorder, asked, of, ended, response)
}

/// Someone who may not go on, and whose request it is, if a token proves that.
struct Refused {
    failure: Failure,
    of: Option<Of>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, of: None }
    }
}

/// Who may go on. Everything under `/scim` needs a token, whether there is such an address or not.
fn admit(scim: &Scim, path: &str, request: &Request) -> Result<Caller, Refused> {
    let mut pieces = path.split('/').skip(1);
    if pieces.next() != Some("scim") {
        return Err(Failure::new(404, "there is nothing at this address").into());
    }
    let organization = pieces.next().unwrap_or_default();
    let headers = request.headers();
    let caller = auth::authenticate(scim, organization, headers).map_err(|refusal| {
        let peer = request.extensions().get::<Peer>().and_then(Peer::ip);
        let counted = peer.map_or(Ok(()), |peer| scim.guesses.count(peer));
        let failure = match counted {
            Ok(()) => {
                let peer = peer.map(tracing::field::display);
                tracing::info!(reason = %refusal, peer, "unauthorized");
                Failure::unauthorized()
            }
            Err(wait) => Failure::too_many(wait),
        };
        let of = auth::proof(scim, headers, refusal);
        if of.as_ref().is_none_or(|of| *of.info.key != *organization) {
            auth::leave_word(scim, organization, refusal, peer);
        }
        Refused { failure, of }
    })?;
    let too_many = |wait| Refused { failure: Failure::too_many(wait), of: Some(caller.proof()) };
    scim.limits.load().admit(caller.token.organization).map_err(too_many)?;
    Ok(caller)
}

fn outcomes(response: &Response) -> &[Outcome] {
    response.extensions().get().map_or(&[], |Outcomes(all)| all)
}

fn deviations(response: &Response) -> &[Quirk] {
    response.extensions().get().map_or(&[], |Deviations(all)| all)
}

/// The one resource that a request was about: as the answer says, or the last piece of the path.
fn subject(path: &str, outcomes: &[Outcome]) -> Option<ResourceId> {
    match outcomes {
        [one] => Some(one.id),
        _ => path.rsplit('/').next().and_then(ResourceId::parse),
    }
}

/// Providers join a base address and a path with one slash too many, or leave one at the end.
fn tidy(path: &str) -> String {
    let mut tidied = String::with_capacity(path.len());
    for piece in path.split('/').filter(|piece| !piece.is_empty()) {
        tidied.push('/');
        tidied.push_str(piece);
    }
    if tidied.is_empty() { "/".to_owned() } else { tidied }
}

fn with_path(uri: &Uri, path: &str) -> Uri {
    let whole = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(whole).ok().or(parts.path_and_query);
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// Whether `Accept` asks for `application/json` and would not take SCIM's own type.
fn wants_plain_json(headers: &HeaderMap) -> bool {
    let mut plain = false;
    for line in headers.get_all(header::ACCEPT) {
        for range in line.to_str().unwrap_or_default().split(',') {
            let range = range.split(';').next().unwrap_or_default().trim();
            match range.to_ascii_lowercase().as_str() {
                "application/scim+json" | "application/*" | "*/*" => return false,
                "application/json" => plain = true,
                _ => {}
            }
        }
    }
    plain
}

/// The kind of thing a path is about, for a metric's label.
fn resource(path: &str) -> &'static str {
    match path.split('/').nth(4) {
        Some("Users") => ResourceKind::User.name(),
        Some("Groups") => ResourceKind::Group.name(),
        Some("ServiceProviderConfig" | "ResourceTypes" | "Schemas") => "discovery",
        Some("Bulk") => BULK,
        _ => "other",
    }
}

fn account(
    scim: &Scim,
    started: Instant,
    method: &Method,
    path: &str,
    caller: Option<&Caller>,
    response: &Response,
) {
    let took = started.elapsed();
    let status = response.status().as_u16();
    let resource = resource(path);
    let organization = caller.map_or(NOBODY, |caller| &caller.directory.info().key);
    let outcomes = outcomes(response);

    let request = metrics::Request {
        organization: organization.to_owned(),
        // A client can make up methods, and each would be a time series.
        method: if known(method) { method.to_string() } else { "other".to_owned() },
        resource: resource.to_owned(),
        status,
    };
    scim.metrics.http_requests.get_or_create(&request).inc();
    scim.metrics.http_duration.observe(took.as_secs_f64());
    for quirk in deviations(response) {
        let tolerated = metrics::Tolerated {
            organization: organization.to_owned(),
            quirk: quirk.word().to_owned(),
        };
        scim.metrics.quirks.get_or_create(&tolerated).inc();
    }
    for (outcome, verb) in outcomes.iter().filter_map(|one| one.verb.map(|verb| (one, verb))) {
        let changed = metrics::Changed {
            organization: organization.to_owned(),
            resource: outcome.kind.name().to_owned(),
            verb: verb.to_owned(),
        };
        scim.metrics.changes.get_or_create(&changed).inc();
    }

    let Some(caller) = caller else { return };
    let changes = outcomes.iter().filter(|outcome| outcome.verb.is_some()).count() as u64;
    scim.metrics.tally.request(caller.directory.organization().0, status >= 400, changes);
    let id = subject(path, outcomes).map(tracing::field::display);
    let (token, ms) = (&*caller.token.lookup, took.as_millis() as u64);
    // A search reads, and only has its question in a body.
    if method.is_safe() || path.ends_with("/.search") {
        tracing::debug!(%method, resource, id, status, ms, organization, token, "read");
    } else {
        tracing::info!(%method, resource, id, status, ms, organization, token, "write");
    }
    if resource == BULK {
        for Outcome { kind, id, verb, .. } in outcomes {
            tracing::info!(resource = kind.name(), %id, verb, organization, token, "bulk write");
        }
    }
}

fn known(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ]
    .contains(method)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use http::StatusCode;
    use jiff::Timestamp;
    use scim_relay_sdk::connector::OrganizationInfo;
    use secrecy::ExposeSecret;
    use tower::{Layer, ServiceExt};

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::RateLimit;
    use crate::directory::{Directory, Rules};
    use crate::http::Limits;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{NewToken, Store};
    use crate::token::{self, TokenBook};

    #[track_caller]
    fn check_accept(accept: &[&str], expected: bool) {
        let mut headers = HeaderMap::new();
        for line in accept {
            headers.append(header::ACCEPT, HeaderValue::from_str(line).unwrap());
        }
        assert_eq!(wants_plain_json(&headers), expected, "{accept:?}");
    }

    #[test]
    fn plain_json_is_for_those_who_ask_for_nothing_else() {
        check_accept(&[], false);
        check_accept(&["application/json"], true);
        check_accept(&["text/html, Application/JSON;q=0.9"], true);
        check_accept(&["application/json", "application/scim+json"], false);
        check_accept(&["application/json, */*"], false);
    }

    #[test]
    fn slashes_that_say_nothing_are_dropped() {
        for (path, expected) in [
            ("/scim/a/v2/Users/", "/scim/a/v2/Users"),
            ("/scim/a/v2//Users", "/scim/a/v2/Users"),
            ("/", "/"),
            ("//", "/"),
        ] {
            assert_eq!(tidy(path), expected);
        }
        let uri: Uri = "/scim/a/v2/Users/?aadOptscim062020&count=1".parse().unwrap();
        let tidied = with_path(&uri, &tidy(uri.path()));
        assert_eq!(tidied, "/scim/a/v2/Users?aadOptscim062020&count=1");
    }

    #[test]
    fn labels_name_kinds_and_never_ids() {
        assert_eq!(resource("/scim/a/v2/Users/42"), "User");
        assert_eq!(resource("/scim/a/v2/Groups"), "Group");
        assert_eq!(resource("/scim/a/v2/Schemas"), "discovery");
        assert_eq!(resource("/scim/a/v2/Bulk"), "bulk");
        assert_eq!(resource("/scim/a/v2/Ada"), "other");
        assert_eq!(resource("/"), "other");
    }

    #[tokio::test]
    async fn a_panic_costs_one_request_and_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), |_, _| {}).unwrap());
        let organization = store.organizations(vec!["lillevik".to_owned()]).await.unwrap()[0];
        let secret = token::generate();
        let row = NewToken {
            organization,
            lookup: secret.lookup,
            hash: secret.hash,
            name: String::new(),
            read_only: false,
            created: Timestamp::UNIX_EPOCH,
            expires: None,
            made_by: None,
            replaces: None,
        };
        store.add_token(row).await.unwrap();
        let book = Arc::new(TokenBook::default());
        book.reload(&*store).await.unwrap();
        let rate = RateLimit { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };
        let limits = Limits { max_body: 1, rate };
        let (metrics, clock): (Arc<metrics::Metrics>, _) = (Arc::default(), SystemClock::shared());
        let scim =
            Scim::new(Arc::clone(&store), book, Arc::clone(&metrics), Arc::clone(&clock), limits);
        let info = OrganizationInfo {
            key: "lillevik".into(),
            name: String::new(),
            locale: None,
            schemas: Arc::default(),
        };
        let directory = Directory::new(
            store,
            clock,
            organization,
            Arc::new(info),
            Rules::default(),
            "https://x",
        );
        scim.replace(vec![directory], limits);

        let routes = Router::new().fallback(|| async { panic!("ada@example.com") as StatusCode });
        let service = from_fn_with_state(Arc::new(scim), pass).layer(routes);
        let bearer = format!("Bearer {}", secret.text.expose_secret());
        let request = Request::get("/scim/lillevik/v2/Users").header(header::AUTHORIZATION, bearer);
        let response = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), metrics.panics.get()), (500, 1));
        let body = axum::body::to_bytes(response.into_body(), 4_096).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("ada"), "{body:?}");
    }
}
