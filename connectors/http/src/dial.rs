//! Opening a connection: resolve the name, check every address, connect to those that are left.
//!
//! The check sits between the resolver and the socket, so a name cannot show one address to the
//! check and another to the connection.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::error::BoxError;
use crate::url::literal_address;
use crate::{Guard, RefusedAddress};

type Pending<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Connects over TCP to addresses that the guard lets pass.
#[derive(Clone)]
pub(crate) struct Dial {
    tcp: HttpConnector<Resolver>,
    guard: Arc<Guard>,
}

/// Why there is no TCP connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Address(#[from] RefusedAddress),
    #[error("{0}")]
    Tcp(String),
}

impl Dial {
    pub(crate) fn new(guard: Guard) -> Self {
        let guard = Arc::new(guard);
        let mut tcp = HttpConnector::new_with_resolver(Resolver(Arc::clone(&guard)));
        // TLS is the next layer's business.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, guard }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pending<Self::Response, DialError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        self.tcp.poll_ready(context).map_err(|error| DialError::Tcp(causes(&error)))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // An address written out never reaches the resolver.
        let checked = literal_address(&uri).map_or(Ok(()), |address| self.guard.check(address));
        let connecting = checked.map(|()| self.tcp.call(uri));
        Box::pin(async move {
            connecting?.await.map_err(|error| match find::<RefusedAddress>(&error) {
                Some(refused) => DialError::Address(refused.clone()),
                None => DialError::Tcp(causes(&error)),
            })
        })
    }
}

/// The system's resolver, without the addresses that the guard refuses.
#[derive(Clone)]
struct Resolver(Arc<Guard>);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pending<Self::Response, BoxError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            // The port is set by the caller.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(permitted(&guard, found)?.into_iter())
        })
    }
}

/// The addresses that may be connected to; an error when there are only others.
fn permitted(
    guard: &Guard,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, RefusedAddress> {
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match guard.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if allowed.is_empty() => Err(error),
        _ => Ok(allowed),
    }
}

/// The first error of this type among the causes.
pub(crate) fn find<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error with its causes, each said once.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn a_name_that_leads_to_refused_addresses_too_is_reached_at_the_others() {
        let found = addresses(&["169.254.169.254", "10.0.0.5", "fe80::1"]);
        let allowed = permitted(&Guard::default(), found.into_iter()).unwrap();
        assert_eq!(allowed, addresses(&["10.0.0.5"]));
    }

    #[test]
    fn a_name_that_leads_to_refused_addresses_only_is_refused() {
        let found = addresses(&["169.254.169.254", "::ffff:169.254.169.254"]);
        let error = permitted(&Guard::default(), found.into_iter()).unwrap_err();
        assert!(error.to_string().contains("is refused"), "{error}");
    }
}
