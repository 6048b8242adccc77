//! Sign-in by an identity provider: who gets which role, and which account somebody has.
//!
//! The provider's subject says who somebody is, and nothing else: an address may be given to another
//! person. Their role is judged anew each time.

use std::sync::Arc;

use crate::config::OidcRule;
use crate::oidc::{Arrival, Begin, Claims, OidcError, Provider, Return};
use crate::operator::{Actor, Operator, OperatorError, Result};
use crate::store::{
    AccountChange, AccountRow, Added, Changed, NewAccount, OrgId, Reach, Role, Subject,
};

use super::{Begun, Visitor, checked_email, checked_name};

/// What became of somebody who came back from the provider.
pub enum Entry {
    In(Begun, Option<String>),
    /// Why not, for them to read.
    Not(String),
}

impl Operator {
    /// What the button says, where people can sign in by a provider.
    pub fn oidc_name(&self) -> Option<String> {
        self.runtime.load().config.console.oidc.as_ref().map(|oidc| oidc.name.clone())
    }

    fn provider(&self) -> Result<Arc<Provider>> {
        self.runtime.load().oidc.clone().ok_or_else(|| {
            OperatorError::NotFound("nobody signs in by an identity provider here".to_owned())
        })
    }

    /// Sends somebody to the provider.
    pub async fn begin_oidc(&self, next: Option<String>) -> Result<Begin> {
        let begun = self.provider()?.begin(next, self.clock.undisturbed()).await;
        begun.map_err(|error| {
            tracing::warn!(%error, "nobody can sign in by the identity provider");
            OperatorError::Target(error.to_string())
        })
    }

    /// Takes somebody back from the provider; `bound` is what their browser kept.
    pub async fn finish_oidc(
        &self,
        back: Return,
        bound: Option<&str>,
        visitor: &Visitor,
    ) -> Result<Entry> {
        let provider = self.provider()?;
        let Arrival { claims, next } = match provider
            .finish(back, bound, self.clock.undisturbed())
            .await
        {
            Ok(arrival) => arrival,
            Err(error) => {
                // What somebody's own browser did says nothing of the provider.
                if matches!(error, OidcError::Provider(_)) {
                    tracing::warn!(%error, "a sign-in by the identity provider failed");
                }
                return Ok(Entry::Not(format!("{}; try again", capitalized(&error.to_string()))));
            }
        };
        let email = label(&claims)?;
        let runtime = self.runtime.load_full();
        let rules = runtime.config.console.oidc.as_ref().map(|oidc| oidc.rules.as_slice());
        let Some(rule) = rules.and_then(|rules| rule_of(&claims, rules)) else {
            self.note_refusal(&email, visitor).await?;
            return Ok(Entry::Not(format!(
                "You are {email} at the identity provider, and that gives you no role here. Ask an \
                 administrator of scim-relay for one"
            )));
        };
        let subject = Subject(format!("{} {}", provider.issuer(), claims.subject()));
        let name = checked_name(claims.text("name").unwrap_or_default()).unwrap_or_default();
        let account = match self.store.account_of(&subject).await? {
            Some(account) => self.brought_up_to_date(account, rule, visitor).await?,
            None => match self.made(email.clone(), name, subject, rule, visitor).await? {
                Some(account) => account,
                None => {
                    return Ok(Entry::Not(format!(
                        "{email} has an account of its own here. Sign in with its password, or ask \
                         an administrator to remove that account first"
                    )));
                }
            },
        };
        let AccountRow { id, email, password, .. } = account;
        Ok(match self.begin_session(id, email, password, visitor).await? {
            Some(begun) => Entry::In(begun, next),
            None => Entry::Not(
                "Your account is switched off. Ask an administrator of scim-relay".to_owned(),
            ),
        })
    }

    /// Gives an account the role that it has by now.
    async fn brought_up_to_date(
        &self,
        account: AccountRow,
        rule: &OidcRule,
        visitor: &Visitor,
    ) -> Result<AccountRow> {
        let (role, reach, organizations) = self.granted(rule)?;
        if account.role == role && account.reach == reach {
            return Ok(account);
        }
        let change = AccountChange::Role(role, organizations);
        match self.store.change_account(account.id, change, None).await? {
            // They would lock everybody out, themselves first.
            Changed::LastAdministrator => return Ok(account),
            Changed::Done | Changed::NotFound => {}
        }
        let actor = Actor::account(account.email.clone(), visitor.address);
        let detail = Some(format!("{}, by the identity provider", role.word()));
        self.note(&actor, "account.role", None, account.email.clone(), detail).await?;
        Ok(AccountRow { role, reach, ..account })
    }

