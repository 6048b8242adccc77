//! Accounts of the console, their sessions, and links that work once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use scim_relay_sdk::scim::fold;

use super::writer::Done;
use super::{SqliteStore, is_taken, millis, sql, time};
use crate::store::{
    AccountChange, AccountId, AccountRow, Accounts, Added, Changed, Invitation, NewAccount,
    NewInvitation, NewSession, OrgId, PasswordHash, Preferences, Purpose, Reach, Redeemed, Result,
    Role, Seat, SecretHash, SessionId, SessionRow, StoreError, Subject, TotpSecret, Welcome,
};

/// A list of them is read whole.
const MOST_ACCOUNTS: i64 = 2_000;
/// Of one account: the oldest goes when another one begins.
const MOST_SESSIONS: usize = 20;
/// In a list.
const LISTED_SESSIONS: usize = 1_000;

#[async_trait]
impl Accounts for SqliteStore {
    async fn add_account(&self, account: NewAccount) -> Result<Added> {
        self.write(move |c| add(c, &account).map(Done::quiet)).await
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>> {
        self.readers.read(all).await
    }

    async fn account(&self, email: &str) -> Result<Option<AccountRow>> {
        self.readers.look_up(|c| find(c, BY_EMAIL, &fold(email))).await
    }

    async fn account_of(&self, subject: &Subject) -> Result<Option<AccountRow>> {
        self.readers.look_up(|c| find(c, BY_SUBJECT, &subject.0)).await
    }

    async fn change_account(
        &self,
        account: AccountId,
        change: AccountChange,
        but: Option<SessionId>,
    ) -> Result<Changed> {
        self.write(move |c| change_account(c, account, &change, but).map(whole)).await
    }

    async fn use_totp_step(&self, account: AccountId, step: i64) -> Result<bool> {
        let query = "UPDATE account SET totp_step = ?2
                     WHERE id = ?1 AND totp IS NOT NULL AND coalesce(totp_step, 0) < ?2";
        self.write(move |c| {
            run(c, query, params![account.0, step]).map(|rows| Done::quiet(rows > 0))
        })
        .await
    }

    async fn remove_account(&self, account: AccountId) -> Result<Changed> {
        self.write(move |c| remove(c, account).map(whole)).await
    }

    async fn has_administrator(&self) -> Result<bool> {
        self.readers.look_up(has_administrator).await
    }

    async fn begin_session(
        &self,
        session: NewSession,
        proof: Option<PasswordHash>,
    ) -> Result<Option<SessionId>> {
        self.write(move |c| begin(c, &session, proof.as_ref()).map(Done::quiet)).await
    }

    async fn seat(
        &self,
        secret: SecretHash,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Option<Seat>> {
        self.readers.look_up(|c| seat(c, secret, now - idle, now)).await
    }

    async fn session_lasts(
        &self,
        session: SessionId,
        idle: Duration,
        now: Timestamp,
    ) -> Result<bool> {
        self.readers.look_up(|c| lasts(c, session, now - idle, now)).await
    }

    async fn sessions(
        &self,
        account: Option<AccountId>,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>> {
        self.readers.read(move |c| sessions(c, account, now - idle, now)).await
    }

    async fn end_session(&self, session: SessionId, of: Option<AccountId>) -> Result<bool> {
        self.write(move |c| end(c, session, of).map(Done::quiet)).await
    }

    async fn sessions_seen(&self, seen: Vec<(SessionId, Timestamp)>) -> Result<()> {
        self.background(move |c| mark_seen(c, &seen).map(Done::quiet)).await
    }

    async fn invite(&self, invitation: NewInvitation) -> Result<()> {
        self.write(move |c| invite(c, &invitation).map(Done::quiet)).await
    }

    async fn invitation(&self, secret: SecretHash, now: Timestamp) -> Result<Option<Invitation>> {
        self.readers.look_up(|c| invitation(c, secret, now)).await
    }

    async fn redeem(
        &self,
        secret: SecretHash,
        welcome: Welcome,
        now: Timestamp,
    ) -> Result<Redeemed> {
        self.write(move |c| {
            redeem(c, secret, &welcome, now).map(|redeemed| match redeemed {
                Redeemed::Done(_) => Done::quiet(redeemed),
                Redeemed::Gone | Redeemed::Taken => Done::undone(redeemed),
            })
        })
        .await
    }

    async fn forget_ended(&self, idle: Duration, now: Timestamp) -> Result<()> {
        self.background(move |c| forget_ended(c, now - idle, now).map(Done::quiet)).await
    }
}

/// What would leave nobody to administer the relay is not done after all.
fn whole(changed: Changed) -> Done<Changed> {
    match changed {
        Changed::Done => Done::quiet(changed),
        Changed::NotFound | Changed::LastAdministrator => Done::undone(changed),
    }
}

fn add(c: &Connection, new: &NewAccount) -> Result<Added> {
    let there: i64 = c
        .prepare_cached("SELECT count(*) FROM account")
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .map_err(sql)?;
    if there >= MOST_ACCOUNTS {
        return Ok(Added::Full);
    }
    let added = c
        .prepare_cached(
            "INSERT INTO account (email, folded, name, role, everywhere, password, created,
                                  password_changed, subject)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, iif(?6 IS NULL, NULL, ?7), ?8)",
        )
        .map_err(sql)?
        .execute(params![
            new.email,
            fold(&new.email),
            new.name,
            new.role.word(),
            new.organizations.is_none(),
            new.password.as_ref().map(|hash| &hash.0),
            millis(new.now),
            new.subject.as_ref().map(|subject| &subject.0),
        ]);
    match added {
        Err(error) if is_taken(&error) => return Ok(Added::Taken),
        added => added.map_err(sql)?,
    };
    let account = AccountId(c.last_insert_rowid());
    reach(c, account, new.organizations.as_deref().unwrap_or_default())?;
    Ok(Added::Done(account))
}

fn reach(c: &Connection, account: AccountId, organizations: &[OrgId]) -> Result<()> {
    run(c, "DELETE FROM account_organization WHERE account = ?1", [account.0])?;
    for organization in organizations {
        run(
            c,
            "INSERT INTO account_organization (account, organization) VALUES (?1, ?2)
             ON CONFLICT DO NOTHING",
            [account.0, organization.0],
        )?;
    }
    Ok(())
}

macro_rules! columns {
    () => {
        "a.id, a.email, a.name, a.role, a.everywhere, a.password, a.locale, a.zone, a.created,
         a.disabled, a.password_changed, a.last_sign_in, a.subject, a.totp"
    };
}

pub(super) const BY_EMAIL: &str =
    concat!("SELECT ", columns!(), " FROM account a WHERE a.folded = ?1");
pub(super) const BY_SUBJECT: &str =
    concat!("SELECT ", columns!(), " FROM account a WHERE a.subject = ?1");
pub(super) const SEAT: &str = concat!(
    "SELECT ",
    columns!(),
    ", s.id, s.seen FROM session s CROSS JOIN account a ON a.id = s.account
     WHERE s.hash = ?1 AND s.ends > ?2 AND s.seen > ?3"
);
pub(super) const REACH: &str = "
    SELECT o.key FROM account_organization r CROSS JOIN organization o ON o.id = r.organization
    WHERE r.account = ?1";

fn find(c: &Connection, query: &str, key: &dyn rusqlite::ToSql) -> Result<Option<AccountRow>> {
    let found = c
        .prepare_cached(query)
        .and_then(|mut s| s.query_row([key], account_row).optional())
        .map_err(sql)?;
    found.map(|account| with_reach(c, account)).transpose()
}

fn all(c: &Connection) -> Result<Vec<AccountRow>> {
    let rows: Vec<AccountRow> = c
        .prepare_cached(concat!("SELECT ", columns!(), " FROM account a ORDER BY a.folded"))
        .and_then(|mut s| s.query_map([], account_row)?.collect())
        .map_err(sql)?;
    rows.into_iter().map(|account| with_reach(c, account)).collect()
}

/// Without the organizations of its reach.
fn account_row(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    let at = |index| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(index)?.map(time))
    };
    Ok(AccountRow {
        id: AccountId(row.get(0)?),
        email: row.get(1)?,
        name: row.get(2)?,
        role: row.get(3)?,
        reach: if row.get(4)? { Reach::Everywhere } else { Reach::Only(BTreeSet::new()) },
        password: row.get::<_, Option<String>>(5)?.map(PasswordHash),
        preferences: Preferences { locale: row.get(6)?, zone: row.get(7)? },
        created: time(row.get(8)?),
        disabled: at(9)?,
        password_changed: at(10)?,
        last_sign_in: at(11)?,
        subject: row.get::<_, Option<String>>(12)?.map(Subject),
        totp: row.get::<_, Option<Vec<u8>>>(13)?.map(TotpSecret),
    })
}

