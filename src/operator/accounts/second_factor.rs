//! The second factor of accounts with a password: set up, asked for, turned off.
//!
//! Who loses their phone gets a link to set a password, which turns it off.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use qrcode::{Color, QrCode};
use scim_relay_sdk::scim::fold;
use serde::Serialize;

use super::totp::{SECRET, Secret};
use super::{Begun, Member, Proof, Visitor, settled};
use crate::ids;
use crate::operator::{Actor, Operator, Result};
use crate::store::{AccountChange, AccountId, AccountRow, PasswordHash, TotpSecret};

/// For how long somebody may look for their phone.
const PATIENCE: Duration = Duration::from_mins(5);
const MOST: usize = 1_000;

/// Who gave the right password and is yet to give a code.
#[derive(Clone)]
pub(super) struct Ticket {
    at: Timestamp,
    account: AccountId,
    email: String,
    proof: Option<PasswordHash>,
}

/// What a phone is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Enrolment {
    /// To be typed.
    pub secret: String,
    /// To be scanned: the path of the dark squares, in a box of `width` by `width`.
    pub path: String,
    pub width: usize,
}

impl Operator {
    /// What shows that somebody gave the right password.
    pub(super) fn ticket(&self, account: &AccountRow) -> String {
        let (ticket, at) = (super::links::secret(), self.clock.now());
        let mut all = self.tickets();
        all.retain(|_, ticket| lasts(ticket.at, at));
        if all.len() < MOST {
            let AccountRow { id, email, password, .. } = account.clone();
            all.insert(ticket.clone(), Ticket { at, account: id, email, proof: password });
        }
        ticket
    }

    /// Lets in who has the code. `None`: the password was given too long ago.
    pub async fn enter_code(
        &self,
        ticket: &str,
        code: &str,
        visitor: &Visitor,
    ) -> Result<Option<Proof<Begun>>> {
        let known = self.tickets().get(ticket).cloned();
        let Some(Ticket { account, email, proof, .. }) =
            known.filter(|ticket| lasts(ticket.at, self.clock.now()))
        else {
            return Ok(None);
        };
        let now = self.clock.undisturbed();
        let one = match self.door.throttle.begin(&fold(&email), visitor.address, now) {
            Ok(one) => one,
            Err(wait) => return Ok(Some(Proof::Wait(wait))),
        };
        let row = self.account(&email).await?;
        let secret = row.totp.map(|secret| Secret(secret.0));
        let step = secret.and_then(|secret| secret.step_of(code, self.clock.now()));
        // Each code opens once, or whoever looks over a shoulder could use it, too.
        if let Some(step) = step
            && self.store.use_totp_step(account, step).await?
            && let Some(begun) = self.begin_session(account, email.clone(), proof, visitor).await?
        {
            self.tickets().remove(ticket);
            self.door.throttle.succeeded(one, now);
            return Ok(Some(Proof::Done(begun)));
        }
        self.note_failure(Some(email), one.failures, visitor).await?;
        Ok(Some(Proof::Refused))
    }

    pub async fn has_second_factor(&self, member: &Member) -> Result<bool> {
        Ok(self.account(&member.email).await?.totp.is_some())
    }

    /// A new secret; nothing is kept until its first code is given.
    pub fn new_second_factor(&self, member: &Member) -> Enrolment {
        enrolment(&Secret(ids::secret_bytes::<SECRET>().to_vec()), &member.email)
    }

    /// The same again, for a form that was filled in wrongly; another one if it was not ours.
    pub fn second_factor_again(&self, member: &Member, secret: &str) -> Enrolment {
        match Secret::parse(secret) {
            Some(secret) => enrolment(&secret, &member.email),
            None => self.new_second_factor(member),
        }
    }

    /// Turns it on, if the phone makes the right codes. Their other sessions end.
    pub async fn set_up_second_factor(
        &self,
        member: &Member,
        secret: &str,
        code: &str,
        visitor: &Visitor,
    ) -> Result<bool> {
        let secret = Secret::parse(secret);
        let right = |secret: &Secret| secret.step_of(code, self.clock.now()).is_some();
        let Some(secret) = secret.filter(right) else { return Ok(false) };
        self.change_factor(member, Some(TotpSecret(secret.0)), visitor).await?;
        Ok(true)
    }

    /// Turns it off: whoever finds a browser open does not know the password.
    pub async fn turn_off_second_factor(
        &self,
        member: &Member,
        password: &str,
        visitor: &Visitor,
    ) -> Result<Proof<()>> {
        let proof = self.prove(member, password, visitor).await?;
        if let Proof::Done(()) = proof {
            self.change_factor(member, None, visitor).await?;
        }
        Ok(proof)
    }

    async fn change_factor(
        &self,
        member: &Member,
        secret: Option<TotpSecret>,
        visitor: &Visitor,
    ) -> Result<()> {
        let action =
            if secret.is_some() { "account.second_factor" } else { "account.second_factor_off" };
        let change = AccountChange::Totp(secret);
        let but = Some(member.session);
        settled(self.store.change_account(member.account, change, but).await?, &member.email)?;
        let actor = Actor::account(member.email.clone(), visitor.address);
        self.note(&actor, action, None, member.email.clone(), None).await
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<String, Ticket>> {
        self.door.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lasts(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() < PATIENCE
}

fn enrolment(secret: &Secret, email: &str) -> Enrolment {
    let code = QrCode::new(secret.address(email)).ok();
    let width = code.as_ref().map_or(0, QrCode::width);
    let colours = code.map(|code| code.to_colors()).unwrap_or_default();
    let dark = colours.iter().enumerate().filter(|(_, colour)| **colour == Color::Dark);
    // With the quiet zone of four that a reader needs.
    let square = |(at, _): (usize, _)| format!("M{} {}h1v1h-1z", at % width + 4, at / width + 4);
    Enrolment { secret: secret.text(), path: dark.map(square).collect(), width: width + 8 }
}
