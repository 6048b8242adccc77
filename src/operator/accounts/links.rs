//! Links that work once: to make the first administrator, to set a password, to come in.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Begun, NewPassword, Visitor, checked_email, checked_name};
use crate::ids;
use crate::operator::{Actor, Operator, OperatorError, Result};
use crate::store::{
    AccountId, Invitation, NewAccount, NewInvitation, Purpose, Redeemed, Role, SecretHash, Welcome,
};

const LIFETIME: Duration = Duration::from_hours(24);
/// In characters of a secret: 256 bits in base64.
const LENGTH: usize = 43;

/// A link, this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Link {
    pub url: String,
    pub ends: Timestamp,
}

/// What became of a link that somebody used.
pub enum Welcomed {
    In(Begun),
    /// It was used before, is over, or was replaced.
    Gone,
}

/// A secret that nobody can guess, for a cookie or a link.
pub(super) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(ids::secret_bytes::<32>())
}

/// What is kept of a text that may be one.
pub(super) fn known_by(secret: &str) -> Option<SecretHash> {
    (secret.len() == LENGTH).then(|| SecretHash::of(secret))
}

impl Operator {
    /// While nobody can administer the console: a link for whoever is to be first. It takes the place
    /// of an earlier one.
    pub async fn link_for_first(&self) -> Result<Option<Link>> {
        if self.store.has_administrator().await? {
            return Ok(None);
        }
        self.link(Purpose::First).await.map(Some)
    }

    /// A link with which somebody sets their password. Their old one is good until they do.
    pub async fn link_for_password(&self, actor: &Actor, email: &str) -> Result<Link> {
        let account = self.account(email).await?;
        let link = self.link(Purpose::Password(account.id)).await?;
        self.note(actor, "account.password_link", None, account.email, None).await?;
        Ok(link)
    }

    /// A link that lets somebody in at once.
    pub async fn link_to_come_in(&self, actor: &Actor, email: &str) -> Result<Link> {
        let account = self.account(email).await?;
        let link = self.link(Purpose::SignIn(account.id)).await?;
        self.note(actor, "account.sign_in_link", None, account.email, None).await?;
        Ok(link)
    }

    async fn link(&self, purpose: Purpose) -> Result<Link> {
        let (secret, ends) = (secret(), self.clock.now() + LIFETIME);
        let invitation = NewInvitation { secret: SecretHash::of(&secret), purpose, ends };
        self.store.invite(invitation).await?;
        let url = format!("{}/welcome/{secret}", self.runtime.load().config.console.url);
        Ok(Link { url, ends })
    }

    /// What a link is good for, while it is.
    pub async fn invitation(&self, secret: &str) -> Result<Option<Invitation>> {
        let Some(known_by) = known_by(secret) else { return Ok(None) };
        Ok(self.store.invitation(known_by, self.clock.now()).await?)
    }

    /// Makes the first administrator, and lets them in.
    pub async fn welcome_first(
        &self,
        secret: &str,
        email: &str,
        name: &str,
        password: NewPassword,
        visitor: &Visitor,
    ) -> Result<Welcomed> {
        let (email, name) = (checked_email(email)?, checked_name(name)?);
        // What is good for nothing costs no hash.
        if self.invitation(secret).await? != Some(Invitation::First) {
            return Ok(Welcomed::Gone);
        }
        let new = NewAccount {
            email: email.clone(),
            name,
            role: Role::Administrator,
            organizations: None,
            password: Some(self.door.hasher.hash(password).await?),
            subject: None,
            now: self.clock.now(),
        };
        let Some(account) = self.redeem(secret, Welcome::First(Box::new(new))).await? else {
            return Ok(Welcomed::Gone);
        };
        let actor = Actor::account(email.clone(), visitor.address);
        let detail = Some("the first administrator, by the link of `serve`".to_owned());
        self.note(&actor, "account.create", None, email.clone(), detail).await?;
        self.welcomed(account, email, visitor).await
    }

    /// Sets a password, which ends the account's sessions, and lets its owner in.
    pub async fn welcome_password(
        &self,
        secret: &str,
        password: NewPassword,
        visitor: &Visitor,
    ) -> Result<Welcomed> {
        let Some(Invitation::Password { email, .. }) = self.invitation(secret).await? else {
            return Ok(Welcomed::Gone);
        };
        let hash = self.door.hasher.hash(password).await?;
        let Some(account) = self.redeem(secret, Welcome::Password(hash)).await? else {
            return Ok(Welcomed::Gone);
        };
        let actor = Actor::account(email.clone(), visitor.address);
        let detail = Some("by a link".to_owned());
        self.note(&actor, "account.password", None, email.clone(), detail).await?;
        self.welcomed(account, email, visitor).await
    }

    /// Lets in whoever has such a link.
    pub async fn welcome_in(&self, secret: &str, visitor: &Visitor) -> Result<Welcomed> {
        let Some(Invitation::SignIn { email, .. }) = self.invitation(secret).await? else {
            return Ok(Welcomed::Gone);
        };
        match self.redeem(secret, Welcome::SignIn).await? {
            Some(account) => self.welcomed(account, email, visitor).await,
            None => Ok(Welcomed::Gone),
        }
    }

    async fn redeem(&self, secret: &str, welcome: Welcome) -> Result<Option<AccountId>> {
        let redeemed = self.store.redeem(SecretHash::of(secret), welcome, self.clock.now());
        match redeemed.await? {
            Redeemed::Done(account) => Ok(Some(account)),
            Redeemed::Gone => Ok(None),
            Redeemed::Taken => Err(OperatorError::Invalid(
                "that address has an account already; take another, or give it a password with \
                 `scim-relay account password`"
                    .to_owned(),
            )),
        }
    }

    async fn welcomed(
        &self,
        account: AccountId,
        email: String,
        visitor: &Visitor,
    ) -> Result<Welcomed> {
        let begun = self.begin_session(account, email, None, visitor).await?;
        Ok(begun.map_or(Welcomed::Gone, Welcomed::In))
    }
}
