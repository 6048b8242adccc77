//! Bearer tokens: made, listed, rotated with an overlap, revoked.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result};
use crate::store::{NewToken, TokenId, TokenRow};
use crate::token;

/// What a new token shall be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NewTokenRequest {
    pub organization: String,
    /// What people call it, e.g. the provider's name.
    pub name: Option<String>,
    /// Seconds from now; none: it does not expire.
    pub expires_in: Option<u64>,
    #[serde(default)]
    pub read_only: bool,
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
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    /// `active`, `expired` or `revoked`.
    pub state: String,
}

impl Operator {
    /// Makes a token. This is the one time that it is seen whole.
    pub async fn create_token(&self, actor: &Actor, request: &NewTokenRequest) -> Result<String> {
        let organization = self.organization(&request.organization)?;
        let now = self.clock.now();
        let expires = request.expires_in.map(|seconds| now + Duration::from_secs(seconds));
        let secret = token::generate();
        let name = request.name.clone().unwrap_or_else(|| "token".to_owned());
        let id = self
            .store
            .add_token(NewToken {
                organization,
                lookup: secret.lookup.clone(),
                hash: secret.hash,
                name: name.clone(),
                read_only: request.read_only,
                created: now,
                expires,
            })
            .await?;
        self.tokens.reload(self.store.as_ref()).await?;
        self.note(
            actor,
            "token.create",
            Some(&request.organization),
            format!("{} {name}", id.0),
            None,
        )
        .await?;
        Ok(secret.text.expose_secret().to_owned())
    }

    pub async fn list_tokens(&self, organization: &str) -> Result<Vec<TokenLine>> {
        let id = self.organization(organization)?;
        let now = self.clock.now();
        let rows = self.store.tokens().await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.organization == id)
            .map(|row| line(organization, row, now))
            .collect())
    }

    /// Makes a successor and lets the old one live for `overlap`, so that the provider can be
    /// changed over in peace.
    pub async fn rotate_token(
        &self,
        actor: &Actor,
        organization: &str,
        id: i64,
        overlap: Duration,
    ) -> Result<String> {
        let old = self.living_token(organization, id).await?;
        let lifetime = old.expires.map(|expires| {
            Duration::try_from(expires.duration_since(old.created)).unwrap_or_default().as_secs()
        });
        let request = NewTokenRequest {
            organization: organization.to_owned(),
            name: Some(old.name.clone()),
            expires_in: lifetime,
            read_only: old.read_only,
        };
        let new = self.create_token(actor, &request).await?;
        let until = self.clock.now() + overlap;
        self.store.end_token(old.organization, old.id, until, false).await?;
        self.tokens.reload(self.store.as_ref()).await?;
        let detail = format!("the old one lives until {until}");
        self.note(
            actor,
            "token.rotate",
            Some(organization),
            format!("{id} {}", old.name),
            Some(detail),
        )
        .await?;
        Ok(new)
    }

    /// Ends a token at once, on open connections too.
    pub async fn revoke_token(&self, actor: &Actor, organization: &str, id: i64) -> Result<()> {
        let old = self.living_token(organization, id).await?;
        self.store.end_token(old.organization, old.id, self.clock.now(), true).await?;
        self.tokens.reload(self.store.as_ref()).await?;
        self.note(actor, "token.revoke", Some(organization), format!("{id} {}", old.name), None)
            .await
    }

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
}

fn line(organization: &str, row: TokenRow, now: Timestamp) -> TokenLine {
    let state = if row.revoked.is_some() {
        "revoked"
    } else if row.expires.is_some_and(|expires| expires <= now) {
        "expired"
    } else {
        "active"
    };
    TokenLine {
        id: row.id.0,
        organization: organization.to_owned(),
        name: row.name,
        prefix: format!("scimr_{}_", row.lookup),
        read_only: row.read_only,
        created: row.created,
        expires: row.expires,
        last_used: row.last_used,
        revoked: row.revoked,
        state: state.to_owned(),
    }
}