fn with_reach(c: &Connection, mut account: AccountRow) -> Result<AccountRow> {
    if let Reach::Only(own) = &mut account.reach {
        let keys: Vec<String> = c
            .prepare_cached(REACH)
            .and_then(|mut s| s.query_map([account.id.0], |row| row.get(0))?.collect())
            .map_err(sql)?;
        own.extend(keys.into_iter().map(Arc::from));
    }
    Ok(account)
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        Self::parse(word).ok_or_else(|| FromSqlError::Other(format!("no role: {word}").into()))
    }
}

fn change_account(
    c: &Connection,
    account: AccountId,
    change: &AccountChange,
    but: Option<SessionId>,
) -> Result<Changed> {
    let guarded = has_administrator(c)?;
    let id = account.0;
    let rows = match change {
        AccountChange::Password(hash, at) => {
            drop_links(c, account, PASSWORD)?;
            let query = "UPDATE account SET password = ?2, password_changed = ?3 WHERE id = ?1";
            run(c, query, params![id, hash.0, millis(*at)])?
        }
        AccountChange::Role(role, organizations) => {
            reach(c, account, organizations.as_deref().unwrap_or_default())?;
            let query = "UPDATE account SET role = ?2, everywhere = ?3 WHERE id = ?1";
            run(c, query, params![id, role.word(), organizations.is_none()])?
        }
        AccountChange::Disabled(at) => {
            let query = "UPDATE account SET disabled = ?2 WHERE id = ?1";
            run(c, query, params![id, at.map(millis)])?
        }
        AccountChange::Totp(secret) => {
            let query = "UPDATE account SET totp = ?2, totp_step = NULL WHERE id = ?1";
            run(c, query, params![id, secret.as_ref().map(|secret| &secret.0)])?
        }
        AccountChange::Name(name) => {
            return run(c, "UPDATE account SET name = ?2 WHERE id = ?1", params![id, name])
                .map(found);
        }
        AccountChange::Preferences(Preferences { locale, zone }) => {
            let query = "UPDATE account SET locale = ?2, zone = ?3 WHERE id = ?1";
            return run(c, query, params![id, locale, zone]).map(found);
        }
    };
    end_all(c, account, but)?;
    guard(c, guarded, rows)
}

