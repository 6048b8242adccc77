//! The page of one organization: address, tokens, guides, self-test.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::guides::{self, Guides};
use super::self_test::Test;
use crate::console::page::Content;
use crate::console::reader::Language;
use crate::console::viewer::Viewer;
use crate::operator::{Calls, Integration, Reachability, TokenLine};

/// When a token's end is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);
/// When the hour of its end matters, and not only the day.
const VERY_SOON: SignedDuration = SignedDuration::from_hours(48);
/// A token that nobody used for so long is not needed.
const UNUSED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How many tokens are shown that have ended.
const ENDED: usize = 20;

#[derive(Debug, Serialize)]
pub(super) struct One {
    key: String,
    name: String,
    endpoint: String,
    /// There is a list to go back to.
    several: bool,
    /// `public`, `loopback`, `cleartext`.
    reachability: &'static str,
    warning: Option<Warning>,
    living: Vec<TokenView>,
    ended: Vec<TokenView>,
    test: Test,
    guides: Guides,
}

impl Content for One {
    const TEMPLATE: &'static str = "integration.html";
}

/// What is most pressing.
#[derive(Debug, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Warning {
    /// There never was a token.
    NoToken,
    /// There is none that would be accepted.
    AllEnded,
    EndsSoon {
        token: i64,
        name: String,
        ends: Timestamp,
    },
}

/// A token as it stands in the table.
#[derive(Debug, Serialize)]
pub(super) struct TokenView {
    pub(super) id: i64,
    pub(super) name: String,
    prefix: String,
    read_only: bool,
    made: Timestamp,
    made_by: Option<String>,
    pub(super) last_used: Option<Timestamp>,
    pub(super) from: Option<String>,
    /// Nobody has used it for so long that nobody seems to need it.
    unused: bool,
    /// The last moment in which it is accepted.
    ends: Option<Timestamp>,
    soon: bool,
    very_soon: bool,
    /// Another was made in its place.
    replaced: bool,
    /// `active`, `expired`, `revoked`.
    state: String,
    /// Since when it is no longer accepted.
    ended: Option<Timestamp>,
}

impl TokenView {
    pub(super) fn new(token: TokenLine, calls: &Calls, now: Timestamp) -> Self {
        let called = calls.last_use(token.id);
        // The store hears of it a little later than the list of calls.
        let last_used = token.last_used.max(called.map(|(at, _)| at));
        let ends = token.expires.map(last_moment);
        let within = |span| ends.is_some_and(|ends| ends < now + span);
        Self {
            id: token.id,
            name: token.name,
            prefix: token.prefix,
            read_only: token.read_only,
            made: token.created,
            made_by: token.made_by,
            last_used,
            from: called.and_then(|(_, from)| from.map(str::to_owned)),
            unused: last_used.is_none() && now.duration_since(token.created) > UNUSED,
            ends,
            soon: within(SOON),
            very_soon: within(VERY_SOON),
            replaced: token.replaced_by.is_some(),
            ended: token.revoked.or(token.expires),
            state: token.state,
        }
    }
}

/// A token that ends at midnight works until the day before.
pub(super) fn last_moment(expires: Timestamp) -> Timestamp {
    expires - SignedDuration::from_secs(1)
}

impl One {
    pub(super) fn new(
        viewer: &Viewer,
        several: bool,
        integration: Integration,
        calls: &Calls,
        reachability: Reachability,
        since: Option<Timestamp>,
        wanted: Option<Language>,
    ) -> Self {
        let Integration { key, name, endpoint, locale, tokens } = integration;
        let now = viewer.reader.now;
        let theirs = locale.as_deref().and_then(Language::parse);
        let language = wanted.or(theirs).unwrap_or(viewer.reader.language);
        let test = Test::new(&viewer.reader, &key, calls, &tokens, since);
        let (living, mut ended): (Vec<_>, Vec<_>) =
            tokens.into_iter().partition(TokenLine::is_active);
        ended.reverse();
        ended.truncate(ENDED);
        let view = |token| TokenView::new(token, calls, now);
        let living: Vec<_> = living.into_iter().map(view).collect();
        let ended: Vec<_> = ended.into_iter().map(view).collect();
        Self {
            several,
            reachability: match reachability {
                Reachability::Public => "public",
                Reachability::Loopback => "loopback",
                Reachability::ClearText => "cleartext",
            },
            warning: warning(&living, &ended),
            guides: guides::of(language, &name, &endpoint),
            living,
            ended,
            test,
            key,
            name,
            endpoint,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn warning(living: &[TokenView], ended: &[TokenView]) -> Option<Warning> {
    if living.is_empty() {
        return Some(if ended.is_empty() { Warning::NoToken } else { Warning::AllEnded });
    }
    let ending = living.iter().filter(|token| token.soon && !token.replaced);
    let first = ending.filter_map(|token| Some((token, token.ends?))).min_by_key(|(_, ends)| *ends);
    first.map(|(token, ends)| Warning::EndsSoon { token: token.id, name: token.name.clone(), ends })
}
