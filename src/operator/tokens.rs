//! Bearer tokens: made, listed, rotated with an overlap, revoked.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result};
use crate::store::{NewToken, OrgId, TokenId, TokenRow};
use crate::token;

/// In characters.
pub const LONGEST_NAME: usize = 100;
/// An organization has a handful. More would be a script gone wrong, and each may write.
const MOST: usize = 50;
/// Whoever has that many may still rotate them.
const MOST_WITH_REPLACED: usize = 2 * MOST;
/// An old token that lives on for longer than this is not being rotated.
const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);
/// A later end is a slip of the pen.
const LONGEST_LIFE: Duration = Duration::from_hours(100 * 366 * 24);

/// What a new token shall be.
#[derive(Clone, Debug, Default)]
pub struct NewTokenRequest {
    pub organization: String,
    /// What people call it, e.g. the provider's name.
    pub name: Option<String>,
    /// None: it does not expire.
    pub expires: Option<Timestamp>,
    pub read_only: bool,
}

/// How a token is replaced by another.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// For how long the old one lives on, unless it ends before.
    pub overlap: Duration,
    /// When the new one ends. None: after as long a life as the old one's.
    pub expires: Option<Timestamp>,
}

/// A token in a list, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenLine {
    pub id: i64,
    pub organization: String,
    pub name: String,
    /// The visible part: `scimr_AbC…`.
    pub prefix: String,
    pub read_only: bool,
    pub created: Timestamp,
    /// Who did, where that was kept.
    pub made_by: Option<String>,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    /// The token that was made in its place.
    pub replaced_by: Option<i64>,
    /// `active`, `expired` or `revoked`.
    pub state: String,
}

impl TokenLine {
    /// Whether it would be accepted now.
    pub fn is_active(&self) -> bool {
        self.state == ACTIVE
    }
}

const ACTIVE: &str = "active";

impl Operator {
    /// Makes a token. This is the one time that it is seen whole.
    pub async fn create_token(&self, actor: &Actor, request: &NewTokenRequest) -> Result<String> {
        let organization = self.organization(&request.organization)?;
        self.has_room(organization, MOST).await?;
        let (id, name, text) = self.add_token(actor, organization, request, None).await?;
        let subject = format!("{} {name}", id.0);
        self.note(actor, "token.create", Some(&request.organization), subject, None).await?;
        Ok(text)
    }

    async fn add_token(
        &self,
        actor: &Actor,
        organization: OrgId,
        request: &NewTokenRequest,
        replaces: Option<TokenId>,
    ) -> Result<(TokenId, String, String)> {
        let created = self.clock.now();
        let name = request.name.as_deref().unwrap_or("token").trim();
        if name.is_empty()
            || name.chars().count() > LONGEST_NAME
            || name.chars().any(char::is_control)
        {
            let why = format!("a token's name is one line of 1 to {LONGEST_NAME} characters");
            return Err(OperatorError::Invalid(why));
        }
        if request
            .expires
            .is_some_and(|expires| expires <= created || expires > created + LONGEST_LIFE)
        {
            let why = "a token ends in the future, and within a hundred years";
            return Err(OperatorError::Invalid(why.to_owned()));
        }
        let secret = token::generate();
        let new = NewToken {
            organization,
            lookup: secret.lookup,
            hash: secret.hash,
            name: name.to_owned(),
            read_only: request.read_only,
            created,
            expires: request.expires,
            made_by: Some(actor.name().to_owned()),
            replaces,
        };
        let id = self.store.add_token(new).await?;
        self.tokens.reload(self.store.as_ref()).await?;
        Ok((id, name.to_owned(), secret.text.expose_secret().to_owned()))
    }

    /// In the order in which they were made.
    pub async fn list_tokens(&self, organization: &str) -> Result<Vec<TokenLine>> {
        let id = self.organization(organization)?;
        Ok(lines(organization, id, &self.store.tokens().await?, self.clock.now()))
    }