fn found(rows: usize) -> Changed {
    if rows == 0 { Changed::NotFound } else { Changed::Done }
}

/// Once somebody can administer the relay, somebody always can.
fn guard(c: &Connection, guarded: bool, rows: usize) -> Result<Changed> {
    match found(rows) {
        Changed::Done if guarded && !has_administrator(c)? => Ok(Changed::LastAdministrator),
        changed => Ok(changed),
    }
}

/// One without a password signs in elsewhere, and is known to be able to once they did.
fn has_administrator(c: &Connection) -> Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM account WHERE role = ?1 AND disabled IS NULL
                        AND (password IS NOT NULL OR last_sign_in IS NOT NULL))",
    )
    .and_then(|mut s| s.query_row([Role::Administrator.word()], |row| row.get(0)))
    .map_err(sql)
}

fn remove(c: &Connection, account: AccountId) -> Result<Changed> {
    let guarded = has_administrator(c)?;
    end_all(c, account, None)?;
    reach(c, account, &[])?;
    run(c, "DELETE FROM invitation WHERE account = ?1", [account.0])?;
    let rows = run(c, "DELETE FROM account WHERE id = ?1", [account.0])?;
    guard(c, guarded, rows)
}

fn begin(
    c: &Connection,
    new: &NewSession,
    proof: Option<&PasswordHash>,
) -> Result<Option<SessionId>> {
    let account = new.account.0;
    let let_in = run(
        c,
        "UPDATE account SET last_sign_in = ?2
         WHERE id = ?1 AND disabled IS NULL AND (?3 IS NULL OR password = ?3)",
        params![account, millis(new.now), proof.map(|hash| &hash.0)],
    )?;
    if let_in == 0 {
        return Ok(None);
    }
    run(
        c,
        "INSERT INTO session (hash, account, created, seen, ends, address, agent)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)",
        params![new.secret.0, account, millis(new.now), millis(new.ends), new.address, new.agent],
    )?;
    let session = SessionId(c.last_insert_rowid());
    run(
        c,
        "DELETE FROM session WHERE account = ?1 AND id <= (
             SELECT id FROM session WHERE account = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        params![account, MOST_SESSIONS],
    )?;
    Ok(Some(session))
}

