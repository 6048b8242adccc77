//! Who may come in to the console: accounts, their sessions, and links that work once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{OrgId, Result};

/// Who may come in. A part of [`Store`](super::Store).
///
/// Whatever takes a right away ends the sessions that had it, in the same transaction. There is
/// always an administrator who can sign in, once there was one.
#[async_trait]
pub trait Accounts: Send + Sync {
    async fn add_account(&self, account: NewAccount) -> Result<Added>;
    /// In the order of their addresses.
    async fn accounts(&self) -> Result<Vec<AccountRow>>;
    /// By the address, in whatever case.
    async fn account(&self, email: &str) -> Result<Option<AccountRow>>;
    /// By who they are at the identity provider that they sign in with.
    async fn account_of(&self, subject: &Subject) -> Result<Option<AccountRow>>;
    /// `but` is the session that goes on, where somebody changes their own password.
    async fn change_account(
        &self,
        account: AccountId,
        change: AccountChange,
        but: Option<SessionId>,
    ) -> Result<Changed>;
    /// Uses up the code of a step; `false`: it, or a later one, was used before.
    async fn use_totp_step(&self, account: AccountId, step: i64) -> Result<bool>;
    async fn remove_account(&self, account: AccountId) -> Result<Changed>;
    /// Whether any administrator can sign in.
    async fn has_administrator(&self) -> Result<bool>;

    /// Whoever just proved who they are. `None`: the account is gone or disabled, or its password is
    /// another one than `proof` by now.
    async fn begin_session(
        &self,
        session: NewSession,
        proof: Option<PasswordHash>,
    ) -> Result<Option<SessionId>>;
    /// Whose session it is, while it lasts.
    async fn seat(
        &self,
        secret: SecretHash,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Option<Seat>>;
    async fn session_lasts(
        &self,
        session: SessionId,
        idle: Duration,
        now: Timestamp,
    ) -> Result<bool>;
    /// Those that last, the newest first: of one account, or of all.
    async fn sessions(
        &self,
        account: Option<AccountId>,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>>;
    /// `false`: it had ended already, or is not of this account.
    async fn end_session(&self, session: SessionId, of: Option<AccountId>) -> Result<bool>;
    async fn sessions_seen(&self, seen: Vec<(SessionId, Timestamp)>) -> Result<()>;

    /// A link for an account replaces those it had for the same purpose; one for the first
    /// administrator all others of that kind.
    async fn invite(&self, invitation: NewInvitation) -> Result<()>;
    /// What a link is good for, while it is.
    async fn invitation(&self, secret: SecretHash, now: Timestamp) -> Result<Option<Invitation>>;
    /// Uses a link up. The account's sessions end where its password changes.
    async fn redeem(
        &self,
        secret: SecretHash,
        welcome: Welcome,
        now: Timestamp,
    ) -> Result<Redeemed>;
    /// Drops sessions and links that are over.
    async fn forget_ended(&self, idle: Duration, now: Timestamp) -> Result<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub i64);

/// A person's part in the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, everywhere.
    Administrator,
    /// Everything of their organizations: tokens, people, approvals.
    Owner,
    /// People, queue and requests; may try again, nothing else.
    HelpDesk,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Owner, Self::HelpDesk];

    /// As the command line and the configuration write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Owner => "owner",
            Self::HelpDesk => "helpdesk",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// As a page writes it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Administrator => "Administrator",
            Self::Owner => "Owner",
            Self::HelpDesk => "Help desk",
        }
    }
}

/// Where somebody has a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Everywhere,
    Only(BTreeSet<Arc<str>>),
}

impl Reach {
    pub fn contains(&self, organization: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Only(own) => own.contains(organization),
        }
    }
}

/// What a password is compared with, in the PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// Who somebody is at an identity provider: its issuer, and what it calls them for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(pub String);

/// What an account shares with a phone. It is kept as it is: alone it opens nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(pub Vec<u8>);

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(***)")
    }
}

/// What is kept of a secret of many random bits: a cookie's, or a link's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

#[derive(Clone, Debug)]
pub struct NewAccount {
    pub email: String,
    /// Empty: none was given.
    pub name: String,
    pub role: Role,
    /// `None`: everywhere.
    pub organizations: Option<Vec<OrgId>>,
    pub password: Option<PasswordHash>,
    /// Where they sign in by a provider.
    pub subject: Option<Subject>,
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Done(AccountId),
    /// Another account has the address.
    Taken,
    /// There are as many as there may be.
    Full,
}

#[derive(Clone, Debug)]
pub struct AccountRow {
    pub id: AccountId,
    /// As it was written.
    pub email: String,
    pub name: String,
    pub role: Role,
    pub reach: Reach,
    pub password: Option<PasswordHash>,
    /// Of a second factor.
    pub totp: Option<TotpSecret>,
    /// Where they sign in by a provider.
    pub subject: Option<Subject>,
    pub preferences: Preferences,
    pub created: Timestamp,
    pub disabled: Option<Timestamp>,
    pub password_changed: Option<Timestamp>,
    pub last_sign_in: Option<Timestamp>,
}

/// How somebody wants to read; what is left out goes by their browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// A language tag.
    pub locale: Option<String>,
    /// A name of the tz database.
    pub zone: Option<String>,
}

#[derive(Clone, Debug)]
pub enum AccountChange {
    /// Ends their sessions.
    Password(PasswordHash, Timestamp),
    /// Ends their sessions. `None`: everywhere.
    Role(Role, Option<Vec<OrgId>>),
    /// Ends their sessions; they cannot sign in until they are enabled again.
    Disabled(Option<Timestamp>),
    /// Ends their sessions. `None`: no second factor any more.
    Totp(Option<TotpSecret>),
    Name(String),
    Preferences(Preferences),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Done,
    /// There is no such account, or not any more.
    NotFound,
    /// Nobody could administer the relay any more.
    LastAdministrator,
}

#[derive(Clone, Debug)]
pub struct NewSession {
    pub account: AccountId,
    pub secret: SecretHash,
    /// From where.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    pub now: Timestamp,
    pub ends: Timestamp,
}

#[derive(Clone, Debug)]
pub struct SessionRow {
    pub id: SessionId,
    pub account: AccountId,
    pub email: String,
    pub created: Timestamp,
    /// To a minute or so.
    pub seen: Timestamp,
    pub ends: Timestamp,
    pub address: String,
    pub agent: String,
}

/// A session that lasts, and whose it is.
#[derive(Clone, Debug)]
pub struct Seat {
    pub session: SessionId,
    pub seen: Timestamp,
    pub account: AccountRow,
}

/// What a link that works once is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To make the first administrator.
    First,
    /// To set an account's password.
    Password(AccountId),
    /// To sign in at once.
    SignIn(AccountId),
}

#[derive(Clone, Debug)]
pub struct NewInvitation {
    pub secret: SecretHash,
    pub purpose: Purpose,
    pub ends: Timestamp,
}

/// A link that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invitation {
    First,
    Password { account: AccountId, email: String },
    SignIn { account: AccountId, email: String },
}

/// What whoever has a link comes with.
#[derive(Clone, Debug)]
pub enum Welcome {
    First(Box<NewAccount>),
    Password(PasswordHash),
    SignIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    Done(AccountId),
    /// It was used before, it is over, it was replaced, or it is for something else.
    Gone,
    /// Another account has the address; the link is still good.
    Taken,
}
