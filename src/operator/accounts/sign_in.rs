//! People come in with a password, stay for a session, and leave.
//!
//! Whoever fails is told nothing but that: an unknown address, a wrong password and a disabled
//! account get the same answer in the same time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use scim_relay_sdk::scim::fold;
use secrecy::SecretString;
use serde::Serialize;

use super::links::{known_by, secret};
use super::{LONGEST_EMAIL, NewPassword, settled};
use crate::operator::{Actor, Operator, OperatorError, Result, Rights};
use crate::store::{
    AccountChange, AccountId, NewSession, PasswordHash, Preferences, Seat, SecretHash, SessionId,
    SessionRow, StoreError,
};

/// A session that nobody used for so long is over.
const IDLE: Duration = Duration::from_mins(30);
/// And after so long in any case.
const LONGEST: Duration = Duration::from_hours(12);
/// How often it is written down that a session is used.
const SEEN_EVERY: Duration = Duration::from_mins(1);
/// Of what a browser calls itself.
const LONGEST_AGENT: usize = 200;

/// Failures that the audit log takes at once, and then in a minute: strangers write them.
const FAILURES_AT_ONCE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
const FAILURES: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

pub(super) struct Failures(DefaultDirectRateLimiter);

impl Default for Failures {
    fn default() -> Self {
        Self(RateLimiter::direct(Quota::per_minute(FAILURES).allow_burst(FAILURES_AT_ONCE)))
    }
}

impl Failures {
    /// Whether there were so many that the audit log takes no more just now.
    pub(super) fn is_loud(&self) -> bool {
        self.0.check().is_err()
    }
}

/// Whoever stands at the door.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub address: IpAddr,
    /// What their browser calls itself.
    pub agent: String,
}

/// How a try to prove who one is ended.
pub enum Proof<T> {
    Done(T),
    /// It was not them, or nobody has this address; who knows which is not told.
    Refused,
    /// Too many tries; nothing was looked at.
    Wait(Duration),
}

/// What a right password leads to.
pub enum SignedIn {
    In(Begun),
    /// There is a second factor: what shows that the password was right.
    NeedsCode(String),
}

/// A session that just began.
pub struct Begun {
    /// For the cookie, this once.
    pub secret: SecretString,
    pub email: String,
}

/// Whoever has a session.
#[derive(Clone, Debug)]
pub struct Member {
    pub session: SessionId,
    pub account: AccountId,
    pub email: String,
    /// The e-mail address, if none was given.
    pub name: String,
    pub rights: Rights,
    pub preferences: Preferences,
}

/// A session in a list.
#[derive(Clone, Debug, Serialize)]
pub struct SessionLine {
    pub id: SessionId,
    pub email: String,
    pub created: Timestamp,
    /// To a minute or so.
    pub seen: Timestamp,
    pub ends: Timestamp,
    pub address: String,
    pub agent: String,
}