fn seat(
    c: &Connection,
    secret: SecretHash,
    seen_since: Timestamp,
    now: Timestamp,
) -> Result<Option<Seat>> {
    let found = c
        .prepare_cached(SEAT)
        .and_then(|mut s| {
            s.query_row(params![secret.0, millis(now), millis(seen_since)], |row| {
                let account = account_row(row)?;
                Ok(Seat { session: SessionId(row.get(14)?), seen: time(row.get(15)?), account })
            })
            .optional()
        })
        .map_err(sql)?;
    found.map(|seat| Ok(Seat { account: with_reach(c, seat.account)?, ..seat })).transpose()
}

fn lasts(
    c: &Connection,
    session: SessionId,
    seen_since: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let (now, seen_since) = (millis(now), millis(seen_since));
    c.prepare_cached(LASTS)
        .and_then(|mut s| s.query_row([session.0, now, seen_since], |row| row.get(0)))
        .map_err(sql)
}

pub(super) const LASTS: &str =
    "SELECT EXISTS (SELECT 1 FROM session WHERE id = ?1 AND ends > ?2 AND seen > ?3)";

fn sessions(
    c: &Connection,
    account: Option<AccountId>,
    seen_since: Timestamp,
    now: Timestamp,
) -> Result<Vec<SessionRow>> {
    let of = if account.is_some() { OF } else { "" };
    let query = format!("{SESSIONS} {of} ORDER BY s.id DESC LIMIT {LISTED_SESSIONS}");
    let read = |row: &Row<'_>| {
        Ok(SessionRow {
            id: SessionId(row.get(0)?),
            account: AccountId(row.get(1)?),
            email: row.get(2)?,
            created: time(row.get(3)?),
            seen: time(row.get(4)?),
            ends: time(row.get(5)?),
            address: row.get(6)?,
            agent: row.get(7)?,
        })
    };
    let (now, seen_since) = (millis(now), millis(seen_since));
    c.prepare_cached(&query)
        .and_then(|mut s| match account {
            None => s.query_map([now, seen_since], read)?.collect(),
            Some(account) => s.query_map([now, seen_since, account.0], read)?.collect(),
        })
        .map_err(sql)
}

const SESSIONS: &str = "
    SELECT s.id, s.account, a.email, s.created, s.seen, s.ends, s.address, s.agent
    FROM session s JOIN account a ON a.id = s.account
    WHERE s.ends > ?1 AND s.seen > ?2";
const OF: &str = "AND s.account = ?3";

fn end(c: &Connection, session: SessionId, of: Option<AccountId>) -> Result<bool> {
    let of = of.map(|account| account.0);
    let query = "DELETE FROM session WHERE id = ?1 AND (?2 IS NULL OR account = ?2)";
    run(c, query, params![session.0, of]).map(|rows| rows > 0)
}

fn end_all(c: &Connection, account: AccountId, but: Option<SessionId>) -> Result<()> {
    let but = but.map(|session| session.0);
    run(
        c,
        "DELETE FROM session WHERE account = ?1 AND (?2 IS NULL OR id <> ?2)",
        params![account.0, but],
    )?;
    Ok(())
}

fn mark_seen(c: &Connection, seen: &[(SessionId, Timestamp)]) -> Result<()> {
    for (session, at) in seen {
        run(c, "UPDATE session SET seen = max(seen, ?2) WHERE id = ?1", [session.0, millis(*at)])?;
    }
    Ok(())
}

