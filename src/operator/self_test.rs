//! How far the set-up of a provider has come, as its own calls show it.

use jiff::Timestamp;
use serde_json::Value;

use crate::store::{CallRow, TokenId};
use crate::token::Stranger;

/// What a provider's set-up comes to, in the order in which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// It has called with a good token, and was answered well.
    Connection,
    /// It has sent somebody.
    Person,
    Group,
    /// It has switched somebody off, or removed them.
    Deactivation,
}

impl Milestone {
    pub const ALL: [Self; 4] = [Self::Connection, Self::Person, Self::Group, Self::Deactivation];

    /// Whether a call tries to get there.
    fn is_tried_by(self, call: &CallRow) -> bool {
        let path = call.path.split('?').next().unwrap_or_default();
        let (made, changed) = (call.method == "POST", matches!(&*call.method, "PUT" | "PATCH"));
        match self {
            Self::Connection => true,
            Self::Person => {
                made && path == "/Users"
                    || changed && path.starts_with("/Users/")
                    || did_in_bulk(call, &["POST", "PUT", "PATCH"], "/Users/")
            }
            Self::Group => {
                made && path == "/Groups"
                    || changed && path.starts_with("/Groups/")
                    || did_in_bulk(call, &["POST", "PUT", "PATCH"], "/Groups/")
            }
            Self::Deactivation => {
                let off = call.method == "DELETE" || says_inactive(call.body.as_deref());
                path.starts_with("/Users/") && off || did_in_bulk(call, &["DELETE"], "/Users/")
            }
        }
    }
}

/// How far one milestone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Others come first.
    Todo,
    /// It is the provider's turn.
    Now,
    /// The newest call that got there.
    Done { at: Timestamp, request: i64 },
    /// It was tried, and came to nothing so far.
    Bad { at: Timestamp, why: WhyNot },
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// One of the organization's own tokens, which is not good: `an expired token`.
    BadToken { request: i64, token: TokenId, what: String },
    /// No token of the organization's.
    Stranger(Stranger),
    /// It was answered with this, in this sentence.
    Refused { request: i64, status: u16, detail: Option<String> },
}

/// A provider's last calls, and the last one who called in its place.
#[derive(Clone, Debug)]
pub struct Calls {
    rows: Vec<CallRow>,
    stranger: Option<Stranger>,
}

const UNAUTHORIZED: u16 = 401;

impl Calls {
    /// Newest first.
    pub fn new(rows: Vec<CallRow>, stranger: Option<Stranger>) -> Self {
        Self { rows, stranger }
    }

    /// When a token was used last, and from where, if it is among them.
    pub fn last_use(&self, token: i64) -> Option<(Timestamp, Option<&str>)> {
        let of_token = |row: &&CallRow| row.token.0 == token && row.status != UNAUTHORIZED;
        self.rows.iter().find(of_token).map(|row| (row.at, row.peer.as_deref()))
    }

    /// How far each milestone is, going by the calls since a moment, or by all.
    pub fn progress(&self, since: Option<Timestamp>) -> [Progress; 4] {
        let is_since = |at: Timestamp| since.is_none_or(|since| at >= since);
        let rows: Vec<&CallRow> = self.rows.iter().filter(|row| is_since(row.at)).collect();
        let stranger = self.stranger.as_ref().filter(|stranger| is_since(stranger.at));
        let mut turn = Some(Progress::Now);
        Milestone::ALL.map(|milestone| {
            let found = match milestone {
                Milestone::Connection => connection(&rows, stranger),
                other => reached(other, &rows),
            };
            match found {
                Some(Progress::Done { at, request }) => Progress::Done { at, request },
                Some(other) => {
                    turn = None;
                    other
                }
                None => turn.take().unwrap_or(Progress::Todo),
            }
        })
    }
}

fn reached(milestone: Milestone, rows: &[&CallRow]) -> Option<Progress> {
    let mut tries = rows.iter().filter(|row| row.status != UNAUTHORIZED);
    let done = tries.clone().find(|row| row.status < 400 && milestone.is_tried_by(row));
    match done {
        Some(row) => Some(Progress::Done { at: row.at, request: row.id }),
        None => tries.find(|row| milestone.is_tried_by(row)).map(|row| bad(row)),
    }
}

/// Once it has worked, only a token of the organization's own says that it does no longer: what
/// others try at its address says nothing.
fn connection(rows: &[&CallRow], stranger: Option<&Stranger>) -> Option<Progress> {
    if let Some(good) = rows.iter().find(|row| row.status < 400) {
        let mut newer = rows.iter().take_while(|row| row.id > good.id);
        let done = Progress::Done { at: good.at, request: good.id };
        return Some(newer.find(|row| row.status == UNAUTHORIZED).map_or(done, |row| bad(row)));
    }
    let newest = rows.first();
    let stranger = stranger.filter(|stranger| newest.is_none_or(|row| stranger.at > row.at));
    let turned_away = |stranger: &Stranger| Progress::Bad {
        at: stranger.at,
        why: WhyNot::Stranger(stranger.clone()),
    };
    stranger.map(turned_away).or_else(|| newest.map(|row| bad(row)))
}

fn bad(row: &CallRow) -> Progress {
    let request = row.id;
    let why = match (row.status, &row.detail) {
        (UNAUTHORIZED, Some(what)) => {
            WhyNot::BadToken { request, token: row.token, what: what.clone() }
        }
        (status, detail) => WhyNot::Refused { request, status, detail: detail.clone() },
    };
    Progress::Bad { at: row.at, why }
}

/// Whether one of a bulk's operations was such a one, and went well.
fn did_in_bulk(call: &CallRow, methods: &[&str], place: &str) -> bool {
    let Some(Ok(answer)) = call.bulk.as_deref().map(serde_json::from_str::<Value>) else {
        return false;
    };
    let text = |operation: &Value, name| {
        operation.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let operations = answer.get("Operations").and_then(Value::as_array);
    operations.into_iter().flatten().any(|operation| {
        methods.contains(&&*text(operation, "method"))
            && text(operation, "location").contains(place)
            && text(operation, "status").starts_with('2')
    })
}

/// Whether a change says that somebody is not active, in the words of any provider.
fn says_inactive(body: Option<&str>) -> bool {
    let Some(body) = body.and_then(|body| serde_json::from_str::<Value>(body).ok()) else {
        return false;
    };
    let operations = member(&body, "operations").and_then(Value::as_array);
    match operations {
        None => is_off(member(&body, "active")),
        Some(operations) => operations.iter().any(|operation| {
            let value = member(operation, "value");
            match member(operation, "path").and_then(Value::as_str) {
                Some(path) => path.eq_ignore_ascii_case("active") && is_off(value),
                None => is_off(value.and_then(|value| member(value, "active"))),
            }
        }),
    }
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let mut members = value.as_object()?.iter();
    members.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn is_off(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(active)) => !active,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

#[cfg(test)]
#[path = "self_test_tests.rs"]
mod tests;
