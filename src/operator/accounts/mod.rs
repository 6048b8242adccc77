//! Who may come in to the console: accounts are made, changed and removed here; `sign_in` lets
//! people in and out, with `passwords`, `throttle` and `links`.

mod links;
mod oidc;
mod passwords;
mod second_factor;
mod sign_in;
#[cfg(test)]
mod tests;
mod throttle;
mod totp;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result, Rights};
use crate::store::{
    AccountChange, AccountId, AccountRow, Added, Changed, NewAccount, Reach, Role, SessionId,
};

use passwords::Hasher;
use second_factor::Ticket;
use sign_in::Failures;
use throttle::Throttle;

pub use links::{Link, Welcomed};
pub use oidc::Entry;
pub use passwords::NewPassword;
pub use second_factor::Enrolment;
pub use sign_in::{Begun, Member, Proof, SessionLine, SignedIn, Visitor};

/// RFC 5321 section 4.5.3.1.3, less the brackets.
const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 100;

/// What is known at the door and written nowhere.
#[derive(Default)]
pub(super) struct Door {
    hasher: Hasher,
    throttle: Throttle,
    failures: Failures,
    /// Whose session was used since it was last written down.
    seen: Mutex<HashMap<SessionId, Timestamp>>,
    /// Who is yet to give a code.
    tickets: Mutex<HashMap<String, Ticket>>,
}

/// An account to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewAccountRequest {
    pub email: String,
    #[serde(default)]
    pub name: String,
    pub role: Role,
    /// None of them: everywhere.
    #[serde(default)]
    pub organizations: Vec<String>,
}

/// An account in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountLine {
    #[serde(skip)]
    pub id: Option<AccountId>,
    pub email: String,
    pub name: String,
    pub role: Role,
    /// None: everywhere.
    pub organizations: Option<Vec<Arc<str>>>,
    pub created: Timestamp,
    pub last_sign_in: Option<Timestamp>,
    pub disabled: Option<Timestamp>,
    /// Whether a password is set.
    pub password: bool,
}

impl From<AccountRow> for AccountLine {
    fn from(row: AccountRow) -> Self {
        Self {
            id: Some(row.id),
            email: row.email,
            name: row.name,
            role: row.role,
            organizations: match row.reach {
                Reach::Everywhere => None,
                Reach::Only(own) => Some(own.into_iter().collect()),
            },
            created: row.created,
            last_sign_in: row.last_sign_in,
            disabled: row.disabled,
            password: row.password.is_some(),
        }
    }
}

impl Operator {
    pub async fn accounts(&self) -> Result<Vec<AccountLine>> {
        Ok(self.store.accounts().await?.into_iter().map(AccountLine::from).collect())
    }

    /// Makes an account. Without a password it needs a link to set one.
    pub async fn create_account(
        &self,
        actor: &Actor,
        request: NewAccountRequest,
        password: Option<NewPassword>,
    ) -> Result<()> {
        let NewAccountRequest { email, name, role, organizations } = request;
        let (email, name) = (checked_email(&email)?, checked_name(&name)?);
        let organizations = self.reach(role, &organizations)?;
        let password = match password {
            Some(password) => Some(self.door.hasher.hash(password).await?),
            None => None,
        };
        let now = self.clock.now();
        let new = NewAccount {
            email: email.clone(),
            name,
            role,
            organizations,
            password,
            subject: None,
            now,
        };
        match self.store.add_account(new).await? {
            Added::Done(_) => {}
            Added::Taken => {
                return Err(OperatorError::Invalid(format!("{email} has an account already")));
            }
            Added::Full => {
                let why = "there are as many accounts as there may be; remove some first";
                return Err(OperatorError::Invalid(why.to_owned()));
            }
        }
        self.note(actor, "account.create", None, email, Some(role.word().to_owned())).await
    }

    pub async fn remove_account(&self, actor: &Actor, email: &str) -> Result<()> {
        let account = self.account(email).await?;
        settled(self.store.remove_account(account.id).await?, &account.email)?;
        self.note(actor, "account.remove", None, account.email, None).await
    }

    /// What somebody may, and where. Their sessions end.
    pub async fn change_role(
        &self,
        actor: &Actor,
        email: &str,
        role: Role,
        organizations: &[String],
    ) -> Result<()> {
        let ids = self.reach(role, organizations)?;
        let detail = match organizations {
            [] => role.word().to_owned(),
            some => format!("{} of {}", role.word(), some.join(", ")),
        };
        let change = AccountChange::Role(role, ids);
        self.change(actor, email, change, "account.role", Some(detail)).await
    }

    /// Lets somebody in no more, or again. Their sessions end.
    pub async fn disable_account(&self, actor: &Actor, email: &str, disabled: bool) -> Result<()> {
        let action = if disabled { "account.disable" } else { "account.enable" };
        let change = AccountChange::Disabled(disabled.then(|| self.clock.now()));
        self.change(actor, email, change, action, None).await
    }

    pub async fn rename_account(&self, actor: &Actor, email: &str, name: &str) -> Result<()> {
        let change = AccountChange::Name(checked_name(name)?);
        self.change(actor, email, change, "account.name", None).await
    }

    async fn change(
        &self,
        actor: &Actor,
        email: &str,
        change: AccountChange,
        action: &str,
        detail: Option<String>,
    ) -> Result<()> {
        let account = self.account(email).await?;
        settled(self.store.change_account(account.id, change, None).await?, &account.email)?;
        self.note(actor, action, None, account.email, detail).await
    }

    async fn account(&self, email: &str) -> Result<AccountRow> {
        self.store.account(email).await?.ok_or_else(|| nobody(email))
    }

    /// The organizations that a role is given in; `None`: everywhere.
    fn reach(&self, role: Role, keys: &[String]) -> Result<Option<Vec<crate::store::OrgId>>> {
        let ids = keys.iter().map(|key| self.organization(key)).collect::<Result<Vec<_>>>()?;
        let reach = match keys {
            [] => Reach::Everywhere,
            some => Reach::Only(some.iter().map(|key| key.as_str().into()).collect()),
        };
        if Rights::new(role, reach).is_some() {
            return Ok((!ids.is_empty()).then_some(ids));
        }
        Err(OperatorError::Invalid(
            match role {
                Role::Administrator => {
                    "an administrator has every organization; leave the organizations out, or make \
                 an owner of those"
                }
                Role::Owner | Role::HelpDesk => "an owner is one of some organizations; say which",
            }
            .to_owned(),
        ))
    }
}

fn nobody(email: &str) -> OperatorError {
    OperatorError::NotFound(format!(
        "no account has the address {email}; `scim-relay account list` shows those there are"
    ))
}

fn settled(changed: Changed, email: &str) -> Result<()> {
    match changed {
        Changed::Done => Ok(()),
        Changed::NotFound => Err(nobody(email)),
        Changed::LastAdministrator => Err(OperatorError::Invalid(format!(
            "{email} is the last administrator who can sign in; make another one first"
        ))),
    }
}

/// Not more than what keeps slips of the pen out: mail is what proves an address.
fn checked_email(text: &str) -> Result<String> {
    let text = text.trim();
    let looks_right = text.len() <= LONGEST_EMAIL
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\",;:\\".contains(c))
        && text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        });
    if looks_right {
        Ok(text.to_owned())
    } else {
        Err(OperatorError::Invalid(format!(
            "`{}` is no e-mail address; write it like kari@lillevik.example",
            text.chars().take(60).collect::<String>().escape_debug()
        )))
    }
}

fn checked_name(text: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(OperatorError::Invalid(format!(
            "a name has at most {LONGEST_NAME} characters, in one line"
        )))
    }
}