const FIRST: &str = "first";
const PASSWORD: &str = "password";
const SIGN_IN: &str = "sign_in";

fn invite(c: &Connection, new: &NewInvitation) -> Result<()> {
    let (purpose, account) = match new.purpose {
        Purpose::First => (FIRST, None),
        Purpose::Password(account) => (PASSWORD, Some(account.0)),
        Purpose::SignIn(account) => (SIGN_IN, Some(account.0)),
    };
    run(
        c,
        "DELETE FROM invitation WHERE purpose = ?1 AND account IS ?2",
        params![purpose, account],
    )?;
    run(
        c,
        "INSERT INTO invitation (hash, purpose, account, ends) VALUES (?1, ?2, ?3, ?4)",
        params![new.secret.0, purpose, account, millis(new.ends)],
    )?;
    Ok(())
}

fn invitation(c: &Connection, secret: SecretHash, now: Timestamp) -> Result<Option<Invitation>> {
    let found: Option<(String, Option<i64>, Option<String>)> = c
        .prepare_cached(INVITATION)
        .and_then(|mut s| {
            s.query_row(params![secret.0, millis(now)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()
        })
        .map_err(sql)?;
    let Some((purpose, account, email)) = found else { return Ok(None) };
    let account = account.map(AccountId).zip(email);
    Ok(match (purpose.as_str(), account) {
        // Somebody was there first.
        (FIRST, None) => (!has_administrator(c)?).then_some(Invitation::First),
        (PASSWORD, Some((account, email))) => Some(Invitation::Password { account, email }),
        (SIGN_IN, Some((account, email))) => Some(Invitation::SignIn { account, email }),
        _ => return Err(StoreError::Broken(format!("a link is for {purpose}"))),
    })
}

pub(super) const INVITATION: &str = "
    SELECT i.purpose, i.account, a.email
    FROM invitation i LEFT JOIN account a ON a.id = i.account WHERE i.hash = ?1 AND i.ends > ?2";

fn redeem(
    c: &Connection,
    secret: SecretHash,
    welcome: &Welcome,
    now: Timestamp,
) -> Result<Redeemed> {
    let Some(invitation) = invitation(c, secret, now)? else { return Ok(Redeemed::Gone) };
    run(c, "DELETE FROM invitation WHERE hash = ?1", [secret.0])?;
    match (invitation, welcome) {
        (Invitation::First, Welcome::First(new)) => Ok(match add(c, new)? {
            Added::Done(account) => Redeemed::Done(account),
            Added::Taken | Added::Full => Redeemed::Taken,
        }),
        (Invitation::Password { account, .. }, Welcome::Password(hash)) => {
            // Whoever lost their phone comes in by such a link.
            change_account(c, account, &AccountChange::Totp(None), None)?;
            let change = AccountChange::Password(hash.clone(), now);
            Ok(match change_account(c, account, &change, None)? {
                Changed::Done => Redeemed::Done(account),
                Changed::NotFound | Changed::LastAdministrator => Redeemed::Gone,
            })
        }
        (Invitation::SignIn { account, .. }, Welcome::SignIn) => Ok(Redeemed::Done(account)),
        _ => Ok(Redeemed::Gone),
    }
}

fn drop_links(c: &Connection, account: AccountId, purpose: &str) -> Result<()> {
    let query = "DELETE FROM invitation WHERE account = ?1 AND purpose = ?2";
    run(c, query, params![account.0, purpose])?;
    Ok(())
}

fn forget_ended(c: &Connection, seen_since: Timestamp, now: Timestamp) -> Result<()> {
    let (now, seen_since) = (millis(now), millis(seen_since));
    run(c, "DELETE FROM session WHERE ends <= ?1 OR seen <= ?2", [now, seen_since])?;
    run(c, "DELETE FROM invitation WHERE ends <= ?1", [now])?;
    Ok(())
}

fn run(c: &Connection, query: &str, params: impl Params) -> Result<usize> {
    c.prepare_cached(query).and_then(|mut s| s.execute(params)).map_err(sql)
}