    /// Makes a successor and lets the old one live for a while, so that the provider can be changed
    /// over in peace.
    pub async fn rotate_token(
        &self,
        actor: &Actor,
        organization: &str,
        id: i64,
        rotation: Rotation,
    ) -> Result<String> {
        let old = self.living_token(organization, id).await?;
        let lines = self.list_tokens(organization).await?;
        if let Some(new) = lines.iter().find(|line| line.id == id).and_then(|line| line.replaced_by)
        {
            let why = format!("token {id} is replaced by token {new} already; rotate that one");
            return Err(OperatorError::Invalid(why));
        }
        if rotation.overlap > LONGEST_OVERLAP {
            let why = "an old token lives on for 30 days at most; make a second one instead";
            return Err(OperatorError::Invalid(why.to_owned()));
        }
        self.has_room(old.organization, MOST_WITH_REPLACED).await?;
        let now = self.clock.now();
        let as_before = old.expires.map(|expires| now + expires.duration_since(old.created));
        let request = NewTokenRequest {
            organization: organization.to_owned(),
            name: Some(old.name.clone()),
            expires: rotation.expires.or(as_before),
            read_only: old.read_only,
        };
        let (new, name, text) =
            self.add_token(actor, old.organization, &request, Some(old.id)).await?;
        let until = now + rotation.overlap;
        self.store.end_token(old.organization, old.id, until, false).await?;
        self.tokens.reload(self.store.as_ref()).await?;
        let detail = format!("replaced by {}; the old one lives until {until:.0}", new.0);
        let subject = format!("{id} {name}");
        self.note(actor, "token.rotate", Some(organization), subject, Some(detail)).await?;
        Ok(text)
    }

    /// Ends a token at once, on open connections too. The reason is kept in the audit log.
    pub async fn revoke_token(
        &self,
        actor: &Actor,
        organization: &str,
        id: i64,
        reason: Option<&str>,
    ) -> Result<()> {
        let old = self.living_token(organization, id).await?;
        self.store.end_token(old.organization, old.id, self.clock.now(), true).await?;
        self.tokens.reload(self.store.as_ref()).await?;
        let (subject, reason) = (format!("{id} {}", old.name), reason.map(str::to_owned));
        self.note(actor, "token.revoke", Some(organization), subject, reason).await
    }

    /// One that a person may still do something about.
    async fn living_token(&self, organization: &str, id: i64) -> Result<TokenRow> {
        let of = self.organization(organization)?;
        let rows = self.store.tokens().await?;
        let row = rows.into_iter().find(|row| row.organization == of && row.id == TokenId(id));
        let row = row.ok_or_else(|| {
            OperatorError::NotFound(format!(
                "{organization} has no token {id}; `scim-relay token list {organization}` shows those there are"
            ))
        })?;
        if row.revoked.is_some() {
            return Err(OperatorError::Invalid(format!("token {id} is revoked already")));
        }
        Ok(row)
    }

    async fn has_room(&self, organization: OrgId, most: usize) -> Result<()> {
        let now = self.clock.now();
        let rows = self.store.tokens().await?;
        let own = rows.iter().filter(|row| row.organization == organization);
        if own.filter(|row| state(row, now) == ACTIVE).count() >= most {
            return Err(OperatorError::Invalid(format!(
                "there are {most} tokens already; revoke one that nobody uses"
            )));
        }
        Ok(())
    }
}

/// Those of one organization.
pub(super) fn lines(
    organization: &str,
    id: OrgId,
    rows: &[TokenRow],
    now: Timestamp,
) -> Vec<TokenLine> {
    let own = rows.iter().filter(|row| row.organization == id);
    own.clone()
        .map(|row| {
            let successor = own.clone().find(|other| other.replaces == Some(row.id));
            TokenLine {
                id: row.id.0,
                organization: organization.to_owned(),
                name: row.name.clone(),
                prefix: format!("scimr_{}_", row.lookup),
                read_only: row.read_only,
                created: row.created,
                made_by: row.made_by.clone(),
                expires: row.expires,
                last_used: row.last_used,
                revoked: row.revoked,
                replaced_by: successor.map(|new| new.id.0),
                state: state(row, now).to_owned(),
            }
        })
        .collect()
}

fn state(row: &TokenRow, now: Timestamp) -> &'static str {
    if row.revoked.is_some() {
        "revoked"
    } else if row.expires.is_some_and(|expires| expires <= now) {
        "expired"
    } else {
        ACTIVE
    }
}