    async fn made(
        &self,
        email: String,
        name: String,
        subject: Subject,
        rule: &OidcRule,
        visitor: &Visitor,
    ) -> Result<Option<AccountRow>> {
        let (role, _, organizations) = self.granted(rule)?;
        let new = NewAccount {
            email: email.clone(),
            name,
            role,
            organizations,
            password: None,
            subject: Some(subject.clone()),
            now: self.clock.now(),
        };
        match self.store.add_account(new).await? {
            Added::Done(_) => {}
            Added::Taken => return Ok(None),
            Added::Full => {
                let why = "there are as many accounts as there may be; remove some first";
                return Err(OperatorError::Invalid(why.to_owned()));
            }
        }
        let actor = Actor::account(email.clone(), visitor.address);
        let detail = Some(format!("{}, by the identity provider", role.word()));
        self.note(&actor, "account.create", None, email, detail).await?;
        Ok(self.store.account_of(&subject).await?)
    }

    fn granted(&self, rule: &OidcRule) -> Result<(Role, Reach, Option<Vec<OrgId>>)> {
        let role = Role::parse(&rule.role).ok_or_else(|| {
            OperatorError::Invalid(format!(
                "the configuration names `{}`, which is no role",
                rule.role
            ))
        })?;
        let keys: Vec<String> = rule.organizations.iter().map(ToString::to_string).collect();
        let organizations = self.reach(role, &keys)?;
        let reach = match &organizations {
            None => Reach::Everywhere,
            Some(_) => Reach::Only(rule.organizations.iter().cloned().collect()),
        };
        Ok((role, reach, organizations))
    }

    async fn note_refusal(&self, email: &str, visitor: &Visitor) -> Result<()> {
        if self.door.failures.is_loud() {
            return Ok(());
        }
        let actor = Actor::stranger(visitor.address);
        let detail = Some("the identity provider gives them no role here".to_owned());
        self.note(&actor, "account.sign_in_failed", None, email.to_owned(), detail).await
    }
}

/// The first rule that fits. An address counts only where the provider knows that it is theirs: in
/// some, anybody may write down any.
fn rule_of<'a>(claims: &Claims, rules: &'a [OidcRule]) -> Option<&'a OidcRule> {
    rules.iter().find(|rule| {
        claims.has(&rule.claim, &rule.value)
            && (rule.claim != "email" || claims.has_verified_email())
    })
}

/// How the account is called.
fn label(claims: &Claims) -> Result<String> {
    let names = ["email", "preferred_username", "upn"];
    let label = names.into_iter().find_map(|name| claims.text(name));
    let label = label.ok_or_else(|| {
        OperatorError::Target(
            "the identity provider sends neither `email` nor `preferred_username`; add the scope \
             `email` to [console.oidc]"
                .to_owned(),
        )
    })?;
    checked_email(label)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(claim: &str, value: &str, role: &str) -> OidcRule {
        let (claim, value, role) = (claim.to_owned(), value.to_owned(), role.to_owned());
        OidcRule { claim, value, role, organizations: Vec::new() }
    }

    #[test]
    fn the_first_rule_that_fits_gives_the_role() {
        let rules = [
            rule("roles", "relay-admin", "administrator"),
            rule("email", "kari@lillevik.example", "helpdesk"),
            rule("groups", "staff", "helpdesk"),
        ];
        for (claims, expected) in [
            (json!({"roles": ["other", "relay-admin"], "groups": ["staff"]}), Some("relay-admin")),
            (json!({"roles": "relay-admin"}), Some("relay-admin")),
            (json!({"groups": ["staff"]}), Some("staff")),
            (json!({"groups": ["staff-room"]}), None),
            (json!({"roles": {"relay-admin": true}}), None),
            (json!({"email": "kari@lillevik.example"}), None),
            (json!({"email": "kari@lillevik.example", "email_verified": false}), None),
            (
                json!({"email": "kari@lillevik.example", "email_verified": true}),
                Some("kari@lillevik.example"),
            ),
            (
                json!({"email": "kari@lillevik.example", "email_verified": "true"}),
                Some("kari@lillevik.example"),
            ),
            (json!({}), None),
        ] {
            let found = rule_of(&Claims::of(claims.clone()), &rules);
            assert_eq!(found.map(|rule| rule.value.as_str()), expected, "{claims}");
        }
    }

    #[test]
    fn an_account_is_called_by_an_address() {
        let labelled = |claims| label(&Claims::of(claims)).map_err(|error| error.to_string());
        let email = "kari@lillevik.example".to_owned();
        assert_eq!(labelled(json!({"email": email, "upn": "x@y.example"})), Ok(email.clone()));
        assert_eq!(labelled(json!({"email": "", "preferred_username": email})), Ok(email));
        assert!(labelled(json!({"sub": "17"})).unwrap_err().contains("add the scope `email`"));
        assert!(labelled(json!({"email": "<script>"})).is_err());
    }
}
