//! Has the conversations of `tests/conversations` with a relay, each in an organization of its own.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::conversation::{self, Conversation, Kept, Step};
use crate::kit::provider::{Answer, Provider};
use crate::kit::relay::{Relay, Setup};

/// What a file has in a query as it is meant, and a request as it must be.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b']')
    .add(b'{')
    .add(b'}');

#[tokio::test]
async fn every_provider_is_answered_as_it_expects() {
    let conversations = conversation::all();
    assert!(!conversations.is_empty());
    let setup = conversations.iter().fold(Setup::new(), |setup, one| setup.organization(&one.name));
    let relay = setup.start().await;
    let mut complaints = Vec::new();
    for conversation in &conversations {
        let provider = relay.provider(&conversation.name);
        let held = hold(conversation, &provider).await;
        let counted = quirks(&metrics(&relay).await, &conversation.name);
        complaints.extend(held.and_then(|()| expected_quirks(conversation, &counted)).err());
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[tokio::test]
async fn a_strict_organization_has_exactly_the_conversations_without_deviations() {
    let conversations = conversation::all();
    let strict = |one: &Conversation| format!("[organizations.{}]\nstrict = true\n", one.name);
    let mut setup = Setup::new();
    setup.lines.extend(conversations.iter().map(strict));
    let relay = setup.start().await;
    for conversation in &conversations {
        let held = hold(conversation, &relay.provider(&conversation.name)).await;
        if conversation.quirks.is_empty() {
            assert_eq!(held, Ok(()));
        } else {
            let refused = held.as_ref().err().is_some_and(|why| why.contains("the status is 400 "));
            assert!(refused, "{}: {held:?}", conversation.name);
        }
    }
}

/// Goes through a conversation up to the first step that is not answered as its file has it.
async fn hold(conversation: &Conversation, provider: &Provider) -> Result<(), String> {
    let mut kept = Kept::default();
    for (index, step) in conversation.steps.iter().enumerate() {
        let Answer { status, headers, body } = take(conversation, step, &kept, provider).await;
        let complaints = step.complaints(&kept, status.as_u16(), &headers, &body);
        if !complaints.is_empty() {
            return Err(format!(
                "{}: {}\nStep {} ({}): {} {}\n  {}\nThe answer was {body:#}",
                conversation.name,
                conversation.about,
                index + 1,
                step.what,
                kept.fill(&step.request),
                step.body.as_deref().map(|body| kept.fill(body)).unwrap_or_default(),
                complaints.join("\n  "),
            ));
        }
        kept.take(step, &body);
    }
    Ok(())
}

fn expected_quirks(conversation: &Conversation, counted: &BTreeSet<String>) -> Result<(), String> {
    let named: BTreeSet<_> = conversation.quirks.iter().cloned().collect();
    if *counted == named {
        return Ok(());
    }
    Err(format!(
        "{}: the quirks counted are {counted:?}; the file names {named:?}",
        conversation.name
    ))
}

async fn take(
    conversation: &Conversation,
    step: &Step,
    kept: &Kept,
    provider: &Provider,
) -> Answer {
    let line = kept.fill(&step.request);
    let (method, target) = line.split_once(' ').unwrap();
    let target = utf8_percent_encode(target, UNSAFE);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value(&format!("Bearer {}", provider.token)));
    headers.insert(header::ACCEPT, value("application/scim+json"));
    if step.body.is_some() {
        headers.insert(header::CONTENT_TYPE, value("application/scim+json"));
    }
    for (name, text) in conversation.headers.iter().chain(&step.headers) {
        headers.insert(HeaderName::try_from(name).unwrap(), value(&kept.fill(text)));
    }
    let body = step.body.as_deref().map(|body| kept.fill(body)).unwrap_or_default();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{target}", provider.base))
        .body(Full::from(body))
        .unwrap();
    *request.headers_mut() = headers;
    provider.send_as_is(request).await.unwrap()
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap()
}

/// What the console's `/metrics` says.
async fn metrics(relay: &Relay) -> String {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let address = format!("http://{}/metrics", relay.console);
    let answer = client.get(address.parse().unwrap()).await.unwrap();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The kinds of deviations that the metrics count for an organization.
fn quirks(metrics: &str, organization: &str) -> BTreeSet<String> {
    let start = format!("scim_relay_quirks_total{{organization=\"{organization}\",quirk=\"");
    let of_it = metrics.lines().filter_map(|line| line.strip_prefix(&start));
    of_it.filter_map(|rest| rest.split_once('"')).map(|(quirk, _)| quirk.to_owned()).collect()
}