impl Operator {
    /// Lets somebody in who knows the password.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<Proof<SignedIn>> {
        let email = if email.len() > LONGEST_EMAIL { "" } else { email.trim() };
        let (who, now) = (fold(email), self.clock.undisturbed());
        let one = match self.door.throttle.begin(&who, visitor.address, now) {
            Ok(one) => one,
            Err(wait) => return Ok(Proof::Wait(wait)),
        };
        let account = self.store.account(email).await?;
        let hash = account.as_ref().and_then(|account| account.password.clone());
        let same = self.door.hasher.verify(password, hash.as_ref()).await?;
        if same && let Some(account) = &account {
            // The try counts until the code is right, too.
            if account.totp.is_some() && account.disabled.is_none() {
                return Ok(Proof::Done(SignedIn::NeedsCode(self.ticket(account))));
            }
            let begun = self.begin_session(account.id, account.email.clone(), hash, visitor);
            if let Some(begun) = begun.await? {
                self.door.throttle.succeeded(one, now);
                return Ok(Proof::Done(SignedIn::In(begun)));
            }
        }
        self.note_failure(account.map(|account| account.email), one.failures, visitor).await?;
        Ok(Proof::Refused)
    }

    /// Begins a session of somebody who has proven who they are; `None` if that is no good any more.
    pub(super) async fn begin_session(
        &self,
        account: AccountId,
        email: String,
        proof: Option<PasswordHash>,
        visitor: &Visitor,
    ) -> Result<Option<Begun>> {
        let (secret, now) = (secret(), self.clock.now());
        let session = NewSession {
            account,
            secret: SecretHash::of(&secret),
            address: visitor.address.to_string(),
            agent: visitor.agent.chars().take(LONGEST_AGENT).collect(),
            now,
            ends: now + LONGEST,
        };
        if self.store.begin_session(session, proof).await?.is_none() {
            return Ok(None);
        }
        let actor = Actor::account(email.clone(), visitor.address);
        self.note(&actor, "account.sign_in", None, email.clone(), None).await?;
        Ok(Some(Begun { secret: secret.into(), email }))
    }

    /// The first of a row of failures, the second, the fourth, and so on; and what was typed only
    /// where it is an account's address, since people type passwords there, too.
    pub(super) async fn note_failure(
        &self,
        email: Option<String>,
        failures: u32,
        visitor: &Visitor,
    ) -> Result<()> {
        if !failures.is_power_of_two() || self.door.failures.is_loud() {
            return Ok(());
        }
        let actor = Actor::stranger(visitor.address);
        let subject = email.unwrap_or_else(|| "an address that nobody has".to_owned());
        let detail = (failures > 1).then(|| format!("{failures} times in a row"));
        self.note(&actor, "account.sign_in_failed", None, subject, detail).await
    }

    /// Whose session a cookie's secret is, while it lasts. What is done by hand makes it last longer.
    pub async fn member(&self, secret: &str, by_hand: bool) -> Result<Option<Member>> {
        let Some(known_by) = known_by(secret) else { return Ok(None) };
        let now = self.clock.now();
        let Some(Seat { session, seen, account }) = self.store.seat(known_by, IDLE, now).await?
        else {
            return Ok(None);
        };
        if by_hand && now.duration_since(seen).unsigned_abs() >= SEEN_EVERY {
            self.seen().insert(session, now);
        }
        let rights = Rights::new(account.role, account.reach).ok_or_else(|| {
            StoreError::Broken(format!("an account cannot be {:?} there", account.role))
        })?;
        let name = if account.name.is_empty() { account.email.clone() } else { account.name };
        Ok(Some(Member {
            session,
            account: account.id,
            email: account.email,
            name,
            rights,
            preferences: account.preferences,
        }))
    }

    /// Whether a session has not ended yet.
    pub async fn lasts(&self, session: SessionId) -> Result<bool> {
        Ok(self.store.session_lasts(session, IDLE, self.clock.now()).await?)
    }

    /// The session ends here and now, whatever a browser keeps.
    pub async fn sign_out(&self, actor: &Actor, session: SessionId) -> Result<()> {
        if self.store.end_session(session, None).await? {
            self.note(actor, "account.sign_out", None, actor.name(), None).await?;
        }
        Ok(())
    }

    /// Whether somebody who is in knows their password.
    pub(super) async fn prove(
        &self,
        member: &Member,
        password: &str,
        visitor: &Visitor,
    ) -> Result<Proof<()>> {
        let now = self.clock.undisturbed();
        let one = match self.door.throttle.begin(&fold(&member.email), visitor.address, now) {
            Ok(one) => one,
            Err(wait) => return Ok(Proof::Wait(wait)),
        };
        let hash = self.account(&member.email).await?.password;
        if !self.door.hasher.verify(password, hash.as_ref()).await? {
            self.note_failure(Some(member.email.clone()), one.failures, visitor).await?;
            return Ok(Proof::Refused);
        }
        self.door.throttle.succeeded(one, now);
        Ok(Proof::Done(()))
    }

    /// Sets one's own password: whoever finds a browser open does not know the old one. Their other
    /// sessions end.
    pub async fn change_password(
        &self,
        member: &Member,
        old: &str,
        new: NewPassword,
        visitor: &Visitor,
    ) -> Result<Proof<()>> {
        match self.prove(member, old, visitor).await? {
            Proof::Done(()) => {}
            not => return Ok(not),
        }
        let hash = self.door.hasher.hash(new).await?;
        let change = AccountChange::Password(hash, self.clock.now());
        let but = Some(member.session);
        settled(self.store.change_account(member.account, change, but).await?, &member.email)?;
        let actor = Actor::account(member.email.clone(), visitor.address);
        self.note(&actor, "account.password", None, member.email.clone(), None).await?;
        Ok(Proof::Done(()))
    }

    /// Those that last, the newest first: of one account, or of all.
    pub async fn sessions(&self, account: Option<AccountId>) -> Result<Vec<SessionLine>> {
        let rows = self.store.sessions(account, IDLE, self.clock.now()).await?;
        Ok(rows.into_iter().map(SessionLine::from).collect())
    }

    /// Ends a session on somebody's word: of one account, or whosever it is.
    pub async fn end_session(
        &self,
        actor: &Actor,
        session: SessionId,
        of: Option<AccountId>,
    ) -> Result<()> {
        let listed = self.store.sessions(of, IDLE, self.clock.now()).await?;
        let gone = || OperatorError::NotFound("that session has ended already".to_owned());
        let row = listed.into_iter().find(|row| row.id == session).ok_or_else(gone)?;
        if !self.store.end_session(session, of).await? {
            return Err(gone());
        }
        let detail = Some(format!("from {}", row.address));
        self.note(actor, "account.session_end", None, row.email, detail).await
    }

    /// To be called every few seconds: writes down which sessions are used.
    pub async fn note_seen(&self) -> Result<()> {
        let seen: Vec<_> = self.seen().drain().collect();
        if seen.is_empty() {
            return Ok(());
        }
        let written = self.store.sessions_seen(seen.clone()).await;
        if written.is_err() {
            let mut again = self.seen();
            for (session, at) in seen {
                again.entry(session).or_insert(at);
            }
        }
        Ok(written?)
    }

    /// To be called every hour: drops what is over.
    pub async fn forget_ended_sessions(&self) -> Result<()> {
        Ok(self.store.forget_ended(IDLE, self.clock.now()).await?)
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<SessionId, Timestamp>> {
        self.door.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<SessionRow> for SessionLine {
    fn from(row: SessionRow) -> Self {
        let SessionRow { id, email, created, seen, ends, address, agent, .. } = row;
        Self { id, email, created, seen, ends, address, agent }
    }
}
